"""Where the fields of a frame and a box stand in a COCO file, and how their values are read back.

COCO has no place for attributes; `attributes` on images and annotations is what CVAT, Datumaro and Scalabel use.
A key that is absent says nothing (the class name may still say it); a key with null says that the source has no such
field; the words `unknown` and `off` are values.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from tl_datasets.errors import DataError, show
from tl_datasets.label_maps import normalise_word
from tl_datasets.parsing import read_flag
from tl_datasets.taxonomy import (
    CATEGORIES,
    Facing,
    LabelStatus,
    Orientation,
    Pictogram,
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
CONDITION_WORDS: dict[str, type[StrEnum]] = {"weather": Weather, "scene": Scene, "time_of_day": TimeOfDay}


def read_annotation_attributes(attributes: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The attributes that we know, as keyword arguments of `Annotation`; others are left alone.

    Raises:
        DataError: A known attribute has a value that is none of its words.
    """
    found: dict[str, Any] = {
        name: _word(attributes[name], words, f"{where}: attribute {name}")
        for name, words in ANNOTATION_WORDS.items()
        if name in attributes
    }
    for name in ANNOTATION_FLAGS:
        if name in attributes:
            found[name] = read_flag(attributes[name], f"{where}: attribute {name}")
    if "aspects" in attributes:
        found["aspects"] = _whole(attributes["aspects"], f"{where}: attribute aspects", 1, 4)
    if "source_label" in attributes:
        found["source_label"] = _text(attributes["source_label"])
    return found


def read_image_attributes(attributes: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The attributes that we know, as keyword arguments of `Frame`, and `label_status`; others are left alone.

    Raises:
        DataError: A known attribute has a value that is none of its words.
    """
    if "timeofday" in attributes and "time_of_day" not in attributes:
        attributes = {**attributes, "time_of_day": attributes["timeofday"]}
    found: dict[str, Any] = {
        name: _word(attributes[name], words, f"{where}: attribute {name}")
        for name, words in CONDITION_WORDS.items()
        if name in attributes
    }
    for name in ("frame_id", "sequence", "split"):
        if attributes.get(name) is not None:
            found[name] = _text(attributes[name])
    if attributes.get("timestamp_ns") is not None:
        found["timestamp_ns"] = _whole(attributes["timestamp_ns"], f"{where}: attribute timestamp_ns", 0, 2**63 - 1)
    if attributes.get("label_status") is not None:
        found["label_status"] = _word(attributes["label_status"], LabelStatus, f"{where}: attribute label_status")
    if attributes.get("labelled_categories") is not None:
        words = attributes["labelled_categories"]
        if not isinstance(words, list):
            raise DataError(f"{where}: attribute labelled_categories is {show(words)}, expected a list of categories")
        wrong = [word for word in words if word not in CATEGORIES]
        if wrong:
            raise DataError(f"{where}: labelled category {show(wrong[0])}, expected one of {', '.join(CATEGORIES)}")
        found["labelled_categories"] = tuple(words)
    return found


def _word(value: Any, words: type[StrEnum], where: str) -> StrEnum | None:
    if value is None:
        return None
    word = normalise_word(value).replace("/", "_")
    if word not in list(words):
        raise DataError(
            f"{where} is {show(value)}, expected one of {', '.join(words)}, or null; "
            "or set attributes=false to leave attributes aside"
        )
    return words(word)


def _whole(value: Any, where: str, lowest: int, highest: int) -> int | None:
    if value is None:
        return None
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{where} is not a whole number; expected one, or null") from error
    if not lowest <= number <= highest:
        raise DataError(f"{where} is {show(number)}, expected {lowest} to {highest}")
    return number


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
