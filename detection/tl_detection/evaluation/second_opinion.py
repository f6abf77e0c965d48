"""Every number that pycocotools gives, beside ours: for those who trust it alone.

Slices of objects are not among them, since pycocotools knows no objects but those of a size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tl_detection.evaluation.pycocotools_backend import score_with_pycocotools
from tl_detection.evaluation.report import Evaluation
from tl_detection.evaluation.scores import Scores
from tl_detection.evaluation.value_text import value_text

_SHOWN = ("ap", "ap50", "ap75", "ar100")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What pycocotools says of a set of frames.

    Attributes:
        name: The slice, or "overall".
        values: By word, such as "ap" or "ap50:red"; None where there is no object.
        farthest: By how much our number differs most; None where there is no number.
        differ: Words of which one of both has a value and the other has none.
    """

    name: str
    values: dict[str, float | None]
    farthest: float | None
    differ: tuple[str, ...]


def second_opinion(evaluation: Evaluation) -> list[Opinion]:
    """Score all frames and every slice of frames of an evaluation with pycocotools; each is a data set of its own."""
    matched, report = evaluation.matched, evaluation.report
    truth = matched.ground_truth
    parts = [("overall", np.ones(len(truth), np.bool_), report.overall)]
    parts += [
        (item.name, item.frame_mask, scored.scores)
        for item, scored in zip(evaluation.slices, report.slices, strict=True)
        if item.of_objects is None
    ]
    return [
        _opinion(name, score_with_pycocotools(truth, matched.table, mask, matched.protocol), scores)
        for name, mask, scores in parts
    ]


def format_second_opinion(opinions: Sequence[Opinion]) -> str:
    """The numbers as text, with the largest difference to ours."""
    width = max(len(item.name) for item in opinions)
    lines = [f"{'pycocotools':<{width}}  " + "  ".join(f"{word:>6}" for word in _SHOWN) + "  farthest from ours"]
    for item in opinions:
        numbers = "  ".join(f"{value_text(item.values.get(word)):>6}" for word in _SHOWN)
        farthest = "-" if item.farthest is None else f"{item.farthest:.1e}"
        differ = f", and only one of both has {', '.join(item.differ)}" if item.differ else ""
        lines.append(f"{item.name:<{width}}  {numbers}  {farthest}{differ}")
    return "\n".join(lines) + "\n"


def _opinion(name: str, theirs: Mapping[str, float | None], scores: Scores) -> Opinion:
    values = dict(theirs)
    pairs = {word: (value, _ours(scores, word)) for word, value in values.items()}
    gaps = [abs(first - second) for first, second in pairs.values() if first is not None and second is not None]
    return Opinion(
        name=name,
        values=values,
        farthest=max(gaps) if gaps else None,
        differ=tuple(word for word, (first, second) in pairs.items() if (first is None) != (second is None)),
    )


def _ours(scores: Scores, word: str) -> float | None:
    measure, _, class_name = word.partition(":")
    if not class_name:
        return getattr(scores, measure)
    return getattr(next(item for item in scores.classes if item.name == class_name), measure)
