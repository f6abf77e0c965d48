"""`lint`: measures a policy on lamps and says what speaks against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from tl_datasets.augment.steps import Step
from tl_datasets.lint.geometry import geometry_faults, orientation_of
from tl_datasets.lint.labels import Labels
from tl_datasets.lint.lamps import Lamps
from tl_datasets.lint.settings import LEAST_TO_JUDGE, LintConfig
from tl_datasets.lint.survival import WHOLE, Example, lamp_table, measure, measured_steps, survival
from tl_datasets.taxonomy import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What speaks against a step, or against the policy as a whole.

    Attributes:
        step: Label of the step, or `survival.WHOLE`.
        message: What it does, by how much, what was expected, and the remedy.
        allowed: Whether the configuration lets it run all the same.
    """

    step: str
    message: str
    allowed: bool

    @property
    def line(self) -> str:
        """Step and message."""
        return f"{self.step}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LintReport:
    """What a policy does to lamps.

    Attributes:
        policy: Name of what was measured.
        config: Limits and amounts.
        seed: Of lamps and draws.
        labels: Which states have classes of their own.
        lamps: On which it was measured.
        outcomes: One row per step, lamp and draw, with the conditions of the lamp's frame.
        examples: Pictures of what went wrong.
        judged: Everything that speaks against it, allowed or not.
    """

    policy: str
    config: LintConfig
    seed: int
    labels: Labels
    lamps: Lamps
    outcomes: pl.DataFrame
    examples: tuple[Example, ...]
    judged: tuple[Fault, ...]

    def faults(self) -> list[str]:
        """Why the policy is refused, one line each; empty if it is not."""
        return [fault.line for fault in self.judged if not fault.allowed]

    def overrides(self) -> list[str]:
        """What would be refused, had the configuration not allowed it."""
        return [fault.line for fault in self.judged if fault.allowed]

    def survival(self, by: Sequence[str] = ("step", "state")) -> pl.DataFrame:
        """See `survival.survival`."""
        return survival(self.outcomes, by)

    def too_few(self) -> dict[State, int]:
        """Learned states with so few lamps that nothing is refused for them, with their numbers."""
        counts = {state: sum(lamp.head.state is state for lamp in self.lamps.lamps) for state in self.labels.learned}
        return {state: count for state, count in counts.items() if count < LEAST_TO_JUDGE}


def lint(
    policy: str,
    steps: Sequence[Step],
    lamps: Lamps,
    config: LintConfig,
    *,
    labels: Labels,
    allow: Sequence[str] = (),
    seed: int = 0,
    whole: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> LintReport:
    """Measure a policy.

    Args:
        policy: Its name, for the report.
        steps: In their order; without any there is nothing to measure, and nothing to say.
        lamps: To measure on.
        config: Limits and amounts.
        labels: Which states have classes of their own.
        allow: Names of steps that may run all the same.
        seed: Of the draws.
        whole: False = the steps are alternatives, each judged on its own.
        progress: Called with the number of readings done, and how many there are.

    Raises:
        ConfigError: A step fails, or makes something else than an image of bytes of the same size.
    """
    outcomes, examples = measure(
        steps,
        lamps.lamps,
        labels,
        red_yellow_deg=lamps.red_yellow_deg,
        draws=config.draws,
        seed=seed,
        whole=whole,
        progress=progress,
    )
    outcomes = outcomes.join(lamp_table(lamps.lamps), on="lamp", how="left", maintain_order="left")
    judged = _turned(steps, config, allow) + _changed(steps, outcomes, config, labels, allow)
    return LintReport(
        policy=policy,
        config=config,
        seed=seed,
        labels=labels,
        lamps=lamps,
        outcomes=outcomes,
        examples=examples,
        judged=tuple(judged),
    )


def _turned(steps: Sequence[Step], config: LintConfig, allow: Sequence[str]) -> list[Fault]:
    judged = []
    for measured in measured_steps(steps):
        if measured.step is None or not measured.p:
            continue
        is_allowed = measured.step.name in allow
        messages = geometry_faults(orientation_of(measured.step), config.max_turn_deg)
        judged += [Fault(step=measured.label, message=message, allowed=is_allowed) for message in messages]
    return judged


def _changed(
    steps: Sequence[Step], outcomes: pl.DataFrame, config: LintConfig, labels: Labels, allow: Sequence[str]
) -> list[Fault]:
    if not labels.carry_colour:
        return []
    by_step: dict[str, list[dict]] = {}
    for row in survival(outcomes).iter_rows(named=True):
        if row["lamps"] >= LEAST_TO_JUDGE:
            by_step.setdefault(row["step"], []).append(row)
    names = {
        measured.label: None if measured.step is None else measured.step.name for measured in measured_steps(steps)
    }
    judged = []
    for label, rows in by_step.items():
        found = None if label == WHOLE else _worst(rows, config.min_kept, config.max_other)
        if found is None:
            continue
        name = names[label] or label
        remedy = f"weaken it, lower its p, remove it, or allow it with augment.allow_unsafe: [{name}]"
        judged.append(Fault(step=label, message=f"{found}; {remedy}", allowed=name in allow))
    whole = _worst(by_step.get(WHOLE, []), config.min_kept_together, config.max_other_together)
    if whole is not None and all(fault.allowed for fault in judged):
        judged.append(_blamed(whole, by_step, allow, names))
    return judged


def _worst(rows: Sequence[Mapping], min_kept: float, max_other: float) -> str | None:
    """The state that fares worst against the limits, in words; None where all are within them."""
    over = max(rows, key=lambda row: row["other"], default=None)
    if over is not None and over["other"] > max_other:
        return (
            f"{_percent(over['other'])} of {over['lamps']} {over['state']} lamps show another state after it"
            f"{_applied(over, 'other_applied')}, limit {_percent(max_other)}"
        )
    under = min(rows, key=lambda row: row["kept"], default=None)
    if under is not None and under["kept"] < min_kept:
        return (
            f"only {_percent(under['kept'])} of {under['lamps']} {under['state']} lamps are still read as "
            f"{under['state']} after it{_applied(under, 'kept_applied')}, limit {_percent(min_kept)}"
        )
    return None


def _applied(row: Mapping, column: str) -> str:
    return "" if row["p"] == 1 else f" (p {row['p']:.3g}; {_percent(row[column])} where it is applied)"


def _blamed(
    found: str, by_step: Mapping[str, Sequence[Mapping]], allow: Sequence[str], names: Mapping[str, str | None]
) -> Fault:
    """Each step alone is within the limits, or allowed: name the one that loses most."""
    lost = {label: max(1 - row["kept"] for row in rows) for label, rows in by_step.items() if label != WHOLE}
    worst = max(lost, key=lost.__getitem__)
    is_allowed = (names[worst] or worst) in allow
    message = f"{found}; {worst} alone costs up to {_percent(lost[worst])}: weaken it or lower its p"
    return Fault(step=WHOLE, message=message, allowed=is_allowed)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
