"""Frames of another form and dead cameras are told; pictures of real roads, dark ones too, never are."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from tl_runtime.contract import Contract, read_contract
from tl_runtime.watch import CameraWatch, Health, WatchRules, check_form

MS = 1_000_000


@pytest.fixture
def any_size(file_metadata) -> Contract:
    return read_contract({"tl": json.dumps(file_metadata)}, "f")


@pytest.fixture
def one_size(any_size) -> Contract:
    return dataclasses.replace(any_size, frame_size=(64, 32))


class Derived(np.ndarray):
    """An array that says what is not so."""

    @property
    def shape(self):
        return (1, 2)


GOOD = np.zeros((32, 64, 3), np.uint8)
BAD = {
    "none": (None, Health.NOT_A_FRAME, "NoneType, expected a numpy array"),
    "a list": (GOOD.tolist(), Health.NOT_A_FRAME, "list, expected"),
    "bytes": (GOOD.tobytes(), Health.NOT_A_FRAME, "bytes, expected"),
    "a number": (np.uint8(3), Health.NOT_A_FRAME, "uint8, expected"),
    "masked": (np.ma.masked_greater(GOOD, 3), Health.NOT_A_FRAME, "what is masked is no picture"),
    "float from 0 to 1": (np.full(GOOD.shape, 0.5, np.float32), Health.NOT_A_FRAME, "multiply by 255 and round"),
    "float planes": (np.ones((3, 32, 64)).transpose(1, 2, 0), Health.NOT_A_FRAME, "multiply by 255 and round"),
    "float to 255": (np.full(GOOD.shape, 99.0), Health.NOT_A_FRAME, "float64, .*give the bytes of the camera"),
    "not finite": (np.full(GOOD.shape, np.nan), Health.NOT_A_FRAME, "float64"),
    "12 bits": (GOOD.astype(np.uint16), Health.NOT_A_FRAME, "values of type uint16"),
    "signed": (GOOD.astype(np.int8), Health.NOT_A_FRAME, "values of type int8"),
    "bool": (GOOD.astype(bool), Health.NOT_A_FRAME, "values of type bool"),
    "objects": (GOOD.astype(object), Health.NOT_A_FRAME, "values of type object"),
    "fields": (np.zeros((4, 4), [("r", "u1"), ("g", "u1")]), Health.NOT_A_FRAME, "values of type"),
    "grey": (GOOD[..., 0], Health.WRONG_SIZE, "grey has no colour of a light"),
    "grey with an axis": (GOOD[..., :1], Health.WRONG_SIZE, "grey has no colour of a light"),
    "two channels": (GOOD[..., :2], Health.WRONG_SIZE, r"shape \(32, 64, 2\), expected"),
    "RGBA": (np.zeros((32, 64, 4), np.uint8), Health.WRONG_SIZE, "leave out the fourth channel"),
    "planes": (GOOD.transpose(2, 0, 1), Health.WRONG_SIZE, "channels come last: transpose it"),
    "a batch": (GOOD[None], Health.WRONG_SIZE, "without an axis for the batch"),
    "a row": (GOOD.reshape(-1), Health.WRONG_SIZE, r"shape \(6144,\)"),
    "no axis": (np.array(3, np.uint8), Health.WRONG_SIZE, r"shape \(\)"),
    "no rows": (GOOD[:0], Health.WRONG_SIZE, r"shape \(0, 64, 3\)"),
    "no columns": (GOOD[:, :0], Health.WRONG_SIZE, r"shape \(32, 0, 3\)"),
}


@pytest.mark.parametrize(("frame", "health", "message"), BAD.values(), ids=BAD.keys())
def test_what_is_no_frame_for_any_file(frame, health, message, any_size, one_size):
    for contract, form in ((any_size, r"\(height, width, 3\)"), (one_size, r"\(32, 64, 3\)")):
        found, reason = check_form(frame, contract)
        assert found is health
        assert re.search(message, reason), reason
        assert re.search(form + " uint8 RGB", reason), reason


def test_other_sizes_are_for_files_of_any_size(any_size, one_size):
    turned = GOOD.transpose(1, 0, 2)
    assert check_form(turned, any_size) == (Health.OK, "")
    health, reason = check_form(turned, one_size)
    assert health is Health.WRONG_SIZE
    assert reason == ("shape (64, 32, 3), expected a numpy array (32, 64, 3) uint8 RGB; height and width are exchanged")
    assert check_form(GOOD[:-1], one_size)[0] is Health.WRONG_SIZE
    assert check_form(GOOD, one_size) == (Health.OK, "")


def test_the_hint_names_the_channels_before_the_height(any_size):
    assert "fourth channel" in check_form(np.zeros((3, 64, 4), np.uint8), any_size)[1]
    assert check_form(np.zeros((3, 64, 3), np.uint8), any_size)[0] is Health.OK, "three rows are a picture, too"


def test_an_array_without_end_is_refused_before_it_is_copied(any_size):
    for shape in ((16385, 4, 3), (4, 16385, 3), (10**9, 10**9, 3)):
        endless = np.broadcast_to(np.uint8(7), shape)
        assert check_form(endless, any_size)[0] is Health.WRONG_SIZE
    assert check_form(np.broadcast_to(np.uint8(7), (16384, 16384, 3)), any_size)[0] is Health.OK


def test_what_an_array_says_of_itself_does_not_count(any_size, draw):
    frame = draw()
    assert check_form(frame.view(Derived), any_size)[0] is Health.OK
    assert np.array_equal(CameraWatch(WatchRules()).take(np.asarray(frame.view(Derived))), frame)


def looked(watch: CameraWatch, frame: np.ndarray, taken_ns: int | None = None, now_ns: int | None = None) -> Health:
    return watch.look(watch.take(frame), taken_ns, now_ns)[0]


@pytest.mark.parametrize(
    "view",
    [
        lambda frame: frame,
        lambda frame: frame[:, :, ::-1],
        lambda frame: frame[::-1, ::2],
        lambda frame: np.asfortranarray(frame),
        lambda frame: np.ascontiguousarray(frame.transpose(2, 0, 1)).transpose(1, 2, 0),
        lambda frame: np.broadcast_to(frame[:1], frame.shape),
    ],
    ids=["plain", "reversed colours", "upside down", "columns first", "planes", "one row"],
)
def test_every_view_is_copied_as_it_is_seen(view, draw):
    frame = view(draw())
    picture = CameraWatch(WatchRules()).take(frame)
    assert np.array_equal(picture, frame)
    assert picture.flags.c_contiguous and not np.shares_memory(picture, frame)


def test_what_was_taken_does_not_change_with_the_frame(draw):
    watch, frame = CameraWatch(WatchRules()), draw()
    picture, before = watch.take(frame), frame.copy()
    frame[:] = 0
    assert np.array_equal(picture, before)


def test_two_pictures_are_held_and_no_more(draw):
    watch = CameraWatch(WatchRules())
    places = {watch.take(draw(i)).ctypes.data for i in range(20)}
    assert len(places) == 2


def dark(bright_values: int) -> np.ndarray:
    frame = np.random.default_rng(0).integers(0, 13, (48, 64, 3), dtype=np.uint8)
    frame.reshape(-1)[1 : 1 + bright_values] = 255
    return frame


@pytest.mark.parametrize(
    ("frame", "health"),
    [
        (np.zeros((48, 64, 3), np.uint8), Health.BLACK),
        (dark(0), Health.BLACK),
        (dark(24), Health.BLACK),
        (dark(25), Health.OK),
        (np.full((48, 64, 3), 12, np.uint8), Health.BLACK),
        (np.full((48, 64, 3), 13, np.uint8), Health.UNIFORM),
        (np.full((48, 64, 3), 255, np.uint8), Health.UNIFORM),
        (np.broadcast_to(np.array([0, 0, 255], np.uint8), (48, 64, 3)), Health.UNIFORM),
        (np.zeros((2, 4, 3), np.uint8), Health.UNIFORM),
        (np.zeros((1, 1, 3), np.uint8), Health.OK),
    ],
    ids=["zeros", "noise", "hot pixels", "a lamp", "12", "13", "white", "blue", "few pixels", "one pixel"],
)
def test_black_and_uniform(frame, health):
    assert looked(CameraWatch(WatchRules()), frame) is health


@pytest.mark.parametrize("place", [(3, 5), (47, 63), (8, 8), (0, 1)])
def test_one_other_pixel_is_no_uniform_frame(place):
    frame = np.full((48, 64, 3), 114, np.uint8)
    frame[place] = (114, 115, 114)
    assert looked(CameraWatch(WatchRules()), frame) is Health.OK


def test_a_picture_of_ones_has_a_hint():
    watch = CameraWatch(WatchRules())
    health, reason = watch.look(watch.take(np.ones((48, 64, 3), np.uint8)), None, None)
    assert health is Health.BLACK and "values from 0 to 1 are no camera frame" in reason


def test_the_same_picture_three_times_is_frozen(draw):
    watch = CameraWatch(WatchRules())
    seen = [looked(watch, draw(seed)) for seed in (0, 0, 0, 0, 1, 1, 2, 1, 1, 1)]
    ok, frozen = Health.OK, Health.FROZEN
    assert seen == [ok, ok, frozen, frozen, ok, ok, ok, ok, ok, frozen]


def test_a_change_between_the_pixels_looked_at_is_seen(draw):
    watch, frame = CameraWatch(WatchRules(frozen_after=2)), draw(height=48)
    for number in range(6):
        frame[3, 5, 1] = number  # no multiple of 8
        assert looked(watch, frame) is Health.OK


def test_other_sizes_and_rules_for_frozen(draw):
    watch = CameraWatch(WatchRules(frozen_after=None))
    assert {looked(watch, draw()) for _ in range(5)} == {Health.OK}
    watch = CameraWatch(WatchRules(frozen_after=2))
    assert looked(watch, draw()) is Health.OK
    assert looked(watch, draw()[:16]) is Health.OK, "another size is another picture"
    assert looked(watch, draw()[:16]) is Health.FROZEN


@pytest.mark.parametrize("settings", [{"frozen_after": 1}, {"frozen_after": 0}, {"max_age_ms": 0}, {"max_age_ms": -1}])
def test_rules_that_mean_nothing(settings):
    with pytest.raises(ValueError, match="expected"):
        WatchRules(**settings)


def test_a_rule_that_is_no_number():
    with pytest.raises(ValueError, match="max_age_ms=nan"):
        WatchRules(max_age_ms=float("nan"))


def times(rules: WatchRules, draw, *frames: tuple) -> list[str]:
    """What is said of frames (taken_ns, now_ns); empty where they are taken."""
    watch, told = CameraWatch(rules), []
    for seed, (taken_ns, now_ns) in enumerate(frames):
        health, reason = watch.look(watch.take(draw(seed)), taken_ns, now_ns)
        assert health in (Health.OK, Health.STALE)
        told.append(reason)
    return told


def test_a_frame_must_be_newer_than_the_one_before(draw):
    told = times(WatchRules(), draw, *((time and time * MS, None) for time in (5, 5, 3, 4, 6, None)))
    before = "before the newest frame, or is that frame again"
    assert told == ["", f"taken 0.0 ms {before}", f"taken 2.0 ms {before}", f"taken 1.0 ms {before}", "", ""]


def test_without_an_age_the_clock_may_be_any(draw):
    assert times(WatchRules(), draw, (0, None), (time.time_ns(), None), (2**70, 0)) == ["", "", ""]


def test_an_old_frame_is_stale(draw):
    rules = WatchRules(max_age_ms=50)
    told = times(rules, draw, (0, 50 * MS), (1, 51 * MS), (100 * MS, 100 * MS), (149 * MS, 100 * MS))
    assert told == ["", "51.0 ms old, allowed are 50", "", ""]


def test_a_time_that_cannot_be_is_forgotten(draw):
    told = times(WatchRules(max_age_ms=50), draw, (10**15, 0), (1 * MS, 2 * MS))
    assert told == ["taken 1000000000.0 ms after now: not the same clock", ""]


def test_who_asks_for_an_age_must_give_the_time(draw):
    assert times(WatchRules(max_age_ms=50), draw, (None, 5)) == [
        "without the time it was taken (taken_ns), allowed are 50 ms"
    ]
    now = time.monotonic_ns()
    told = times(WatchRules(max_age_ms=60_000), draw, (now, None), (now - 10**12, None))
    assert told[0] == "" and "ms old" in told[1]


@pytest.mark.parametrize(("taken", "now"), [(1.5, 2), ("12", None), (float("nan"), 0), (3, "4")])
def test_a_time_that_is_no_whole_number(taken, now, draw):
    assert "expected whole nanoseconds" in times(WatchRules(), draw, (taken, now))[0]


def test_times_of_numpy_do_not_overflow(draw):
    low, high = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    assert times(WatchRules(), draw, (np.int64(low), None), (np.int64(high), None)) == ["", ""]
    assert "not the same clock" in times(WatchRules(max_age_ms=1), draw, (np.int64(high), np.int64(low)))[0]


def test_stale_comes_first_and_pictures_are_counted_all_the_same():
    watch, frame = CameraWatch(WatchRules()), np.zeros((48, 64, 3), np.uint8)
    assert looked(watch, frame, 1) is Health.BLACK
    assert looked(watch, frame, 1) is Health.STALE


def real_images(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))


# The darkest of all that lie beside the checkout, and the one with the fewest bright values.
DARK = ("00f2b0d5-c84860fe.jpg", "b1c81faa-c80764c5.jpg", "b1d22449-15fb948f.jpg", "Bochum_37_0.jpg")


def test_real_frames_are_never_called_dead(shared_data, any_size):
    images = real_images(shared_data)
    by_night = [path for path in images if path.name in DARK]
    assert len(by_night) >= len(DARK)
    assert len(images) > 1000
    for path in [*by_night, *images[::40]]:
        frame = cv2.imread(str(path))
        watch = CameraWatch(WatchRules())
        assert check_form(frame, any_size)[0] is Health.OK, path
        assert watch.look(watch.take(frame), None, None) == (Health.OK, ""), path


def test_a_drive_of_real_frames_is_not_frozen(shared_data):
    images = real_images(shared_data / "tuebingen_sequence")[::4]
    watch = CameraWatch(WatchRules(frozen_after=2))
    assert len(images) > 10
    assert {looked(watch, cv2.imread(str(path))) for path in images} == {Health.OK}


def test_the_readme_explains_each_word_of_health():
    readme = Path(__file__).resolve().parents[3] / "detection" / "runtime" / "README.md"
    rows = [line for line in readme.read_text().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [str(health) for health in Health]
    assert all(row.count("|") == 4 for row in rows)
