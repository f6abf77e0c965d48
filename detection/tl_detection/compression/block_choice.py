"""The choice of the blocks that stay in float, on frames that neither calibrated nor judge."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from tl_datasets.catalog import Catalog
from tl_detection.compression.agreement import disagreement
from tl_detection.compression.judge import Limits, compare_evaluations, judge, worst_excess
from tl_detection.compression.sensitivity import Sensitivity, Step, keep_until, measure_sensitivities
from tl_detection.compression.trials import Trials, opened
from tl_detection.detector import Image
from tl_detection.detectors.onnx import OnnxDetector
from tl_detection.evaluation.report import Evaluation, collect_detections, evaluate_whole

logger = logging.getLogger(__name__)

# Of the limit of the judgement, whose frames are others.
SELECTION_SHARE = 0.5
_REPLICATES = 100

# Gives for the name of a task, and what is counted, a function that is called with what is done and what there is.
Show = Callable[..., AbstractContextManager[Callable[..., None]]]


def choose_blocks(
    trials: Trials,
    always: Sequence[str],
    selection: Catalog,
    few: Sequence[Image],
    by: Sequence[str],
    limits: Limits,
    seed: int,
    show: Show,
) -> tuple[tuple[Step, ...], tuple[Sensitivity, ...]]:
    """Which blocks stay in float; sensitivities are measured where it is not enough to keep those asked for."""
    with opened(trials.model) as detector:
        before = evaluate_file(detector, selection, by, detector.operating_scores, show, "choose: float")
    scores = before.report.overall.operating_scores

    ranked: list[Sensitivity] = []
    stricter = replace(limits, max_drop=limits.max_drop * SELECTION_SHARE, surely=False)

    def rank() -> list[str]:
        with show("sensitivity", "blocks") as told:
            ranked.extend(measure_sensitivities(trials, few, told, without=always))
        return [item.block for item in ranked]

    def attempt(kept: tuple[str, ...]) -> Step:
        with opened(trials.write(kept)) as detector:
            after = evaluate_file(detector, selection, by, scores, show, f"choose: {len(kept)} blocks in float")
        found = compare_evaluations(before, after, replicates=_REPLICATES, seed=seed)
        excess, where = worst_excess(judge(before, found, stricter))
        pairs = zip(before.detections, after.detections, strict=True)
        step = Step(kept=kept, disagreement=disagreement(pairs), excess=excess, where=where)
        worst = f"{where} {excess:.4f} beyond its limit" if excess > 0 else "nothing beyond its limit"
        logger.info("%d blocks in float: disagreement %.4f, %s", len(kept), step.disagreement, worst)
        return step

    return keep_until(rank, always, attempt, limits.max_disagreement), tuple(ranked)


def evaluate_file(
    detector: OnnxDetector,
    catalog: Catalog,
    by: Sequence[str],
    operating_scores: Sequence[float] | None,
    show: Show,
    task: str,
) -> Evaluation:
    """Score a file on frames, telling of progress under the name of a task."""
    with show(task) as told:
        detections = collect_detections(detector, catalog, progress=told)
    return evaluate_whole(
        detections,
        catalog,
        detector.label_space,
        by=by,
        operating_scores=operating_scores,
        model=detector.description,
    )
