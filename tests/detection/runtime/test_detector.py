"""`Detector`: what it refuses when it opens, and that every frame gets lights or a word, never a guess."""

from __future__ import annotations

import hashlib
import itertools
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tl_runtime import (
    BrokenOutputError,
    CameraStatus,
    Detector,
    Health,
    ModelError,
    NoResultError,
    Result,
    TlRuntimeError,
    WatchRules,
)
from tl_runtime.checksum import hash_file_of
from tl_runtime.detector import _MOST_CAMERAS

MS = 1_000_000


@pytest.fixture
def lights(vehicle_file) -> Detector:
    return Detector(vehicle_file())


# What it opens


def test_what_is_known_of_an_opened_file(vehicle_file):
    lights = Detector(vehicle_file(scores={"red": 0.5, "light": 0.25}), budget_ms=1000)
    assert [(item.name, item.threshold) for item in lights.classes] == [("red", 0.5), ("light", 0.25)]
    assert lights.classes is lights.contract.classes
    assert lights.providers == ("CPUExecutionProvider",)
    assert (lights.budget_ms, lights.cameras) == (1000, ())
    assert 0 < lights.first_frame_ms < 5000


def test_the_digest_may_be_given_instead_of_the_hash_file(vehicle_file, draw):
    path = vehicle_file()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    hash_file_of(path).unlink()
    assert Detector(path, sha256=digest).detect(draw()).is_usable
    with pytest.raises(ModelError, match="not the proven file"):
        Detector(path, sha256="0" * 64)


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def name_another(path: Path) -> None:
    hash_file_of(path).write_text(hash_file_of(path).read_text().replace("lights.onnx", "other.onnx"))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: hash_file_of(path).unlink(), "no hash file"),
        (lambda path: hash_file_of(path).write_text(f"{'0' * 64}  lights.onnx\n"), "not the proven file"),
        (name_another, "expected one line, 64 hex digits and the name"),
        (flip_a_bit, "not the proven file"),
        (cut, "not the proven file"),
        (lambda path: path.write_bytes(b""), "not the proven file"),
        (lambda path: path.unlink(), "no such file"),
    ],
    ids=["no hash", "wrong hash", "hash of another", "tampered", "cut", "empty", "absent"],
)
def test_what_is_not_the_proven_file(damage, message, vehicle_file):
    path = vehicle_file()
    damage(path)
    with pytest.raises(ModelError, match=message) as caught:
        Detector(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "arguments", "message"),
    [
        ({"batch": 2}, {}, "takes 2 frames at once; .* exported with --batch 1"),
        ({"more": {"variant": "raw"}}, {}, "holds the network alone"),
        ({"more": {"contract": 1}}, {}, "contract version 1, expected 2"),
        ({"entries": {}}, {}, "without tl's metadata"),
        ({}, {"providers": "NoSuchProvider"}, "has no NoSuchProvider here; choose from .*CPUExecutionProvider"),
        ({}, {"threads": 0}, "0 threads"),
    ],
    ids=["batch", "raw", "old contract", "foreign", "absent provider", "no threads"],
)
def test_proven_files_that_do_not_fit(settings, arguments, message, vehicle_file):
    """Their hash is right."""
    with pytest.raises(ModelError, match=message):
        Detector(vehicle_file(**settings), **arguments)


@pytest.mark.parametrize("budget", [0, -1, float("nan")])
def test_a_budget_that_nothing_keeps(budget, vehicle_file):
    with pytest.raises(ValueError, match="budget_ms"):
        Detector(vehicle_file(), budget_ms=budget)


def break_output(model) -> None:
    """A network whose output is never finite, as after a bad calibration."""
    (where,) = [node for node in model.graph.node if node.op_type == "Or"]
    where.op_type = "Equal"  # neither not a number nor infinite: both false


def test_a_file_that_cannot_run_is_refused_when_it_opens(vehicle_file):
    with pytest.raises(ModelError, match=r"not finite.* \(in a grey frame, when it was opened\)"):
        Detector(vehicle_file(change=break_output))


# What it gives


