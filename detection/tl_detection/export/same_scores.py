"""The second half of the proof: the exported file is scored as its checkpoint is, per condition, on the same frames.

Parity on a few frames shows that the two compute the same; this shows what a difference would cost, where it matters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tl_datasets.catalog import Catalog
from tl_detection.detector import Detector
from tl_detection.evaluation.all_intervals import with_intervals
from tl_detection.evaluation.intervals import Interval
from tl_detection.evaluation.report import Report, collect_detections, evaluate_whole
from tl_detection.evaluation.scores import Scores

# A slice that loses more AP50 than this makes the export fail. Rounding alone moves a detection across a threshold of
# IoU or past a neighbour of equal score now and then; in a slice of few lights that is a few thousandths.
MAX_DROP = 0.005
# Differences from here on are told, though they are allowed.
_TOLD_FROM = 0.0005


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceOnBothSides:
    """A slice scored twice.

    Attributes:
        name: Such as "weather=rainy"; "overall" for all frames.
        frames: Its frames.
        objects: Lights in them.
        is_small: Nothing should be concluded from its scores.
        before: AP50 of the checkpoint; None where there is no light.
        after: AP50 of the file.
    """

    name: str
    frames: int
    objects: int
    is_small: bool
    before: float | None
    after: float | None

    @property
    def drop(self) -> float:
        """What the file lost; below 0 where it won."""
        return 0.0 if self.before is None or self.after is None else self.before - self.after


@dataclass(frozen=True, slots=True, kw_only=True)
class SameScores:
    """An evaluation of checkpoint and file on the same frames.

    Attributes:
        slices: All frames first.
        max_drop: What a slice may lose.
        summary: The evaluation of the file in short, as its metadata keep it.
    """

    slices: tuple[SliceOnBothSides, ...]
    max_drop: float
    summary: dict[str, Any]

    @property
    def fallen(self) -> list[SliceOnBothSides]:
        """Slices that lost too much, the worst first."""
        return _worst_first(item for item in self.slices if item.drop > self.max_drop)

    def lines(self) -> list[str]:
        """What a person wants to know."""
        overall = self.slices[0]
        moved = _worst_first(item for item in self.slices if abs(item.drop) >= _TOLD_FROM)
        lines = [
            f"scored like the checkpoint on {overall.frames} frames with {overall.objects} lights in "
            f"{len(self.slices)} slices: AP50 {_text(overall.before)} -> {_text(overall.after)}, largest "
            f"drop of a slice {max(item.drop for item in self.slices):.4f} (limit {self.max_drop:g})"
        ]
        lines += [f"  {_moved(item)}" for item in moved[:10]]
        return lines


def score_both(
    checkpoint: Detector,
    file: Detector,
    catalog: Catalog,
    *,
    by: Sequence[str],
    max_drop: float = MAX_DROP,
    progress: Callable[[int, int], None] | None = None,
) -> SameScores:
    """Score two detectors on the same frames, per condition.

    Args:
        checkpoint: The one to compare with.
        file: The exported one.
        catalog: Frames with labels.
        by: Columns to slice by.
        max_drop: AP50 that a slice may lose.
        progress: Called with frames done and frames in all, both detectors counted.
    """
    reports: list[Report] = []
    for number, detector in enumerate((checkpoint, file)):

        def counted(done: int, total: int, number: int = number) -> None:
            if progress is not None:
                progress(number * total + done, 2 * total)

        detections = collect_detections(detector, catalog, progress=counted)
        evaluation = evaluate_whole(detections, catalog, detector.label_space, by=by, model=detector.description)
        reports.append(with_intervals(evaluation) if detector is file else evaluation.report)
    before, after = reports
    pairs = [("overall", before.overall, after.overall, after.is_small)]
    pairs += [
        (new.name, old.scores, new.scores, new.is_small) for old, new in zip(before.slices, after.slices, strict=True)
    ]
    return SameScores(
        slices=tuple(
            SliceOnBothSides(
                name=name,
                frames=new.frames,
                objects=new.objects,
                is_small=is_small,
                before=old.ap50,
                after=new.ap50,
            )
            for name, old, new, is_small in pairs
        ),
        max_drop=max_drop,
        summary=summarise(after),
    )


def summarise(report: Report) -> dict[str, Any]:
    """A report in short, rounded to what it is worth: AP50 and AP per slice with their counts and 95 % intervals."""
    return {
        "catalog_fingerprint": report.catalog_fingerprint,
        "by": list(report.by),
        "overall": _slice(report.overall, report.sequences, report.intervals, is_small=report.is_small),
        "slices": {
            item.name: _slice(item.scores, item.sequences, item.intervals, is_small=item.is_small)
            for item in report.slices
        },
    }


def _slice(scores: Scores, sequences: int, intervals: Any, *, is_small: bool) -> dict[str, Any]:
    found: Interval | None = intervals.get("ap50")
    return {
        "frames": scores.frames,
        "objects": scores.objects,
        "sequences": sequences,
        "is_small": is_small,
        "ap50": _rounded(scores.ap50),
        "ap50_interval": None if found is None else [_rounded(found.low), _rounded(found.high)],
        "ap": _rounded(scores.ap),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)


def _worst_first(slices: Iterable[SliceOnBothSides]) -> list[SliceOnBothSides]:
    """By what they lost; of equal losses all frames come last, which name no condition."""
    return sorted(slices, key=lambda item: (-item.drop, item.name == "overall"))


def _moved(item: SliceOnBothSides) -> str:
    counts = f"{item.frames} frames, {item.objects} lights" + (", few" if item.is_small else "")
    return f"{item.name}: AP50 {_text(item.before)} -> {_text(item.after)} ({counts})"


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
