"""Every interval at once is the interval that is asked for alone."""

from __future__ import annotations

import pytest

from tl_detection.evaluation.all_intervals import intervals_of
from tl_detection.evaluation.intervals import interval
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.measures import NAMES, Measure
from tl_detection.evaluation.replicates import draw_replicates, sequence_numbers
from tl_detection.evaluation.scores import score


@pytest.mark.parametrize("seed", [1, 2])
def test_every_interval_is_that_of_its_measure(random_problem, seed):
    problem = random_problem(seed)
    matched = match(problem.ground_truth, problem.detections)
    scores = score(matched).operating_scores
    drawn = draw_replicates(sequence_numbers(problem.ground_truth), replicates=50)
    found = intervals_of(matched, drawn, scores)
    words = [*NAMES, *(f"{name}:{each}" for name in NAMES for each in problem.label_space.names)]
    assert len(found) > 20 and set(found) <= set(words)
    for word in words:
        if word.startswith("red_as_green:"):
            continue
        measure = Measure.parse(word)
        class_id = measure.class_id(problem.label_space.names)
        alone = interval(matched, drawn, measure.name, class_id=class_id, operating_scores=scores)
        if alone is None:
            assert word not in found
        else:
            assert (found[word].low, found[word].high) == pytest.approx((alone.low, alone.high), rel=1e-12)
            assert (found[word].sequences, found[word].replicates) == (alone.sequences, alone.replicates)
