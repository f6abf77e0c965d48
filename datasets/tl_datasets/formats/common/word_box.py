"""The annotation of a box whose class is one word of the source."""

from __future__ import annotations

from typing import Any

from tl_datasets.formats.common.box_policy import XYXY, OnBadBox, fit_box
from tl_datasets.formats.common.place import Place
from tl_datasets.frame import Annotation
from tl_datasets.label_maps import Translator
from tl_datasets.read_report import Event, ReadReport


def labelled_box(
    word: str,
    xyxy: XYXY,
    size_px: tuple[int, int],
    *,
    words: Translator,
    on_bad_box: OnBadBox,
    report: ReadReport,
    where: Place,
    **fields: Any,
) -> Annotation | None:
    """Look the word up and bring the box into its image.

    Args:
        word: Class word of the source.
        xyxy: Half-open pixels as the source says, before any clipping.
        size_px: Width and height of the image.
        words: The label map; keeps the words that it does not know.
        on_bad_box: What happens to a box without area inside the image.
        report: Takes the counts.
        where: For messages.
        fields: Further fields of the annotation.

    Returns:
        The annotation; None for a box that was dropped, or whose word the map does not know.

    Raises:
        AnnotationError: A coordinate is not finite, or the box has no area and `on_bad_box` is "error".
    """
    meaning = words.label(word)
    if meaning is None:
        return None
    if isinstance(meaning, str):
        report.add(Event.LABEL_DROPPED, where, detail=word)
        return None
    fitted = fit_box(xyxy, *size_px, truncated=None, on_bad_box=on_bad_box, report=report, where=where)
    if fitted is None:
        return None
    arguments = {**meaning.as_arguments, **fields}
    return Annotation(xyxy=fitted[0], truncated=fitted[1], source_label=word, **arguments)
