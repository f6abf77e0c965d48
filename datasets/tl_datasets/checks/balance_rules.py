"""Rules about balance: classes and conditions that are too few to learn or to score, over all and by part.

A class is a category, and for lights the category with its state and pictogram where these are known.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from tl_datasets.catalog import CONDITIONS, Catalog
from tl_datasets.checks.findings import Finding
from tl_datasets.checks.rules import Rule
from tl_datasets.checks.settings import CheckSettings

_SCORED = ("val", "test")
# Words that stand for no class.
_NO_CLASS = ("unknown", "undefined")


def check_balance(catalog: Catalog, settings: CheckSettings) -> Iterator[Finding]:
    """Findings about classes and conditions of the whole catalog and of its parts."""
    frames = catalog.frames.select("frame_id", "split", *CONDITIONS)
    boxes = catalog.annotations.filter(~pl.col("ignore").fill_null(False)).join(
        frames.select("frame_id", "split"), on="frame_id", how="left"
    )
    kinds: dict[str, pl.DataFrame] = {}
    for column in ("category", "state", "pictogram"):
        known = boxes.filter(pl.col(column).is_not_null() & ~pl.col(column).is_in(_NO_CLASS))
        kinds[column] = known.select(pl.col(column).alias("word"), "split")
    for column, words in kinds.items():
        yield from _few(words, column, "boxes", settings.rare_boxes, Rule.CLASS_RARE)
        for word, part, number in _absent_from_train(words):
            yield Finding(Rule.CLASS_NOT_IN_TRAIN, f"{column} {word}: {number} boxes in {part}, none in train")
        for word, part, number in _absent_from_scored(words, catalog.frames):
            yield Finding(Rule.CLASS_NOT_SCORED, f"{column} {word}: {number} boxes in train, none in {part}")
    for column in CONDITIONS:
        known = frames.filter(pl.col(column).is_not_null() & ~pl.col(column).is_in(_NO_CLASS))
        words = known.select(pl.col(column).alias("word"), "split")
        yield from _few(words, column, "frames", settings.rare_frames, Rule.CONDITION_RARE)
        for word, part, number in _absent_from_train(words):
            yield Finding(Rule.CONDITION_NOT_IN_TRAIN, f"{column} {word}: {number} frames in {part}, none in train")


def _few(words: pl.DataFrame, column: str, unit: str, least: int, rule: Rule) -> Iterator[Finding]:
    for word, number in words.group_by("word").len().sort("len", "word").iter_rows():
        if number < least:
            yield Finding(rule, f"{column} {word}: {number} {unit}, fewer than {least}")


def _absent_from_train(words: pl.DataFrame) -> Iterator[tuple[str, str, int]]:
    """Word, part and number, for the scored parts of a catalog that learns something."""
    in_train = set(words.filter(pl.col("split") == "train")["word"])
    if not in_train:
        return
    for part in _SCORED:
        counts = words.filter(pl.col("split") == part).group_by("word").len().sort("word")
        for word, number in counts.iter_rows():
            if word not in in_train:
                yield word, part, number


def _absent_from_scored(words: pl.DataFrame, frames: pl.DataFrame) -> Iterator[tuple[str, str, int]]:
    trained = words.filter(pl.col("split") == "train").group_by("word").len().sort("word")
    for part in _SCORED:
        if not (frames["split"] == part).any():
            continue
        present = set(words.filter(pl.col("split") == part)["word"])
        for word, number in trained.iter_rows():
            if word not in present:
                yield word, part, number
