"""`GroundTruth`: the boxes that detections are judged against, as arrays.

Dropped annotations vanish. Frames of which nobody can say what they hold are left out and counted: unlabelled frames,
and partial frames whose labelled categories do not cover those of the label space.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tl_datasets.catalog import CONDITIONS, Catalog
from tl_datasets.label_space import DROP, LabelSpace
from tl_datasets.taxonomy import LabelStatus, State

# Columns of the frames table by which scores can be sliced.
SLICE_COLUMNS = (*CONDITIONS, "source", "split", "sequence")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundTruth:
    """Objects and ignore areas of the frames that can be scored.

    Attributes:
        names: Class names by id.
        means_stop: Per class, true where each state that it stands for is red or red_yellow.
        means_go: Per class, true where the state that it stands for is green.
        states: Per class, the states that it stands for; empty where it asks for none.
        frame_ids: (F,) ids in catalog order.
        frames: (F rows) the frames table of the catalog.
        boxes: (N rows) the annotations table of the catalog, a row per object or ignore area.
        rows: (F,) row of each frame in the catalog that it was made from.
        conditions: Column of `SLICE_COLUMNS` -> (F,) values, None = the source does not say.
        offsets: (F + 1,) the boxes of frame i are offsets[i] to offsets[i + 1].
        class_id: (N,) class ids; `IGNORE_ANY` for an ignore area of every class.
        xyxy: (N, 4) float64 pixels, half-open.
        is_ignored: (N,) true for ignore areas.
        frames_unlabelled: Frames left out because nobody labelled them.
        frames_partial: Frames left out because a category of the label space was not labelled in them.
    """

    names: tuple[str, ...]
    means_stop: tuple[bool, ...]
    means_go: tuple[bool, ...]
    states: tuple[tuple[str, ...], ...]
    frame_ids: tuple[str, ...]
    frames: pl.DataFrame
    boxes: pl.DataFrame
    rows: NDArray[np.int64]
    conditions: Mapping[str, tuple[str | None, ...]]
    offsets: NDArray[np.int64]
    class_id: NDArray[np.int64]
    xyxy: NDArray[np.float64]
    is_ignored: NDArray[np.bool_]
    frames_unlabelled: int = 0
    frames_partial: int = 0

    def __len__(self) -> int:
        return len(self.frame_ids)

    @property
    def frame_index(self) -> NDArray[np.int64]:
        """(N,) frame of each box."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    @property
    def frame_rank(self) -> NDArray[np.int64]:
        """(F,) position of each frame when ordered by frame id; breaks ties without looking at input order."""
        rank = np.empty(len(self), np.int64)
        rank[sorted(range(len(self)), key=self.frame_ids.__getitem__)] = np.arange(len(self))
        return rank


def ground_truth_from_catalog(catalog: Catalog, label_space: LabelSpace) -> GroundTruth:
    """Collect what a catalog says about the classes of a label space.

    Raises:
        DataError: The label space has `otherwise: error` and a box is named by no rule.
    """
    status = catalog.frames["label_status"]
    is_unlabelled = (status == LabelStatus.UNLABELLED).to_numpy()
    is_partial = (status == LabelStatus.PARTIAL).to_numpy() & ~_covers(catalog, label_space)
    keep = ~is_unlabelled & ~is_partial
    rows = np.flatnonzero(keep).astype(np.int64)
    frames = catalog.frames.filter(pl.Series(keep))

    box_frame = np.repeat(np.arange(len(catalog)), np.diff(catalog.offsets))
    box_keep = keep[box_frame]
    annotations = catalog.annotations.filter(pl.Series(box_keep))
    class_id, is_ignored = label_space.assign(annotations)
    not_dropped = class_id != DROP
    counts = np.bincount(box_frame[box_keep][not_dropped], minlength=len(catalog))[rows]
    means_stop, means_go = means_stop_and_go(label_space)
    return GroundTruth(
        names=label_space.names,
        means_stop=means_stop,
        means_go=means_go,
        states=tuple(tuple(str(word) for word in rule.state or () if word) for rule in label_space.classes.values()),
        frame_ids=tuple(frames["frame_id"].to_list()),
        frames=frames,
        boxes=annotations.filter(pl.Series(not_dropped)),
        rows=rows,
        conditions={column: tuple(frames[column].to_list()) for column in SLICE_COLUMNS},
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        class_id=class_id[not_dropped],
        xyxy=catalog.xyxy[box_keep][not_dropped],
        is_ignored=is_ignored[not_dropped],
        frames_unlabelled=int(is_unlabelled.sum()),
        frames_partial=int(is_partial.sum()),
    )


def means_stop_and_go(label_space: LabelSpace) -> tuple[tuple[bool, ...], tuple[bool, ...]]:
    """Per class, true where all its states mean stop (red, red_yellow); and where they mean go (green)."""
    return _means(label_space, {State.RED, State.RED_YELLOW}), _means(label_space, {State.GREEN})


def _means(label_space: LabelSpace, states: set[State]) -> tuple[bool, ...]:
    """Per class, true where its rule names states and allows none but these."""
    return tuple(bool(rule.state) and states.issuperset(rule.state or ()) for rule in label_space.classes.values())


def _covers(catalog: Catalog, label_space: LabelSpace) -> NDArray[np.bool_]:
    """(F,) true where every category that the classes draw from was labelled."""
    categories = {str(category) for rule in label_space.classes.values() for category in rule.category}
    covered = pl.all_horizontal(
        [pl.col("labelled_categories").list.contains(category).fill_null(False) for category in sorted(categories)]
    )
    return catalog.frames.select(covered.alias("covered"))["covered"].to_numpy()
