"""What a report may hold beyond its slices, as tables and curves of the page and of the model card."""

from __future__ import annotations

from tl_detection.evaluation.drives.drive_scores import DriveScores
from tl_detection.evaluation.drives.spread import PerMinute, Spread
from tl_detection.evaluation.label_noise.box_agreement import Estimate
from tl_detection.evaluation.label_noise.label_agreement import AgreementScores, LabelAgreement
from tl_detection.evaluation.operating.choice import OperatingPoint
from tl_detection.evaluation.page.data import Facts, Steps, Value
from tl_detection.evaluation.page.light_sections import value_of
from tl_detection.evaluation.protocol import OPERATING_IOU
from tl_detection.evaluation.rates import Rate
from tl_detection.evaluation.results import Report
from tl_detection.evaluation.size_curve import SizeCurve, SizeScores
from tl_detection.evaluation.value_text import NO_VALUE, value_text

SMALL_MARK = " *"
# Number, interval, what it is measured on.
_Cells = tuple[str, str, str, str]


def further_tables(report: Report) -> tuple[Facts, ...]:
    """Operating points, drives and agreement, as far as the report holds them."""
    found = []
    if report.operating_points:
        found.append(_operating(report.operating_points))
    if report.drives is not None:
        found.append(_drives(report.drives))
    if report.agreement is not None:
        found.append(_agreement(report.agreement, report.overall.ap50))
    return tuple(found)


def further_steps(report: Report) -> tuple[Steps, ...]:
    """Recall and AP50 along the size of the lights, as far as the report holds them."""
    return tuple(steps for curve in report.size_curves for steps in _size_steps(curve))


_SIZE_WORDS = {
    "height_px": "height of the box in px",
    "network_height_px": "height of the box in px of the network",
    "width_px": "width of the box in px",
    "network_width_px": "width of the box in px of the network",
}


def _size_steps(curve: SizeCurve) -> tuple[Steps, ...]:
    scale = _SIZE_WORDS.get(curve.column, curve.column.replace("_", " "))
    if curve.input_size is not None and curve.column.startswith("network"):
        scale += f", {curve.input_size}"
    where = "height in the network" if curve.column == "network_height_px" else scale.split(" of ")[0]
    recall = tuple((item.name, value_of(item.recall)) for item in curve.bins)
    ap50 = tuple((item.name, _ap50(item)) for item in curve.bins)
    return (
        Steps(title=f"Recall by {where}", scale=scale, steps=recall, is_ordered=True),
        Steps(title=f"AP50 by {where}", scale=scale, steps=ap50, is_ordered=True),
    )


def _ap50(item: SizeScores) -> Value:
    bounds = item.ap50_interval
    return Value(
        value=item.ap50,
        low=None if bounds is None else bounds.low,
        high=None if bounds is None else bounds.high,
        objects=item.objects,
        sequences=item.sequences,
    )


def _drives(drives: DriveScores) -> Facts:
    rows = [
        ("lights of which anything was said", *_rate(drives.seen)),
        ("lights of which the right state was said", *_rate(drives.right)),
        (f"lights with a stable state ({drives.stable_needs_frames} right frames in a row)", *_rate(drives.stable)),
        ("flicker per minute of a visible light", *_per_minute(drives.flicker_per_minute)),
        ("flicker per 1,000 visible frames", *_rate(drives.flicker_per_1000_frames)),
        ("losses per minute of a visible light", *_per_minute(drives.dropouts_per_minute)),
        ("losses per 1,000 visible frames", *_rate(drives.dropouts_per_1000_frames)),
        ("height when first visible, px", *_spread(drives.first_height_px)),
        ("height when first seen, px", *_spread(drives.seen_height_px)),
        ("height when first seen, px of the network", *_spread(drives.seen_network_height_px)),
        ("height when first right, px", *_spread(drives.right_height_px)),
        ("frames until stable", *_spread(drives.stable_frames)),
        ("seconds until stable", *_spread(drives.stable_s)),
        ("longest miss, frames", *_spread(drives.longest_miss_frames)),
        ("longest miss, s", *_spread(drives.longest_miss_s)),
        ("longest loss after it was seen, frames", *_spread(drives.longest_loss_frames)),
        ("longest loss after it was seen, s", *_spread(drives.longest_loss_s)),
    ]
    notes = [
        f"{drives.tracks:,} lights in {drives.drives:,} drives, {drives.tracks_given:,} of them by track ids of the "
        "annotation, the others joined by nearness. Heights, times and misses are medians over lights."
    ]
    notes += [drives.note] if drives.note else []
    return Facts(
        title="Along the drives",
        short="Drives",
        header=("measure", "value", "95 % interval", "measured on", "sequences"),
        rows=tuple(rows) if drives.tracks else (),
        notes=tuple(notes) if drives.tracks else tuple(notes[1:]),
    )


