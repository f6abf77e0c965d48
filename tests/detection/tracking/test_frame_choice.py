"""The frames that are drawn: few that show much, the same ones in every epoch."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from tl_detection.tracking.frame_choice import choose_frames


def test_the_choice_is_the_same_every_time_and_another_with_another_seed(random_scene):
    truth = random_scene(0).evaluation().matched.ground_truth
    first = choose_frames(truth, 6, 3)
    assert len(set(first.tolist())) == 6
    np.testing.assert_array_equal(first, choose_frames(truth, 6, 3))
    assert any(first.tolist() != choose_frames(truth, 6, seed).tolist() for seed in range(4, 9))


@pytest.mark.parametrize("seed", range(5))
def test_few_frames_show_every_class_and_condition(seed, random_scene):
    truth = random_scene(1).evaluation().matched.ground_truth
    chosen = choose_frames(truth, 6, seed)
    shown = {int(c) for c in truth.class_id[np.isin(truth.frame_index, chosen) & ~truth.is_ignored]}
    assert shown == {0, 1, 2}
    for column in ("weather", "time_of_day"):
        assert {truth.conditions[column][frame] for frame in chosen} == set(truth.conditions[column])
    assert len({truth.conditions["sequence"][frame] for frame in chosen}) >= 4


def test_frames_with_lights_come_first(scene):
    # Only the frame without any says what it was recorded in.
    says = pl.col("frame_id") == "empty"
    scene.catalog = scene.catalog.with_frames(
        scene.catalog.frames.with_columns(pl.when(says).then(pl.col("weather", "time_of_day")))
    )
    truth = scene.evaluation().matched.ground_truth
    for seed in range(6):
        chosen = [truth.frame_ids[frame] for frame in choose_frames(truth, 9, seed)]
        assert len(chosen) == 4 and chosen[-1] == "empty"


def test_neighbours_in_one_long_sequence_are_not_both_drawn(random_scene):
    scene = random_scene(3)
    frames = scene.catalog.frames
    scene.catalog = scene.catalog.with_frames(frames.with_columns(sequence=pl.lit("one"), weather=pl.lit("clear")))
    truth = scene.evaluation().matched.ground_truth
    for seed in range(4):
        ranks = np.sort(truth.frame_rank[choose_frames(truth, 5, seed)])
        assert (ranks // 6).tolist() == [0, 1, 2, 3, 4]


def test_the_order_of_the_frames_does_not_matter(random_scene):
    scene = random_scene(2)
    truth = scene.evaluation().matched.ground_truth
    scene.catalog = scene.catalog.with_frames(scene.catalog.frames.reverse())
    other = scene.evaluation().matched.ground_truth
    assert [truth.frame_ids[frame] for frame in choose_frames(truth, 5, 0)] == [
        other.frame_ids[frame] for frame in choose_frames(other, 5, 0)
    ]
