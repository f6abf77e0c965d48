from __future__ import annotations

import pytest

from tl_detection.training.stopping import BestEpoch


@pytest.mark.parametrize(
    ("what", "scores", "best", "epoch"),
    [
        ("the first is the best", [0.1], 0.1, 0),
        ("a higher one replaces it", [0.1, 0.3, 0.2], 0.3, 1),
        ("an equal one does not", [0.3, 0.3], 0.3, 0),
        ("without any score the last one is kept", [None, None, None], None, 2),
        ("a score beats none", [None, 0.0], 0.0, 1),
        ("none does not beat a score", [0.2, None], 0.2, 0),
    ],
)
def test_best(what, scores, best, epoch):
    keeper = BestEpoch(None)
    for number, score in enumerate(scores):
        keeper.update(number, score)
    assert (keeper.score, keeper.epoch) == (best, epoch), what


def test_patience_counts_epochs_since_the_best():
    keeper = BestEpoch(3)
    keeper.update(4, 0.5)
    assert [keeper.is_over(epoch) for epoch in (4, 6, 7, 9)] == [False, False, True, True]


def test_without_patience_never_over():
    keeper = BestEpoch(None)
    keeper.update(0, 0.5)
    assert not keeper.is_over(10_000)


def test_less_may_be_better():
    best = BestEpoch(2, is_better=lambda new, old: new < old)
    scores = (0.4, 0.5, 0.1, None)
    assert [best.update(epoch, score) for epoch, score in enumerate(scores)] == [True, False, True, False]
    assert (best.score, best.epoch) == (0.1, 2)
