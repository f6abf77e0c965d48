"""The video form of CVAT: tracks whose boxes stand at some frames, drawn between them by linear interpolation.

Every box of a track is a key: the ones that CVAT computed itself (`keyframe="0"`) stand in its files too. Attributes
hold until a later box changes them. `outside="1"` ends what is visible until a box without it; a track ends with its
last box. Only the tables of the tracks are kept in memory.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.values import read_flag, read_whole
from tl_datasets.formats.cvat_shapes import Geometry, box_fields, read_attributes, read_geometry, read_label
from tl_datasets.read_report import Event, ReadReport

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_LARGEST_FRAME = 1_000_000_000


class Key(NamedTuple):
    """A box of a track at one frame, and the fields of its annotation."""

    frame: int
    geometry: Geometry
    is_outside: bool
    fields: dict[str, Any]


class Track(NamedTuple):
    """One object through the frames.

    Attributes:
        label: Its class word.
        frames: Of its keys, ascending.
        keys: Its boxes, by frame.
        where: For messages.
    """

    label: str
    frames: list[int]
    keys: list[Key]
    where: Place

    def at(self, frame: int) -> tuple[Geometry, dict[str, Any]] | None:
        """Where the object is seen in a frame, and the fields of its annotation; None where it is not seen."""
        position = bisect_right(self.frames, frame) - 1
        if position < 0 or frame > self.frames[-1]:
            return None
        key = self.keys[position]
        if key.is_outside:
            return None
        if key.frame == frame:
            return key.geometry, key.fields
        following = self.keys[position + 1]
        share = (frame - key.frame) / (following.frame - key.frame)
        return _between(key.geometry, following.geometry, share), key.fields


def read_track(element: Element, number: int, with_attributes: bool, report: ReadReport, where: Place) -> Track | None:
    """Read a `track` element; None for one without boxes, whose shapes are counted.

    Args:
        element: The track.
        number: Its place in the file, its name where it has no id.
        with_attributes: Read the attributes that we know.
        report: Takes the shapes without a box.
        where: The file.

    Raises:
        AnnotationError: A frame, a coordinate or an attribute is wrong, or a frame has two boxes of the track.
    """
    track_id = element.get("id") or str(number)
    where = where.at("track", track_id)
    label = read_label(element, where)
    shapes: list[tuple[int, Element]] = []
    for shape in element:
        if shape.tag == "attribute":
            continue
        frame = read_whole(shape.get("frame"), "frame", where, 0, _LARGEST_FRAME)
        if frame is None:
            raise where.error(f"{shape.tag} has no frame; expected a whole number")
        shapes.append((frame, shape))
    shapes.sort(key=lambda item: item[0])
    keys: list[Key] = []
    held = read_attributes(element, where)  # some tools write what never changes here
    for frame, shape in shapes:
        place = where.at("frame", frame)
        geometry = read_geometry(shape, place)
        is_outside = bool(read_flag(shape.get("outside"), "outside", place))
        if geometry is None:
            if not is_outside:
                report.add(Event.NO_BOX, place, detail=label)
            continue
        if keys and keys[-1].frame == frame:
            raise place.error("has two boxes of the track; expected one")
        held = {**held, **read_attributes(shape, place)}
        fields = box_fields(held if with_attributes else {}, shape.get("occluded"), place)
        keys.append(Key(frame, geometry, is_outside, {"track_id": track_id, **fields}))
    return Track(label, [key.frame for key in keys], keys, where) if keys else None


def boxes_by_frame(
    tracks: Sequence[Track], frames: Sequence[int]
) -> Iterator[tuple[int, list[tuple[Track, Geometry, dict[str, Any]]]]]:
    """What is seen in each frame, in the order of the tracks.

    Args:
        tracks: All tracks of the video.
        frames: Numbers of the frames, ascending.
    """
    waiting = sorted(range(len(tracks)), key=lambda index: tracks[index].frames[0], reverse=True)
    active: list[int] = []
    for frame in frames:
        while waiting and tracks[waiting[-1]].frames[0] <= frame:
            active.append(waiting.pop())
        active = sorted(index for index in active if tracks[index].frames[-1] >= frame)
        seen = ((tracks[index], tracks[index].at(frame)) for index in active)
        yield frame, [(track, *box) for track, box in seen if box is not None]


def _between(one: Geometry, two: Geometry, share: float) -> Geometry:
    x1, y1, x2, y2 = ((1 - share) * a + share * b for a, b in zip(one.xyxy, two.xyxy, strict=True))
    turn = (two.rotation_deg - one.rotation_deg + 180) % 360 - 180  # the short way round
    return Geometry((x1, y1, x2, y2), one.rotation_deg + share * turn, one.is_polygon or two.is_polygon)
