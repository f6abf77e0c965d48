"""Byte-identical images, found by the hash of their content. Images that only look alike are another matter."""

from __future__ import annotations

import polars as pl

from tl_datasets.catalog import Catalog


def find_twins(catalog: Catalog) -> list[tuple[str, ...]]:
    """Groups of frames whose image files have the same bytes.

    Returns:
        The frame ids of each group of two or more, sorted; frames without a content hash are in none.
    """
    groups = (
        catalog.frames.filter(pl.col("content_hash").is_not_null())
        .group_by("content_hash")
        .agg(pl.col("frame_id").sort())
        .filter(pl.col("frame_id").list.len() > 1)
    )
    return sorted(tuple(group) for group in groups["frame_id"].to_list())
