"""`Report`: what was scored, by which rules, and the scores. Plain data; `report` makes it, `render` shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tl_detection.evaluation.protocol import CocoProtocol
from tl_detection.evaluation.scores import Scores

REPORT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceScores:
    """Scores of the frames that share a condition.

    Attributes:
        name: Such as "weather=rainy".
        column: Such as "weather".
        value: Such as "rainy", or "not annotated".
        is_small: Fewer objects than the protocol asks for before one may conclude from the scores.
        scores: Of its frames.
    """

    name: str
    column: str
    value: str
    is_small: bool
    scores: Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Scores with everything that is needed to read them.

    Attributes:
        overall: Scores of all frames. It is not the mean of the slices.
        slices: Scores per condition value, in the order of `by`.
        by: The columns or crosses that the frames were sliced by.
        protocol: The rules.
        class_names: Class names by id.
        label_space_fingerprint: Of the label space.
        catalog_fingerprint: Of the catalog as it was given.
        model: What made the detections, as the detector describes itself.
        frames_unlabelled: Frames left out because nobody labelled them.
        frames_partial: Frames left out because a category of the label space was not labelled in them.
        software: Versions of what computed this.
    """

    overall: Scores
    slices: tuple[SliceScores, ...]
    by: tuple[str, ...]
    protocol: CocoProtocol
    class_names: tuple[str, ...]
    label_space_fingerprint: str
    catalog_fingerprint: str
    model: Mapping[str, str]
    frames_unlabelled: int
    frames_partial: int
    software: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, ready for JSON; no value is None."""
        return {"report_version": REPORT_VERSION, **asdict(self), "protocol": self.protocol.to_dict()}
