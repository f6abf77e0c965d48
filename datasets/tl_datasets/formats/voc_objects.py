"""From the objects and attributes of a Pascal VOC file to the boxes and fields of a frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tl_datasets.errors import show
from tl_datasets.formats.common.attribute_words import check_status, read_annotation_attributes, read_image_attributes
from tl_datasets.formats.common.box_policy import XYXY, OnBadBox, fit_box
from tl_datasets.formats.common.image_files import Sized
from tl_datasets.formats.voc_origin import to_half_open
from tl_datasets.formats.voc_xml import VocFile, VocObject
from tl_datasets.frame import Annotation
from tl_datasets.label_maps import Translator, normalise_word
from tl_datasets.read_report import Event, ReadReport

# So far may a box that stands for the whole image end inside it: tools count its last pixel as 0-based or 1-based.
_WHOLE_IMAGE_PX = 2.0
# Attributes whose values may begin or end with a space.
_TEXTS = frozenset({"frame_id", "sequence", "split", "source_label", "track_id"})


def frame_fields(file: VocFile) -> dict[str, Any]:
    """The attributes of an image as keyword arguments of `Frame`, and `label_status`.

    Raises:
        AnnotationError: One that we know has a value that is none of its words.
    """
    known = read_image_attributes(_stripped(file.attributes), file.where)
    check_status(known, file.where)
    return known


class ObjectReader:
    """Reads the objects of one file after the other by the same rules.

    Attributes:
        words: What class names mean; collects unknown ones.
        attributes: Whether to read the attributes that we know.
        flags: Whether `truncated` and `occluded` say something.
        nothing_label: Normal form of the class name that means "nothing in view"; None = there is none.
        on_bad_box: What happens to boxes without area inside the image.
        report: Takes the counts.
    """

    def __init__(
        self,
        *,
        words: Translator,
        attributes: bool,
        flags: bool,
        nothing_label: str | None,
        on_bad_box: OnBadBox,
        report: ReadReport,
    ):
        self.words, self.attributes, self.flags, self.nothing_label = words, attributes, flags, nothing_label
        self.on_bad_box: OnBadBox = on_bad_box
        self.report = report

    def annotations(self, file: VocFile, image: Sized, offset: int) -> Iterator[Annotation]:
        """Yield the boxes of a file.

        Args:
            file: What it holds.
            image: Its image.
            offset: The origin of its coordinates, 1 or 0.

        Raises:
            AnnotationError: A box or a value is wrong.
        """
        for item in file.objects:
            for _ in range(item.parts):
                self.report.add(Event.PART_OF_OBJECT, item.where)
            box = to_half_open(item.box, offset)
            if normalise_word(item.name) == self.nothing_label:
                _check_whole(item, box, image)
                self.report.add(Event.NOTHING_IN_VIEW, item.where, detail=item.name)
                continue
            meaning = self.words.label(item.name)
            if meaning is None:
                continue  # reported with all others at the end
            if isinstance(meaning, str):
                self.report.add(Event.LABEL_DROPPED, item.where, detail=item.name)
                continue
            fields = {
                **meaning.as_arguments,
                "occluded": item.occluded if self.flags else None,
                "truncated": item.truncated if self.flags else None,
                "source_label": item.name,
                **self._attributes(item),
            }
            fitted = fit_box(
                box,
                image.width_px,
                image.height_px,
                truncated=fields.pop("truncated"),
                on_bad_box=self.on_bad_box,
                report=self.report,
                where=item.where,
            )
            if fitted is not None:
                fields["ignore"] = fields["ignore"] or bool(item.difficult)
                yield Annotation(xyxy=fitted[0], truncated=fitted[1], **fields)

    def _attributes(self, item: VocObject) -> dict[str, Any]:
        if not self.attributes:
            return {}
        known = _stripped(item.attributes)
        found = read_annotation_attributes(known, item.where)
        return {**found, "track_id": known["track_id"]} if "track_id" in known else found


def _check_whole(item: VocObject, box: XYXY, image: Sized) -> None:
    x1, y1, x2, y2 = box
    gaps = (x1, y1, image.width_px - x2, image.height_px - y2)
    if max(abs(gap) for gap in gaps) > _WHOLE_IMAGE_PX:
        raise item.where.error(
            f"box ({x1:g}, {y1:g}, {x2:g}, {y2:g}) in an image of {image.width_px}x{image.height_px}; expected the "
            f"whole image, since {show(item.name)} means that nothing is in view: mend it, or set another nothing_label"
        )


def _stripped(attributes: Mapping[str, str | None]) -> dict[str, Any]:
    """Attributes as their readers expect them: no spaces around words, lists as lists."""
    found: dict[str, Any] = {}
    for name, value in attributes.items():
        found[name] = value if value is None or name in _TEXTS else value.strip() or None
    if isinstance(found.get("labelled_categories"), str):
        found["labelled_categories"] = [word.strip() for word in found["labelled_categories"].split(",")]
    return found
