"""Slices: sets of frames that share a driving condition, such as all rainy frames or all rainy frames at night."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tl_datasets.errors import UsageError
from tl_datasets.taxonomy import Scene, TimeOfDay, Weather
from tl_detection.evaluation.ground_truth import SLICE_COLUMNS, GroundTruth

# How a frame is named whose source says nothing about the condition.
NOT_ANNOTATED = "not annotated"
_KNOWN_ORDER = {"weather": list(Weather), "scene": list(Scene), "time_of_day": list(TimeOfDay)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A set of frames.

    Attributes:
        name: `column=value`; of a cross, the parts joined by ", ".
        column: A column of `SLICE_COLUMNS`, or several joined by "*".
        value: The shared value, `NOT_ANNOTATED` where the source does not say; of a cross, joined by "*".
        frame_mask: (F,) true for its frames.
    """

    name: str
    column: str
    value: str
    frame_mask: NDArray[np.bool_]


def slices_by(ground_truth: GroundTruth, by: Sequence[str]) -> list[Slice]:
    """One slice per value that occurs in the frames, in the order of the vocabulary, "not annotated" last.

    Args:
        ground_truth: F frames.
        by: Columns of `SLICE_COLUMNS`, or crosses of them such as "weather*time_of_day".

    Raises:
        UsageError: A column is unknown or named twice.
    """
    check_columns(by)
    return [item for column in by for item in _slices_of(ground_truth, column)]


def check_columns(by: Sequence[str]) -> None:
    """Refuse columns that `slices_by` does not know, before anything is detected.

    Raises:
        UsageError: A column is unknown or named twice.
    """
    repeated = [column for index, column in enumerate(by) if column in by[:index]]
    if repeated:
        raise UsageError(f"--by {','.join(by)}: '{repeated[0]}' is named twice; name each column once")
    unknown = [part for column in by for part in _parts(column) if part not in SLICE_COLUMNS]
    if unknown:
        raise UsageError(
            f"--by {','.join(by)}: no column '{unknown[0]}'; expected {', '.join(SLICE_COLUMNS)}, "
            "or a cross such as weather*time_of_day"
        )


def _parts(column: str) -> list[str]:
    return [part.strip() for part in column.split("*")]


def _slices_of(ground_truth: GroundTruth, column: str) -> list[Slice]:
    parts = _parts(column)
    keys = list(zip(*(ground_truth.conditions[part] for part in parts), strict=True))
    position = {key: index for index, key in enumerate(sorted(set(keys), key=lambda key: _order(parts, key)))}
    which = np.array([position[key] for key in keys], np.int64)
    slices = []
    for key, index in position.items():
        words = [NOT_ANNOTATED if value is None else value for value in key]
        name = ", ".join(f"{part}={word}" for part, word in zip(parts, words, strict=True))
        slices.append(Slice(name=name, column="*".join(parts), value="*".join(words), frame_mask=which == index))
    return slices


def _order(parts: Sequence[str], key: Sequence[str | None]) -> list[tuple[int, str]]:
    return [_rank(part, value) for part, value in zip(parts, key, strict=True)]


def _rank(part: str, value: str | None) -> tuple[int, str]:
    known = _KNOWN_ORDER.get(part, [])
    if value is None:
        return len(known) + 1, ""
    return (known.index(value) if value in known else len(known)), value
