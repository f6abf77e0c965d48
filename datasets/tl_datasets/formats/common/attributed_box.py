"""The annotation of a box whose class is one word of the source and whose attributes, if any, say the rest."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tl_datasets.formats.common.box_policy import XYXY, OnBadBox, fit_box
from tl_datasets.formats.common.place import Place
from tl_datasets.frame import Annotation
from tl_datasets.label_maps import Translator
from tl_datasets.read_report import Event, ReadReport


def attributed_box(
    word: str,
    xyxy: XYXY,
    size_px: tuple[int, int],
    known: Mapping[str, Any] = MappingProxyType({}),
    *,
    words: Translator,
    on_bad_box: OnBadBox,
    report: ReadReport,
    where: Place,
) -> Annotation | None:
    """Look the word up, let the attributes replace what it says, and bring the box into its image.

    Args:
        word: Class word of the source.
        xyxy: Half-open pixels as the source says, before any clipping.
        size_px: Width and height of the image.
        known: Fields of the annotation that the source gives besides, also `truncated` and `source_label`; one that is
            absent is what the word says.
        words: The label map; keeps the words that it does not know.
        on_bad_box: What happens to a box without area inside the image.
        report: Takes the counts.
        where: For messages.

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
    fields = {"source_label": word, **meaning.as_arguments, **known}
    fields["ignore"] = meaning.ignore or bool(known.get("ignore"))
    truncated = fields.pop("truncated", None)
    fitted = fit_box(xyxy, *size_px, truncated=truncated, on_bad_box=on_bad_box, report=report, where=where)
    if fitted is None:
        return None
    return Annotation(xyxy=fitted[0], truncated=fitted[1], **fields)


def upright(xyxy: XYXY, cosine: float, sine: float) -> XYXY:
    """The bounding box of a box that is turned about its centre.

    Args:
        xyxy: The box before it is turned, in pixels.
        cosine: Of the angle.
        sine: Of the angle.
    """
    x1, y1, x2, y2 = xyxy
    cosine, sine = abs(cosine), abs(sine)  # left and right give the same bounding box
    half_width = ((x2 - x1) * cosine + (y2 - y1) * sine) / 2
    half_height = ((x2 - x1) * sine + (y2 - y1) * cosine) / 2
    cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
    return cx - half_width, cy - half_height, cx + half_width, cy + half_height
