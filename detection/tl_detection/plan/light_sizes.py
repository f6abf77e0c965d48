"""How large lights are for the network: against limits, by class and condition, and against the model's strides."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tl_datasets.catalog import CONDITIONS
from tl_datasets.letterbox import place
from tl_datasets.network_size import LIMITS_PX, InputSize, network_sizes_px
from tl_detection.plan.findings import Finding, Section, look, ok
from tl_detection.plan.predicted_loss import PredictedLoss
from tl_detection.plan.subject import Subject

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# Under 4 px the lamps of a head merge; see `network_size.LIMITS_PX`.
_MERGE_PX = 4.0
# More lights than this share under the least size make a larger input worth its cost.
SMALL_SHARE = 0.05


def least_size_px(strides: tuple[int, ...]) -> float:
    """Smaller side under which a light is too small for a model: its lamps merge, or it is under half a cell."""
    return max(_MERGE_PX, strides[0] / 2)


def look_at_sizes(subject: Subject, strides: tuple[int, ...], predicted: PredictedLoss) -> Section:
    """Sizes in network pixels, letterboxed into `model.input`.

    Args:
        subject: The run.
        strides: Of its model, finest first.
        predicted: What augmentation shows of the training boxes.
    """
    size = subject.config.model.input
    sizes = network_sizes_px(subject.train.catalog, InputSize(width_px=size.width_px, height_px=size.height_px))
    of_lights = sizes[subject.lights]
    if not len(of_lights):
        return Section(title="sizes", notes=(f"no {subject.noun} among the training frames",))
    side = of_lights.min(axis=1)
    least = least_size_px(strides)
    small, half, one = (float((side < limit).mean()) for limit in (least, strides[0] / 2, strides[0]))
    augmented = {limit: predicted.share_under(limit, subject.lights[predicted.index]) for limit in LIMITS_PX}
    groups = {subject.noun: subject.lights, **_by_class(subject), **_by_condition(subject)}
    table = [
        (
            f"in {size.width_px}x{size.height_px}",
            "count",
            *(f"under {limit} px" for limit in LIMITS_PX),
            "width x height",
        ),
        *(_row(name, sizes[rows]) for name, rows in groups.items() if rows.any()),
    ]
    shares = ("-" if share is None else f"{share:.1%}" for share in augmented.values())
    table.insert(2, ("  as augmented", "", *shares, ""))
    return Section(
        title="sizes",
        findings=tuple(_findings(subject, strides, small, half, one)),
        table=tuple(table),
        notes=_scales(subject),
        values={
            "lights": int(subject.lights.sum()),
            "quantiles": {
                f"{quantile:.0%}": np.quantile(of_lights, quantile, axis=0).round(2).tolist() for quantile in _QUANTILES
            },
            "least_size_px": least,
            "under_least": small,
            "under_half_a_stride": half,
            "under_a_stride": one,
            "strides": list(strides),
            "by": {name: _shares(sizes[rows]) for name, rows in groups.items() if rows.any()},
            "augmented": {str(limit): share for limit, share in augmented.items()},
        },
    )


def _findings(subject: Subject, strides: tuple[int, ...], small: float, half: float, one: float) -> list[Finding]:
    least, noun = least_size_px(strides), subject.noun
    message = (
        f"{small:.1%} of the {noun} are under {least:g} px in the network; of the finest stride, {strides[0]} px, "
        f"{half:.1%} are under half and {one:.1%} under one"
    )
    if small <= SMALL_SHARE:
        return [ok(message)]
    return [look(f"{message}; expected at most {SMALL_SHARE:.0%} under {least:g} px: enlarge model.input")]


def _scales(subject: Subject) -> tuple[str, ...]:
    size = subject.config.model.input
    frames = subject.train.catalog.frames.group_by("width_px", "height_px").len().sort("len", descending=True)
    lines = []
    for row in frames.head(3).iter_rows(named=True):
        laid = place(row["width_px"], row["height_px"], size.width_px, size.height_px)
        padding = 1 - laid.width_px * laid.height_px / (size.width_px * size.height_px)
        lines.append(
            f"{row['len']} frames of {row['width_px']}x{row['height_px']}: scaled by {laid.scale:.3f}, "
            f"{padding:.0%} of the input is padding"
        )
    return tuple(lines)


def _by_class(subject: Subject) -> dict[str, NDArray[np.bool_]]:
    names = subject.config.data.label_space.names
    found = {f"  {name}": subject.lights & (subject.train.class_id == number) for number, name in enumerate(names)}
    return {name: rows for name, rows in found.items() if rows.any()} if len(names) > 1 else {}


def _by_condition(subject: Subject) -> dict[str, NDArray[np.bool_]]:
    catalog, groups = subject.train.catalog, {}
    for condition in CONDITIONS:
        words = np.repeat(catalog.frames[condition].fill_null("-").to_numpy(), np.diff(catalog.offsets))
        present = sorted(set(words[subject.lights].tolist()))
        if len(present) > 1:
            groups |= {f"  {condition.replace('_', ' ')} {word}": subject.lights & (words == word) for word in present}
    return groups


def _row(name: str, sizes: NDArray[np.float64]) -> tuple[str, ...]:
    side = sizes.min(axis=1)
    width, height = np.median(sizes, axis=0)
    shares = (f"{(side < limit).mean():.1%}" for limit in LIMITS_PX)
    return (name, str(len(sizes)), *shares, f"{width:.1f} x {height:.1f}")


def _shares(sizes: NDArray[np.float64]) -> dict[str, Any]:
    side = sizes.min(axis=1)
    return {
        "lights": len(sizes),
        "median": np.median(sizes, axis=0).round(2).tolist(),
        "under_px": {str(limit): float((side < limit).mean()) for limit in LIMITS_PX},
    }
