"""Rules about states: what the pixels of a lamp show against what its label says.

A finding says which evidence speaks against the label: the hue of the lit lens, its place in the housing, or both,
which gives two findings on one box. Where the pixels cannot be read there is no finding. Precision and recall on
seeded errors are measured by tools/measure_state_check.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tl_datasets.catalog import BOX_COLUMNS, Catalog
from tl_datasets.checks.rules import Rule
from tl_datasets.checks.settings import CheckSettings
from tl_datasets.lamps.state import READABLE, LampReading, read_state
from tl_datasets.taxonomy import TRAFFIC_LIGHT, Facing, Orientation, State

# A source whose boxes are this square on the median draws them around the lit lamp, not around the housing. Housings:
# 1.5 (BDD100K) to 3.2 times as high as wide; Korean lamp boxes 1.2.
_LAMP_BOX_LENGTH = 1.35
# How much a kind of evidence must say against the label for it to be named, where the other says more.
_EVIDENCE = 1.0


def readable_lamps(catalog: Catalog, settings: CheckSettings) -> pl.DataFrame:
    """The lamps whose state can be checked.

    Returns:
        Columns `row` (of the annotations), `state`, `orientation`, `lenses`, `with_red_yellow` (whether the source has
        that state at all) and the box.
    """
    width, height = pl.col("x2") - pl.col("x1"), pl.col("y2") - pl.col("y1")
    length = pl.max_horizontal(width, height)
    least = settings.lamp_min_height_px
    lights = (
        catalog.annotations.with_row_index("row")
        .join(catalog.frames.select("frame_id", "source"), on="frame_id", how="left", maintain_order="left")
        .filter(
            (pl.col("category") == TRAFFIC_LIGHT)
            & pl.col("state").is_in([*READABLE, State.OFF])
            & (pl.col("facing").is_null() | pl.col("facing").is_in([Facing.FRONT, Facing.UNKNOWN]))
            & ~pl.col("ignore").fill_null(False)
            & ~pl.col("occluded").fill_null(False)
            & ~pl.col("reflection").fill_null(False)
            & pl.all_horizontal(pl.col(BOX_COLUMNS).is_finite())
            & (width > 0)
            & (height > 0)
        )
    )
    aspect = width / height
    is_plausible = (aspect >= settings.aspect_min) & (aspect <= settings.aspect_max)
    around_lamp = (length / pl.min_horizontal(width, height)).median().over("source") < _LAMP_BOX_LENGTH
    lenses = pl.col("aspects").cast(pl.Int64).fill_null(pl.when(around_lamp).then(1).otherwise(3))
    return (
        lights.with_columns(pl.when(around_lamp).then(1).otherwise(lenses).alias("lenses"))
        .filter((length >= pl.when(pl.col("lenses") == 1).then(least / 2).otherwise(least)) & is_plausible)
        .with_columns((pl.col("state") == State.RED_YELLOW).any().over("source").alias("with_red_yellow"))
        .select("row", "state", "orientation", "lenses", "with_red_yellow", *BOX_COLUMNS)
    )


def check_lamp(
    image: NDArray[np.uint8], lamp: dict[str, object], settings: CheckSettings
) -> Iterator[tuple[Rule, str, LampReading]]:
    """Compare the label of one lamp with its pixels.

    Args:
        image: (H, W, 3) uint8 RGB, the whole frame.
        lamp: A row of `readable_lamps`.
        settings: Thresholds.

    Yields:
        Rule, message and reading of each contradiction.
    """
    crop = _crop(image, [float(lamp[name]) for name in BOX_COLUMNS])  # type: ignore[arg-type]
    orientation = None if lamp["orientation"] is None else Orientation(str(lamp["orientation"]))
    label = State(str(lamp["state"]))
    with_red_yellow = bool(lamp["with_red_yellow"]) or label is State.RED_YELLOW
    lenses = int(lamp["lenses"])  # type: ignore[call-overload]
    reading = read_state(crop, orientation, lenses, with_red_yellow=with_red_yellow)
    read = reading.state
    if read is None or read is label:
        return
    if label is State.OFF:
        if reading.scores[read] > settings.dark_margin:
            yield Rule.STATE_AGAINST_COLOUR, f"labelled off, a lens is lit and looks {read}{_where(reading)}", reading
        return
    if reading.margin_over(label) <= settings.state_margin:
        return
    by_hue, by_place = reading.hue_against(label), reading.place_against(label)
    if by_hue >= min(_EVIDENCE, by_place):
        yield Rule.STATE_AGAINST_COLOUR, f"labelled {label}, the lit pixels look {read}", reading
    if by_place >= min(_EVIDENCE, by_hue) and reading.lit_position is not None:
        message = f"labelled {label}, the lit lens is where {read} is{_where(reading)}"
        yield Rule.STATE_AGAINST_POSITION, message, reading


def _where(reading: LampReading) -> str:
    return "" if reading.lit_position is None else f" ({reading.lit_position:.0%} down the housing)"


def _crop(image: NDArray[np.uint8], xyxy: list[float]) -> NDArray[np.uint8]:
    """The pixels of a box, clipped to the image; may be empty."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = (int(np.floor(value + 0.5)) for value in xyxy)
    return image[max(0, y1) : min(height, max(y2, y1 + 1)), max(0, x1) : min(width, max(x2, x1 + 1))]
