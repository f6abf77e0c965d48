"""Lamps with every kind of error, and the split of their errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_space import LabelSpace, Rule
from tl_datasets.taxonomy import State
from tl_detection.detector import Detections
from tl_detection.evaluation.error_split.kinds import order_by_score, tell_kinds
from tl_detection.evaluation.error_split.split import ErrorSplit, split_errors
from tl_detection.evaluation.ground_truth import GroundTruth, ground_truth_from_catalog
from tl_detection.evaluation.lights.answers import is_at_work
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.outcomes import tell_outcomes
from tl_detection.evaluation.overlaps import measure_overlaps
from tl_detection.evaluation.replicates import draw_replicates, sequence_numbers
from tl_detection.evaluation.selection import Selection

REPLICATES = 40
LIGHTS = LabelSpace(classes={name: Rule(state=[name]) for name in ("red", "yellow", "green", "off")})


@pytest.fixture(scope="session")
def split() -> Callable[..., ErrorSplit]:
    """`split(truth, detections, operating_scores, select)`; `select` makes a selection of matched records."""

    def run(
        truth: GroundTruth,
        detections: Sequence[Detections],
        operating_scores: Sequence[float] = (0.0,) * 4,
        select: Callable[..., Selection] | None = None,
    ) -> ErrorSplit:
        matched = match(truth, detections)
        overlaps, order = measure_overlaps(matched), order_by_score(matched)
        whole = Selection.of_frames(matched, np.ones(len(truth), np.bool_))
        selection = whole if select is None else select(matched, whole)
        return split_errors(
            matched,
            tell_outcomes(matched, overlaps, selection),
            selection,
            tell_kinds(matched, overlaps, order),
            tell_kinds(matched, overlaps, order, is_at_work(matched, operating_scores)),
            draw_replicates(sequence_numbers(truth), selection.frames, replicates=REPLICATES),
        )

    return run


@pytest.fixture(scope="session")
def drawn_problem() -> Callable[[int], tuple[GroundTruth, list[Detections]]]:
    """A seeded problem without ignore areas and without equal scores."""
    return draw_problem


def draw_problem(seed: int) -> tuple[GroundTruth, list[Detections]]:
    """Lamps in 30 frames, and detections near and away from them; `ask_tidecv.py` draws it, too."""
    rng = np.random.default_rng(seed)
    frames, detections = [], []
    for index in range(30):
        n = int(rng.integers(0, 8))
        size = np.exp(rng.uniform(np.log(8), np.log(60), (n, 2)))
        corner = rng.uniform(0, 300, (n, 2))
        xyxy, state = np.concatenate([corner, corner + size], axis=1), rng.integers(0, 4, n)
        frames.append(
            Frame(
                frame_id=f"f{index:03}",
                path=f"{index}.png",
                width_px=640,
                height_px=480,
                annotations=tuple(
                    Annotation(xyxy=tuple(box), state=State(LIGHTS.names[each]))
                    for box, each in zip(xyxy.tolist(), state, strict=True)
                ),
            )
        )
        times = rng.integers(0, 4, n)
        near = np.repeat(xyxy, times, axis=0)
        near = near + rng.normal(0, 0.15, near.shape) * np.tile(near[:, 2:] - near[:, :2], 2)
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        same = np.repeat(state, times)
        near_class = np.where(rng.random(len(near)) < 0.7, same, rng.integers(0, 4, len(near)))
        corner = rng.uniform(0, 300, (4, 2))
        away = np.concatenate([corner, corner + rng.uniform(8, 40, (4, 2))], axis=1)
        detections.append(
            Detections(
                xyxy=np.concatenate([near, away]),
                score=np.concatenate([rng.random(len(near)), rng.random(4) * 0.7]),
                class_id=np.concatenate([near_class, rng.integers(0, 4, 4)]),
            )
        )
    catalog = Catalog.from_frames(frames, source="drawn", root=Path("/nowhere"))
    return ground_truth_from_catalog(catalog, LIGHTS), detections
