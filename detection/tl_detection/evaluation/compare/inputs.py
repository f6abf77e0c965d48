"""Opens evaluations that are to be compared, and makes sure that they speak of the same thing."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError, UsageError, show
from tl_detection.evaluation.compare.differences import Scored
from tl_detection.evaluation.evaluation_folder import EvaluationFolder
from tl_detection.evaluation.ground_truth import GroundTruth, ground_truth_from_catalog
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.same_protocol import is_sliced_by_network_size, require_same_rules, rules_of_report
from tl_detection.evaluation.scores import score

logger = logging.getLogger(__name__)

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Scores are computed anew from predictions.json; further from those of report.json the two do not belong together.
_NEAR = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Evaluations of the same frames.

    Attributes:
        folders: At least two, the one that the others are compared with first.
        scored: The same, matched anew.
        catalog: The frames.
        truth: What of them can be scored.
        warnings: In what they were not scored alike; empty unless that was allowed.
    """

    folders: tuple[EvaluationFolder, ...]
    scored: tuple[Scored, ...]
    catalog: Catalog
    truth: GroundTruth
    warnings: tuple[str, ...]


def open_compared(
    paths: Sequence[Path], catalog_path: Path | None = None, *, allow_different_protocol: bool = False
) -> Compared:
    """Open evaluations and match their predictions with the labels of one catalog.

    Args:
        paths: Folders that `tl evaluate` wrote.
        catalog_path: The catalog; None = as the first report names it.
        allow_different_protocol: Compare all the same: by the rules and label space of the first, on the frames that
            all of them scored.

    Raises:
        UsageError: There are fewer than two or too many, one is named twice, or no catalog is known.
        DataError: One cannot be used, or they were not scored alike.
    """
    _check_paths(paths)
    folders = tuple(EvaluationFolder.open(path) for path in paths)
    first = folders[0]
    warnings: list[str] = []
    for letter, other in zip(LETTERS[1:], folders[1:], strict=False):
        if other.report.class_names != first.report.class_names:
            raise DataError(
                f"{first.path} and {other.path}: class_names are {show(first.report.class_names)} and "
                f"{show(other.report.class_names)}; detectors of other classes cannot be compared"
            )
        by_network = is_sliced_by_network_size(first.report, other.report)
        differences = require_same_rules(
            (f"{first.path}", rules_of_report(first.report, input_size=by_network)),
            (f"{other.path}", rules_of_report(other.report, input_size=by_network)),
            allow=allow_different_protocol,
        )
        warnings += [f"A and {letter}: {item}" for item in differences]
    whole, part = _open_catalog(first, catalog_path)
    stale = [folder for folder in folders if folder.report.catalog_fingerprint != part.fingerprint]
    if stale and not allow_different_protocol:
        raise DataError(
            f"the frames have the fingerprint {part.fingerprint}, those of {stale[0].path} had "
            f"{stale[0].report.catalog_fingerprint}: the catalog has changed since; give the one that was scored with "
            "--catalog, score again, or go on all the same with --allow-different-protocol"
        )
    if stale:
        part = _common_frames(folders, whole)
        warnings.append(f"frames: {len(part)} that all of them scored and that the catalog holds, with its labels")
    truth = ground_truth_from_catalog(part, first.label_space)
    scored = tuple(
        _score(letter, folder, part, whole, truth, warn=not warnings)
        for letter, folder in zip(LETTERS, folders, strict=False)
    )
    return Compared(folders=folders, scored=scored, catalog=part, truth=truth, warnings=tuple(warnings))


def _check_paths(paths: Sequence[Path]) -> None:
    if len(paths) < 2:
        raise UsageError("one evaluation alone; expected two or more folders that tl evaluate wrote")
    if len(paths) > len(LETTERS):
        raise UsageError(f"{len(paths)} evaluations; expected at most {len(LETTERS)}")
    places = [(path.parent if path.is_file() else path).resolve() for path in paths]
    repeated = next((path for path, place in zip(paths, places, strict=True) if places.count(place) > 1), None)
    if repeated is not None:
        raise UsageError(f"{repeated}: named twice; name each evaluation once")


def _open_catalog(first: EvaluationFolder, path: Path | None) -> tuple[Catalog, Catalog]:
    """The catalog, and the part of it that was scored."""
    part = first.report.catalog
    if path is None:
        if part is None:
            raise UsageError(f"{first.path}: its report names no catalog; give it with --catalog")
        path = Path(part.path)
        if not path.is_dir():
            raise DataError(f"{first.path}: its catalog {path} is not there, seen from {Path.cwd()}; give --catalog")
    whole = Catalog.open(path)
    chosen = whole
    if part is not None and part.split is not None:
        chosen = chosen.filter(pl.col("split") == part.split)
    if part is not None and part.where is not None:
        chosen = chosen.filter(part.where)
    return whole, chosen


def _common_frames(folders: Sequence[EvaluationFolder], whole: Catalog) -> Catalog:
    ids = set(whole.frames["frame_id"])
    for folder in folders:
        ids &= set(folder.frames()["frame_id"])
    if not ids:
        raise DataError(f"{folders[0].path} and the others have no frame of the catalog in common; nothing to compare")
    return whole.filter(pl.col("frame_id").is_in(sorted(ids)))


def _score(
    letter: str, folder: EvaluationFolder, part: Catalog, whole: Catalog, truth: GroundTruth, *, warn: bool
) -> Scored:
    found = folder.detections(part, whole)
    matched = match(truth, found.of_frames(truth.rows, len(part)))
    scores = folder.report.overall.operating_scores
    now, before = score(matched, None, scores).ap, folder.report.overall.ap
    if warn and now is not None and before is not None and abs(now - before) > _NEAR:
        logger.warning(
            "%s: its predictions give AP %.3f, its report says %.3f; was one of the files replaced?",
            folder.path,
            now,
            before,
        )
    return Scored(letter=letter, matched=matched, operating_scores=scores)
