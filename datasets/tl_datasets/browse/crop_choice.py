"""Which lights are cut out for the page: a bounded number per state, spread over sources and sizes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tl_datasets.catalog import Catalog
from tl_datasets.network_size import sizes_px
from tl_datasets.taxonomy import TRAFFIC_LIGHT

CROPS_PER_STATE = 60


def choose_crops(catalog: Catalog, per_state: int = CROPS_PER_STATE, seed: int = 0) -> NDArray[np.int64]:
    """Choose lights of each state, the absent one included.

    Each source gives an equal share as far as it has lights; inside a source the lights are ordered by height, cut into
    as many equal parts as are wanted, and one is drawn from each part.

    Args:
        catalog: The frames.
        per_state: Most lights of a state.
        seed: The same seed and catalog give the same lights.

    Returns:
        Rows of `catalog.annotations`, ascending.
    """
    table = catalog.annotations.select("category", "state").with_row_index("box")
    sources = catalog.frames["source"].to_numpy().repeat(np.diff(catalog.offsets))
    lights = table.with_columns(source=pl.Series(sources, dtype=pl.String), height=sizes_px(catalog)[:, 1]).filter(
        pl.col("category") == TRAFFIC_LIGHT
    )
    rng = np.random.default_rng(seed)
    chosen: list[int] = []
    for _, of_state in sorted(lights.partition_by("state", as_dict=True).items(), key=lambda item: str(item[0])):
        parts = [
            part.sort("height", "box")["box"].to_numpy() for part in of_state.sort("source").partition_by("source")
        ]
        for part, share in zip(parts, _equal_shares([len(part) for part in parts], per_state), strict=True):
            edges = np.linspace(0, len(part), share + 1)
            # Each part holds at least one light, because a share is never larger than what the source has.
            chosen.extend(int(part[rng.integers(int(a), int(b))]) for a, b in itertools.pairwise(edges))
    return np.array(sorted(chosen), dtype=np.int64)


def _equal_shares(available: Sequence[int], wanted: int) -> list[int]:
    """Divide a number evenly; what one cannot give the others do."""
    shares = [0] * len(available)
    left = min(wanted, sum(available))
    while left:
        open_places = [place for place, most in enumerate(available) if shares[place] < most]
        each = max(1, left // len(open_places))
        for place in open_places:
            given = min(each, available[place] - shares[place], left)
            shares[place] += given
            left -= given
    return shares
