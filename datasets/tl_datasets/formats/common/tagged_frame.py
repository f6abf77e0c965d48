"""A frame out of what tags and attributes say of it, as annotation tools have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from tl_datasets.catalog import CONDITIONS
from tl_datasets.formats.common.attribute_words import check_status
from tl_datasets.formats.common.image_files import Sized
from tl_datasets.formats.common.place import Place
from tl_datasets.frame import Annotation, Frame
from tl_datasets.read_report import ReadReport
from tl_datasets.taxonomy import ConditionSource, LabelStatus

# What an image is in which nothing is drawn, if it does not say so itself.
Empty = Literal["negative", "unlabelled"]


def tagged_frame(
    image: Sized,
    known: Mapping[str, Any],
    boxes: Iterable[Annotation],
    *,
    is_drawn: bool,
    empty: Empty,
    split: str | None,
    report: ReadReport,
    where: Place,
) -> Frame:
    """Join an image, what is known of it, and its boxes.

    Args:
        image: Path and size.
        known: Keyword arguments of `Frame`, and `label_status`; conditions without a source were seen by a person.
        boxes: Taken only from a frame that is labelled.
        is_drawn: Whether the file has any shape for the image, be it none of ours.
        empty: What an image is in which nothing is drawn.
        split: Part of all frames; None = the known one.
        report: Takes the content hash.
        where: For messages.

    Raises:
        AnnotationError: The label status is contradicted by the categories or the shapes.
    """
    check_status(known, where)
    fields = dict(known)
    status = fields.pop("label_status", None)
    if status is LabelStatus.UNLABELLED and is_drawn:
        raise where.error("label_status is unlabelled but something is drawn; expected nothing")
    if status is None and not is_drawn and empty == "unlabelled":
        status = LabelStatus.UNLABELLED
    if any(fields.get(name) is not None for name in CONDITIONS):
        fields.setdefault("condition_source", ConditionSource.ANNOTATED)
    if split is not None:
        fields["split"] = split
    frame_id = fields.setdefault("frame_id", image.path.rpartition(".")[0] or image.path)
    if image.content_hash is not None:
        report.content_hashes[frame_id] = image.content_hash
    return Frame(
        path=image.path,
        width_px=image.width_px,
        height_px=image.height_px,
        annotations=None if status is LabelStatus.UNLABELLED else tuple(boxes),
        **fields,
    )
