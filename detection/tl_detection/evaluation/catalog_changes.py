"""What is new in a catalog since an evaluation before, and how the old part and the new part score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from tl_datasets.catalog import CONDITIONS
from tl_detection.evaluation.all_intervals import REPLICATES, SEED
from tl_detection.evaluation.analyses import Prepared, analyse, prepare
from tl_detection.evaluation.evaluation_folder import EvaluationFolder
from tl_detection.evaluation.frame_table import frame_table
from tl_detection.evaluation.pairs import BoolArray
from tl_detection.evaluation.replicates import draw_replicates, sequence_numbers
from tl_detection.evaluation.results import CatalogChanges, SliceScores
from tl_detection.evaluation.scores import score
from tl_detection.evaluation.selection import Selection
from tl_detection.evaluation.slice_intervals import intervals_of
from tl_detection.evaluation.slices import count_slice

if TYPE_CHECKING:
    from tl_detection.evaluation.report import Evaluation

_COLUMN = "since the previous evaluation"


def changes_since(
    previous: EvaluationFolder,
    evaluation: Evaluation,
    *,
    differences: Sequence[str] = (),
    replicates: int = REPLICATES,
    seed: int = SEED,
) -> CatalogChanges:
    """Compare the frames of an evaluation with those of one before, and score the old and the new ones apart.

    Args:
        previous: The evaluation before.
        evaluation: The evaluation now.
        differences: In what both were not scored alike, in words.
        replicates: Of the intervals of both parts.
        seed: Of the draw.
    """
    truth = evaluation.matched.ground_truth
    before, now = previous.frames(), frame_table(truth)
    both = now.join(before, on="frame_id", how="inner", suffix="_before")
    same_labels = pl.all_horizontal(
        *(pl.col(name).eq_missing(pl.col(f"{name}_before")) for name in ("source", "sequence", *CONDITIONS)),
        pl.col("labels").list.sort() == pl.col("labels_before").list.sort(),
    )
    # Of an image of which one catalog does not know the content nothing is said.
    other_image = (pl.col("content_hash") != pl.col("content_hash_before")).fill_null(False)
    added, removed, relabelled = _object_changes(before, now)
    prepared = prepare(evaluation.matched, evaluation.report.overall.operating_scores)
    is_old = now["frame_id"].is_in(before["frame_id"].implode()).to_numpy()
    return CatalogChanges(
        previous=str(previous.path),
        previous_fingerprint=previous.report.catalog_fingerprint,
        frames_same=len(both.filter(same_labels & ~other_image)),
        frames_added=int((~is_old).sum()),
        frames_removed=len(before) - len(both),
        frames_relabelled=len(both.filter(~same_labels)),
        frames_with_other_image=len(both.filter(other_image)),
        sequences_added=len(_sequences(now) - _sequences(before)),
        sequences_removed=len(_sequences(before) - _sequences(now)),
        objects_added=added,
        objects_removed=removed,
        objects_relabelled=relabelled,
        old=_part(prepared, "old", is_old, replicates, seed),
        new=_part(prepared, "new", ~is_old, replicates, seed),
        differences=tuple(differences),
    )


def _object_changes(before: pl.DataFrame, now: pl.DataFrame) -> tuple[int, int, int]:
    """Objects added, removed and re-labelled; of equal ones each has one counterpart."""
    first, second = _objects(before), _objects(now)
    for keys in (["frame_id", "boxes", "labels"], ["frame_id", "boxes"]):
        key = [*keys, "copy"]
        numbered = [table.with_columns(copy=pl.int_range(pl.len()).over(keys)) for table in (first, second)]
        first, second = (
            table.join(other, on=key, how="anti") for table, other in zip(numbered, numbered[::-1], strict=True)
        )
        if len(keys) == 3:
            with_other_label = len(second)
    return len(second), len(first), with_other_label - len(second)


def _objects(frames: pl.DataFrame) -> pl.DataFrame:
    return frames.select("frame_id", "boxes", "labels").explode("boxes", "labels").drop_nulls("boxes")


def _sequences(frames: pl.DataFrame) -> set[tuple[str, str]]:
    known = frames.filter(pl.col("sequence").is_not_null())
    return set(zip(known["source"].to_list(), known["sequence"].to_list(), strict=True))


def _part(prepared: Prepared, value: str, mask: BoolArray, replicates: int, seed: int) -> SliceScores | None:
    if not mask.any():
        return None
    matched, operating_scores = prepared.matched, prepared.answers.operating_scores
    number = sequence_numbers(matched.ground_truth)
    selection = Selection.of_frames(matched, mask)
    counts = count_slice(
        matched.ground_truth, selection, least_objects=matched.protocol.small_slice_objects, sequence_number=number
    )
    drawn = draw_replicates(number, mask, replicates=replicates, seed=seed)
    return SliceScores(
        name=f"{value} frames",
        column=_COLUMN,
        value=value,
        is_small=counts.too_small is not None,
        sequences=counts.sequences,
        scores=score(matched, mask, operating_scores),
        intervals=intervals_of(matched, selection, drawn, operating_scores),
        analyses=analyse(prepared, selection, drawn),
    )
