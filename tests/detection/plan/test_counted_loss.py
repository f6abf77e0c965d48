"""Counting on real samples, and the interval of what was counted."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.torch_dataset import labelled_frames
from tl_detection.plan.counted_loss import CountedLoss, count_loss, share_interval
from tl_detection.training.data import training_samples


def test_independent_boxes_have_wilsons_interval():
    low, high = share_interval([(1, 1)] * 10 + [(0, 1)] * 90)
    # Wilson's interval of 10 of 100, from a table.
    assert (low, high) == pytest.approx((0.0552, 0.1744), abs=2e-4)


def test_boxes_that_vanish_together_count_as_few():
    apart = share_interval([(1, 10)] * 100)
    together = share_interval([(10, 10)] * 10 + [(0, 10)] * 90)
    assert apart[0] < 0.1 < apart[1] and together[0] < 0.1 < together[1]
    assert together[1] - together[0] > 2.5 * (apart[1] - apart[0])


def test_the_interval_holds_the_truth_about_19_times_in_20():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        together = rng.random(60) < 0.2
        pairs = [(5 * int(gone), 5) for gone in together]
        low, high = share_interval(pairs)
        held += low <= 0.2 <= high
    assert 0.92 <= held / 400 <= 0.985


def test_no_box_says_nothing():
    assert share_interval([]) == (0.0, 1.0) == share_interval([(0, 0)])
    nothing = CountedLoss(samples=3, boxes=0, vanished=0, interval=(0.0, 1.0), broken=())
    assert nothing.share is None and not nothing.contradicts(0.5)


@pytest.mark.parametrize(("predicted", "is_far"), [(0.10, False), (0.125, False), (0.14, True), (0.03, True)])
def test_contradiction(predicted, is_far):
    counted = CountedLoss(samples=100, boxes=1000, vanished=100, interval=(0.08, 0.12), broken=())
    assert counted.contradicts(predicted) == is_far


def test_broken_images_are_counted(tmp_path, run_over):
    config = run_over([[(100, 100, 120, 140)]] * 8, augment={"mosaic": 0, "crop": 0, "transforms": []})
    for number in range(8):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.zeros((360, 640, 3), np.uint8))
    (tmp_path / "2.png").write_bytes(b"no image")
    frames = labelled_frames(Catalog.open(config.data.catalog), config.data.label_space)
    counted = count_loss(training_samples(config, frames), 100)
    assert counted.samples == 7 and len(counted.broken) == 1 and "2.png" in counted.broken[0]
    assert math.isclose(counted.boxes, 7)
