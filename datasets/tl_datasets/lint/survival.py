"""Applies a policy to lamps and tells what they show afterwards.

Every transform is measured alone and always applied; what it does with its configured probability p follows from that.
The whole policy is measured as it is configured. Of one lamp there are several draws, so the shares are means over
lamps, and their intervals are those of as many independent trials as there are lamps, not draws.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tl_datasets.augment.labelled import Labelled
from tl_datasets.augment.steps import Step, run_steps
from tl_datasets.lint.head_reading import read_head
from tl_datasets.lint.labels import Labels
from tl_datasets.lint.lamps import Lamp, head_crop
from tl_datasets.taxonomy import State

# What a lamp became. "gone" = the transform moved it out, so that it keeps no label that could be wrong.
Outcome = Literal["kept", "other", "unread", "gone"]
# The policy as a whole, beside its steps.
WHOLE = "all together"
_Z = 1.96
_EXAMPLES = 8
_SIZES_PX = ((0, 16), (16, 24), (24, 40), (40, math.inf))

OUTCOME_SCHEMA = {
    "step": pl.String(),
    "p": pl.Float64(),
    "lamp": pl.Int64(),
    "draw": pl.Int64(),
    "state": pl.String(),
    "after": pl.String(),
    "outcome": pl.String(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredStep:
    """A step with what it is called in the report, and the probability with which it runs in the policy."""

    label: str
    p: float
    step: Step | None  # None = the whole policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A lamp before and after.

    Attributes:
        step: Label of the measured step.
        state: What it showed.
        after: What it shows; None = nothing.
        where: The frame it comes from.
        before_rgb: (H, W, 3) uint8, the head and its surroundings.
        after_rgb: Likewise, afterwards.
    """

    step: str
    state: State
    after: State | None
    where: str
    before_rgb: NDArray[np.uint8]
    after_rgb: NDArray[np.uint8]


@dataclass(slots=True)
class _Gallery:
    """The first examples of each step and state, each of another lamp, wrong ones apart from unread ones."""

    kept: dict[tuple[str, State, bool], list[Example]] = field(default_factory=dict)

    def add(self, label: str, lamp: Lamp, after: State | None, made: Labelled) -> None:
        shelf = self.kept.setdefault((label, lamp.head.state, after is None), [])
        before = _surroundings(lamp.sample.image, lamp.sample.xyxy[0])
        is_new = not any(np.array_equal(before, example.before_rgb) for example in shelf)
        if len(shelf) < _EXAMPLES and is_new:
            after_rgb = _surroundings(made.image, made.xyxy[0])
            shelf.append(
                Example(
                    step=label,
                    state=lamp.head.state,
                    after=after,
                    where=lamp.frame_id,
                    before_rgb=before,
                    after_rgb=after_rgb,
                )
            )

    def examples(self) -> tuple[Example, ...]:
        """Of each step and state the wrong ones first."""
        chosen: list[Example] = []
        for label, state in dict.fromkeys(key[:2] for key in self.kept):
            both = self.kept.get((label, state, False), []) + self.kept.get((label, state, True), [])
            chosen += both[:_EXAMPLES]
        return tuple(chosen)


def measured_steps(steps: Sequence[Step], *, whole: bool = True) -> list[MeasuredStep]:
    """Every step on its own, those inside a choice too, and the policy as a whole where it has several.

    Args:
        steps: In their order; those of the same name are told apart by a number.
        whole: False = they are alternatives, not a policy.
    """
    flat = list(_leaves(steps, 1.0))
    names = [name for name, _, _ in flat]
    found = []
    for index, (name, p, step) in enumerate(flat):
        number = names[: index + 1].count(name)
        found.append(MeasuredStep(label=name if names.count(name) == 1 else f"{name} ({number})", p=p, step=step))
    if whole and len(flat) > 1:
        found.append(MeasuredStep(label=WHOLE, p=1.0, step=None))
    return found


def _leaves(steps: Sequence[Step], p: float) -> Iterator[tuple[str, float, Step]]:
    for step in steps:
        if step.of:
            yield from _leaves(step.of, p * step.p)
        else:
            yield step.name, p * step.p, step