def _rate(rate: Rate | None) -> _Cells:
    if rate is None:
        return NO_VALUE, NO_VALUE, NO_VALUE, NO_VALUE
    measured = f"{rate.part:,} of {rate.whole:,}"
    return _number(rate.value), _interval(rate.low, rate.high), measured, f"{rate.sequences:,}"


def _per_minute(rate: PerMinute | None) -> _Cells:
    if rate is None:
        return NO_VALUE, NO_VALUE, NO_VALUE, NO_VALUE
    minutes = NO_VALUE if rate.minutes is None else f"{rate.minutes:.1f}"
    measured = f"{rate.times:,} in {minutes} min"
    return _number(rate.value), _interval(rate.low, rate.high), measured, f"{rate.sequences:,}"


def _spread(spread: Spread) -> _Cells:
    return (
        _number(spread.median),
        _interval(spread.low, spread.high),
        f"{spread.tracks:,} lights",
        f"{spread.sequences:,}",
    )


def _agreement(agreement: LabelAgreement, ap50: float | None) -> Facts:
    notes = [
        "No detector can be expected to agree with one annotation more than another annotation does: "
        f"AP50 of the detector {_number(ap50)}, of the second annotation as predictions "
        f"{_number(agreement.overall.second_as_predictions.ap50)}.",
        f"Left out: {agreement.only_in_first.frames:,} frames of the first annotation alone, "
        f"{agreement.only_in_second.frames:,} of the second alone, {agreement.not_labelled.frames:,} not labelled in "
        "both.",
    ]
    if any(item.is_small for item in agreement.slices):
        notes.append("* too few objects or sequences to conclude from.")
    return Facts(
        title="How far two annotations agree",
        short="Agreement",
        header=(
            *("condition", "frames", "sequences", "objects, first", "objects, second", "F1 of boxes"),
            *("AP50 of the second", "same state", "kappa"),
        ),
        rows=tuple(_agreement_row(item) for item in (agreement.overall, *agreement.slices)),
        notes=tuple(notes),
    )


def _agreement_row(item: AgreementScores) -> tuple[str, ...]:
    boxes = next((box for box in item.second_as_predictions.boxes if box.iou == OPERATING_IOU), None)
    return (
        item.name + (SMALL_MARK if item.is_small else ""),
        f"{item.frames:,}",
        f"{item.sequences:,}",
        f"{item.first_objects:,}",
        f"{item.second_objects:,}",
        NO_VALUE if boxes is None else _estimate(boxes.f1),
        _number(item.second_as_predictions.ap50),
        _estimate(item.states.same),
        _estimate(item.states.kappa),
    )


def _operating(points: tuple[OperatingPoint, ...]) -> Facts:
    return Facts(
        title="Operating scores",
        short="Operating scores",
        header=("class", "rule", "objects", "score", "95 % interval", "precision", "recall", "F1"),
        rows=tuple(
            (
                item.name,
                item.rule,
                f"{item.objects:,}",
                _number(item.score),
                _interval(item.score_low, item.score_high),
                NO_VALUE if item.precision is None else _estimate(item.precision),
                NO_VALUE if item.recall is None else _estimate(item.recall),
                _number(item.f1),
            )
            for item in points
        ),
        notes=tuple(_operating_notes(points)),
    )


def _operating_notes(points: tuple[OperatingPoint, ...]) -> list[str]:
    notes = [f"{item.name}: {item.why}" for item in points if item.why]
    notes += [
        f"{item.name}: in {1 - item.met_in:.1%} of the data sets drawn anew no score meets its rule; the interval is "
        "of the others."
        for item in points
        if item.met_in is not None and item.met_in < 1
    ]
    if any("red_as_green" in item.rule for item in points):
        notes.append(
            "A limit on red as green is a share of the annotated lights that mean stop, counted in every frame, missed "
            "ones included. It is met on these frames; on others it may be missed."
        )
    return notes


def _estimate(item: Estimate | Rate) -> str:
    words = _number(item.value)
    return words if item.low is None else f"{words} ({_interval(item.low, item.high)})"


def _number(value: float | None) -> str:
    return value_text(value, digits=3 if value is None or abs(value) < 10 else 1)


def _interval(low: float | None, high: float | None) -> str:
    return NO_VALUE if low is None or high is None else f"{_number(low)} to {_number(high)}"
