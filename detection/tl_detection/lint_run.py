"""Lints the augmentation of a run on the frames that it trains on, and the policies of other trainers beside it."""

from __future__ import annotations

import polars as pl

from tl_datasets.augment.pipeline import Augmenter
from tl_datasets.catalog import Catalog
from tl_datasets.errors import UsageError
from tl_datasets.lint.collect import lamps_for
from tl_datasets.lint.labels import Labels
from tl_datasets.lint.lamps import NO_LAMPS, Lamps
from tl_datasets.lint.lint import LintReport, lint
from tl_datasets.lint.settings import LEAST_TO_JUDGE, LintConfig
from tl_detection.config import RunConfig
from tl_detection.known_policies import known_policies
from tl_detection.progress import progress


def with_amounts(config: RunConfig | None, *, lamps: int | None, draws: int | None) -> LintConfig:
    """The limits of a run, or the defaults, with other amounts where they are given.

    Raises:
        UsageError: An amount is too small.
    """
    # Of fewer lamps no share says anything, and the linter would refuse nothing.
    for option, number, least in (("--lamps", lamps, LEAST_TO_JUDGE), ("--draws", draws, 1)):
        if number is not None and number < least:
            raise UsageError(f"{option} {number}: expected {least} or more")
    amounts = {"lamps_per_state": lamps, "draws": draws}
    given = {name: number for name, number in amounts.items() if number is not None}
    return (LintConfig() if config is None else config.augment.lint).model_copy(update=given)


def lint_run(
    config: RunConfig,
    catalog: Catalog | None = None,
    limits: LintConfig | None = None,
    *,
    seed: int | None = None,
    skip_broken: bool = False,
) -> LintReport:
    """Measure what the steps of a run do to the signal heads that it learns from.

    Args:
        config: The run.
        catalog: Frames to measure on; None = those that it trains on.
        limits: Limits and amounts; None = `augment.lint` of the run.
        seed: Of lamps and draws; None = that of the run.
        skip_broken: Do without frames whose image cannot be read; each is named in a warning.

    Raises:
        ConfigError: A step is unknown, wrong, or makes something else than an image of the same size.
        DataError: There is no traffic light to measure on.
        ImageError: An image cannot be read, and none shall be skipped.
    """
    size, augment, label_space = config.model.input, config.augment, config.data.label_space
    steps = Augmenter(augment, label_space, size.width_px, size.height_px).steps
    limits = augment.lint if limits is None else limits
    seed = config.train.seed if seed is None else seed
    # Without steps there is nothing to measure lamps for.
    lamps = _lamps(config, catalog, limits, seed, skip_broken=skip_broken) if steps else NO_LAMPS
    with progress("lint", unit="readings") as show:
        return lint(
            config.name,
            steps,
            lamps,
            limits,
            labels=Labels.of(label_space),
            allow=augment.allow_unsafe,
            seed=seed,
            progress=show,
        )


def lint_known_policies(
    config: RunConfig | None, catalog: Catalog | None, limits: LintConfig, *, seed: int | None = None
) -> LintReport:
    """Measure the policies of other trainers, each as one step of the report.

    Args:
        config: A run, for its frames, classes and input size; None = frames as they are, every state a class.
        catalog: Frames to measure on; None = those that the run trains on.
        limits: Limits and amounts.
        seed: Of lamps and draws; None = that of the run, or 0.

    Raises:
        DataError: There is no traffic light to measure on.
        ImageError: An image cannot be read.
        UsageError: There is neither a run nor a catalog.
    """
    if seed is None:
        seed = 0 if config is None else config.train.seed
    lamps = _lamps(config, catalog, limits, seed)
    with progress("lint", unit="readings") as show:
        return lint(
            "the augmentation of other trainers",
            list(known_policies().values()),
            lamps,
            limits,
            labels=Labels.of(None if config is None else config.data.label_space),
            seed=seed,
            whole=False,
            progress=show,
        )


def _lamps(
    config: RunConfig | None, catalog: Catalog | None, limits: LintConfig, seed: int, *, skip_broken: bool = False
) -> Lamps:
    if catalog is None:
        if config is None:
            raise UsageError("nothing to measure on; expected a configuration or a catalog")
        catalog = Catalog.open(config.data.catalog).filter(config.data.train)
    with progress("lamps") as show:
        if config is None:
            return lamps_for(catalog, limits, seed=seed, progress=show)
        size = config.model.input
        return lamps_for(
            catalog,
            limits,
            label_space=config.data.label_space,
            input_size=(size.width_px, size.height_px),
            horizon=config.augment.horizon,
            seed=seed,
            skip_broken=skip_broken,
            progress=show,
        )


def format_known_policies(report: LintReport) -> str:
    """One line per policy, the most harmful last: shares kept and shown as another state, by state, in percent."""
    table = report.survival()
    states = table["state"].unique(maintain_order=True).to_list()
    damage = table.group_by("step").agg(pl.col("kept").mean(), pl.col("other").mean())
    damage = damage.sort(["kept", "other"], descending=[True, False])
    shown = {(row["step"], row["state"]): row for row in table.iter_rows(named=True)}
    refused = {fault.step for fault in report.judged}
    rows = [("policy", f"kept: {'/'.join(states)} %", "another state %", "")]
    for name in damage["step"]:
        kept, other = (
            "/".join(f"{100 * shown[name, state][column]:.1f}" for state in states) for column in ("kept", "other")
        )
        rows.append((name, kept, other, "refused" if name in refused else "within the limits"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)
