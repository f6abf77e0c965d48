"""What lamps become, counted."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import polars as pl
import pytest

from tl_datasets.augment.steps import Step, one_of
from tl_datasets.errors import ConfigError
from tl_datasets.label_space import LabelSpace
from tl_datasets.lint.labels import Labels
from tl_datasets.lint.survival import WHOLE, confusion, measure, measured_steps, survival, wilson
from tl_datasets.taxonomy import State

ALL = Labels.of(None)


def grey(image, rng):
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def green_for_red(image, rng):
    return np.ascontiguousarray(image[:, :, [1, 0, 2]])


def same(image, rng):
    return image


def measured(steps, lamps, labels=ALL, draws=2, seed=0):
    return measure(steps, lamps.lamps, labels, red_yellow_deg=lamps.red_yellow_deg, draws=draws, seed=seed)


def rates(outcomes, step):
    return {row["state"]: row for row in survival(outcomes).filter(pl.col("step") == step).iter_rows(named=True)}


def test_a_step_that_does_nothing_keeps_all(drawn, make_step):
    outcomes, examples = measured([make_step("Same", same)], drawn)
    assert len(outcomes) == 48 * 2 and not examples
    for row in rates(outcomes, "Same").values():
        assert (row["kept"], row["other"], row["unread"], row["lamps"], row["readings"]) == (1, 0, 0, 12, 24)
        assert row["kept_low"] == pytest.approx(0.757, abs=1e-3), "twelve lamps, however many draws"


def test_the_probability_is_that_of_the_configuration(drawn, make_step):
    outcomes, _ = measured([make_step("Grey", grey, 0.25)], drawn)
    for row in rates(outcomes, "Grey").values():
        assert (row["kept_applied"], row["unread_applied"]) == (0, 1)
        assert (row["kept"], row["unread"], row["other"]) == (0.75, 0.25, 0)


def test_confusion_and_examples(drawn, make_step):
    outcomes, examples = measured([make_step("Swap", green_for_red), make_step("Grey", grey, 0.0)], drawn)
    counts = {(row["step"], row["state"], row["after"]): row["readings"] for row in confusion(outcomes).to_dicts()}
    assert counts["Swap", "red", "green"] >= 22
    assert counts["Grey", "red", None] == 12, "one draw, since it is never applied"
    assert sum(counts.values()) == 5 * 48
    swapped = [example for example in examples if example.step == "Swap" and example.state is State.RED]
    assert 0 < len(swapped) <= 8 and swapped[0].after is State.GREEN, "the wrong ones come first"
    assert (green_for_red(swapped[0].before_rgb, None) == swapped[0].after_rgb).all()
    assert (WHOLE, "red", "green") in counts, "the step with p 0 does nothing in the whole"


def test_the_whole_runs_every_step_with_its_probability(drawn, make_step):
    """Red becomes green in the first step; in a quarter of the draws the second one takes all colour away."""
    outcomes, _ = measured([make_step("Swap", green_for_red), make_step("Grey", grey, 0.25)], drawn, draws=8)
    row = rates(outcomes, WHOLE)["red"]
    assert row["unread"] == pytest.approx(0.25, abs=0.13) and row["p"] == 1
    assert row["other"] == pytest.approx(0.75, abs=0.15)


def test_classes_of_several_states(drawn, make_step):
    """A red lamp that looks yellow is still a light to stop at; one that looks green is not."""
    space = LabelSpace.model_validate(
        {"classes": {"stop": {"state": ["red", "yellow", "red_yellow"]}, "go": {"state": "green"}}}
    )
    labels = Labels.of(space)

    def warmer(image, rng):
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(int)
        hsv[..., 0] = (hsv[..., 0] + 15) % 180
        return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)

    steps = [make_step("Warmer", warmer), make_step("Swap", green_for_red)]
    apart, _ = measured(steps, drawn)
    together, _ = measured(steps, drawn, labels)
    assert rates(apart, "Warmer")["red"]["other"] > 0.8
    assert rates(together, "Warmer")["red"]["other"] == 0
    assert rates(together, "Swap")["red"]["other"] > 0.8


def test_a_lamp_that_was_moved_out_is_not_counted(drawn):
    def cut(sample, rng):
        gone = rng.random() < 0.5
        nothing = {"xyxy": sample.xyxy[:0], "class_id": sample.class_id[:0], "visible": sample.visible[:0]}
        return replace(sample, **nothing) if gone else sample

    outcomes, _ = measured([Step(name="Cut", p=1.0, apply=cut)], drawn, draws=4)
    table = survival(outcomes)
    assert 0 < table["readings"].sum() < 48 * 4 and table["kept"].to_list() == [1.0] * 4


def test_boxes_are_read_where_they_went(drawn):
    def shifted(sample, rng):
        image = np.roll(sample.image, 20, axis=1)
        return replace(sample, image=image, xyxy=sample.xyxy + np.array([20, 0, 20, 0]))

    outcomes, _ = measured([Step(name="Shift", p=1.0, apply=shifted)], drawn)
    assert survival(outcomes)["kept"].to_list() == [1.0] * 4


def test_steps_of_a_choice_are_measured_alone(make_step):
    choice = one_of(0.5, [make_step("Grey", grey, 0.3), make_step("Same", same, 0.1)])
    found = measured_steps([make_step("Grey", grey, 0.2), choice])
    assert [(step.label, pytest.approx(step.p)) for step in found] == [
        ("Grey (1)", 0.2),
        ("Grey (2)", 0.375),
        ("Same", 0.125),
        (WHOLE, 1.0),
    ]
    assert [step.label for step in measured_steps([make_step("Grey", grey)])] == ["Grey"]
    assert WHOLE not in [step.label for step in measured_steps([choice], whole=False)]


def test_the_seed_decides(drawn, make_step):
    def sometimes(image, rng):
        return grey(image, rng) if rng.random() < 0.5 else image

    steps = [make_step("Sometimes", sometimes)]
    tables = [measured(steps, drawn, seed=seed)[0] for seed in (0, 0, 1)]
    assert tables[0].equals(tables[1]) and not tables[0].equals(tables[2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda image, rng: image[:-1], r"Bad: gives an image of shape \(127, 128, 3\)"),
        (lambda image, rng: image.astype(np.float32), r"Bad: gives an image of float32, expected uint8"),
        (lambda image, rng: image * np.nan, "Bad: gives an image of float64, some of them not finite"),
        (lambda image, rng: None, "Bad: gives an image of NoneType"),
    ],
)
def test_a_broken_step_is_named(change, message, drawn, make_step):
    with pytest.raises(ConfigError, match=message):
        measured([make_step("Bad", change)], drawn)


def test_progress_ends_at_its_total(drawn, make_step):
    seen = []
    measure(
        [make_step("Same", same), make_step("Grey", grey)], drawn.lamps, ALL, red_yellow_deg=12.0, draws=1, seed=0,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert seen[-1] == (144, 144), "three times 48"
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize(
    ("share", "count", "low", "high"),
    [(0.5, 10, 0.2366, 0.7634), (1.0, 30, 0.8865, 1.0), (0.0, 30, 0.0, 0.1135), (0.9, 100, 0.8256, 0.9448)],
)
def test_wilson(share, count, low, high):
    assert wilson(share, count) == pytest.approx((low, high), abs=1e-4)
