"""One OpenLABEL file: which objects are seen in which of its frames, and what its tags say.

What is said of an object as a whole (`objects.<uid>.object_data`) holds in all its frames; what a frame says of it
comes before. An object without a frame interval that no frame names is seen in every frame.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from tl_datasets.errors import show
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.values import read_whole
from tl_datasets.parsing import load_json

GEOMETRIES = (
    "bbox",
    "rbbox",
    "poly2d",
    "cuboid",
    "poly3d",
    "point2d",
    "point3d",
    "mat",
    "mesh",
    "image",
    "binary",
    "area_reference",
    "line_reference",
)
_LARGEST_FRAME = 1_000_000_000
# Nine hours at 30 frames a second; an interval of nonsense must not fill the memory.
_MOST_FRAMES = 1_000_000
_TYPED = ("text", "num", "boolean", "vec")


class Seen(NamedTuple):
    """An object in one frame.

    Attributes:
        uid: Its key.
        kind: Its type.
        data: Its `object_data`, that of the frame before that of the object.
        attributes: Its typed attributes by name; those of a shape come before them.
        overrides: What the frame says of an object whose shape holds always; comes before those of the shape.
        where: For messages.
    """

    uid: str
    kind: str
    data: Mapping[str, Any]
    attributes: dict[str, Any]
    overrides: dict[str, Any]
    where: Place


class Interval(NamedTuple):
    """Frames from the first to the last, both included."""

    first: int
    last: int


@dataclass(frozen=True)
class Scene:
    """The parts of a file that are checked to be mappings, and its frames by number."""

    path: Path
    objects: Mapping[str, Any]
    streams: Mapping[str, Any]
    resources: Mapping[str, Any]
    tags: Mapping[str, Any]
    frames: Mapping[int, Mapping[str, Any]]
    intervals: tuple[Interval, ...]

    @cached_property
    def numbers(self) -> list[int]:
        """The frames, ascending; one of number 0 where the file knows no frames, as for a single image."""
        found = set(self.frames)
        intervals = [*self.intervals, *(interval for _, spans in self._static.values() for interval in spans)]
        if sum(interval.last - interval.first for interval in intervals) > _MOST_FRAMES:
            raise Place(self.path).error(
                f"frame_intervals of more than {_MOST_FRAMES} frames; expected those of a scene"
            )
        for interval in intervals:
            found.update(range(interval.first, interval.last + 1))
        return sorted(found) or [0]

    def where(self, number: int) -> Place:
        """A frame, for messages."""
        return Place(self.path, ("frame", number))

    def properties(self, number: int) -> Mapping[str, Any]:
        """The `frame_properties` of a frame."""
        return mapping(self.frames.get(number, {}).get("frame_properties"), "frame_properties", self.where(number))

    def seen(self, number: int) -> Iterator[Seen]:
        """The objects of a frame: those that it names in its order, then those that hold in it."""
        where = self.where(number)
        named = mapping(self.frames.get(number, {}).get("objects"), "objects", where)
        for uid, entry in named.items():
            place = where.at("object", uid)
            own = mapping(mapping(entry, "object", place).get("object_data"), "object_data", place)
            if uid not in self.objects:
                raise place.error("is not among the objects of the file; expected its name and type there")
            yield self._seen(uid, own, place)
        for uid, (_, spans) in self._static.items():
            if uid in named:
                continue
            if any(span.first <= number <= span.last for span in spans) or (not spans and not self.appearances[uid]):
                yield self._seen(uid, {}, where.at("object", uid))

    @cached_property
    def appearances(self) -> Counter[str]:
        """In how many frames each object is named."""
        counts: Counter[str] = Counter()
        for number, frame in self.frames.items():
            counts.update(mapping(frame.get("objects"), "objects", self.where(number)).keys())
        return counts

    def is_track(self, uid: str) -> bool:
        """Whether an object is seen in more than one frame."""
        spans = self._static[uid][1] if uid in self._static else ()
        return self.appearances[uid] > 1 or sum(span.last - span.first + 1 for span in spans) > 1

    @cached_property
    def _static(self) -> dict[str, tuple[Mapping[str, Any], tuple[Interval, ...]]]:
        """Objects that have a shape of their own, with the frames that they say to be in."""
        found = {}
        for uid, entry in self.objects.items():
            where = Place(self.path, ("object", uid))
            record = mapping(entry, "object", where)
            data = mapping(record.get("object_data"), "object_data", where)
            if any(name in data for name in GEOMETRIES):
                found[uid] = data, _intervals(record.get("frame_intervals"), where)
        return found

    def _seen(self, uid: str, own: Mapping[str, Any], where: Place) -> Seen:
        record = mapping(self.objects[uid], "object", where)
        kind = record.get("type")
        if not isinstance(kind, str) or not kind:
            raise where.error(f"type is {show(kind)}, expected the word of a class")
        static = mapping(record.get("object_data"), "object_data", where)
        said, said_here = typed_values(static, where), typed_values(own, where)
        if any(name in own for name in GEOMETRIES):
            return Seen(uid, kind, own, {**said, **said_here}, {}, where)
        return Seen(uid, kind, static, said, said_here, where)


def load_scene(path: Path) -> Scene:
    """Read one file.

    Raises:
        AnnotationError: It is no OpenLABEL file of version 1.
    """
    where = Place(path)
    document = load_json(path)
    root = document.get("openlabel") if isinstance(document, dict) else None
    if not isinstance(root, dict):
        raise where.error("has no object 'openlabel'; expected a file of OpenLABEL 1.0")
    version = mapping(root.get("metadata"), "metadata", where).get("schema_version")
    if version is not None and not str(version).startswith("1."):
        raise where.error(f"schema_version is {show(version)}, expected 1.0.0; convert the file")
    frames: dict[int, Mapping[str, Any]] = {}
    for key, entry in mapping(root.get("frames"), "frames", where).items():
        number = read_whole(key, "number of a frame", where, 0, _LARGEST_FRAME)
        if number is None or number in frames:
            raise where.error(f"frame {show(key)} occurs twice; expected each number once")
        frames[number] = mapping(entry, "frame", where.at("frame", key))
    return Scene(
        path=path,
        frames=frames,
        intervals=_intervals(root.get("frame_intervals"), where),
        **{name: mapping(root.get(name), name, where) for name in ("objects", "streams", "resources", "tags")},
    )


def mapping(value: Any, name: str, where: Place) -> Mapping[str, Any]:
    """An object of the file; one that is absent is empty.

    Raises:
        AnnotationError: It is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise where.error(f"{name} is {show(value)}, expected an object {{...}}")
    return value


