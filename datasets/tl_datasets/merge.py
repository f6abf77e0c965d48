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
    of two sources clash, every frame id becomes `source/id`, except in a source whose ids all have that form already.

    Args:
        catalogs: Two or more.

    Raises:
        UsageError: There is only one.
        DataError: One image is a frame of two catalogs.
    """
    if len(catalogs) < 2:
        raise UsageError(f"{len(catalogs)} catalog, expected two or more")
    roots: dict[str, Path] = {}
    frames, boxes = [], []
    for catalog in catalogs:
        names = _source_names(catalog, roots)
        frames.append(catalog.frames.with_columns(pl.col("source").replace(names)))
        boxes.append(catalog.annotations)
    _refuse_same_image(frames)
    all_frames = pl.concat(frames)
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


def _refuse_same_image(frames: Sequence[pl.DataFrame]) -> None:
    # In one catalog an image may be two frames; who made it so knows why.
    images = [table.select("source", "path").unique(maintain_order=True) for table in frames]
    counts = Counter(pl.concat(images).iter_rows())
    shared = [image for image, number in counts.items() if number > 1]
    if shared:
        source, path = shared[0]
        like = f", like {len(shared) - 1} other{'s' * (len(shared) > 2)}" if len(shared) > 1 else ""
        raise DataError(
            f"image {show(path)} of source {show(source)} is a frame of two catalogs{like}; expected each once: filter "
            "one of them, or merge what they were made from"
        )


def _with_source_names(frames: pl.DataFrame, boxes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    prefix = pl.col("source") + "/"
    is_named = pl.col("frame_id").str.starts_with(prefix).all().over("source")
    new_id = pl.when(is_named).then("frame_id").otherwise(prefix + pl.col("frame_id"))
    ids = frames.select(pl.col("frame_id"), new_id.alias("new_id"))
    renamed = boxes.join(ids, on="frame_id", how="left", maintain_order="left")
    return (
        frames.with_columns(frame_id=ids["new_id"]),
        renamed.with_columns(frame_id=pl.col("new_id")).drop("new_id"),
    )
