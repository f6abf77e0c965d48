"""From a detector (or its detections) and a catalog to a `Report`, and from there to files."""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tl_datasets.catalog import CONDITIONS, Catalog
from tl_datasets.errors import DataError
from tl_datasets.images import write_whole
from tl_datasets.label_space import LabelSpace
from tl_datasets.network_size import InputSize
from tl_detection.detector import Detections, Detector
from tl_detection.evaluation.conditions import Slice, slices_by
from tl_detection.evaluation.detection_table import DetectionTable
from tl_detection.evaluation.ground_truth import GroundTruth, ground_truth_from_catalog
from tl_detection.evaluation.matching import Matched, match, match_objects
from tl_detection.evaluation.operating.scores import scores_by_rules
from tl_detection.evaluation.protocol import COCO, CocoProtocol
from tl_detection.evaluation.render import format_console, format_markdown
from tl_detection.evaluation.replicates import sequence_numbers
from tl_detection.evaluation.results import REPORT_FILE, Report, SliceScores
from tl_detection.evaluation.scores import score
from tl_detection.evaluation.selection import Selection
from tl_detection.evaluation.slices import check_slice_names, count_slice, slice_by_expression

logger = logging.getLogger(__name__)

__all__ = ["Progress", "Report", "SliceScores", "collect_detections", "evaluate", "format_console", "write_report"]