def items_of(data: Mapping[str, Any], name: str, where: Place) -> list[Mapping[str, Any]]:
    """A list of objects such as `bbox`.

    Raises:
        AnnotationError: It is something else.
    """
    items = data.get(name)
    if items is None:
        return []
    if not isinstance(items, list):
        raise where.error(f"{name} is {show(items)}, expected a list of objects")
    return [mapping(item, name, where) for item in items]


def typed_values(data: Mapping[str, Any], where: Place) -> dict[str, Any]:
    """The values of `text`, `num`, `boolean` and `vec` by name.

    Raises:
        AnnotationError: One has no value.
    """
    found: dict[str, Any] = {}
    for kind in _TYPED:
        for item in items_of(data, kind, where):
            if "val" not in item:
                raise where.error(f"{kind} {show(item.get('name'))} has no val; expected a name and a val")
            found[str(item.get("name", ""))] = item["val"]
    return found


def _intervals(value: Any, where: Place) -> tuple[Interval, ...]:
    found = []
    for item in items_of({"frame_intervals": value}, "frame_intervals", where):
        first, last = (
            read_whole(item.get(name), name, where, 0, _LARGEST_FRAME) for name in ("frame_start", "frame_end")
        )
        if first is None or last is None or last < first:
            raise where.error(f"frame interval {show(dict(item))}, expected frame_start up to frame_end")
        found.append(Interval(first, last))
    return tuple(found)
