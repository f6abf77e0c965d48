"""The fields of a frame and a box as attributes of a file that allows any: how they are named, written and read back.

COCO has no place for attributes; `attributes` on images and annotations is what CVAT, Datumaro and Scalabel use.
A key that is absent says nothing (the class name may still say it); a key with null says that the source has no such
field; the words `unknown` and `off` are values.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from tl_datasets.errors import show
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.values import read_flag, read_number, read_whole
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_maps import normalise_word
from tl_datasets.taxonomy import (
    CATEGORIES,
    ConditionSource,
    Facing,
    LabelStatus,
    Orientation,
    Pictogram,
    PixelFormat,
    Relevance,
    Scene,
    State,
    TimeOfDay,
    Weather,
)

ANNOTATION_WORDS: dict[str, type[StrEnum]] = {
    "state": State,
    "pictogram": Pictogram,
    "relevance": Relevance,
    "facing": Facing,
    "orientation": Orientation,
}
ANNOTATION_FLAGS = ("occluded", "truncated", "reflection")
CONDITION_WORDS: dict[str, type[StrEnum]] = {
    "weather": Weather,
    "scene": Scene,
    "time_of_day": TimeOfDay,
    "condition_source": ConditionSource,
    "pixel_format": PixelFormat,
}
_TEXTS = ("frame_id", "sequence", "split")
_LARGEST_NS = 2**63 - 1


def read_annotation_attributes(attributes: Mapping[str, Any], where: Place) -> dict[str, Any]:
    """The attributes that we know, as keyword arguments of `Annotation`; others are left alone.

    Raises:
        AnnotationError: A known attribute has a value that is none of its words.
    """
    found: dict[str, Any] = {
        name: _word(attributes[name], words, name, where)
        for name, words in ANNOTATION_WORDS.items()
        if name in attributes
    }
    for name in ANNOTATION_FLAGS:
        if name in attributes:
            found[name] = read_flag(attributes[name], f"attribute {name}", where)
    if "aspects" in attributes:
        found["aspects"] = read_whole(attributes["aspects"], "attribute aspects", where, 1, 4)
    if "source_label" in attributes:
        found["source_label"] = _text(attributes["source_label"], "source_label", where)
    return found


def read_image_attributes(attributes: Mapping[str, Any], where: Place) -> dict[str, Any]:
    """The attributes that we know, as keyword arguments of `Frame`, and `label_status`; others are left alone.

    Raises:
        AnnotationError: A known attribute has a value that is none of its words.
    """
    if "timeofday" in attributes and "time_of_day" not in attributes:
        attributes = {**attributes, "time_of_day": attributes["timeofday"]}
    found: dict[str, Any] = {
        name: _word(attributes[name], words, name, where)
        for name, words in CONDITION_WORDS.items()
        if name in attributes
    }
    for name in _TEXTS:
        if attributes.get(name) is not None:
            found[name] = _text(attributes[name], name, where)
    if attributes.get("timestamp_ns") is not None:
        found["timestamp_ns"] = read_whole(attributes["timestamp_ns"], "attribute timestamp_ns", where, 0, _LARGEST_NS)
    if attributes.get("fog_beta_per_m") is not None:
        found["fog_beta_per_m"] = read_number(attributes["fog_beta_per_m"], "attribute fog_beta_per_m", where)
    if attributes.get("label_status") is not None:
        found["label_status"] = _word(attributes["label_status"], LabelStatus, "label_status", where)
    if attributes.get("labelled_categories") is not None:
        words = attributes["labelled_categories"]
        if not isinstance(words, list):
            raise where.error(f"attribute labelled_categories is {show(words)}, expected a list of categories")
        wrong = [word for word in words if word not in CATEGORIES]
        if wrong:
            raise where.error(f"labelled category {show(wrong[0])}, expected one of {', '.join(CATEGORIES)}")
        found["labelled_categories"] = tuple(words)
    return found


def frame_attributes(frame: Frame) -> dict[str, Any]:
    """What `read_image_attributes` reads back: every field of a frame but its path, size and boxes."""
    return {
        **{name: getattr(frame, name) for name in _TEXTS},
        "label_status": frame.label_status,
        "labelled_categories": list(frame.labelled_categories),
        "timestamp_ns": frame.timestamp_ns,
        **{name: getattr(frame, name) for name in CONDITION_WORDS},
        "fog_beta_per_m": frame.fog_beta_per_m,
    }


def box_attributes(annotation: Annotation) -> dict[str, Any]:
    """What `read_annotation_attributes` reads back: the fields of a box but place, category, ignore flag and track."""
    return {
        name: getattr(annotation, name) for name in (*ANNOTATION_WORDS, *ANNOTATION_FLAGS, "aspects", "source_label")
    }


def check_status(known: Mapping[str, Any], where: Place) -> None:
    """Refuse a label status that its list of categories contradicts.

    Raises:
        AnnotationError: A partial frame names no category, or a labelled one does.
    """
    status, categories = known.get("label_status"), known.get("labelled_categories")
    if status is LabelStatus.PARTIAL and not categories:
        raise where.error("label_status is partial; expected the attribute labelled_categories to say of what")
    if status is LabelStatus.LABELLED and categories:
        raise where.error(
            f"label_status is labelled but labelled_categories names {', '.join(categories)}; "
            "expected the status partial, or no such list"
        )


def _word(value: Any, words: type[StrEnum], name: str, where: Place) -> StrEnum | None:
    if value is None:
        return None
    word = normalise_word(value).replace("/", "_")
    if word not in list(words):
        raise where.error(
            f"attribute {name} is {show(value)}, expected one of {', '.join(words)}, or null; "
            "or set attributes=false to leave attributes aside"
        )
    return words(word)


def _text(value: Any, name: str, where: Place) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        raise where.error(f"attribute {name} is {show(value)}, expected a text, or null")
    return str(value)
