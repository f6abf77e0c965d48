"""`QuantisationReport`: what a smaller file gained and lost, in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tl_detection.compression.judge import Judged, Limits
from tl_detection.compression.sensitivity import Sensitivity, Step
from tl_detection.compression.trials import Precision
from tl_detection.evaluation.report_values import EVERYWHERE

SIZE_COLUMN = "height_px"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """A file in numbers.

    Attributes:
        size_bytes: Of the file.
        latency_ms: Median time for one frame on one thread.
        sha256: 64 hex digits.
    """

    size_bytes: int
    latency_ms: float
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantisationReport:
    """What a smaller file gained and lost, and whether it was accepted.

    Attributes:
        out: The file; it exists only if it was accepted.
        precision: What it works in.
        float_file: The file that it was made from.
        smaller: The file itself.
        judged: Every difference that counts, with its verdict.
        limits: By which they were judged.
        split: On which frames.
        frames: How many.
        catalog_fingerprint: Of these frames.
        calibration_frames: That ranges were measured on.
        selection_frames: That decided which blocks stay in float.
        calibration_split: Where both are from.
        calibration_fingerprint: Of the frames of the calibration.
        blocks: Number of blocks.
        kept_float: Blocks in float.
        sensitivities: Of the blocks, the highest first; empty where all blocks could lose precision at once.
        steps: Choices of blocks that were tried.
        finds_nothing: The smaller file finds no light at all, and the float file does.
        replicates: Of the intervals.
        seed: Of frames and intervals.
    """

    out: Path
    precision: Precision
    float_file: FileFacts
    smaller: FileFacts
    judged: tuple[Judged, ...]
    limits: Limits
    split: str
    frames: int
    catalog_fingerprint: str
    calibration_frames: int
    selection_frames: int
    calibration_split: str
    calibration_fingerprint: str
    blocks: int
    kept_float: tuple[str, ...]
    sensitivities: tuple[Sensitivity, ...]
    steps: tuple[Step, ...]
    finds_nothing: bool
    replicates: int
    seed: int

    @property
    def refused(self) -> tuple[Judged, ...]:
        """What the file is refused for, the worst first."""
        found = [item for item in self.judged if item.verdict == "refused"]
        return tuple(sorted(found, key=lambda item: item.limit - (item.worse_by or 0.0)))

    @property
    def is_accepted(self) -> bool:
        """Whether the file may take the place of the float file."""
        return not self.refused and not self.finds_nothing

    @property
    def overall(self) -> tuple[Judged, ...]:
        """AP50, AP and red as green of all frames."""
        order = ("ap50", "ap", "red_as_green")
        found = [item for item in self.judged if item.difference.slice == EVERYWHERE]
        return tuple(sorted(found, key=lambda item: order.index(item.difference.measure)))

    @property
    def worst_condition(self) -> Judged | None:
        """The condition with the lowest AP50 of the smaller file, of those with enough lights."""
        found = [item for item in self._slices() if not _is_size(item) and item.verdict != "too few"]
        return min(found, key=lambda item: item.difference.second_value or 0.0, default=None)

    @property
    def largest_drop(self) -> Judged | None:
        """The slice whose AP50 fell most, of those with enough lights."""
        found = [item for item in self._slices() if item.verdict != "too few" and item.worse_by is not None]
        return max(found, key=lambda item: item.worse_by or 0.0, default=None)

    @property
    def smallest_lights(self) -> Judged | None:
        """The range of the smallest lights, of those with enough; where none has enough, of all."""
        found = [item for item in self._slices() if _is_size(item)]
        return next((item for item in found if item.verdict != "too few"), found[0] if found else None)

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        values = asdict(self)
        return {**values, "out": str(self.out), "is_accepted": self.is_accepted}

    def summary(self) -> Mapping[str, Any]:
        """What the file itself says of how it was made and judged; no time, name or place."""
        return {
            "method": _METHODS[self.precision],
            "float_sha256": self.float_file.sha256,
            "calibration_frames": self.calibration_frames if self.precision == "int8" else 0,
            "calibration_fingerprint": self.calibration_fingerprint,
            "kept_float": list(self.kept_float),
            "judged_on": self.catalog_fingerprint,
            "max_drop": self.limits.max_drop,
            "ap50": _pair(self.overall, "ap50"),
            "red_as_green": _pair(self.overall, "red_as_green"),
        }

    def _slices(self) -> Sequence[Judged]:
        return [item for item in self.judged if item.difference.slice != EVERYWHERE]


_METHODS = {
    "int8": "static QDQ: weights int8 per output channel, values uint8, ranges from lowest to highest",
    "fp16": "layers in half precision",
}


def _is_size(item: Judged) -> bool:
    return item.difference.slice.startswith(f"{SIZE_COLUMN}=")


def _pair(overall: Sequence[Judged], measure: str) -> dict[str, float | None] | None:
    item = next((each.difference for each in overall if each.difference.measure == measure), None)
    return None if item is None else {"float": item.first_value, "smaller": item.second_value}
