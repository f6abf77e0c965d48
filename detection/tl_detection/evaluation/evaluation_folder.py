"""The folder that `tl evaluate` writes: what a later comparison needs, written and opened again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from tl_datasets.catalog import Catalog, write_table
from tl_datasets.errors import DataError
from tl_datasets.label_space import LabelSpace
from tl_detection.detector import Detections
from tl_detection.evaluation.detection_table import DetectionTable
from tl_detection.evaluation.frame_table import FRAME_TABLE_SCHEMA, frame_table
from tl_detection.evaluation.lights.answers import Answers
from tl_detection.evaluation.operating.thresholds_out import thresholds_of_points
from tl_detection.evaluation.predictions import read_prediction_table, write_predictions
from tl_detection.evaluation.replicates import draw_replicates, sequence_numbers
from tl_detection.evaluation.report import Evaluation, write_report
from tl_detection.evaluation.report_file import read_report
from tl_detection.evaluation.results import FRAMES_FILE, PREDICTIONS_FILE, THRESHOLDS_FILE, Report
from tl_detection.evaluation.selection import Selection
from tl_detection.thresholds import write_thresholds


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationFolder:
    """An evaluation as it lies on disk.

    Attributes:
        path: The folder.
        report: Its report.
    """

    path: Path
    report: Report

    @staticmethod
    def open(path: Path | str) -> EvaluationFolder:
        """Open the folder, given itself or its report.json.

        Raises:
            DataError: There is no report, or it cannot be used.
        """
        path = Path(path)
        report = read_report(path)
        return EvaluationFolder(path=path if path.is_dir() else path.parent, report=report)

    @property
    def label_space(self) -> LabelSpace:
        """The classes and rules that it was scored by."""
        return LabelSpace.model_validate(self.report.label_space)

    def frames(self) -> pl.DataFrame:
        """The frames that were scored, see `frame_table`.

        Raises:
            DataError: The table is missing or cannot be used.
        """
        file = self.path / FRAMES_FILE
        try:
            table = pl.read_parquet(file)
            return table.select(pl.col(name).cast(kind) for name, kind in FRAME_TABLE_SCHEMA.items())
        except (OSError, pl.exceptions.PolarsError) as error:
            raise DataError(
                f"{file}: cannot be read ({str(error).splitlines()[0]}); expected the frames that were scored: score "
                "again with: tl evaluate"
            ) from error

    def detections(self, catalog: Catalog, whole: Catalog | None = None) -> DetectionTable:
        """What was detected in the frames of a catalog.

        Args:
            catalog: The frames to read for.
            whole: The catalog before it was filtered; None = `catalog` is all of it.

        Raises:
            AnnotationError: The predictions are missing or do not fit the frames or classes.
        """
        return read_prediction_table(self.path / PREDICTIONS_FILE, catalog, self.label_space, whole=whole)


def write_evaluation(
    evaluation: Evaluation,
    answers: Answers,
    catalog: Catalog,
    label_space: LabelSpace,
    detections: Sequence[Detections] | DetectionTable,
    out: Path,
    *,
    replicates: int,
    seed: int,
) -> None:
    """Write report, predictions, frames and thresholds into a folder; each file appears whole.

    Args:
        evaluation: What was scored; its report is complete.
        answers: At its operating scores.
        catalog: The frames that were given, those that cannot be scored among them.
        label_space: The classes.
        detections: One per frame of `catalog`, or all of them as a table.
        out: Made where it is missing.
        replicates: Of the intervals in the thresholds file.
        seed: Of their draw.

    Raises:
        DataError: The folder cannot be made or written to.
    """
    report, matched = evaluation.report, evaluation.matched
    truth = matched.ground_truth
    write_report(report, out)
    write_predictions(out / PREDICTIONS_FILE, catalog, label_space, detections)
    write_table(frame_table(truth), out / FRAMES_FILE)
    if report.operating_points:
        thresholds = thresholds_of_points(
            report.operating_points,
            matched,
            answers.overlaps,
            Selection.of_frames(matched, np.ones(len(truth), np.bool_)),
            draw_replicates(sequence_numbers(truth), replicates=replicates, seed=seed),
            catalog_fingerprint=report.catalog_fingerprint,
            label_space_fingerprint=report.label_space_fingerprint,
            model=report.model,
        )
        write_thresholds(thresholds, out / THRESHOLDS_FILE)
