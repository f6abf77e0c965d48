"""Which mistakes the gallery shows, and which of them are the worst."""

from __future__ import annotations

import numpy as np
import pytest

from tl_datasets.frame import Annotation, Frame
from tl_datasets.taxonomy import State
from tl_detection.evaluation.ground_truth import ground_truth_from_catalog
from tl_detection.evaluation.lights.answers import read_answers
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.overlaps import measure_overlaps
from tl_detection.evaluation.page.mistakes import (
    GREEN_AS_RED,
    MISSED,
    PHANTOM,
    RED_AS_GREEN,
    Mistakes,
    choose_cases,
    find_mistakes,
)

RED, YELLOW, GREEN = 0, 1, 2
BOX = (100.0, 100.0, 110.0, 120.0)
ELSEWHERE = (300.0, 100.0, 310.0, 120.0)


@pytest.fixture
def mistakes_of(lights, catalog_of, detections_of):
    """Mistakes in frames given as (boxes with states, rows of detections), at an operating score of 0.5."""

    def find(frames, reverse: bool = False):
        numbered = list(enumerate(frames))
        if reverse:
            numbered.reverse()
        catalog = catalog_of(
            [
                Frame(
                    frame_id=f"frame {index}",
                    path=f"{index}.png",
                    width_px=640,
                    height_px=480,
                    annotations=tuple(Annotation(xyxy=box, state=state) for box, state in boxes),
                )
                for index, (boxes, _) in numbered
            ]
        )
        truth = ground_truth_from_catalog(catalog, lights)
        matched = match(truth, [detections_of(rows) for _, (_, rows) in numbered])
        found = find_mistakes(read_answers(matched, measure_overlaps(matched), [0.5] * 4))
        ids = {kind: [truth.frame_ids[frame] for frame in mistakes.frame_index] for kind, mistakes in found.items()}
        return {kind: names for kind, names in ids.items() if names}

    return find


@pytest.mark.parametrize(
    ("boxes", "rows", "expected"),
    [
        ([(BOX, State.RED)], [(*BOX, 0.9, RED)], []),
        ([(BOX, State.RED)], [(*BOX, 0.9, GREEN)], [RED_AS_GREEN]),
        ([(BOX, State.RED)], [(*BOX, 0.9, GREEN), (*BOX, 0.95, RED)], []),
        ([(BOX, State.GREEN)], [(*BOX, 0.9, RED)], [GREEN_AS_RED]),
        ([(BOX, State.YELLOW)], [(*BOX, 0.9, GREEN)], []),
        ([(BOX, State.RED)], [(*BOX, 0.4, RED)], [MISSED]),
        ([(BOX, State.RED)], [], [MISSED]),
        ([(BOX, State.UNKNOWN)], [], []),
        ([], [(*ELSEWHERE, 0.9, RED)], [PHANTOM]),
        ([], [(*ELSEWHERE, 0.4, RED)], []),
        ([(BOX, State.UNKNOWN)], [(*BOX, 0.9, RED)], []),
        ([(BOX, State.RED)], [(104.0, 100.0, 114.0, 120.0, 0.9, RED)], [MISSED]),
        ([], [], []),
    ],
    ids=[
        "right",
        "red as green",
        "red as green, but red is said louder",
        "green as red",
        "yellow as green is none of these",
        "said too quietly",
        "nothing said",
        "an ignore area is not missed",
        "a light where nothing is",
        "a quiet one",
        "on an ignore area",
        "a badly placed box is no phantom",
        "an empty frame",
    ],
)
def test_kinds(mistakes_of, boxes, rows, expected):
    assert list(mistakes_of([(boxes, rows)])) == expected


def test_the_worst_come_first_whatever_the_order_of_frames(mistakes_of):
    tall = (100.0, 100.0, 110.0, 140.0)
    frames = [
        ([(BOX, State.RED)], [(*BOX, 0.6, GREEN)]),
        ([(tall, State.RED)], [(*tall, 0.6, GREEN)]),
        ([(BOX, State.RED)], [(*BOX, 0.9, GREEN)]),
        ([(BOX, State.RED)], [(*BOX, 0.6, GREEN)]),
        ([(BOX, State.RED)], []),
        ([(tall, State.RED)], []),
        ([], [(*BOX, 0.6, RED)]),
        ([], [(*BOX, 0.8, RED)]),
    ]
    found = mistakes_of(frames)
    assert found == {
        RED_AS_GREEN: ["frame 1", "frame 2", "frame 0", "frame 3"],
        PHANTOM: ["frame 7", "frame 6"],
        MISSED: ["frame 5", "frame 4"],
    }
    assert mistakes_of(frames, reverse=True) == found


def test_no_sequence_fills_the_gallery_while_others_wait():
    frames = np.array([0, 0, 0, 1, 2], np.int64)
    mistakes = Mistakes(frame_index=frames, object_index=frames, detection=frames)
    number = np.array([0, 1, 1], np.int64)
    assert choose_cases(mistakes, number, 3, 2).tolist() == [0, 1, 3]
    assert choose_cases(mistakes, number, 4, 1).tolist() == [0, 1, 2, 3]
    assert choose_cases(mistakes, number, 9, 2).tolist() == [0, 1, 2, 3, 4]
    assert choose_cases(mistakes, number, 0, 2).tolist() == []
