"""Pictures of pairs side by side, so that a person can see whether they belong together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from tl_datasets.catalog import Catalog
from tl_datasets.errors import ImageError, printable
from tl_datasets.images import write_rgb

_WIDTH_PX, _HEIGHT_PX, _CAPTION_PX, _GAP_PX = 560, 320, 26, 6
_ROWS_PER_PAGE = 4
_CAPTION_LETTERS = 52
_INK, _PAPER, _ALARM = (30, 30, 30), (240, 240, 240), (190, 0, 0)


def write_pair_sheets(catalog: Catalog, pairs: pl.DataFrame, folder: Path, limit: int = 40) -> list[Path]:
    """Write pages of four pairs each.

    Args:
        catalog: Where the pairs were found.
        pairs: Columns of `duplicates.PAIR_SCHEMA`; those of different parts are shown first, then by kind in the order
            near-identical, time neighbour, identical (which needs no eyes).
        folder: Exists.
        limit: Most pairs to show.

    Returns:
        The pages, `pairs_01.png` and so on; none without pairs.
    """
    kinds = ["near_identical", "time_neighbour", "identical"]
    order = pl.col("kind").replace_strict(kinds, range(len(kinds)), return_dtype=pl.Int8)
    shown = pairs.with_columns(order=order).sort("is_leak", "order", descending=[True, False], maintain_order=True)
    rows = shown.head(limit).rows(named=True)
    row_of = {frame_id: row for row, frame_id in enumerate(catalog.frames["frame_id"])}
    pages = []
    for start in range(0, len(rows), _ROWS_PER_PAGE):
        strips = [_strip(catalog, pair, row_of) for pair in rows[start : start + _ROWS_PER_PAGE]]
        path = folder / f"pairs_{start // _ROWS_PER_PAGE + 1:02d}.png"
        write_rgb(path, np.vstack(strips))
        pages.append(path)
    return pages


def _strip(catalog: Catalog, pair: dict[str, Any], row_of: dict[str, int]) -> NDArray[np.uint8]:
    pictures = [_picture(catalog, row_of[pair[f"frame_{side}"]]) for side in "ab"]
    height_px = max(picture.shape[0] for picture in pictures)
    halves = []
    for side, picture in zip("ab", pictures, strict=True):
        frame_id, split = pair[f"frame_{side}"], pair[f"split_{side}"]
        name = frame_id if len(frame_id) <= _CAPTION_LETTERS else "..." + frame_id[3 - _CAPTION_LETTERS :]
        place = np.full((height_px, _WIDTH_PX, 3), 255, np.uint8)
        place[: picture.shape[0], : picture.shape[1]] = picture
        halves.append(_captioned(place, f"{name} ({split or '-'})", _INK))
    both = np.hstack([halves[0], np.full((halves[0].shape[0], _GAP_PX, 3), 255, np.uint8), halves[1]])
    title = f"{pair['kind']}, {pair['distance']} of 256 bits{', LEAK' if pair['is_leak'] else ''}"
    return _captioned(both, title, _ALARM if pair["is_leak"] else _INK)


def _picture(catalog: Catalog, row: int) -> NDArray[np.uint8]:
    """The frame, as large as fits into its place; a note where it cannot be read."""
    try:
        image = catalog.read_rgb(row)
    except ImageError:
        return _captioned(np.full((_HEIGHT_PX // 2, _WIDTH_PX, 3), 255, np.uint8), "cannot be read", _ALARM)
    scale = min(_WIDTH_PX / image.shape[1], _HEIGHT_PX / image.shape[0])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _captioned(image: NDArray[np.uint8], text: str, colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    """The image below a line of text; letters that OpenCV cannot draw become question marks."""
    bar = np.full((_CAPTION_PX, image.shape[1], 3), _PAPER, np.uint8)
    plain = printable(text).encode("ascii", "replace").decode()
    cv2.putText(bar, plain, (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.48, colour, 1, cv2.LINE_AA)
    return np.vstack([bar, image])
