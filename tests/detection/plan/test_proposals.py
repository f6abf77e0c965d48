"""Which changes are proposed, and when none is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tl_datasets.frame import Annotation
from tl_datasets.taxonomy import State, TimeOfDay
from tl_detection.plan.memory import Memory
from tl_detection.plan.proposals import propose
from tl_detection.plan.subject import open_subject
from tl_detection.plan.trial import Trial

P3 = (8, 16, 32)
GIB = 2**30
TRIAL = Trial(
    device="cuda:0 (some device)",
    precision="bfloat16",
    parameters=2_500_000,
    frames=16,
    micro_batch=16,
    learn_s=0.1,
    load_s=0.01,
    detect_s=0.02,
    memory=Memory(peak=4 * GIB, available=16 * GIB),
    losses={"loss": 1.0},
    starts=(),
    broken=(),
)
LARGE = [[(100.0, 100.0, 120.0, 150.0), (200.0, 100.0, 220.0, 150.0)]] * 800


def proposed(config, strides=P3, trial=None):
    found, remarks = propose(open_subject(config), strides, trial)
    return {proposal.key: proposal for proposal in found}, remarks


def test_nothing_to_change(run_over):
    found, remarks = proposed(run_over(LARGE), trial=TRIAL)
    assert found == {}
    assert remarks == {"model.architecture": "fresh box branches start at the median box, 20.0 x 50.0 px"}


def test_a_finer_level_for_small_lights(run_over):
    config = run_over([[(100, 100, 106, 112)]] * 800)
    found, _ = proposed(config)
    assert found["model.architecture"].value == "yolo26n-p2"
    assert (
        "100% of the lights are under one cell of the finest level (8 px) at 640x384"
        in found["model.architecture"].reason
    )
    assert "model.architecture" not in proposed(config, strides=(4, 8, 16, 32))[0]


@pytest.mark.parametrize("anchors", ["fit", "default"])
def test_anchors(anchors, run_over):
    model = {
        "kind": "faster_rcnn",
        "backbone": "resnet18",
        "anchors": anchors,
        "input": {"width_px": 640, "height_px": 384},
    }
    found, remarks = proposed(run_over([[(100, 100, 108, 116)]] * 800, model=model), strides=(4, 8))
    if anchors == "default":
        assert found["model.anchors"].value == "fit"
        assert "100% one of 11.3 px, height over width 2" in found["model.anchors"].reason
    else:
        assert found == {} and remarks == {"model.anchors": "fitted: 11.3 px, height over width 2"}


def test_balance_where_a_class_is_rare(run_over):
    def frame(number):
        state = State.RED if number % 20 == 0 else State.GREEN
        return {"annotations": (Annotation(xyxy=(100.0, 100.0, 120.0, 150.0), state=state),)}

    found, _ = proposed(run_over(LARGE, frame=frame))
    assert found["data.balance.enabled"].value is True
    assert found["data.balance.enabled"].reason.startswith("rare: red (6.7% of the frames)")
    assert found["train.class_weights"].value == "balanced"
    assert found["train.class_weights"].reason == "green has 560 boxes, red 40"


def test_balance_where_night_is_rare(run_over):
    def frame(number):
        return {"time_of_day": TimeOfDay.NIGHT if number % 20 == 0 else TimeOfDay.DAYTIME}

    found, _ = proposed(run_over(LARGE, frame=frame))
    assert "rare: night (6.7% of the frames with a box and a known time)" in found["data.balance.enabled"].reason
    assert "train.class_weights" not in found


@pytest.mark.parametrize(
    ("trial", "value", "words"),
    [
        (
            replace(TRIAL, micro_batch=4),
            4,
            "16 frames at a time do not fit into the memory of cuda:0 (some device), 4 do",
        ),
        (replace(TRIAL, memory=Memory(peak=15 * GIB, available=16 * GIB)), 8, "16 frames at a time take 94%"),
    ],
    ids=["did not fit", "tight"],
)
def test_micro_batch(trial, value, words, run_over):
    found, _ = proposed(run_over(LARGE), trial=trial)
    assert found["train.micro_batch"].value == value
    assert found["train.micro_batch"].former is None and words in found["train.micro_batch"].reason


@pytest.mark.parametrize(
    ("epochs", "now", "expected"),
    # 600 frames in batches of 16: 38 steps per epoch.
    [(100, 0.1, 5.0), (10, 5.0, 0.5), (100, 3.0, None)],
    ids=["too short", "half of the run", "long enough"],
)
def test_warmup(epochs, now, expected, run_over):
    config = run_over(LARGE, train={"device": "cpu", "epochs": epochs, "warmup_epochs": now})
    found, _ = proposed(config)
    assert (found["train.warmup_epochs"].value if found else None) == expected


def test_without_a_light_nothing_is_proposed(run_over):
    assert proposed(run_over([[]] * 8)) == ({}, {})
