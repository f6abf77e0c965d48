"""The frames of a compression: those that judge, those that calibrate, and those on which blocks are chosen."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError
from tl_detection.compression.frame_choice import choose_balanced, part_of, without_copies
from tl_detection.compression.report import SIZE_COLUMN
from tl_detection.detectors.onnx import OnnxDetector
from tl_detection.evaluation.ground_truth import ground_truth_from_catalog
from tl_detection.export.frames import of_size

logger = logging.getLogger(__name__)

# Average precision of fewer frames is mostly chance; each try runs all of them.
_SELECTION_FRAMES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSets:
    """Labelled frames of the size that a file takes; no two parts share one.

    Attributes:
        judged: That judge the smaller file.
        calibration: That ranges are measured on, the most varied first.
        selection: On which it is decided which blocks stay in float, the most varied first.
    """

    judged: Catalog
    calibration: Catalog
    selection: Catalog


def frame_sets(
    whole: Catalog,
    name: str,
    split: str,
    calibrate_split: str,
    detector: OnnxDetector,
    calibration_frames: int,
    seed: int,
) -> FrameSets:
    """Choose the frames.

    Args:
        whole: The catalog.
        name: Of it, for messages.
        split: Frames to judge on.
        calibrate_split: Frames to calibrate on and to choose blocks on; copies of judged ones are left out.
        detector: The float file.
        calibration_frames: How many to calibrate on, at most half of those that there are.
        seed: Of the choice.

    Raises:
        DataError: A split is missing, or has too few such frames.
    """
    judged, pool = (
        _of_camera(part_of(whole, part, name, option), detector, f"{name}, split {part}", option)
        for part, option in ((split, "--split"), (calibrate_split, "--calibrate-split"))
    )
    pool = without_copies(pool, judged)
    if len(pool) < 2:
        raise DataError(
            f"{name}, split {calibrate_split}: {len(pool)} frames to calibrate on that are no copies of judged ones; "
            "expected 2 or more: choose another --calibrate-split"
        )
    first = choose_balanced(pool, min(calibration_frames, len(pool) // 2), seed=seed)
    rest = pool.filter(~pl.col("frame_id").is_in(pool.frames["frame_id"][first].to_list()))
    second = choose_balanced(rest, _SELECTION_FRAMES, seed=seed)
    return FrameSets(judged=judged, calibration=_in_order(pool, first), selection=_in_order(rest, second))


def known_columns(by: Sequence[str], judged: Catalog) -> tuple[str, ...]:
    """The conditions of which the source says anything, and the height of the lights."""
    known = [
        word
        for word in by
        if any(part not in judged.frames.columns or judged.frames[part].drop_nulls().len() for part in word.split("*"))
    ]
    return (*known, *([] if SIZE_COLUMN in known else [SIZE_COLUMN]))


def _of_camera(part: Catalog, detector: OnnxDetector, name: str, option: str) -> Catalog:
    """The labelled frames of the size that the file takes."""
    truth = ground_truth_from_catalog(part, detector.label_space)
    labelled = part.filter(pl.col("frame_id").is_in(list(truth.frame_ids)))
    size = detector.session.contract.frame_size
    found = labelled if size is None else of_size(labelled, size)
    if not len(found):
        asked = "" if size is None else f" of {size[0]}x{size[1]} px, which alone the file takes,"
        raise DataError(f"{name}: no labelled frame{asked} among its {len(part)}; choose another split with {option}")
    if len(found) < len(labelled):
        logger.warning(
            "%s: %d frames of other sizes than the file takes are left out", name, len(labelled) - len(found)
        )
    return found


def _in_order(catalog: Catalog, rows: Sequence[int]) -> Catalog:
    return Catalog(catalog.frames[list(rows)], catalog.annotations.filter(
        pl.col("frame_id").is_in(catalog.frames["frame_id"][list(rows)].to_list())
    ), catalog.roots)  # fmt: skip