def test_lights_come_in_the_pixels_of_the_frame(lights, draw):
    result = lights.detect(draw())
    assert (result.health, result.reason, result.is_usable, result.is_late) == (Health.OK, "", True, False)
    assert result.camera == "camera" and result.latency_ms > 0
    assert result.xyxy.tolist() == [[32, 8, 40, 24], [8, 4, 16, 12]]
    assert result.labels.tolist() == [0, 1]
    np.testing.assert_allclose(result.scores, [0.9 * 200 / 255, 0.4], rtol=1e-5)
    larger = lights.detect(draw(1, 64, 128))
    assert larger.xyxy.tolist() == [[64, 16, 80, 48], [16, 8, 32, 24]]


def test_what_is_below_its_threshold_is_left_out(vehicle_file, draw):
    assert Detector(vehicle_file(scores={"red": 0.5, "light": 0.5})).detect(draw()).labels.tolist() == [0]


def test_a_frame_without_lights_is_a_result(vehicle_file, draw):
    result = Detector(vehicle_file(scores={"red": 0.99, "light": 0.99})).detect(draw())
    assert result.is_usable and result.xyxy.shape == (0, 4) and len(result.scores) == len(result.labels) == 0


def test_colours_are_taken_in_the_order_of_the_file(vehicle_file, draw):
    frame = draw()
    rgb = Detector(vehicle_file("rgb.onnx")).detect(frame)
    bgr = Detector(vehicle_file("bgr.onnx", color_order="BGR")).detect(frame[..., ::-1])
    assert np.array_equal(rgb.scores, bgr.scores)


@pytest.mark.parametrize(
    "view",
    [
        lambda frame: frame[:, ::2],
        lambda frame: np.asfortranarray(frame),
        lambda frame: frame[::-1, ::-1, ::-1],
        lambda frame: np.ascontiguousarray(frame.transpose(2, 0, 1)).transpose(1, 2, 0),
        lambda frame: frame.view(type("Derived", (np.ndarray,), {})),
        lambda frame: np.frombuffer(frame.tobytes(), np.uint8).reshape(frame.shape),
    ],
    ids=["every other column", "columns first", "turned", "planes", "a derived class", "read only"],
)
def test_any_view_gives_what_its_copy_gives(view, lights, draw):
    frame = view(draw(0, 40, 80))
    first, second = lights.detect(frame, camera="view"), lights.detect(np.array(frame), camera="copy")
    assert first.is_usable and same(first, second)


def same(first: Result, second: Result) -> bool:
    """Byte by byte."""
    if first.health is not second.health or first.reason != second.reason:
        return False
    pairs = [(first.xyxy, second.xyxy), (first.scores, second.scores), (first.labels, second.labels)]
    return all(a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in pairs)


def test_the_same_frame_gives_the_same_bytes(vehicle_file, draw):
    path, frames = vehicle_file(), [draw(seed, 47, 83) for seed in range(12)]
    runs = []
    for _ in range(2):
        lights = Detector(path)
        runs += [[lights.detect(frame) for frame in frames] for _ in range(2)]
    assert all(same(a, b) for other in runs[1:] for a, b in zip(runs[0], other, strict=True))
    assert len({result.xyxy.tobytes() + result.scores.tobytes() for result in runs[0]}) > 1


IN_ANOTHER_PROCESS = """
import sys
import numpy as np
from tl_runtime import Detector

result = Detector(sys.argv[1]).detect(np.load(sys.argv[2]))
print(result.xyxy.tobytes().hex(), result.scores.tobytes().hex(), result.labels.tobytes().hex())
"""


def test_another_process_gives_the_same_bytes(vehicle_file, draw, tmp_path):
    path, frame = vehicle_file(), draw(3, 51, 77)
    np.save(tmp_path / "frame.npy", frame)
    command = [sys.executable, "-c", IN_ANOTHER_PROCESS, str(path), str(tmp_path / "frame.npy")]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout.split()
    result = Detector(path).detect(frame)
    assert told == [values.tobytes().hex() for values in (result.xyxy, result.scores, result.labels)]


