"""Frames with lamps, and what a detector says of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_space import LabelSpace
from tl_datasets.taxonomy import State
from tl_detection.evaluation.ground_truth import ground_truth_from_catalog
from tl_detection.evaluation.lights.answers import Answers, read_answers
from tl_detection.evaluation.lights.scores import LightScores, score_lights
from tl_detection.evaluation.lights.traits import read_traits
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.overlaps import measure_overlaps
from tl_detection.evaluation.replicates import draw_replicates, sequence_numbers
from tl_detection.evaluation.selection import Selection


@pytest.fixture(scope="session")
def lamp() -> Callable[..., Annotation]:
    """A lamp of a state at x, 10 px wide; further fields by name."""

    def make(state: str | None, x: float, height_px: float = 20, **fields) -> Annotation:
        return Annotation(xyxy=(x, 0, x + 10, height_px), state=None if state is None else State(state), **fields)

    return make


@pytest.fixture(scope="session")
def frame_of() -> Callable[..., Frame]:
    """A frame with lamps."""

    def make(name: str, *lamps: Annotation, **fields) -> Frame:
        return Frame(frame_id=name, path=f"{name}.png", width_px=640, height_px=480, annotations=lamps, **fields)

    return make


@pytest.fixture
def answers_of(lights, catalog_of, detections_of) -> Callable[..., Answers]:
    """What rows (x1, y1, x2, y2, score, class id) of detections, one list per frame, say at operating scores."""

    def run(frames: Sequence[Frame], rows, *, label_space: LabelSpace = lights, operating_scores=None) -> Answers:
        truth = ground_truth_from_catalog(catalog_of(frames), label_space)
        matched = match(truth, [detections_of(item) for item in rows])
        scores = [0.5] * len(truth.names) if operating_scores is None else operating_scores
        return read_answers(matched, measure_overlaps(matched), scores)

    return run


@pytest.fixture
def said_of(answers_of) -> Callable[..., LightScores]:
    """The light scores of all frames, or of those of a mask."""

    def run(frames: Sequence[Frame], rows, *, frame_mask=None, **options) -> LightScores:
        answers = answers_of(frames, rows, **options)
        truth = answers.matched.ground_truth
        mask = np.ones(len(truth), np.bool_) if frame_mask is None else np.asarray(frame_mask)
        selection = Selection.of_frames(answers.matched, mask)
        replicates = draw_replicates(sequence_numbers(truth), mask, replicates=100)
        return score_lights(answers, read_traits(truth), selection, replicates)

    return run
