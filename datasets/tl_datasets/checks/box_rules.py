"""Rules about boxes: where they lie, how large they are, and whether two of them are one object."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from tl_datasets.boxes import iou as iou_of
from tl_datasets.catalog import ANNOTATION_SCHEMA, BOX_COLUMNS, Catalog
from tl_datasets.checks.findings import Finding
from tl_datasets.checks.rules import Rule
from tl_datasets.checks.settings import CheckSettings
from tl_datasets.network_size import near_xyxy
from tl_datasets.taxonomy import TRAFFIC_LIGHT

# Fields in which two boxes on one object may contradict each other, and words that contradict nothing.
_TOLD = ("state", "pictogram", "relevance", "facing")
_UNTOLD = frozenset({None, "unknown"})
# A box may reach over the edge by less than what rounding to pixels explains.
_ROUNDING_PX = 0.01


def with_box_numbers(catalog: Catalog) -> pl.DataFrame:
    """The annotations with `box` (row inside the frame), and `source`, `width_px` and `height_px` of the frame."""
    lengths = np.diff(catalog.offsets)
    number = np.arange(len(catalog.annotations)) - np.repeat(catalog.offsets[:-1], lengths)
    frames = catalog.frames
    row = np.repeat(np.arange(len(catalog)), lengths)
    return catalog.annotations.with_columns(
        pl.Series("box", number, dtype=pl.Int32),
        frames["source"].gather(row),
        frames["width_px"].gather(row),
        frames["height_px"].gather(row),
    )


def check_boxes(catalog: Catalog, settings: CheckSettings) -> Iterator[Finding]:
    """Findings about single boxes, and about pairs in one frame."""
    numbered = with_box_numbers(catalog)
    yield from _single_boxes(numbered, settings)
    yield from _pairs(catalog, settings)


def _single_boxes(boxes: pl.DataFrame, settings: CheckSettings) -> Iterator[Finding]:
    width, height = pl.col("x2") - pl.col("x1"), pl.col("y2") - pl.col("y1")
    is_sound = pl.all_horizontal(pl.col(BOX_COLUMNS).is_finite()) & (width > 0) & (height > 0)
    is_outside = (pl.min_horizontal("x2", "y2") <= 0) | (pl.col("x1") >= pl.col("width_px"))
    is_outside = is_outside | (pl.col("y1") >= pl.col("height_px"))
    beyond = pl.max_horizontal(
        -pl.col("x1"), -pl.col("y1"), pl.col("x2") - pl.col("width_px"), pl.col("y2") - pl.col("height_px")
    )
    is_light = (pl.col("category") == TRAFFIC_LIGHT) & is_sound & ~is_outside & ~pl.col("ignore").fill_null(False)
    share = width * height / (pl.col("width_px") * pl.col("height_px"))
    is_whole = share > settings.whole_image_share
    is_small = (height < settings.height_min_px) | (width < settings.width_min_px)
    # A horizontal head is measured by its width. Close-ups are a source of their own, not mistakes one by one.
    length = pl.max_horizontal(height, width)
    is_large = (length > settings.length_max_share * pl.col("height_px")) & (
        length > settings.length_max_medians * length.filter(is_light).median().over("source")
    )
    aspect = width / height
    is_odd = (aspect < settings.aspect_min) | (aspect > settings.aspect_max)
    columns = ("frame_id", "box", *BOX_COLUMNS, "width_px", "height_px")

    def rows(condition: pl.Expr) -> Iterator[tuple]:
        return boxes.filter(condition).select(columns).iter_rows()

    for frame_id, box, x1, y1, x2, y2, _, _ in rows(~is_sound):
        message = f"box {x1:g} {y1:g} {x2:g} {y2:g}: expected finite x1 < x2 and y1 < y2"
        yield Finding(Rule.BOX_DEGENERATE, message, frame_id, box)
    for frame_id, box, x1, y1, x2, y2, image_width, image_height in rows(is_sound & is_outside):
        message = f"box {x1:.1f} {y1:.1f} {x2:.1f} {y2:.1f} lies outside {image_width}x{image_height}"
        yield Finding(Rule.BOX_OUTSIDE, message, frame_id, box)
    for frame_id, box, x1, y1, x2, y2, image_width, image_height in rows(
        is_sound & ~is_outside & (beyond > _ROUNDING_PX)
    ):
        over = max(-x1, -y1, x2 - image_width, y2 - image_height)
        yield Finding(Rule.BOX_OVER_EDGE, f"{over:.1f} px over {image_width}x{image_height}", frame_id, box)
    for frame_id, box, x1, y1, x2, y2, image_width, image_height in rows(is_light & is_whole):
        covered = (x2 - x1) * (y2 - y1) / (image_width * image_height)
        yield Finding(Rule.BOX_WHOLE_IMAGE, f"covers {covered:.0%} of the image", frame_id, box)
    for frame_id, box, x1, y1, x2, y2, _, image_height in rows(is_light & ~is_whole & (is_small | is_large)):
        message = f"{x2 - x1:.1f}x{y2 - y1:.1f} px in an image {image_height} px high"
        yield Finding(Rule.BOX_SIZE, message, frame_id, box)
    for frame_id, box, x1, y1, x2, y2, _, _ in rows(is_light & ~is_whole & is_odd):
        message = f"{x2 - x1:.1f}x{y2 - y1:.1f} px, {(x2 - x1) / (y2 - y1):.2f} times as wide as high"
        yield Finding(Rule.BOX_ASPECT, message, frame_id, box)


def _pairs(catalog: Catalog, settings: CheckSettings) -> Iterator[Finding]:
    xyxy, offsets = near_xyxy(catalog), catalog.offsets
    annotations = catalog.annotations
    category = annotations["category"].to_numpy()
    ignore = annotations["ignore"].fill_null(False).to_numpy()
    with np.errstate(invalid="ignore"):
        usable = np.isfinite(catalog.xyxy).all(axis=1) & (xyxy[:, 0] < xyxy[:, 2]) & (xyxy[:, 1] < xyxy[:, 3]) & ~ignore
    frame_ids = catalog.frames["frame_id"]
    for index in np.flatnonzero(np.diff(offsets) > 1):
        rows = np.arange(offsets[index], offsets[index + 1])
        rows = rows[usable[rows]]
        iou = iou_of(xyxy[rows], xyxy[rows])
        same = (category[rows][:, None] == category[rows][None]) & (iou >= settings.near_duplicate_iou)
        reported: set[int] = set()
        for first, second in np.argwhere(np.triu(same, 1)):
            pair = int(rows[first]), int(rows[second])
            for finding, row in _about_pair(annotations, pair, float(iou[first, second]), int(offsets[index])):
                if row not in reported:
                    reported.add(row)
                    yield finding._replace(frame_id=frame_ids[int(index)], box=row - int(offsets[index]))


def _about_pair(
    annotations: pl.DataFrame, pair: tuple[int, int], iou: float, offset: int
) -> Iterator[tuple[Finding, int]]:
    """Each finding with the row that it is about: the later of two that agree, both of two that do not."""
    first, second = (annotations.row(row, named=True) for row in pair)
    differing = [
        name
        for name in _TOLD
        if first[name] != second[name] and first[name] not in _UNTOLD and second[name] not in _UNTOLD
    ]
    if differing:
        told = ", ".join(f"{name} {first[name]} against {second[name]}" for name in differing)
        for row, other in (pair, pair[::-1]):
            message = f"overlaps box {other - offset} by IoU {iou:.2f}: {told}"
            yield Finding(Rule.BOX_CONTRADICTION, message), row
    elif all(first[name] == second[name] for name in ANNOTATION_SCHEMA if name not in {"track_id", "source_label"}):
        yield Finding(Rule.BOX_DUPLICATE, f"repeats box {pair[0] - offset}"), pair[1]
    else:
        message = f"overlaps box {pair[0] - offset} of the same category by IoU {iou:.2f}"
        yield Finding(Rule.BOX_NEAR_DUPLICATE, message), pair[1]