def measure(
    steps: Sequence[Step],
    lamps: Sequence[Lamp],
    labels: Labels,
    *,
    red_yellow_deg: float,
    draws: int,
    seed: int,
    whole: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[pl.DataFrame, tuple[Example, ...]]:
    """Apply every step, and all together, to every lamp.

    Args:
        steps: The policy.
        lamps: To measure on.
        labels: Which states have classes of their own.
        red_yellow_deg: Border of red and yellow.
        draws: Random draws per lamp and step; a rare step, whose share counts little, has fewer.
        seed: Decides them.
        whole: Whether the steps are measured together, too.
        progress: Called with the number of readings done, and how many there are.

    Returns:
        One row per step, lamp and draw (`OUTCOME_SCHEMA`), and pictures of what went wrong.

    Raises:
        ConfigError: A step fails, or makes something else than an image of bytes of the same size.
    """
    rows: dict[str, list] = {name: [] for name in OUTCOME_SCHEMA}
    gallery = _Gallery()
    todo = measured_steps(steps, whole=whole)
    total = len(lamps) * sum(_draws(step, draws) for step in todo)
    done = 0
    for measured in todo:
        key = zlib.crc32(measured.label.encode())
        for index, lamp in enumerate(lamps):
            for draw in range(_draws(measured, draws)):
                rng = np.random.default_rng([seed, key, index, draw])
                if measured.step is None:
                    made = run_steps(steps, lamp.sample, rng)
                else:
                    made = measured.step.always(lamp.sample, rng)
                outcome, after = _judge(lamp, made, labels, red_yellow_deg)
                if outcome in {"other", "unread"}:
                    gallery.add(measured.label, lamp, after, made)
                values = (measured.label, measured.p, index, draw, str(lamp.head.state), after, outcome)
                for name, value in zip(OUTCOME_SCHEMA, values, strict=True):
                    rows[name].append(value)
            done += _draws(measured, draws)
            if progress is not None:
                progress(done, total)
    return pl.DataFrame(rows, schema=OUTCOME_SCHEMA), gallery.examples()


def _draws(measured: MeasuredStep, draws: int) -> int:
    return max(1, math.ceil(draws * min(1.0, 2 * measured.p)))


def survival(outcomes: pl.DataFrame, by: Sequence[str] = ("step", "state")) -> pl.DataFrame:
    """Shares of what lamps became, with each step's configured probability, and where it is always applied.

    Args:
        outcomes: As `measure` gives them, with further columns of the lamps if `by` names them.
        by: Columns to group by.

    Returns:
        The columns of `by`, then `p`, `lamps`, `readings`, `kept`, `other`, `unread` (shares with probability p),
        `kept_low` and `kept_high` (its 95 % interval), and `kept_applied`, `other_applied`, `unread_applied`.
    """
    counted = outcomes.filter(pl.col("outcome") != "gone")
    share = {name: (pl.col("outcome") == name).mean() for name in ("kept", "other", "unread")}
    table = counted.group_by(list(by), maintain_order=True).agg(
        pl.col("p").first(),
        pl.col("lamp").n_unique().alias("lamps"),
        pl.len().alias("readings"),
        *(value.alias(f"{name}_applied") for name, value in share.items()),
    )
    p = pl.col("p")
    table = table.with_columns(
        (1 - p + p * pl.col("kept_applied")).alias("kept"),
        (p * pl.col("other_applied")).alias("other"),
        (p * pl.col("unread_applied")).alias("unread"),
    )
    bounds = [
        wilson(kept, lamps) for kept, lamps in zip(table["kept"].to_list(), table["lamps"].to_list(), strict=True)
    ]
    table = table.with_columns(
        kept_low=pl.Series([low for low, _ in bounds], dtype=pl.Float64),
        kept_high=pl.Series([high for _, high in bounds], dtype=pl.Float64),
    )
    shown = ("kept", "kept_low", "kept_high", "other", "unread", "kept_applied", "other_applied", "unread_applied")
    return table.select(*by, "p", "lamps", "readings", *shown)


def confusion(outcomes: pl.DataFrame) -> pl.DataFrame:
    """Number of readings by step, state before and state after (null = unread); steps always applied."""
    counted = outcomes.filter(pl.col("outcome") != "gone")
    return counted.group_by("step", "state", "after", maintain_order=True).len("readings")


def lamp_table(lamps: Sequence[Lamp]) -> pl.DataFrame:
    """What there is to know of each lamp, to be joined to outcomes by the column `lamp`."""
    return pl.DataFrame(
        {
            "lamp": list(range(len(lamps))),
            "weather": [lamp.sample.weather for lamp in lamps],
            "time_of_day": [lamp.sample.time_of_day for lamp in lamps],
            "size": [_size(lamp.length_px) for lamp in lamps],
            "drawn": [lamp.is_drawn for lamp in lamps],
            "frame_id": [lamp.frame_id for lamp in lamps],
        },
        schema={
            "lamp": pl.Int64(),
            "weather": pl.String(),
            "time_of_day": pl.String(),
            "size": pl.String(),
            "drawn": pl.Boolean(),
            "frame_id": pl.String(),
        },
    )


def wilson(share: float, count: int) -> tuple[float, float]:
    """95 % interval of a share of so many independent trials.

    Args:
        share: In [0, 1].
        count: Number of trials, 1 or more.
    """
    centre = share + _Z**2 / (2 * count)
    spread = _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    scale = 1 + _Z**2 / count
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def _judge(lamp: Lamp, made: Labelled, labels: Labels, red_yellow_deg: float) -> tuple[Outcome, State | None]:
    if not len(made.xyxy):
        return "gone", None
    after = read_head(head_crop(made.image, made.xyxy[0]), lamp.head, red_yellow_deg)
    if after is None:
        return "unread", None
    return ("kept" if labels.same(after, lamp.head.state) else "other"), after


def _size(length_px: float) -> str:
    low, high = next(bounds for bounds in _SIZES_PX if bounds[0] <= length_px < bounds[1])
    if not low:
        return f"under {high} px"
    return f"{low} px and more" if math.isinf(high) else f"{low} to {high} px"


def _surroundings(image: NDArray[np.uint8], xyxy: NDArray[np.float64]) -> NDArray[np.uint8]:
    """A square around a box, twice as long as it."""
    height, width = image.shape[:2]
    side = int(min(height, width, max(24, 1.6 * max(xyxy[2] - xyxy[0], xyxy[3] - xyxy[1]))))
    left = int(np.clip((xyxy[0] + xyxy[2] - side) / 2, 0, width - side))
    top = int(np.clip((xyxy[1] + xyxy[3] - side) / 2, 0, height - side))
    return image[top : top + side, left : left + side].copy()
