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

from tl_datasets.errors import AnnotationError, ImageError, show
from tl_datasets.formats.bdd100k_files import (
    Record,
    find_images,
    find_label_files,
    iter_records,
    lower_attributes,
)
from tl_datasets.formats.box_policy import XYXY, OnBadBox, fit_box
from tl_datasets.formats.probing import ImageFacts, check_size, probe_ahead
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_maps import Translator, load_label_map
from tl_datasets.parsing import read_flag
from tl_datasets.read_report import Event, ReadReport
from tl_datasets.taxonomy import TRAFFIC_LIGHT

# Every frame of the 100K set has this size; the official converter assumes it too.
_SIZE_PX = (1280, 720)
_RECORDING = re.compile(r"^[0-9a-f]{8}(?=-)")


def read(
    source: Path | str,
    *,
    report: ReadReport,
    images: Path | str | None = None,
    split: str | None = None,
    label_map: str = "bdd100k",
    box_convention: Literal["scalabel", "continuous"] = "scalabel",
    unlabelled: Literal["skip", "include"] = "skip",
    missing_images: Literal["error", "drop", "keep"] = "error",
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
        AnnotationError: A file does not follow the format, a frame has two records, or a word has no meaning in the
            label map.
        ImageError: An image is missing or does not open, or has another size than declared.
        DataError: A box is wrong.
    """
    source = Path(source)
    label_files = find_label_files(source)
    library = find_images(source, None if images is None else Path(images), required=missing_images != "keep")
    report.root = library.root
    for link in library.left_out:
        report.add(Event.LINK_LEFT_OUT, link)
    words = Translator(load_label_map(label_map), source)
    labels = _LabelReader(words=words, report=report, box_convention=box_convention, on_bad_box=on_bad_box)

    def records() -> Iterator[Record]:
        seen: dict[str, Path] = {}
        for record in iter_records(label_files):
            if record.stem in seen:
                raise AnnotationError(
                    record.file, f"frame {show(record.name)} also has a record in {seen[record.stem]}; expected one"
                )
            seen[record.stem] = record.file
            image = library.find(record.name, split or record.split)
            if image is None and missing_images == "error":
                raise ImageError(
                    f"{record.where}: no such image below {library.root}; add it, set images=DIR, or leave such "
                    f"frames out with missing_images=drop{library.about_links()}"
                )
            if image is None and missing_images == "drop":
                report.add(Event.IMAGE_MISSING, record.where)
                continue
            yield record.with_image(image)
        for image in library.siblings(seen):
            report.add(Event.NO_RECORD, library.root / image)
            if unlabelled == "include":
                yield Record.unlabelled(library.root, image)

    def frames() -> Iterator[Frame]:
        for record, facts in probe_ahead(records(), lambda record: library.absolute(record.image)):
            width, height = _size(record, facts, report)
            if facts is not None:
                report.content_hashes[record.stem] = facts.content_hash
            recording = _RECORDING.match(record.stem)
            yield Frame(
                frame_id=record.stem,
                path=record.image or record.name,
                width_px=width,
                height_px=height,
                annotations=None if record.labels is None else tuple(labels.read(record, width, height)),
                weather=words.condition("weather", record.attributes.get("weather")),
                scene=words.condition("scene", record.attributes.get("scene")),
                time_of_day=words.condition("time_of_day", record.attributes.get("timeofday")),
                sequence=recording[0] if recording else None,
                split=split or record.split,
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

    def read(self, record: Record, width_px: int, height_px: int) -> Iterator[Annotation]:
        for number, label in enumerate(record.labels or []):
            annotation = self._annotation(
                label, record, f"frame {record.name[:200]} label {number}", width_px, height_px
            )
            if annotation is not None:
                yield annotation

    def _annotation(self, label: Any, record: Record, place: str, width_px: int, height_px: int) -> Annotation | None:
        where = f"{record.file} {place}"
        if not isinstance(label, dict) or not isinstance(label.get("category"), str):
            raise AnnotationError(record.file, f"{place}: expected an object with a category and a box2d")
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
        attributes = lower_attributes(label, record.file, place)
        flags = {
            name: read_flag(_last(attributes.get(name)), f"{where}: attribute {name}")
            for name in ("occluded", "truncated", "crowd", "ignored")
        }
        xyxy = _box(label["box2d"], record.file, place)
        if self.box_convention == "scalabel":
            xyxy = _half_open(xyxy, width_px, height_px)
        fitted = fit_box(
            xyxy,
            width_px,
            height_px,
            truncated=flags["truncated"],
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
        ignored = meaning.ignore or bool(flags["crowd"]) or bool(flags["ignored"])
        return Annotation(
            **{**fields, "ignore": ignored},
            xyxy=fitted[0],
            truncated=fitted[1],
            occluded=flags["occluded"],
            source_label=word,
        )


def _box(box: Any, file: Path, place: str) -> XYXY:
    try:
        x1, y1, x2, y2 = (float(box[key]) for key in ("x1", "y1", "x2", "y2"))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise AnnotationError(file, f"{place}: box2d {show(box)}, expected numbers x1, y1, x2, y2") from error
    return x1, y1, x2, y2


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


def _size(record: Record, facts: ImageFacts | None, report: ReadReport) -> tuple[int, int]:
    declared = record.size
    if facts is not None:
        if declared is not None and record.image is not None:
            check_size(facts, *declared, image=Path(record.image), where=record.where)
        return facts.width_px, facts.height_px
    report.add(Event.IMAGE_NOT_CHECKED, record.where)
    if declared is None:
        report.add(Event.SIZE_ASSUMED, record.where)
    return declared or _SIZE_PX
