"""BDD100K detection labels of all generations: 2018 (per image and combined), Scalabel, Detection 2020.

A record without labels is a true negative, unless no record of the source has any: then its files hold tags, and its
frames are unlabelled. An image without a record is unlabelled: 137 train images lost theirs.
Boxes are documented as inclusive (width = x2 - x1 + 1) and become half-open by adding 1 to x2 and y2.
Lanes, drivable areas and other labels without `box2d` are skipped and counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tl_datasets.errors import show
from tl_datasets.formats.bdd100k_files import (
    Record,
    find_image_root,
    find_label_files,
    images_without_record,
    iter_records,
    lower_attributes,
)
from tl_datasets.formats.common.box_policy import XYXY, OnBadBox, fit_box
from tl_datasets.formats.common.image_files import ImageFiles, ImageIndex, Located, MissingImages, Sized
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.values import read_flag
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_maps import Translator, load_label_map
from tl_datasets.read_report import Event, ReadReport
from tl_datasets.taxonomy import TRAFFIC_LIGHT, ConditionSource

# Every frame of the 100K set has this size; the official converter assumes it too.
_SIZE_PX = (1280, 720)
_FLAGS = ("occluded", "truncated", "crowd", "ignored")
# The first block of a name tells the recording.
RECORDING = re.compile(r"^[0-9a-f]{8}(?=-)")


def read(
    source: Path | str,
    *,
    report: ReadReport,
    images: Path | str | None = None,
    split: str | None = None,
    label_map: str = "bdd100k",
    box_convention: Literal["scalabel", "continuous"] = "scalabel",
    unlabelled: Literal["skip", "include"] = "skip",
    missing_images: MissingImages = "error",
    on_bad_box: OnBadBox = "drop",
) -> Iterator[Frame]:
    """Read BDD100K labels. The sequence of a frame is its recording, the first eight hex digits of the name.

    Args:
        source: A label file, a folder of label files (one per image, or combined), or the `bdd100k` folder.
        report: Takes the image root, content hashes and counts.
        images: Folder with the images; None = `images/100k` or `images` beside the labels.
        split: Part of all frames; None = train, val or test as the name of the label file or its folder says.
        label_map: What the category, colour and condition words mean.
        box_convention: "scalabel" = x2, y2 are inclusive, as documented; "continuous" = taken as half-open.
        unlabelled: "include" adds images without a record as unlabelled frames, from the folders that hold images
            with one.
        missing_images: "error"; "drop" to leave the frame out; "keep" to take the frame with its declared size, or
            1280x720 (for statistics over labels alone).
        on_bad_box: "drop" counts and leaves out boxes without area, as the official tools do; or "error".

    Raises:
        AnnotationError: A file does not follow the format, a frame has two records, a word has no meaning in the
            label map, a box is wrong, or an image is missing or has another size than declared.
        ImageError: An image does not open.
    """
    source = Path(source)
    label_files = find_label_files(source)
    root = find_image_root(source, None if images is None else Path(images), required=missing_images != "keep")
    report.root = folder = root or Path()
    index = None if root is None else ImageIndex(root, report)
    files = ImageFiles(
        root=folder,
        missing=missing_images,
        report=report,
        assumed_size=_SIZE_PX,
        hint="" if index is None else index.about_links(),
    )
    words = Translator(load_label_map(label_map), source)
    labels = _LabelReader(words=words, report=report, box_convention=box_convention, on_bad_box=on_bad_box)

    def located() -> Iterator[tuple[Record, Located]]:
        seen: dict[str, Path] = {}
        for record in iter_records(label_files, report):
            where = record.where
            if record.stem in seen:
                raise where.error(f"also has a record in {seen[record.stem]}; expected one")
            seen[record.stem] = record.file
            part = split or record.split
            found = index.find(f"{part}/{record.name}" if part else record.name, where) if index is not None else None
            declared = record.size or (None, None)
            image = (
                files.absent(record.name, where, declared) if found is None else files.locate(found, where, declared)
            )
            if image is not None:
                yield record, image
        for path in [] if index is None else images_without_record(index, seen):
            report.add(Event.NO_RECORD, folder / path)
            if unlabelled == "include":
                record = Record.unlabelled(folder, path)
                image = files.locate(path, record.where)
                if image is not None:
                    yield record, image

    def frames() -> Iterator[Frame]:
        for record, image in files.sized(located()):
            if image.content_hash is not None:
                report.content_hashes[record.stem] = image.content_hash
            recording = RECORDING.match(record.stem)
            yield Frame(
                frame_id=record.stem,
                path=image.path,
                width_px=image.width_px,
                height_px=image.height_px,
                annotations=None if record.labels is None else tuple(labels.read(record, image)),
                weather=words.condition("weather", record.attributes.get("weather")),
                scene=words.condition("scene", record.attributes.get("scene")),
                time_of_day=words.condition("time_of_day", record.attributes.get("timeofday")),
                sequence=recording[0] if recording else None,
                split=split or record.split,
                condition_source=ConditionSource.ANNOTATED if _has_condition(record) else None,
            )
        words.check()

    return frames()


@dataclass(frozen=True, slots=True, kw_only=True)
class _LabelReader:
    """Turns the label objects of a record into annotations."""

    words: Translator
    report: ReadReport
    box_convention: str
    on_bad_box: OnBadBox

    def read(self, record: Record, image: Sized) -> Iterator[Annotation]:
        for number, label in enumerate(record.labels or []):
            where = Place(record.file, ("frame", record.name, "label", number))
            annotation = self._annotation(label, image, where)
            if annotation is not None:
                yield annotation

    def _annotation(self, label: Any, image: Sized, where: Place) -> Annotation | None:
        if not isinstance(label, dict) or not isinstance(label.get("category"), str):
            raise where.error(f"is {show(label)}, expected an object with a category and a box2d")
        word = label["category"]
        if label.get("box2d") is None:
            self.report.add(Event.NO_BOX, where, detail=word)
            return None
        meaning = self.words.label(word)
        if meaning is None:
            return None
        if isinstance(meaning, str):
            self.report.add(Event.LABEL_DROPPED, where, detail=word)
            return None
        attributes = lower_attributes(label, where)
        occluded, truncated, crowd, ignored = (_flag(attributes, name, where) for name in _FLAGS)
        xyxy = _box(label["box2d"], where)
        if label.get("score") is not None:
            self.report.add(Event.SCORE_LEFT_OUT, where)
        if self.box_convention == "scalabel":
            xyxy = _half_open(xyxy, image.width_px, image.height_px)
        fitted = fit_box(
            xyxy,
            image.width_px,
            image.height_px,
            truncated=truncated,
            on_bad_box=self.on_bad_box,
            report=self.report,
            where=where,
        )
        if fitted is None:
            return None
        fields = meaning.as_arguments
        colour = _last(attributes.get("trafficlightcolor"))
        if meaning.category == TRAFFIC_LIGHT and colour is not None:
            fields = {**fields, "state": self.words.state(colour)}
        return Annotation(
            **{**fields, "ignore": meaning.ignore or bool(crowd) or bool(ignored)},
            xyxy=fitted[0],
            truncated=fitted[1],
            occluded=occluded,
            source_label=word,
        )


def _has_condition(record: Record) -> bool:
    return any(record.attributes.get(name) is not None for name in ("weather", "scene", "timeofday"))


def _flag(attributes: dict[str, Any], name: str, where: Place) -> bool | None:
    value = attributes.get(name)
    if value is None or value is True or value is False:
        return value
    return read_flag(_last(value), f"attribute {name}", where)


def _box(box: Any, where: Place) -> XYXY:
    try:
        x1, y1, x2, y2 = box["x1"], box["y1"], box["x2"], box["y2"]
        if bool in {type(x1), type(y1), type(x2), type(y2)}:
            raise TypeError
        return float(x1), float(y1), float(x2), float(y2)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise where.error(f"box2d {show(box)}, expected numbers x1, y1, x2, y2") from error


def _half_open(xyxy: XYXY, width_px: int, height_px: int) -> XYXY:
    """Take the pixel of the inclusive corner into the box.

    At the right and lower edge that pixel may lie outside the image, which is no clipping. A box that the official
    tools drop (x1 >= x2 or y1 >= y2) stays as it is.
    """
    x1, y1, x2, y2 = xyxy
    if x1 >= x2 or y1 >= y2:
        return xyxy
    return x1, y1, max(x2, min(x2 + 1, width_px)), max(y2, min(y2 + 1, height_px))


def _last(value: Any) -> Any:
    """The value itself; an older form gives [index, value]."""
    return value[-1] if isinstance(value, list) and value else value