# Called with the number of frames done and the number of all frames.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What scoring gave.

    Attributes:
        report: The scores.
        matched: The records behind them, for curves, intervals and other slices.
        slices: What the slices of the report stand for, in their order.
        detections: One per frame of `matched.ground_truth`, in its order.
    """

    report: Report
    matched: Matched
    slices: tuple[Slice, ...]
    detections: list[Detections]


def evaluate(
    source: Detector | Sequence[Detections] | DetectionTable,
    catalog: Catalog,
    label_space: LabelSpace,
    *,
    by: Sequence[str] = CONDITIONS,
    model: Mapping[str, str] | None = None,
    protocol: CocoProtocol = COCO,
    progress: Progress | None = None,
    batch_size: int = 8,
) -> Report:
    """Score a detector or its detections on a catalog, overall and per condition; see `evaluate_whole`."""
    return evaluate_whole(
        source,
        catalog,
        label_space,
        by=by,
        model=model,
        protocol=protocol,
        progress=progress,
        batch_size=batch_size,
    ).report


def evaluate_whole(
    source: Detector | Sequence[Detections] | DetectionTable,
    catalog: Catalog,
    label_space: LabelSpace,
    *,
    by: Sequence[str] = CONDITIONS,
    expressions: Sequence[str] = (),
    input_size: InputSize | None = None,
    rules: Sequence[str] = (),
    operating_scores: Sequence[float] | None = None,
    model: Mapping[str, str] | None = None,
    protocol: CocoProtocol = COCO,
    progress: Progress | None = None,
    batch_size: int = 8,
) -> Evaluation:
    """Score a detector or its detections on a catalog, overall and per condition, and keep the records.

    Args:
        source: A detector, run on the frames that can be scored; or one `Detections` per frame of the catalog, in
            its order; or all of them as a table.
        catalog: The frames, already filtered to the split that is to be scored.
        label_space: The classes to score; a detector must have been trained on the same names.
        by: Columns to slice by (see `slices_by`).
        expressions: Further slices, such as `night & width_px < 12` (see `slice_by_expression`).
        input_size: Of the network, for slices by size in its pixels.
        rules: By which the score of each class is chosen from which a detection counts (see `operating.rules`); empty =
            where F1 is best. A class whose rule no score meets takes that, too, and is named in a warning.
        operating_scores: These scores, per class, instead of a rule, such as those of a vehicle.
        model: What made the detections; None = what the detector says of itself.
        protocol: The rules.
        progress: Called after each batch of images.
        batch_size: Images handed to the detector at a time.

    Raises:
        UsageError: A column to slice by is unknown, a rule or expression cannot be read, or two slices have one
                name.
        DataError: No frame can be scored, or the detections do not fit the frames or classes.
        ImageError: An image cannot be read, or has another size than the catalog says.
    """
    truth = ground_truth_from_catalog(catalog, label_space)
    _require_frames(truth, catalog)
    slices = slices_by(truth, by, input_size=input_size)
    slices += [slice_by_expression(truth, text, input_size=input_size) for text in expressions]
    check_slice_names(slices)
    detections = _detections_of(source, catalog, truth, progress, batch_size)
    matched = match(truth, detections, protocol)
    if rules:
        operating_scores = scores_by_rules(matched, rules)
    overall = score(matched, None, operating_scores)
    sequence = sequence_numbers(truth)
    if not overall.objects:
        logger.warning("%d frames hold no object of the label space: there is no score, only phantoms", len(truth))
    report = Report(
        overall=overall,
        is_small=_is_small(matched, Selection.of_frames(matched, np.ones(len(truth), np.bool_)), sequence),
        sequences=len(np.unique(sequence)),
        slices=tuple(_score_slice(matched, item, sequence, overall.operating_scores) for item in slices),
        by=tuple(by),
        protocol=protocol,
        class_names=label_space.names,
        label_space=label_space.model_dump(mode="json"),
        label_space_fingerprint=label_space.fingerprint,
        catalog_fingerprint=catalog.fingerprint,
        input_size=None if input_size is None else str(input_size),
        model=dict(model if model is not None else getattr(source, "description", {})),
        frames_unlabelled=truth.frames_unlabelled,
        frames_partial=truth.frames_partial,
        software=_software(),
    )
    by_frame = detections.by_frame(len(truth)) if isinstance(detections, DetectionTable) else detections
    return Evaluation(report=report, matched=matched, slices=tuple(slices), detections=by_frame)


def write_report(report: Report, out_dir: Path | str) -> list[Path]:
    """Write report.json and report.md into a folder, which is made where it is missing; each file appears whole.

    Returns:
        The files written.

    Raises:
        DataError: The folder cannot be made or written to.
    """
    out_dir = Path(out_dir)
    contents = {
        REPORT_FILE: json.dumps(report.to_dict(), separators=(",", ":"), allow_nan=False) + "\n",
        "report.md": format_markdown(report),
    }
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        for name, text in contents.items():
            write_whole(out_dir / name, text)
    except OSError as error:
        raise DataError(f"{out_dir}: cannot write the report ({error.strerror}); choose another --out") from error
    return [out_dir / name for name in contents]


def collect_detections(
    detector: Detector,
    catalog: Catalog,
    progress: Progress | None = None,
    *,
    rows: NDArray[np.int64] | None = None,
    batch_size: int = 8,
) -> list[Detections]:
    """Run a detector over the images of a catalog.

    Args:
        detector: Takes RGB images.
        catalog: The frames.
        progress: Called after each batch with (frames done, frames in all).
        rows: Rows of the catalog to run on; None = all.
        batch_size: Images in memory and handed over at a time.

    Returns:
        One result per row.

    Raises:
        ImageError: An image cannot be read, or has another size than the catalog says.
        DataError: The detector gives another number of results than images.
    """
    rows = np.arange(len(catalog)) if rows is None else rows
    detections: list[Detections] = []
    for start in range(0, len(rows), batch_size):
        batch = [int(row) for row in rows[start : start + batch_size]]
        images = [catalog.read_rgb(row) for row in batch]
        found = detector.detect(images)
        if len(found) != len(images):
            raise DataError(f"detector: {len(found)} results for {len(images)} images; expected one per image")
        detections.extend(found)
        if progress is not None:
            progress(len(detections), len(rows))
    return detections


def _detections_of(
    source: Detector | Sequence[Detections] | DetectionTable,
    catalog: Catalog,
    truth: GroundTruth,
    progress: Progress | None,
    batch_size: int,
) -> list[Detections] | DetectionTable:
    if isinstance(source, DetectionTable):
        return source.of_frames(truth.rows, len(catalog))
    if isinstance(source, Sequence):
        if len(source) != len(catalog):
            raise DataError(
                f"evaluation: {len(source)} results for the {len(catalog)} frames of the catalog; "
                "expected one per frame"
            )
        return [source[row] for row in truth.rows]
    if source.label_space.names != truth.names:
        raise DataError(
            f"evaluation: the detector knows the classes {', '.join(source.label_space.names)}, the label space has "
            f"{', '.join(truth.names)}; score with the label space that it was trained on"
        )
    return collect_detections(source, catalog, progress, rows=truth.rows, batch_size=batch_size)


def _require_frames(truth: GroundTruth, catalog: Catalog) -> None:
    if len(truth):
        return
    if not len(catalog):
        raise DataError("evaluation: the catalog has no frame; is the split right? `tl summary CATALOG` lists them")
    raise DataError(
        f"evaluation: none of the {len(catalog)} frames can be scored ({truth.frames_unlabelled} unlabelled, "
        f"{truth.frames_partial} without labels of a class's category); choose another split or label space"
    )


def _score_slice(
    matched: Matched, item: Slice, sequence: NDArray[np.int64], operating_scores: Sequence[float]
) -> SliceScores:
    selection = item.select(matched)
    records = matched if item.of_objects is None else match_objects(matched, selection.objects, selection.detections)
    return SliceScores(
        name=item.name,
        column=item.column,
        value=item.value,
        is_small=_is_small(matched, selection, sequence),
        sequences=len(np.unique(sequence[item.frame_mask])),
        scores=score(records, item.frame_mask, operating_scores),
    )


def _is_small(matched: Matched, selection: Selection, sequence: NDArray[np.int64]) -> bool:
    least = matched.protocol.small_slice_objects
    counts = count_slice(matched.ground_truth, selection, least_objects=least, sequence_number=sequence)
    return counts.too_small is not None


def _software() -> dict[str, str]:
    try:
        own = version("tl-perception")
    except PackageNotFoundError:
        own = "unknown"
    return {"tl-perception": own, "numpy": np.__version__, "python": platform.python_version()}
