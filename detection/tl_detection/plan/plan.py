"""`make_plan`: looks at a run from every side before it is trained. Nothing is kept and nothing is written."""

from __future__ import annotations

from collections.abc import Callable

from tl_datasets.errors import TlError
from tl_detection.config import RunConfig
from tl_detection.plan.assignment import look_at_assignment
from tl_detection.plan.class_counts import look_at_counts
from tl_detection.plan.cost import look_at_cost
from tl_detection.plan.counted_loss import CountedLoss, count_loss
from tl_detection.plan.findings import Plan, Section, Verdict, stop
from tl_detection.plan.light_sizes import look_at_sizes
from tl_detection.plan.lost_lights import look_at_losses
from tl_detection.plan.predicted_loss import PredictedLoss, predict_loss
from tl_detection.plan.proposals import propose
from tl_detection.plan.safety import look_at_augmentation, look_at_parts
from tl_detection.plan.subject import Subject, open_subject, strides_of
from tl_detection.plan.surroundings import look_at_surroundings
from tl_detection.plan.trial import Trial, try_steps
from tl_detection.progress import progress

# Samples on which lost labels are counted.
_COUNTED = 300


def make_plan(config: RunConfig, *, steps: int = 3, lint: bool = True) -> Plan:
    """Look at a run before it is trained.

    Args:
        config: Of the run.
        steps: Real steps that are taken to measure time, memory and targets; 0 = none, and no image is read but by the
            linter.
        lint: Measure what the augmentation does to the lamps.

    Raises:
        DataError: The catalog cannot be used at all.
        ConfigError: The model or the augmentation cannot be built.
    """
    strides = strides_of(config)
    subject = open_subject(config)
    sections = [look_at_surroundings(config), look_at_parts(subject)]
    if len(subject.train.catalog):
        sections.append(look_at_counts(subject))
    trial = None
    if subject.learned.any():
        first, last = _predicted(subject)
        counted = _count(subject) if steps else None
        sections += [look_at_sizes(subject, strides, first), look_at_losses(subject, first, last, counted)]
        if lint:
            sections.append(_guarded("augmentation", lambda: look_at_augmentation(subject)))
        # What the trainer would refuse before its first step cannot be tried.
        refused = any(
            section.verdict is Verdict.STOP for section in sections if section.title in ("surroundings", "augmentation")
        )
        if steps and not refused and subject.data is not None:
            trial, cost = _try(subject, steps)
            sections += [look_at_assignment(subject, () if trial is None else trial.starts), cost]
        else:
            sections.append(look_at_assignment(subject, ()))
    proposals, remarks = propose(subject, strides, trial)
    return Plan(name=config.name, sections=tuple(sections), proposals=tuple(proposals), remarks=remarks)


def _predicted(subject: Subject) -> tuple[PredictedLoss, PredictedLoss | None]:
    """For the first epochs, and for the last ones where they have another augmentation."""
    config = subject.config
    has_mosaic = config.train.epochs > config.augment.mosaic_off_epochs
    first = predict_loss(config, subject.train, mosaic=has_mosaic)
    changes = has_mosaic and config.augment.mosaic_off_epochs and (config.augment.mosaic or config.augment.mix_up)
    return first, predict_loss(config, subject.train, mosaic=False) if changes else None


def _count(subject: Subject) -> CountedLoss | None:
    if subject.data is None:
        return None
    with progress("samples", unit="samples") as show:
        return count_loss(subject.data.dataset, _COUNTED, show)


def _try(subject: Subject, steps: int) -> tuple[Trial | None, Section]:
    found: list[Trial] = []

    def look() -> Section:
        if subject.data is None:
            return Section(title="time and memory")
        found.append(try_steps(subject.data, steps))
        return look_at_cost(subject, found[0])

    section = _guarded("time and memory", look)
    return (found[0] if found else None), section


def _guarded(title: str, look: Callable[[], Section]) -> Section:
    """What the trainer would refuse in one line is a finding here."""
    try:
        return look()
    except TlError as error:
        return Section(title=title, findings=(stop(str(error)),))
