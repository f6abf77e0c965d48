"""Catalogs of several sources into one, with the source kept per frame.

A field that one source does not have stays None there, so that a mixed data set trains with what each frame knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError, UsageError, show


def merge(catalogs: Sequence[Catalog]) -> Catalog:
    """Join catalogs.

    Two sources of one name and different image roots are told apart by a number at the end of the name. Where frame ids
    of two sources clash, every frame id becomes `source/id`; a catalog that has the form `source/id` already keeps it.

    Args:
        catalogs: Two or more.

    Raises:
        UsageError: There is only one.
        DataError: One image is a frame of two catalogs.
    """
    if len(catalogs) < 2:
        raise UsageError(f"merge: {len(catalogs)} catalog, expected two or more")
    roots: dict[str, Path] = {}
    frames, boxes = [], []
    for catalog in catalogs:
        names = _source_names(catalog, roots)
        frames.append(catalog.frames.with_columns(pl.col("source").replace(names)))
        boxes.append(catalog.annotations)
    all_frames = pl.concat(frames)
    _refuse_same_image(all_frames)
    if all_frames["frame_id"].is_duplicated().any():
        named = [_with_source_names(*tables) for tables in zip(frames, boxes, strict=True)]
        all_frames, boxes = pl.concat([frame for frame, _ in named]), [box for _, box in named]
    return Catalog(all_frames, pl.concat(boxes), roots)


def shared_images(catalog: Catalog) -> int:
    """How many images of one source have a byte-identical one in another."""
    known = catalog.frames.filter(pl.col("content_hash").is_not_null())
    sources = known.group_by("content_hash").agg(pl.col("source").n_unique().alias("sources"), pl.len())
    return int(sources.filter(pl.col("sources") > 1)["len"].sum())


def _source_names(catalog: Catalog, roots: dict[str, Path]) -> dict[str, str]:
    """What the sources of a catalog are called in the merged one, whose roots are added to."""
    names = {}
    for source, root in catalog.roots.items():
        name, number = source, 1
        while name in roots and roots[name].resolve() != root.resolve():
            number += 1
            name = f"{source}_{number}"
        roots[name] = root
        names[source] = name
    return names


def _refuse_same_image(frames: pl.DataFrame) -> None:
    counts = Counter(frames.select("source", "path").iter_rows())
    twice = next((image for image, number in counts.items() if number > 1), None)
    if twice is not None:
        number = sum(number > 1 for number in counts.values())
        raise DataError(
            f"merge: image {show(twice[1])} of source {twice[0]} is a frame of two catalogs (and {number - 1} more); "
            "expected each once: filter one of them, or merge what they were made from"
        )


def _with_source_names(frames: pl.DataFrame, boxes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    prefix = pl.col("source") + "/"
    new_id = pl.when(pl.col("frame_id").str.starts_with(prefix)).then("frame_id").otherwise(prefix + pl.col("frame_id"))
    ids = frames.select(pl.col("frame_id"), new_id.alias("new_id"))
    renamed = boxes.join(ids, on="frame_id", how="left", maintain_order="left")
    return (
        frames.with_columns(frame_id=ids["new_id"]),
        renamed.with_columns(frame_id=pl.col("new_id")).drop("new_id"),
    )
