"""`OnnxDetector`: what it gives, and what it refuses. The runtime under it has tests of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from tl_datasets.errors import ImageError, UsageError, WeightsError
from tl_datasets.images import write_rgb
from tl_detection.cli import main
from tl_detection.detectors.load import load_detector
from tl_detection.detectors.onnx import OnnxDetector
from tl_runtime.checksum import hash_file_of
from tl_runtime.session import Session

FRAME = np.full((32, 64, 3), 255, np.uint8)
FRAME[31, 0] = 0


@pytest.fixture
def model_path(vehicle_file) -> Path:
    return vehicle_file()


def test_boxes_come_back_in_the_pixels_of_each_frame(model_path):
    detector = OnnxDetector(model_path, threads=1)
    frames = [FRAME, np.kron(FRAME, np.ones((2, 2, 1), np.uint8)), FRAME[:, :32]]
    same, double, square = detector.detect(frames)
    assert same.xyxy.tolist() == [[32, 8, 40, 24], [8, 4, 16, 12]]
    assert double.xyxy.tolist() == [[64, 16, 80, 48], [16, 8, 32, 24]]
    assert square.xyxy.tolist() == [[16, 8, 24, 24]]  # 16 columns of padding; the other box lies in them
    assert same.class_id.tolist() == [0, 1]
    np.testing.assert_allclose(same.score, [0.9, 0.4], rtol=1e-6)
    assert detector.detect([]) == []


def test_detector_knows_its_classes_and_origin(model_path):
    detector = OnnxDetector(model_path)
    assert detector.label_space.names == ("red", "light")
    assert [str(state) for state in detector.label_space.states] == ["red", "None"]
    assert [(item.state, item.pictogram) for item in detector.session.contract.classes] == [
        ("red", None),
        (None, "circle"),
    ]
    assert detector.description["checkpoint_fingerprint"] == "abc"
    assert isinstance(load_detector(model_path), OnnxDetector)


def test_a_view_and_a_reversed_frame_are_taken(model_path):
    frame = np.zeros((64, 256, 3), np.uint8)[:, ::2, ::-1]
    assert len(OnnxDetector(model_path).detect([frame])[0]) == 2


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((8, 8, 3), np.float32),
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((0, 8, 3), np.uint8),
        np.zeros((1, 8, 8, 3), np.uint8),
        [[[0, 0, 0]]],
        None,
    ],
)
def test_what_is_no_frame_is_refused(model_path, frame):
    with pytest.raises(ValueError, match="expected"):
        OnnxDetector(model_path).detect([frame])


def without(key: str) -> Callable[[dict], dict[str, str]]:
    return lambda data: {"tl": json.dumps({name: value for name, value in data.items() if name != key})}


def changed(**values: object) -> Callable[[dict], dict[str, str]]:
    return lambda data: {"tl": json.dumps(data | values)}


BAD_METADATA = {
    "none": (lambda data: {}, "without tl's metadata"),
    "of another program": (lambda data: {"names": "{0: 'red'}", "stride": "32"}, "without tl's metadata"),
    "cut off": (lambda data: {"tl": json.dumps(data)[:40]}, "damaged"),
    "no object": (lambda data: {"tl": "[]"}, "damaged"),
    "nested without end": (lambda data: {"tl": "[" * 100_000}, "damaged"),
    "no contract": (without("contract"), "damaged"),
    "no classes": (without("classes"), "'classes' is missing"),
    "classes of another kind": (changed(classes="red"), "classes: expected a list"),
    "empty classes": (changed(classes=[]), "classes: expected one or more"),
    "other contract": (changed(contract=99), "contract version 99, expected 2"),
    "the first contract": (changed(contract=1), "contract version 1, expected 2"),
    "other colours": (changed(color_order="GBR"), "color_order: 'GBR', expected RGB or BGR"),
    "no frame": (without("frame"), "'frame' is missing"),
    "half a frame": (changed(frame={"width_px": 64, "height_px": None, "batch": 1}), "height_px: None"),
    "no batch": (changed(frame={"width_px": None, "height_px": None, "batch": 0}), "batch: 0"),
    "a network without size": (changed(input={"width_px": True, "height_px": 32}), "width_px: True"),
    "a score of a word": (changed(operating_scores={"red": 0.5, "light": "high"}), "light: 'high'"),
    "a score beyond 1": (changed(operating_scores={"red": 0.5, "light": 2}), "light: 2, expected a number from 0"),
    "a score too few": (changed(operating_scores={"red": 0.5}), "operating_scores: expected one score for each"),
    "a raw file": (changed(variant="raw"), "holds the network alone"),
    "no label space": (without("label_space"), "label space"),
    "broken label space": (changed(label_space={"clases": 1}), "label space"),
    "other classes": (changed(label_space={"classes": {"light": {}, "red": {}}}), "its label space has"),
}


@pytest.mark.parametrize(("damage", "message"), BAD_METADATA.values(), ids=BAD_METADATA.keys())
def test_a_foreign_file_is_refused_in_one_line(damage, message, vehicle_file, file_metadata):
    path = vehicle_file(entries=damage(file_metadata))
    with pytest.raises(WeightsError, match=message) as caught:
        OnnxDetector(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "export" in str(caught.value)


def rename_input(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        node.input[:] = ["frame" if name == "image" else name for name in node.input]
    model.graph.input[0].name = "frame"


def fix_height(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 32


def hide_thresholds(model: onnx.ModelProto) -> None:
    del model.graph.input[1]


@pytest.mark.parametrize("change", [rename_input, fix_height, hide_thresholds])
def test_inputs_that_the_metadata_do_not_tell_are_refused(change, vehicle_file):
    with pytest.raises(WeightsError, match="as its metadata say"):
        OnnxDetector(vehicle_file(change=change))


def test_a_file_for_one_size_refuses_others(vehicle_file):
    detector = OnnxDetector(vehicle_file(frame_size=(64, 32)))
    assert len(detector.detect([FRAME])[0]) == 2
    with pytest.raises(ImageError, match=r"takes frames of 64x32 px, got an array of shape \(64, 32, 3\)"):
        detector.detect([FRAME.transpose(1, 0, 2)])


def test_a_file_for_bgr_sees_the_same_in_rgb_frames(vehicle_file):
    frame = FRAME.copy()
    frame[..., 1:] = 0
    for order in ("RGB", "BGR"):
        assert OnnxDetector(vehicle_file(color_order=order)).detect([frame])[0].score[0] == pytest.approx(0.9)
        assert OnnxDetector(vehicle_file(color_order=order)).detect([frame[..., ::-1]])[0].score[0] < 0.5


def test_a_batch_is_filled_up(vehicle_file):
    detector = OnnxDetector(vehicle_file(batch=2))
    dim = FRAME // 2
    for frames in ([FRAME, dim, FRAME], [dim], [FRAME, np.kron(dim, np.ones((2, 2, 1), np.uint8))]):
        found = detector.detect(frames)
        assert [len(item) for item in found] == [2] * len(frames)
        assert [item.score[0] > 0.5 for item in found] == [frame.max() == 255 for frame in frames]


def test_a_changed_file_is_refused(vehicle_file):
    path = vehicle_file()
    proven = path.read_bytes()
    path.write_bytes(proven + b"\x00")
    with pytest.raises(WeightsError, match="not the proven file"):
        OnnxDetector(path)
    path.write_bytes(proven)
    hash_file_of(path).unlink()
    OnnxDetector(path)  # an evaluation takes what it is given


def test_numbers_that_are_not_finite_are_an_error(model_path):
    with pytest.raises(WeightsError, match="not finite"):
        OnnxDetector(model_path).detect([np.full((32, 64, 3), 255, np.uint8)])


def test_a_provider_may_be_one_name(model_path):
    assert Session(model_path, providers="CPUExecutionProvider").providers == ("CPUExecutionProvider",)


def test_another_device_is_refused(model_path):
    with pytest.raises(UsageError, match="runs on the CPU here, not on 'cuda'"):
        load_detector(model_path, device="cuda")


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x00" * 64])
def test_what_is_no_onnx_is_refused_in_one_line(content, tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(WeightsError) as caught:
        OnnxDetector(path)
    assert "\n" not in str(caught.value)


def test_a_cut_off_file_is_refused(model_path, tmp_path):
    path = tmp_path / "cut.onnx"
    path.write_bytes(model_path.read_bytes()[:-200])
    with pytest.raises(WeightsError):
        OnnxDetector(path)


def test_missing_file_and_absent_provider(model_path, tmp_path):
    with pytest.raises(WeightsError, match="no such file"):
        OnnxDetector(tmp_path / "absent.onnx")
    with pytest.raises(WeightsError, match="has no NoSuchProvider"):
        OnnxDetector(model_path, providers=["NoSuchProvider"])


@pytest.fixture
def file_of(tmp_path):
    """A thresholds file with a text."""

    def write(text: str) -> Path:
        (tmp_path / "thresholds.yaml").write_text(text)
        return tmp_path / "thresholds.yaml"

    return write


@pytest.fixture
def frame_path(tmp_path) -> Path:
    write_rgb(tmp_path / "frame.png", FRAME)
    return tmp_path / "frame.png"


def detected(out: Path) -> tuple[list[tuple[str, float]], dict[str, float]]:
    document = json.loads((out / "detections.json").read_text())
    found = [(item["class"], item["score"]) for item in document["frames"][0]["detections"]]
    return found, document["score_thresholds"]


def test_detect_uses_the_scores_of_a_file(vehicle_file, frame_path, file_of, tmp_path):
    model = str(vehicle_file())  # always a red at 0.9 and a light at 0.4
    path = file_of("thresholds_version: 1\nclasses: {red: {score: 0.95}, light: {score: 0.4}}\n")
    arguments = ["detect", model, str(frame_path), "--thresholds", str(path), "--out", str(tmp_path / "a")]
    assert main(arguments) == 0
    assert detected(tmp_path / "a") == ([("light", 0.4)], {"red": 0.95, "light": 0.4})
    assert main(["detect", model, str(frame_path), "--out", str(tmp_path / "b")]) == 0
    assert detected(tmp_path / "b") == ([("red", 0.9), ("light", 0.4)], {"red": 0.25, "light": 0.25})


def test_detect_uses_the_scores_that_an_exported_file_carries(vehicle_file, frame_path, tmp_path):
    model = str(vehicle_file(scores={"light": 0.5, "red": 0.5}))
    assert main(["detect", model, str(frame_path), "--out", str(tmp_path / "a")]) == 0
    assert detected(tmp_path / "a")[0] == [("red", 0.9)]
    assert main(["detect", model, str(frame_path), "--score", "0.1", "--out", str(tmp_path / "b")]) == 0
    assert len(detected(tmp_path / "b")[0]) == 2, "what is asked for counts"


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("thresholds_version: 1\nclasses: {red: {score: 0.5}}\n", 1, "classes.light: is missing"),
        ("thresholds_version: 3\nclasses: {}\n", 1, "thresholds_version: 3, this tl reads 1"),
        ("thresholds_version: 1\nclasses: {red: {score: 7}, light: {score: 1}}\n", 1, "classes.red.score"),
    ],
)
def test_detect_refuses_a_bad_file(vehicle_file, frame_path, file_of, tmp_path, capsys, text, code, message):
    model, path = str(vehicle_file()), file_of(text)
    out = tmp_path / "out"
    assert main(["detect", model, str(frame_path), "--thresholds", str(path), "--out", str(out)]) == code
    told = capsys.readouterr().err
    assert told.startswith(f"tl detect: {path}: ") and message in told and told.count("\n") == 1
    assert not out.exists()


def test_detect_takes_one_of_score_and_thresholds(vehicle_file, frame_path, file_of, capsys):
    arguments = ["detect", "m.onnx", str(frame_path), "--out", "x", "--score", "0.5", "--thresholds", "t.yaml"]
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "not allowed with argument" in capsys.readouterr().err


def test_a_file_leaves_out_what_is_below_its_thresholds(vehicle_file):
    path = vehicle_file(scores={"light": 0.5, "red": 0.9})
    detector = OnnxDetector(path)
    assert detector.operating_scores == (0.9, 0.5)
    assert [item.threshold for item in detector.session.contract.classes] == [0.9, 0.5]
    (shown,) = detector.session.run(FRAME[None])
    assert (shown.scores.tolist(), shown.labels.tolist()) == ([pytest.approx(0.9)], [0]), "0.9 is not below 0.9"
    assert len(detector.detect([FRAME])[0]) == 2, "an evaluation sees every score"
    assert OnnxDetector(vehicle_file("none.onnx")).operating_scores is None


def test_frames_of_a_size_that_a_file_does_not_take_are_faults(vehicle_file, tmp_path, capsys):
    frames = tmp_path / "frames"
    frames.mkdir()
    for number, (height, width) in enumerate([(32, 64), (64, 32), (32, 64), (16, 16)]):
        write_rgb(frames / f"{number}.png", np.full((height, width, 3), 90, np.uint8))
    arguments = ["detect", str(vehicle_file(frame_size=(64, 32))), str(frames), "--smooth"]
    assert main([*arguments, "--out", str(tmp_path / "seen")]) == 1
    told = capsys.readouterr()
    assert [line.split(": ")[1:2] for line in told.err.splitlines()] == [
        [f"{frames / '1.png'}"],
        [f"{frames / '3.png'}"],
    ]
    assert "takes frames of 64x32 px" in told.err
    assert "2 frames, 4 detections" in told.out
    document = json.loads((tmp_path / "seen" / "detections.json").read_text())
    assert [row["file"].rsplit("/", 1)[1] for row in document["frames"]] == ["0.png", "2.png"]

    only = tmp_path / "only"
    only.mkdir()
    write_rgb(only / "0.png", np.zeros((9, 9, 3), np.uint8))
    assert main([*arguments[:2], str(only), "--out", str(tmp_path / "none")]) == 1
    assert "takes frames of 64x32 px, got an array of shape (9, 9, 3)" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
