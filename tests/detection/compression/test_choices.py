"""Which frames calibrate, how alike two detectors answer, which blocks stay, and what is accepted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.frame import Annotation, Frame
from tl_datasets.taxonomy import State, TimeOfDay, Weather
from tl_detection.compression.agreement import disagreement
from tl_detection.compression.frame_choice import choose_balanced, without_copies
from tl_detection.compression.judge import Judged, Limits, judge, worst_excess
from tl_detection.compression.sensitivity import Step, keep_until
from tl_detection.detector import Detections
from tl_detection.evaluation.compare.differences import Difference
from tl_detection.evaluation.compare.significance import Significance
from tl_detection.evaluation.report import evaluate_whole


def frame(number: int, weather: Weather, time: TimeOfDay, state: State, drive: str) -> Frame:
    return Frame(
        frame_id=f"f{number}",
        path=f"{number}.png",
        width_px=100,
        height_px=80,
        annotations=(Annotation(xyxy=(10, 10, 20, 30), state=state),),
        weather=weather,
        time_of_day=time,
        sequence=drive,
        split="train",
    )


@pytest.fixture
def lopsided() -> Catalog:
    """200 clear days with red lights; four rainy nights, of which one has a yellow light."""
    frames = [frame(n, Weather.CLEAR, TimeOfDay.DAYTIME, State.RED, f"day{n // 50}") for n in range(200)]
    frames += [frame(200 + n, Weather.RAINY, TimeOfDay.NIGHT, State.RED, f"night{n}") for n in range(3)]
    frames += [frame(203, Weather.RAINY, TimeOfDay.NIGHT, State.YELLOW, "night3")]
    return Catalog.from_frames(frames, source="made", root=Path("images"))


def test_rare_conditions_and_states_are_among_the_chosen_frames(lopsided):
    rows = choose_balanced(lopsided, 8, seed=0)
    assert rows == choose_balanced(lopsided, 8, seed=0) != choose_balanced(lopsided, 8, seed=1)
    assert len(set(rows)) == 8
    assert 203 in rows[:3]
    nights = [row for row in rows if row >= 200]
    assert len(nights) == 4
    drives = lopsided.frames["sequence"][[row for row in rows if row < 200]]
    assert drives.n_unique() == 4
    assert sorted(choose_balanced(lopsided, 1000, seed=0)) == list(range(204))


def test_copies_of_judged_images_are_left_out(lopsided):
    hashed = lopsided.frames.with_columns(content_hash=pl.concat_str(pl.lit("h"), pl.int_range(pl.len()) % 100))
    catalog = Catalog(hashed, lopsided.annotations, lopsided.roots)
    judged, pool = catalog.filter('frame_id == "f7"'), catalog.filter('frame_id != "f7"')
    assert len(pool) - len(without_copies(pool, judged)) == 1
    assert len(without_copies(lopsided, judged)) == 204  # without hashes nothing is known to be a copy


def found(*boxes: tuple[float, float, int]) -> Detections:
    """Boxes of 10 x 10 at x with a score and class."""
    x = np.array([box[0] for box in boxes])
    return Detections(
        xyxy=np.stack([x, x * 0, x + 10, x * 0 + 10], axis=1) if len(x) else np.zeros((0, 4)),
        score=np.array([box[1] for box in boxes]),
        class_id=np.array([box[2] for box in boxes], np.int64),
    )


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (found((0, 0.9, 0)), found((0, 0.9, 0)), 0),
        (found((0, 0.9, 0)), found((0, 0.45, 0)), 0.5),
        (found((0, 0.9, 0)), found((0, 0.9, 1)), 1),
        (found((0, 0.9, 0)), found(), 1),
        (found(), found((0, 0.9, 0)), 1),
        (found(), found(), 0),
        (found((0, 0.6, 0), (50, 0.3, 0)), found((0, 0.6, 0)), 1 / 3),
        (found((0, 0.8, 0)), found((2, 0.8, 0)), 1 - 8 / 12),
        (found((0, 0.8, 0)), found((6, 0.8, 0)), 1),
        (found((0, 0.8, 0)), found((0, 0.8, 0), (50, 0.04, 0)), 0),
    ],
    ids=["same", "half the score", "class", "lost", "new", "nothing", "one of two", "moved", "far", "faint"],
)
def test_disagreement(first, second, expected):
    assert disagreement([(first, second)]) == pytest.approx(expected, abs=1e-6)
    assert disagreement([(first, second), (found(), found())]) == pytest.approx(expected, abs=1e-6)


def attempts(needed: set[str], tried: list):
    def attempt(kept: tuple[str, ...]) -> Step:
        tried.append(kept)
        missing = len(needed - set(kept))
        return Step(kept=kept, disagreement=0.02 + 0.1 * missing, excess=-1.0, where="")

    return attempt


def test_blocks_are_kept_until_it_is_enough():
    tried: list[tuple[str, ...]] = []
    steps = keep_until(lambda: ["a", "b", "c"], ("z",), attempts({"b"}, tried), 0.05)
    assert [step.kept for step in steps] == tried == [("z",), ("z", "a"), ("z", "a", "b")]

    def never():
        raise AssertionError("asked for a ranking that is not needed")

    assert len(keep_until(never, ("b",), attempts({"b"}, []), 0.05)) == 1
    many = [str(number) for number in range(40)]
    steps = keep_until(lambda: many, (), attempts({"x"}, []), 0.05)
    assert [len(step.kept) for step in steps] == [0, 1, 2, 3, 4, 6, 9, 13, 19, 28, 40]


@pytest.mark.parametrize(
    ("disagrees", "excess", "expected"),
    [(0.04, 0.0, True), (0.06, -1, False), (0.04, 0.01, False), (0.009, 0.01, True)],
    ids=["within", "disagrees", "beyond a limit", "chance"],
)
def test_what_is_enough(disagrees, excess, expected):
    step = Step(kept=(), disagreement=disagrees, excess=excess, where="")
    assert step.is_enough(0.05) is expected


def difference(where: str, change: float, low: float | None = None, high: float | None = None, **more) -> Difference:
    sure = None if low is None and not more.pop("same", False) else Significance(
        low=low, high=high, probability_better=0.5, p=0.5
    )  # fmt: skip
    measure = more.pop("measure", "ap50")
    return Difference(
        first="A",
        second="B",
        measure=measure,
        slice=where,
        higher_is_better=measure != "red_as_green",
        first_value=0.5,
        second_value=0.5 + change,
        difference=change,
        significance=sure,
        p_holm=None,
        frames=100,
        objects=500,
        sequences=20,
        is_small=more.pop("is_small", False),
    )


@pytest.fixture
def many_lights() -> object:
    """An evaluation of 60 red lights on clear days, and a rainy night with one."""
    frames = [frame(n, Weather.CLEAR, TimeOfDay.DAYTIME, State.RED, f"d{n}") for n in range(60)]
    frames.append(frame(60, Weather.RAINY, TimeOfDay.NIGHT, State.RED, "d60"))
    from tl_datasets.label_space import LabelSpace

    catalog = Catalog.from_frames(frames, source="made", root=Path("images"))
    space = LabelSpace.model_validate({"classes": {"red": {"state": "red"}, "green": {"state": "green"}}})
    return evaluate_whole([found()] * 61, catalog, space, by=("weather",))


RISE = {"measure": "red_as_green"}


@pytest.mark.parametrize(
    ("item", "surely", "verdict"),
    [
        (difference("all frames", -0.019, -0.05, 0.01), False, "accepted"),
        (difference("all frames", -0.021, -0.05, 0.01), False, "refused"),
        (difference("all frames", -0.001, -0.05, 0.01), True, "refused"),
        (difference("all frames", -0.001, -0.015, 0.01), True, "accepted"),
        (difference("all frames", -0.001), True, "refused"),
        (difference("all frames", 0.0), True, "accepted"),
        (difference("all frames", -0.01, same=True), True, "accepted"),
        (difference("all frames", -0.021, is_small=True), False, "refused"),
        (difference("weather=clear", -0.021, -0.05, 0.01), False, "refused"),
        (difference("weather=clear", -0.021, -0.05, 0.01, is_small=True), False, "too few"),
        (difference("weather=rainy", -0.1, -0.3, 0.01), False, "too few"),
        (difference("weather=rainy", -0.1, -0.3, -0.03), False, "refused"),
        (difference("weather=rainy", -0.1), True, "too few"),
        (difference("all frames", 0.0, **RISE), False, "accepted"),
        (difference("all frames", 0.001, **RISE), False, "refused"),
        (difference("all frames", -0.001, -0.002, 0.001, **RISE), True, "refused"),
        (difference("all frames", -0.5, measure="ap"), False, "refused"),
    ],
)
def test_verdicts(many_lights, item, surely, verdict):
    (judged,) = judge(many_lights, [item], Limits(surely=surely))
    assert judged.verdict == verdict


def test_one_light_says_how_much_a_slice_can_tell(many_lights):
    items = [difference("all frames", 0.0), difference("weather=rainy", 0.0), difference("weather=clear", -0.05)]
    judged = judge(many_lights, items, Limits())
    assert [each.one_light for each in judged] == [1 / 61, 1, 1 / 60]
    assert worst_excess(judged) == (pytest.approx(0.03), "ap50 of weather=clear")
    assert worst_excess([each for each in judged if isinstance(each, Judged)][:1]) == (-0.02, "ap50 of all frames")
