"""Balance: the factors of LVIS by class and condition, and epochs that keep them on average."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tl_datasets.balance import BalanceConfig, epoch_length, epoch_order, occurrences, repeat_factors
from tl_datasets.errors import DataError
from tl_datasets.index import index
from tl_datasets.label_space import DROP, LabelSpace
from tl_datasets.taxonomy import State, TimeOfDay

STATES = LabelSpace.model_validate({"classes": {state: {"state": state} for state in ("red", "yellow", "green")}})
FACTORS = st.lists(st.floats(0.25, 4), min_size=1, max_size=60).map(np.array)


def factors_of(catalog, **changed):
    settings_ = BalanceConfig.model_validate({"enabled": True, "by": [], **changed})
    return repeat_factors(catalog, *STATES.assign(catalog.annotations), settings_)


def test_the_worked_example_of_the_formula(make_catalog, make_frame):
    """Red in 20 of 20 frames, yellow in 5, green in 1; t = 0.64: sqrt(0.64 / 0.25) = 1.6, sqrt(0.64 / 0.05) = 3.58."""
    states = [(State.RED,)] * 14 + [(State.RED, State.YELLOW, State.YELLOW)] * 5 + [(State.RED, State.GREEN)]
    catalog = make_catalog(*(make_frame(f"n{number}", item) for number, item in enumerate(states)))
    expected = [1.0] * 14 + [1.6] * 5 + [np.sqrt(0.64 / 0.05)]
    assert factors_of(catalog, threshold=0.64) == pytest.approx(expected)
    # A class is common from the threshold on.
    assert factors_of(catalog, threshold=0.25).tolist() == pytest.approx([1.0] * 19 + [np.sqrt(5)])


@pytest.mark.parametrize(("cap", "largest"), [(1, 1.0), (2.5, 2.5), (4, np.sqrt(0.64 / 0.05))])
def test_no_factor_is_above_the_cap(make_catalog, make_frame, cap, largest):
    catalog = make_catalog(
        *(make_frame(f"n{number}", (State.RED,)) for number in range(19)), make_frame("g", (State.GREEN,))
    )
    assert factors_of(catalog, threshold=0.64, cap=cap).max() == pytest.approx(largest)


def test_a_cell_is_a_class_under_a_condition_and_a_frame_has_the_factor_of_its_rarest(make_catalog, make_frame):
    """10 frames, t = 0.9: red by day 8, red by night 2 (of these one with yellow)."""
    frames = [make_frame(f"d{number}", time_of_day=TimeOfDay.DAYTIME) for number in range(8)]
    frames += [make_frame("n0", time_of_day=TimeOfDay.NIGHT)]
    frames += [make_frame("n1", (State.RED, State.YELLOW), time_of_day=TimeOfDay.NIGHT)]
    by_night = factors_of(make_catalog(*frames), threshold=0.9, by=["time_of_day"])
    assert by_night == pytest.approx([np.sqrt(0.9 / 0.8)] * 8 + [np.sqrt(0.9 / 0.2), np.sqrt(0.9 / 0.1)])
    # Without the condition red is everywhere.
    assert factors_of(make_catalog(*frames), threshold=0.9) == pytest.approx([1.0] * 9 + [np.sqrt(0.9 / 0.1)])


def test_a_condition_is_named_once():
    with pytest.raises(ValueError, match=r"\[weather, weather\], expected each condition once"):
        BalanceConfig.model_validate({"enabled": True, "by": ["weather", "weather"]})


@pytest.mark.parametrize("word", [None, TimeOfDay.UNDEFINED])
def test_a_condition_that_nobody_knows_is_no_rare_condition(make_catalog, make_frame, word):
    frames = [make_frame(f"d{number}", time_of_day=TimeOfDay.DAYTIME) for number in range(9)]
    catalog = make_catalog(*frames, make_frame("u", time_of_day=word))
    assert factors_of(catalog, threshold=0.9, by=["time_of_day"]).tolist() == [1.0] * 10


def test_boxes_that_are_not_learned_make_no_cell(make_catalog, make_frame):
    catalog = make_catalog(*(make_frame(f"n{number}") for number in range(9)), make_frame("g", (State.GREEN,)))
    class_id, ignored = STATES.assign(catalog.annotations)
    config = BalanceConfig(enabled=True, threshold=1, by=())
    assert repeat_factors(catalog, class_id, ignored, config)[-1] > 3
    ignored[-1] = True
    assert repeat_factors(catalog, class_id, ignored, config)[-1] == 1
    ignored[-1], class_id[-1] = False, DROP
    assert repeat_factors(catalog, class_id, ignored, config)[-1] == 1


@pytest.mark.parametrize(("share", "factor"), [(None, 1.0), (0.0, 0.0), (0.2, 0.5), (0.5, 2.0), (0.95, 4.0)])
def test_negatives_have_their_share_of_the_epoch_as_far_as_the_cap_allows(make_catalog, make_frame, share, factor):
    frames = [make_frame(f"n{number}") for number in range(8)] + [make_frame(f"e{number}", ()) for number in range(4)]
    found = factors_of(make_catalog(*frames), negatives=share)
    assert found.tolist() == pytest.approx([1.0] * 8 + [factor] * 4)


def test_off_is_one_of_each_in_the_order_that_the_seed_says(make_catalog, make_frame):
    catalog = make_catalog(*(make_frame(f"n{number}") for number in range(30)), make_frame("g", (State.GREEN,)))
    factors = factors_of(catalog, enabled=False)
    assert factors.tolist() == [1.0] * 31
    order = epoch_order(factors, seed=3, epoch=2)
    assert order.tolist() == np.random.default_rng([3, 2]).permutation(31).tolist()
    assert epoch_order(factors, 3, 2, shuffle=False).tolist() == list(range(31))


def test_arrays_of_another_catalog_are_refused(make_catalog, make_frame):
    catalog = make_catalog(make_frame("a"))
    with pytest.raises(ValueError, match="2 classes and 2 flags for 1 boxes"):
        repeat_factors(catalog, np.zeros(2, np.int64), np.zeros(2, bool), BalanceConfig())


@pytest.mark.parametrize("factors", [[], [1, -1], [1, np.nan], [0, 0]])
def test_an_epoch_of_nothing_or_of_nonsense_is_refused(factors):
    with pytest.raises(DataError, match="expected one number of 0 or more per frame"):
        epoch_order(np.array(factors, dtype=float), 0, 0)


@settings(max_examples=60, deadline=None)
@given(FACTORS, st.integers(0, 1000), st.integers(0, 300), st.integers(1, 5))
def test_every_epoch_has_one_length_whole_repeats_and_the_same_samples_for_all_ranks(factors, seed, epoch, world):
    order = epoch_order(factors, seed, epoch)
    times = np.bincount(order, minlength=len(factors))
    assert len(order) == epoch_length(factors) == len(epoch_order(factors, seed, epoch + 1))
    assert ((times >= np.floor(factors)) & (times <= np.ceil(factors))).all() or factors.sum() < 1
    assert np.array_equal(order, epoch_order(factors.copy(), seed, epoch))
    dealt = np.concatenate([epoch_order(factors, seed, epoch)[rank::world] for rank in range(world)])
    assert np.array_equal(np.sort(dealt), epoch_order(factors, seed, epoch, shuffle=False))
    assert set(zip(order.tolist(), occurrences(order).tolist(), strict=True)) == {
        (row, time) for row, count in enumerate(times.tolist()) for time in range(count)
    }


def test_over_many_epochs_each_frame_comes_as_often_as_its_factor_says():
    factors = np.random.default_rng(0).uniform(1, 4, 200).round(2)
    factors[:60] = 1
    epochs = 2000
    total = np.zeros(200)
    for epoch in range(epochs):
        total += np.bincount(epoch_order(factors, 0, epoch), minlength=200)
    times = total / epochs
    # Four standard errors of a share of one half, and the rounding of the length, half a sample among 140.
    assert np.abs(times - factors).max() < 4 * 0.5 / np.sqrt(epochs) + 0.5 / 140
    assert (times[:60] == 1).all()


def test_the_order_changes_with_seed_and_epoch():
    factors = np.full(50, 1.5)
    orders = {tuple(epoch_order(factors, seed, epoch).tolist()) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9


def test_occurrences_count_from_0_in_the_order_of_the_epoch():
    assert occurrences(np.array([4, 1, 4, 4, 1, 0])).tolist() == [0, 0, 1, 2, 1, 0]
    assert occurrences(np.array([], dtype=np.int64)).tolist() == []


def test_on_real_frames_the_rare_state_gains_and_the_common_one_loses(shared_data):
    """DTLD: 5 dark heads among 762, in 5 of 396 frames: factor sqrt(0.2 * 396 / 5) = 3.98; green is in half of them."""
    catalog, _ = index(
        shared_data / "dtld_fridtjofs" / "raw_dataset",
        "yolo",
        labels="annotations",
        names="traffic_light",
        states="../sd_train_data",
    )
    classes = {word: {"state": word} for word in ("red", "green", "off")}
    space = LabelSpace.model_validate({"classes": classes, "otherwise": "drop"})
    class_id, ignored = space.assign(catalog.annotations)
    factors = repeat_factors(catalog, class_id, ignored, BalanceConfig(enabled=True))
    frame = np.repeat(np.arange(len(catalog)), np.diff(catalog.offsets))
    dark, green = frame[class_id == 2], frame[class_id == 1]
    assert factors[dark] == pytest.approx(np.sqrt(0.2 * 396 / len(set(dark.tolist()))))
    shown = np.bincount(epoch_order(factors, 0, 0), minlength=len(catalog))
    assert shown[dark].sum() >= 3 * len(dark) and shown[green].sum() < 1.1 * len(green)
