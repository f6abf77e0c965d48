"""Rules about labels as a whole, sequences and parts: what is unlabelled, identical, alone, torn or in no part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

import polars as pl

from tl_datasets.catalog import Catalog
from tl_datasets.checks.findings import Finding
from tl_datasets.checks.rules import Rule, Severity
from tl_datasets.duplicates.find import find_twins
from tl_datasets.splits.split import PARTS
from tl_datasets.taxonomy import LabelStatus

# From so many sequences of one frame on, where they are most of a source, they are told of in one line.
_MANY_ALONE = 20
# Folder names by which data sets name their parts.
_PART_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def check_sequences(catalog: Catalog) -> Iterator[Finding]:
    """Findings about frames without labels, identical images, sequences and parts."""
    yield from _unlabelled(catalog.frames)
    yield from _identical(catalog)
    yield from _sequences(catalog.frames)
    yield from _parts(catalog.frames)


def _unlabelled(frames: pl.DataFrame) -> Iterator[Finding]:
    rows = frames.filter(pl.col("label_status") == LabelStatus.UNLABELLED).select("frame_id", "split")
    for frame_id, split in rows.iter_rows():
        in_train = split == "train"
        place = f"no labels, in {split}" if split else "no labels"
        yield Finding(Rule.FRAME_UNLABELLED, place, frame_id, severity=Severity.WARNING if in_train else None)


def _identical(catalog: Catalog) -> Iterator[Finding]:
    order = {frame_id: row for row, frame_id in enumerate(catalog.frames["frame_id"])}
    splits = catalog.frames["split"].to_list()
    for group in find_twins(catalog):
        frames = sorted((frame for frame in group if frame in order), key=order.__getitem__)
        parts = {frame: splits[order[frame]] for frame in frames}
        for frame in frames[1:]:
            yield Finding(Rule.FRAME_IDENTICAL, f"same bytes as '{frames[0]}'", frame)
        placed = [frame for frame in frames if parts[frame] is not None]
        # What is in train has been learned: the copies elsewhere are the ones that spoil a score.
        home = min(placed, key=lambda frame: parts[frame] != "train", default=None)
        for frame in placed:
            if home is not None and parts[frame] != parts[home]:
                message = f"in {parts[frame]}, its copy '{home}' in {parts[home]}"
                yield Finding(Rule.SPLIT_SHARED_IMAGE, message, frame)


def _sequences(frames: pl.DataFrame) -> Iterator[Finding]:
    grouped = (
        frames.filter(pl.col("sequence").is_not_null())
        .group_by("source", "sequence", maintain_order=True)
        .agg(pl.col("frame_id"), pl.col("split"))
    )
    many_alone = _sources_of_key_frames(grouped)
    for source, number in many_alone.items():
        yield Finding(Rule.SEQUENCE_OF_ONE, f"{number} sequences of {source} have one frame each")
    for source, sequence, frame_ids, splits in grouped.iter_rows():
        if len(frame_ids) == 1 and source not in many_alone:
            yield Finding(Rule.SEQUENCE_OF_ONE, f"alone in sequence '{sequence}'", frame_ids[0])
        counts = Counter(split for split in splits if split is not None)
        if len(counts) < 2:
            continue
        home = min(counts, key=lambda split: (-counts[split], split))
        listed = ", ".join(f"{split} {number}" for split, number in sorted(counts.items()))
        for frame_id, split in zip(frame_ids, splits, strict=True):
            if split is not None and split != home:
                message = f"in {split}, but sequence '{sequence}' lies in several parts: {listed} frames"
                yield Finding(Rule.SEQUENCE_TORN, message, frame_id)


def _sources_of_key_frames(grouped: pl.DataFrame) -> dict[str, int]:
    """Sources that are sets of single frames rather than recordings: how many of their sequences have one frame."""
    alone = pl.col("frame_id").list.len() == 1
    counts = grouped.group_by("source", maintain_order=True).agg(alone.sum().alias("alone"), pl.len())
    rows = counts.filter((pl.col("alone") >= _MANY_ALONE) & (2 * pl.col("alone") > pl.col("len")))
    return dict(rows.select("source", "alone").iter_rows())


def _parts(frames: pl.DataFrame) -> Iterator[Finding]:
    if frames["split"].null_count() == len(frames):
        return  # not split at all
    for frame_id, path, split in frames.select("frame_id", "path", "split").iter_rows():
        if split is None:
            yield Finding(Rule.SPLIT_MISSING, "in no part, others are", frame_id)
            continue
        if split not in PARTS:
            yield Finding(Rule.SPLIT_UNKNOWN, f"part '{split}', expected {', '.join(PARTS)}", frame_id)
            continue
        folders = [folder for folder in PurePosixPath(path).parts[:-1] if folder.lower() in _PART_FOLDERS]
        if folders and split not in {_PART_FOLDERS[folder.lower()] for folder in folders}:
            yield Finding(Rule.SPLIT_AGAINST_PATH, f"in {split}, its image in folder '{folders[-1]}'", frame_id)
