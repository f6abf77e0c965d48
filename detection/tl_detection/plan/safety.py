"""What the trainer itself would refuse: frames that leak between the parts, and augmentation that lies about lights."""

from __future__ import annotations

from tl_datasets.errors import ConfigError
from tl_datasets.lint.report import as_json, survival_rows
from tl_datasets.lint.survival import WHOLE
from tl_detection.plan.findings import Section, look, ok, stop
from tl_detection.plan.subject import Subject
from tl_detection.training.augmentation import check_augmentation

# Columns of the table of survival that a plan shows: step, state, lamps, kept, other, unread.
_COLUMNS = (0, 2, 3, 4, 6, 7)


def look_at_parts(subject: Subject) -> Section:
    """Whether the trainer takes the frames: leaks between the parts, filters that leave nothing."""
    counts = f"{len(subject.train.catalog)} frames to learn from, {len(subject.val.catalog)} to score"
    if subject.fault is not None:
        return Section(title="parts", findings=(stop(subject.fault),), notes=(counts,))
    config = subject.config.data
    if config.overfit_frames is not None:
        return Section(
            title="parts", findings=(look(f"the same {config.overfit_frames} frames are learned and scored"),)
        )
    checked = "frame, recording and identical image"
    if config.duplicates is not None:
        checked = f"frame, recording, identical image and the pairs of {config.duplicates}"
    findings = [ok(f"{counts}; no {checked} is in two parts")]
    without = int(subject.train.catalog.frames["sequence"].is_null().sum())
    if without:
        findings.append(
            look(f"{without} training frames name no recording (sequence): that one sits in two parts cannot be seen")
        )
    if config.duplicates is None:
        findings.append(
            look("near-identical frames are not looked for; find them with: tl duplicates, data.duplicates")
        )
    return Section(title="parts", findings=tuple(findings), values={"train": len(subject.train.catalog)})


def look_at_augmentation(subject: Subject) -> Section:
    """Try every step on real samples, and measure what the policy does to the lamps, as training does first.

    Raises:
        DataError: An image cannot be read.
    """
    title = "augmentation"
    if subject.data is None:
        return Section(title=title, notes=("not looked at: the frames cannot be used",))
    try:
        report = check_augmentation(subject.data)
    except ConfigError as error:
        return Section(title=title, findings=tuple(stop(fault) for fault in error.faults))
    if report is None:
        return Section(title=title, notes=("nothing that is learned is a light: no lamp to measure on",))
    if not len(report.outcomes):
        return Section(title=title, findings=(ok("augment.transforms has no step; geometry alone changes no colour"),))
    findings = [look(f"allowed by augment.allow_unsafe: {line}") for line in report.overrides()]
    findings += [
        look(f"{count} {state} lamps are too few to refuse anything for them")
        for state, count in report.too_few().items()
    ]
    rows = survival_rows(report.survival())
    # Of several steps the whole is what a frame meets; tl lint tells of each.
    shown = [row for row in rows[1:] if row[0] == WHOLE] or rows[1:]
    lamps = report.lamps
    counts = (
        f"{state} {lamps.count(state, drawn=False)} real and {lamps.count(state, drawn=True)} drawn"
        for state in sorted({lamp.head.state for lamp in lamps.lamps})
    )
    return Section(
        title=title,
        findings=tuple(findings) or (ok(_praise(carries_colour=report.labels.carry_colour)),),
        table=tuple(tuple(row[column] for column in _COLUMNS) for row in (rows[0], *shown)),
        notes=(f"percent of the lamps; measured on {', '.join(counts)}; of each step: tl lint",),
        values=as_json(report),
    )


def _praise(*, carries_colour: bool) -> str:
    if carries_colour:
        return "every step, and all together, keep the states of the lamps"
    return "no class depends on the colour, so no colour is refused; the shares are for information"