def test_results_stay_as_they_are(lights, draw):
    first = lights.detect(draw(0))
    before = [values.tobytes() for values in (first.xyxy, first.scores, first.labels)]
    for seed in range(1, 30):
        lights.detect(draw(seed, 32 + seed % 3, 64) // 2)
    assert before == [values.tobytes() for values in (first.xyxy, first.scores, first.labels)]


def test_results_are_compared_without_harm(lights, draw):
    first, second = lights.detect(draw(0)), lights.detect(draw(1))
    assert first != second and first == first and "xyxy" not in repr(first)


# What it does not guess


@pytest.mark.parametrize(
    ("frame", "health", "message"),
    [
        (None, Health.NOT_A_FRAME, "NoneType"),
        ("frame.png", Health.NOT_A_FRAME, "str"),
        (np.zeros((32, 64, 3), np.float32), Health.NOT_A_FRAME, "multiply by 255"),
        (np.zeros((3, 32, 64), np.uint8), Health.WRONG_SIZE, "channels come last"),
        (np.zeros((1, 32, 64, 3), np.uint8), Health.WRONG_SIZE, "without an axis for the batch"),
        (np.zeros((64, 32, 3), np.uint8), Health.WRONG_SIZE, "height and width are exchanged"),
        (np.zeros((0, 0, 3), np.uint8), Health.WRONG_SIZE, "shape"),
        (np.zeros((32, 64, 3), np.uint8), Health.BLACK, "no value above 12"),
        (np.full((32, 64, 3), 99, np.uint8), Health.UNIFORM, r"one colour everywhere, \(99, 99, 99\)"),
    ],
)
def test_a_frame_that_says_nothing_gives_no_lights(frame, health, message, vehicle_file):
    result = Detector(vehicle_file(frame_size=(64, 32))).detect(frame, camera="left")
    assert result.health is health and not result.is_usable
    assert re.search(message, result.reason)
    for name in ("xyxy", "scores", "labels"):
        with pytest.raises(NoResultError, match=f"camera left: no result \\({health}: .*ask is_usable first") as caught:
            getattr(result, name)
        assert isinstance(caught.value, TlRuntimeError)


def test_frozen_and_stale_frames_give_no_lights(lights, draw):
    seen = [lights.detect(draw(0)).health for _ in range(4)]
    assert seen == [Health.OK, Health.OK, Health.FROZEN, Health.FROZEN]
    assert lights.detect(draw(1), taken_ns=5).health is Health.OK
    stale = lights.detect(draw(2), taken_ns=5)
    assert stale.health is Health.STALE and not stale.is_usable


def test_the_age_of_a_frame(vehicle_file, draw):
    lights = Detector(vehicle_file(), rules=WatchRules(max_age_ms=10_000))
    now = time.monotonic_ns()
    assert lights.detect(draw(0), taken_ns=now - 20_000 * MS).health is Health.STALE
    assert lights.detect(draw(1), taken_ns=now).health is Health.OK
    assert lights.detect(draw(2), taken_ns=7, now_ns=8, camera="own clock").health is Health.OK
    assert lights.detect(draw(3)).health is Health.STALE, "nobody knows how old it is"


def test_numbers_that_are_not_finite_give_no_lights(lights, draw):
    frame = draw()
    frame[-1, 0] = 255
    frame[-2:, :3] = 255
    result = lights.detect(frame)
    assert result.health is Health.BROKEN_OUTPUT and "not finite" in result.reason and not result.is_usable
    assert lights.detect(draw(1)).is_usable


@pytest.mark.parametrize(
    ("error", "health"),
    [
        (ModelError("f: onnxruntime failed (device lost)"), Health.FAILED),
        (BrokenOutputError("f: 7 detections"), Health.BROKEN_OUTPUT),
        (MemoryError(), Health.FAILED),
    ],
)
def test_what_fails_on_the_way_is_a_word(error, health, lights, draw, monkeypatch):
    def fail(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(lights._session, "run", fail)
        result = lights.detect(draw(0))
    assert result.health is health and result.reason and not result.is_usable
    assert lights.detect(draw(1)).is_usable


def test_a_frame_that_the_memory_cannot_hold(lights, draw, monkeypatch):
    def no_memory(*_, **__):
        raise MemoryError

    frame = draw(0)
    with monkeypatch.context() as patch:
        patch.setattr(np, "empty", no_memory)
        result = lights.detect(frame)
    assert (result.health, result.reason) == (Health.FAILED, "no memory for a frame of shape (32, 64, 3)")
    assert [lights.detect(draw(seed)).health for seed in (0, 0, 0)] == [Health.OK, Health.OK, Health.FROZEN]


def test_no_frame_makes_it_raise(lights):
    """Mixed at random: types, shapes, orders in memory, values."""
    rng = np.random.default_rng(0)
    types = [np.uint8] * 6 + [np.int8, np.float16, np.float64, bool, np.uint16, complex, "U3", "M8[s]", "V5", object]
    seen = set()
    for _ in range(600):
        ndim = int(rng.choice([0, 1, 2, 3, 3, 3, 3, 4]))
        shape = [int(value) for value in rng.choice([0, 1, 2, 3, 3, 4, 9, 33, 70], ndim)]
        frame = np.zeros(shape, types[rng.integers(len(types))])
        if frame.dtype == np.uint8:
            frame[...] = rng.integers(0, rng.choice([1, 2, 13, 256]), shape if rng.random() < 0.8 else ())
        if ndim and rng.random() < 0.5:
            frame = frame.transpose(rng.permutation(ndim))[:: int(rng.choice([-2, -1, 1, 2]))]
        result = lights.detect(frame)
        seen.add(result.health)
        assert result.is_usable == (result.health is Health.OK) == (result.reason == "")
        assert "\n" not in result.reason
    wanted = {Health.OK, Health.NOT_A_FRAME, Health.WRONG_SIZE, Health.BLACK, Health.UNIFORM}
    assert wanted <= seen


@pytest.mark.parametrize("shape", [(1, 1), (1, 16384), (16384, 1), (2, 3)])
def test_frames_at_the_limits_of_size(shape, lights):
    frame = np.random.default_rng(0).integers(60, 200, (*shape, 3), dtype=np.uint8)
    result = lights.detect(frame)
    assert result.is_usable, result.reason


def test_a_frame_that_is_written_over_meanwhile(lights, draw, monkeypatch):
    """What is looked at is what is detected in, though the driver writes its next picture at the same place."""
    expected = lights.detect(draw(0), camera="expected")
    frame = draw(0)
    look = lights._camera("camera").watch.look

    def look_and_write(*arguments):
        frame[:] = 0
        return look(*arguments)

    monkeypatch.setattr(lights._camera("camera").watch, "look", look_and_write)
    assert same(lights.detect(frame), expected)


# How a camera has been doing


def bad(lights: Detector, n: int) -> None:
    for _ in range(n):
        lights.detect(None)


def good(lights: Detector, draw, n: int) -> None:
    for _ in range(n):
        assert lights.detect(draw(lights.status().frames, 8, 16)).is_usable


def test_a_camera_fails_and_recovers(lights, draw):
    assert lights.status() == CameraStatus(state="no frame", frames=0, late=0, by_health={}, last=None)
    good(lights, draw, 1)
    assert lights.status().state == "ok"
    bad(lights, 9)
    assert lights.status().state == "degraded"
    bad(lights, 1)
    assert lights.status() == CameraStatus(
        state="failed", frames=11, late=0, by_health={"ok": 1, "not_a_frame": 10}, last=Health.NOT_A_FRAME
    )
    good(lights, draw, 1)
    assert lights.status().state == "degraded"
    good(lights, draw, 98)
    assert lights.status().state == "degraded", "one of the last 100 was bad"
    good(lights, draw, 1)
    assert lights.status().state == "ok"
    assert (lights.status().frames, lights.status().last) == (111, Health.OK)


def test_late_frames_are_counted_and_their_results_given(vehicle_file, draw):
    lights = Detector(vehicle_file(), budget_ms=1e-6)
    results = [lights.detect(draw(seed)) for seed in range(12)]
    assert all(result.is_late and result.is_usable for result in results)
    status = lights.status()
    assert (status.state, status.late, status.by_health) == ("degraded", 12, {"ok": 12})
    calm = Detector(vehicle_file(), budget_ms=60_000)
    assert not calm.detect(draw()).is_late and calm.status().late == 0


def test_the_first_frame_of_a_file_is_no_late_one(vehicle_file, draw):
    """It was run when the file was opened, and is counted nowhere."""
    lights = Detector(vehicle_file(), budget_ms=1e-6)
    assert lights.status().frames == 0 and lights.cameras == ()


def test_a_bad_frame_may_be_late_too(vehicle_file):
    lights = Detector(vehicle_file(), budget_ms=1e-6)
    assert lights.detect(None).is_late
    assert lights.status().late == 1


def test_cameras_are_told_apart(lights, draw):
    for seed in (0, 0, 0):
        lights.detect(draw(seed), camera="left")
    assert lights.detect(draw(0), camera="right").health is Health.OK, "what another camera sent says nothing"
    assert (lights.status("left").last, lights.status("right").last) == (Health.FROZEN, Health.OK)
    assert lights.cameras == ("left", "right")
    assert lights.status("back").state == "no frame" and lights.cameras == ("left", "right")


def test_a_camera_that_was_started_again_begins_anew(lights, draw):
    lights.detect(draw(0), taken_ns=10**12)
    assert lights.detect(draw(1), taken_ns=5).health is Health.STALE
    lights.forget()
    assert lights.status().state == "no frame"
    assert lights.detect(draw(2), taken_ns=6).health is Health.OK
    lights.forget("never seen")


def test_names_of_frames_are_no_names_of_cameras(lights, draw):
    for number in range(_MOST_CAMERAS):
        lights.detect(None, camera=f"frame{number}")
    with pytest.raises(ValueError, match="the same for all its frames"):
        lights.detect(draw(), camera="one more")
    assert lights.detect(draw(), camera="frame3").is_usable
    lights.forget("frame0")
    assert lights.detect(draw(), camera="one more").is_usable


# Several threads


def in_threads(*tasks: Callable[[], object]) -> list:
    """What each gave, all started together."""
    gate, given = threading.Barrier(len(tasks)), [None] * len(tasks)

    def run(place: int, task: Callable[[], object]) -> None:
        gate.wait()
        given[place] = task()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(tasks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return given


def test_two_cameras_at_once_see_what_each_sees_alone(vehicle_file, draw):
    path = vehicle_file()
    drives = {
        name: [draw(seed + n // 4 if n % 8 > 3 else seed + n, 40 + seed % 7, 90) for n in range(60)]
        for name, seed in (("left", 0), ("right", 1000))
    }

    def drive(lights: Detector, name: str) -> list[Result]:
        return [lights.detect(frame, camera=name) for frame in drives[name]]

    alone = {name: drive(Detector(path), name) for name in drives}
    assert {Health.OK, Health.FROZEN} == {result.health for result in alone["left"]}
    both = Detector(path)
    together = in_threads(*(lambda name=name: drive(both, name) for name in drives))
    for name, results in zip(drives, together, strict=True):
        for expected, found in zip(alone[name], results, strict=True):
            assert (found.health, found.reason, found.camera) == (expected.health, expected.reason, name)
            assert not found.is_usable or same(found, expected)
        assert both.status(name).frames == len(drives[name])


def test_frames_of_one_camera_take_turns(lights, draw):
    """Whoever calls from two threads with one name gets right results all the same: no picture is written over."""
    frames = [draw(seed, 64, 128) for seed in range(40)]
    for number, frame in enumerate(frames):
        frame[..., 0] = np.minimum(frame[..., 0], 100 + 2 * number)
    expected = [lights.detect(frame, camera="alone") for frame in frames]
    halves = [range(0, 40, 2), range(1, 40, 2)]
    given = in_threads(*(lambda half=half: [(n, lights.detect(frames[n])) for n in half] for half in halves))
    for number, result in itertools.chain(*given):
        assert same(result, expected[number])
    assert lights.status().frames == 40
    assert len({result.scores.tobytes() for result in expected}) > 30


def test_the_status_does_not_wait_for_a_frame(lights, draw, monkeypatch):
    entered, leave = threading.Event(), threading.Event()
    run = lights._session.run

    def slow(frames):
        entered.set()
        assert leave.wait(30)
        return run(frames)

    lights.detect(draw(0))
    monkeypatch.setattr(lights._session, "run", slow)
    thread = threading.Thread(target=lights.detect, args=(draw(1),))
    thread.start()
    assert entered.wait(30)
    status = in_threads(lights.status)[0]
    leave.set()
    thread.join(30)
    assert status.frames == 1 and lights.status().frames == 2


def test_real_frames_by_day_and_night(shared_data, vehicle_file):
    lights = Detector(vehicle_file(color_order="BGR"), budget_ms=60_000)
    images = sorted((shared_data / "bdd100k" / "images").rglob("*.jpg"))[::20]
    assert len(images) > 5
    for path in images:
        result = lights.detect(cv2.imread(str(path)))
        # Where the lower left corner is white, the small network gives what is not finite.
        assert result.health in (Health.OK, Health.BROKEN_OUTPUT), f"{path}: {result.reason}"
    assert lights.status().by_health["ok"] > len(images) // 2
