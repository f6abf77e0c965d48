"""The input size that suits the lights."""

from __future__ import annotations

import pytest

from tl_detection.plan.input_choice import choose_input
from tl_detection.plan.subject import open_subject


def light(width: float) -> tuple[float, float, float, float]:
    return (200.0, 100.0, 200.0 + width, 100.0 + 2 * width)


def chosen(run_over, width, model_input, kind="yolo", size=(1280, 720)):
    model = {"kind": kind, "input": dict(zip(("width_px", "height_px"), model_input, strict=True))}
    if kind == "faster_rcnn":
        model["backbone"] = "resnet18"
    config = run_over([[light(width), light(2 * width)]] * 8, size=size, model=model)
    found = choose_input(open_subject(config), 4.0)
    return (found.width_px, found.height_px), found


@pytest.mark.parametrize(
    ("width", "now", "expected"),
    [
        # 6 px at 1280 are 4 px at 854: the next multiple of 32 is 864, and 486 rows need 512.
        (6, (640, 384), (864, 512)),
        # Wide enough already.
        (20, (640, 352), (640, 352)),
        # A larger input than needed costs time and loses nothing.
        (20, (1280, 736), (1280, 736)),
        # The camera has no more than 1280 columns: 3 px stay 3 px.
        (3, (640, 384), (1280, 736)),
        # A square input shows 44 % of grey.
        (40, (640, 640), (640, 384)),
    ],
    ids=["too small", "fits", "larger than needed", "nothing helps", "square"],
)
def test_for_a_yolo(width, now, expected, run_over):
    size, found = chosen(run_over, width, now)
    assert size == expected
    assert (found.reason is None) == (expected == now)


@pytest.mark.parametrize(
    ("width", "now", "reason"),
    [
        (
            6,
            (640, 384),
            "50.0% of the lights are under 4 px at 640x384; 0.0% under 4 px at 864x512, 1.8 times the pixels",
        ),
        (
            3,
            (640, 384),
            "100.0% of the lights are under 4 px at 640x384; 50.0% under 4 px at 1280x736, 3.8 times the pixels; the "
            "frames themselves have no more, so the rest is for a finer stride or another lens",
        ),
        (
            40,
            (640, 640),
            "44% of 640x640 is padding for frames of 1280x720; 0.0% under 4 px at 640x384, 0.6 times the pixels",
        ),
    ],
)
def test_reasons_tell_the_cost(width, now, reason, run_over):
    assert chosen(run_over, width, now)[1].reason == reason


def test_a_faster_rcnn_never_shrinks_a_wide_frame(run_over):
    size, found = chosen(run_over, 7, (1024, 512), "faster_rcnn", size=(2048, 1024))
    assert size == (2048, 1024)
    assert found.reason is not None and "need not shrink 2048x1024 frames" in found.reason
