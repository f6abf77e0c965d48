"""Balance of an epoch: frames of rare classes in rare conditions come more often.

Repeat factors are those of LVIS (Gupta et al. 2019): a cell, here a class under given conditions, that a share f of
the frames shows has the factor max(1, sqrt(t / f)); a frame has the factor of its rarest cell, up to a cap. A condition
that nobody knows makes no cell of its own, or missing labels would be repeated: the class alone is the cell there.

A factor of 2.3 is 2 or 3 times in an epoch, drawn anew for each: on average 2.3, while all epochs have the same length.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError

Condition = Literal["weather", "scene", "time_of_day"]

# The word of all three vocabularies for what the annotator could not tell.
_UNDEFINED = "undefined"


class BalanceConfig(BaseModel):
    """How often frames come in an epoch.

    Attributes:
        enabled: Without it, every frame comes once.
        threshold: t: cells that fewer than this share of the frames show are repeated.
        by: Conditions that make a cell of a class; empty = the class alone.
        cap: Largest factor of a frame.
        negatives: Share of an epoch that frames without a box to learn from shall have, as far as the cap allows; None
            = each comes once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    enabled: bool = False
    threshold: float = Field(default=0.2, gt=0, le=1)
    by: tuple[Condition, ...] = ("time_of_day",)
    cap: float = Field(default=4.0, ge=1)
    negatives: float | None = Field(default=None, ge=0, lt=1)

    @field_validator("by")
    @classmethod
    def _names_each_once(cls, value: tuple[Condition, ...]) -> tuple[Condition, ...]:
        if len(set(value)) < len(value):
            raise ValueError(f"[{', '.join(value)}], expected each condition once")
        return value


def repeat_factors(
    catalog: Catalog, class_id: NDArray[np.int64], ignored: NDArray[np.bool_], config: BalanceConfig
) -> NDArray[np.float64]:
    """How often each frame is to come in an epoch, on average.

    Args:
        catalog: The training frames.
        class_id: (boxes,) class of each annotation; negative = none.
        ignored: (boxes,) true where the box is an ignore area.
        config: Settings.

    Returns:
        (frames,) factors, at least 1; below 1 only for frames without a box, with `negatives`.

    Raises:
        ValueError: The arrays do not belong to the catalog.
    """
    if len(class_id) != len(catalog.annotations) or len(ignored) != len(class_id):
        raise ValueError(
            f"{len(class_id)} classes and {len(ignored)} flags for {len(catalog.annotations)} boxes, expected one each"
        )
    factors = np.ones(len(catalog))
    if not config.enabled or not len(catalog):
        return factors
    frame = np.repeat(np.arange(len(catalog)), np.diff(catalog.offsets))
    learned = (class_id >= 0) & ~ignored
    boxes = pl.DataFrame({"frame": frame[learned], "class": class_id[learned]}).unique()
    known = [pl.when(pl.col(name) != _UNDEFINED).then(pl.col(name)).alias(name) for name in config.by]
    conditions = catalog.frames.with_row_index("frame").select(pl.col("frame").cast(pl.Int64), *known)
    cells = boxes.join(conditions, on="frame")
    rarity = pl.len().over("class", *config.by)
    if config.by:
        is_known = pl.all_horizontal(pl.col(name).is_not_null() for name in config.by)
        rarity = pl.when(is_known).then(rarity).otherwise(pl.len().over("class"))
    wanted = (config.threshold * len(catalog) / rarity).sqrt().clip(1, config.cap)
    by_frame = cells.with_columns(wanted.alias("factor")).group_by("frame").agg(pl.col("factor").max())
    factors[by_frame["frame"].to_numpy()] = by_frame["factor"].to_numpy()
    if config.negatives is not None:
        has_box = np.zeros(len(catalog), dtype=bool)
        has_box[frame[learned]] = True
        if has_box.any() and not has_box.all():
            wanted_negatives = config.negatives / (1 - config.negatives) * factors[has_box].sum()
            factors[~has_box] = min(wanted_negatives / (~has_box).sum(), config.cap)
    return factors


def epoch_length(factors: NDArray[np.float64]) -> int:
    """Samples of an epoch: the sum of the factors to the nearest whole number, at least 1, for every epoch the same."""
    return max(1, int(np.floor(factors.sum() + 0.5)))


def epoch_order(factors: NDArray[np.float64], seed: int, epoch: int, *, shuffle: bool = True) -> NDArray[np.int64]:
    """The frames of one epoch, the same on every worker and rank.

    Args:
        factors: (frames,) from `repeat_factors`.
        seed: The run's seed.
        epoch: 0-based.
        shuffle: False = in the order of the catalog, repeats beside each other.

    Returns:
        (`epoch_length`,) rows of the catalog. A frame with factor 2.3 comes 2 or 3 times; over many epochs each comes
        as often as its factor says, but for the rounding of the length, which is shared by all fractions.

    Raises:
        DataError: There is no frame, all factors are 0, or one is negative or not finite.
    """
    if not len(factors) or not np.isfinite(factors).all() or factors.min() < 0 or factors.sum() == 0:
        raise DataError("repeat factors: expected one number of 0 or more per frame, and one frame above 0")
    rng = np.random.default_rng([seed, epoch])
    times = np.floor(factors).astype(np.int64)
    fractions = factors - times
    fractional = np.flatnonzero(fractions)
    if len(fractional):
        # At random places along a line, each fraction has its length: even steps meet it with just its probability.
        order = rng.permutation(fractional)
        ends = np.cumsum(_to_whole_sum(fractions[order], epoch_length(factors) - int(times.sum())))
        met = np.floor(np.round(ends, 9) + rng.random())
        times[order] += np.diff(met, prepend=0).astype(np.int64)
    rows = np.repeat(np.arange(len(factors)), times)
    return rng.permutation(rows) if shuffle else rows


def _to_whole_sum(fractions: NDArray[np.float64], total: int) -> NDArray[np.float64]:
    """Fractions in [0, 1] that sum to a whole number: shrunk alike, or their complements shrunk alike."""
    present = fractions.sum()
    if present >= total:
        return fractions * (total / present)
    return 1 - (1 - fractions) * ((len(fractions) - total) / (len(fractions) - present))


def occurrences(order: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often the frame at each position of an epoch has come before, (samples,), so that repeats differ."""
    by_frame = np.argsort(order, kind="stable")
    rows = order[by_frame]
    begins = np.flatnonzero(np.diff(rows, prepend=-1))
    counts = np.zeros(len(order), dtype=np.int64)
    counts[by_frame] = np.arange(len(order)) - np.repeat(begins, np.diff(begins, append=len(order)))
    return counts
