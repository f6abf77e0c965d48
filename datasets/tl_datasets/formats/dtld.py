"""Reads the DriveU Traffic Light Dataset (DTLD), v1.0 (.yml) and v2.0 (.json).

Boxes are x, y, width, height in the unrectified left image. An image with an empty list of labels is a true negative. A
reflected light is ignored. v1 has no `unknown`: missing knowledge became a default value, so both versions differ.
Images are raw frames, which are decoded when they are read, or copies converted to 8 bits, which are found by name.
Velocity, yaw rate, position and disparity images are left aside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from tl_datasets.errors import show
from tl_datasets.formats.common.box_policy import OnBadBox, fit_box
from tl_datasets.formats.common.foreign_paths import path_without_suffix
from tl_datasets.formats.common.image_files import ImageFiles, Located, MissingImages
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.values import read_number
from tl_datasets.formats.dtld_files import (
    Library,
    Record,
    find_label_files,
    find_root,
    iter_records,
    pixel_format,
    timestamp_ns,
)
from tl_datasets.formats.dtld_v1 import UNKNOWN, read_class_id
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_maps import Translator, load_label_map, normalise_word
from tl_datasets.read_report import Event, ReadReport
from tl_datasets.taxonomy import Facing, Orientation, Pictogram, PixelFormat, Relevance, State

_SIZE_PX = (2048, 1024)
# Records that are tried to find the folder of the images.
_FIRST = 20

# Attribute of v2 -> our field, and its words. `unknown` is no word of these in v2, but a digit of v1 may say nothing.
WORDS: dict[str, tuple[str, dict[str, Any]]] = {
    "direction": ("facing", {word.value: word for word in Facing}),
    "relevance": ("relevance", {word.value: word for word in Relevance}),
    "orientation": ("orientation", {word.value: word for word in Orientation}),
    "occlusion": ("occluded", {"occluded": True, "not_occluded": False}),
    "reflection": ("reflection", {"reflected": True, "not_reflected": False}),
    "aspects": (
        "aspects",
        {"one_aspect": 1, "two_aspects": 2, "three_aspects": 3, "four_aspects": 4, UNKNOWN: None},
    ),
}


def read(
    source: Path | str,
    *,
    report: ReadReport,
    images: Path | str | None = None,
    split: str | None = None,
    label_map: str = "dtld",
    missing_images: MissingImages = "error",
    on_bad_box: OnBadBox = "drop",
) -> Iterator[Frame]:
    """Read DTLD labels of either version. The sequence of a frame is its folder: the approach to one intersection.

    Args:
        source: A label file; or a folder with one, or with the files of the official parts (DTLD_train, DTLD_test).
        report: Takes the image root, content hashes and counts.
        images: The folder with the city folders, or any folder with the images; None = the first folder above the label
            file that leads to one.
        split: Part of all frames; None = train or test as the name of the label file ends.
        label_map: What the words of state and pictogram mean.
        missing_images: "error"; "drop" to leave the frame out; "keep" to take it as 2048x1024.
        on_bad_box: "drop" counts and leaves out boxes without area inside the image; or "error".

    Raises:
        AnnotationError: A file does not follow the format, an image is missing or has two records, or a word of state
            or pictogram has no meaning in the label map.
        ImageError: An image does not open.
        DataError: The folder has no label file, or several that share frames.
    """
    label_files = find_label_files(Path(source))
    records = iter_records(label_files)
    first = list(islice(records, _FIRST))
    library = Library(find_root(images, label_files[0], first), report)
    report.root = library.root
    files = ImageFiles(root=library.root, missing=missing_images, report=report, assumed_size=_SIZE_PX)
    words = Translator(load_label_map(label_map), Path(source))
    labels = _LabelReader(words=words, report=report, on_bad_box=on_bad_box)

    def located() -> Iterator[tuple[tuple[Record, PixelFormat | None], Located]]:
        seen: dict[str, Place] = {}
        for record in chain(first, records):
            image = files.locate(library.find(record) or record.path.as_posix(), record.place)
            if image is None:
                continue
            frame_id = path_without_suffix(image.path)
            if frame_id in seen:
                raise record.place.error(f"frame {show(frame_id)} also has a record in {seen[frame_id]}; expected one")
            seen[frame_id] = record.place
            yield (record, pixel_format(image.file, record)), image

    def frames() -> Iterator[Frame]:
        for (record, coded_as), image in files.sized(located()):
            frame_id = path_without_suffix(image.path)
            if image.content_hash is not None:
                report.content_hashes[frame_id] = image.content_hash
            time_ns = None if record.time_stamp is None else timestamp_ns(record.time_stamp, record.place)
            if time_ns is None and record.time_stamp is not None:
                report.add(Event.TIMESTAMP_UNKNOWN, record.place)
            yield Frame(
                frame_id=frame_id,
                path=image.path,
                width_px=image.width_px,
                height_px=image.height_px,
                annotations=tuple(labels.read(record, image.width_px, image.height_px)),
                sequence=record.path.parent.name or None,
                split=split or record.split,
                timestamp_ns=time_ns,
                pixel_format=coded_as,
            )
        words.check()

    return frames()


@dataclass(frozen=True, slots=True, kw_only=True)
class _LabelReader:
    """Turns the label objects of a record into annotations."""

    words: Translator
    report: ReadReport
    on_bad_box: OnBadBox

    def read(self, record: Record, width_px: int, height_px: int) -> Iterator[Annotation]:
        keys = ("x", "y", "width", "height") if record.is_v1 else ("x", "y", "w", "h")
        for number, label in enumerate(record.labels):
            place = record.place.at("label", number)
            if not isinstance(label, dict):
                raise place.error(f"{show(label)}, expected an object with {', '.join(keys)}")
            class_id = label.get("class_id") if record.is_v1 else None
            attributes = read_class_id(class_id, place, self.report) if record.is_v1 else label.get("attributes")
            if not isinstance(attributes, dict):
                raise place.error(f"attributes are {show(attributes)}, expected an object with state, pictogram ...")
            fields = self._fields(attributes, place)
            x, y, width, height = (read_number(label.get(key), key, place) for key in keys)
            fitted = fit_box(
                (x, y, x + width, y + height),
                width_px,
                height_px,
                truncated=None,
                on_bad_box=self.on_bad_box,
                report=self.report,
                where=place,
            )
            if fitted is not None:
                yield Annotation(
                    xyxy=fitted[0],
                    truncated=fitted[1],
                    track_id=_track_id(label.get("track_id"), place),
                    source_label=None if class_id is None else str(class_id),
                    **fields,
                )

    def _fields(self, attributes: Mapping[str, Any], place: Place) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for attribute, (name, meanings) in WORDS.items():
            word = attributes.get(attribute)
            key = None if word is None else normalise_word(word)
            if key is not None and key not in meanings:
                raise place.error(f"{attribute} is {show(word)}, expected {', '.join(meanings)}, or null")
            fields[name] = None if key is None else meanings[key]
        fields["state"] = self._translated("state", attributes.get("state"), place)
        fields["pictogram"] = self._translated("pictogram", attributes.get("pictogram"), place)
        fields["ignore"] = fields["reflection"] is True
        return fields

    def _translated(self, kind: str, word: Any, place: Place) -> State | Pictogram | None:
        if word is None:
            return None
        label_map, key = self.words.label_map, normalise_word(word)
        found = (label_map.states if kind == "state" else label_map.pictograms).get(key)
        if found is None:
            self.words.unknown[kind, str(word)] += 1
        elif found == UNKNOWN and key != UNKNOWN:
            self.report.add(Event.VALUE_UNKNOWN, place, detail=f"{kind} {word}")
        return found


def _track_id(value: Any, place: Place) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise place.error(f"track_id is {show(value)}, expected a text")
    return str(value)
