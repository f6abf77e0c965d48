"""`OnnxDetector` and the runtime under it: what they refuse, and that a vehicle needs numpy and onnxruntime only."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tl_datasets.errors import UsageError, WeightsError
from tl_datasets.images import write_rgb
from tl_detection.cli import main
from tl_detection.detectors.load import load_detector
from tl_detection.detectors.onnx import OnnxDetector
from tl_detection.export.graph import IR_VERSION, OPSET, GraphWriter
from tl_detection.export.postprocess import Candidates, write_outputs
from tl_detection.export.preprocess import write_preprocess
from tl_runtime.errors import ModelError
from tl_runtime.session import Runtime

LABEL_SPACE = {"classes": {"red": {"state": ["red"]}, "light": {}}}
METADATA = {
    "contract": 1,
    "classes": [{"name": "red", "state": "red"}, {"name": "light", "state": None}],
    "label_space": LABEL_SPACE,
    "color_order": "RGB",
    "checkpoint_fingerprint": "abc",
    "run": "r",
}


def fixed_model(metadata: dict[str, str]) -> onnx.ModelProto:
    """A file of the contract whose network always sees the same two boxes, in a 64 x 32 input."""
    graph = GraphWriter("t")
    _, placement = write_preprocess(graph, "image", 64, 32)
    boxes = graph.constant([[8, 4, 16, 12], [32, 8, 40, 24], [0, 0, 0, 0]], np.float32)
    found = Candidates(
        xyxy=boxes, score=graph.constant([0.4, 0.9, -1], np.float32), class_id=graph.constant([1, 0, -1], np.int64)
    )
    for name, value in write_outputs(graph, found, placement, 3).items():
        graph.rename(value, name)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "t",
            [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, "h", "w", 3])],
            [
                helper.make_tensor_value_info("num_detections", TensorProto.INT32, [1, 1]),
                helper.make_tensor_value_info("detection_boxes", TensorProto.FLOAT, [1, 3, 4]),
                helper.make_tensor_value_info("detection_scores", TensorProto.FLOAT, [1, 3]),
                helper.make_tensor_value_info("detection_classes", TensorProto.INT32, [1, 3]),
            ],
            list(graph.constants.values()),
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    helper.set_model_props(model, metadata)
    return model


def save(path: Path, model: onnx.ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture(scope="module")
def model_path(tmp_path_factory) -> Path:
    return save(tmp_path_factory.mktemp("model") / "fixed.onnx", fixed_model({"tl": json.dumps(METADATA)}))


def test_boxes_come_back_in_the_pixels_of_each_frame(model_path):
    detector = OnnxDetector(model_path, threads=1)
    frames = [np.zeros((32, 64, 3), np.uint8), np.zeros((64, 128, 3), np.uint8), np.zeros((32, 32, 3), np.uint8)]
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
    assert detector.runtime.states == ("red", None)
    assert detector.description["checkpoint_fingerprint"] == "abc"
    assert isinstance(load_detector(model_path), OnnxDetector)


def test_a_view_and_a_reversed_frame_are_taken(model_path):
    frame = np.zeros((64, 256, 3), np.uint8)[:, ::2, ::-1]
    assert len(Runtime(model_path).detect(frame)[0]) == 2


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
        Runtime(model_path).detect(frame)


def without(key: str) -> str:
    return json.dumps({name: value for name, value in METADATA.items() if name != key})


BAD_METADATA = {
    "none": ({}, "without tl's metadata"),
    "of another program": ({"names": "{0: 'red'}", "stride": "32"}, "without tl's metadata"),
    "cut off": ({"tl": json.dumps(METADATA)[:40]}, "damaged"),
    "no object": ({"tl": "[]"}, "damaged"),
    "no contract": ({"tl": without("contract")}, "damaged"),
    "no classes": ({"tl": without("classes")}, "damaged"),
    "empty classes": ({"tl": json.dumps(METADATA | {"classes": []})}, "no classes"),
    "other contract": ({"tl": json.dumps(METADATA | {"contract": 99})}, "contract version 99, expected 1"),
    "other colours": ({"tl": json.dumps(METADATA | {"color_order": "BGR"})}, "another order of colours than RGB"),
    "no label space": ({"tl": without("label_space")}, "label space"),
    "broken label space": ({"tl": json.dumps(METADATA | {"label_space": {"clases": 1}})}, "label space"),
    "other classes": (
        {"tl": json.dumps(METADATA | {"label_space": {"classes": {"light": {}, "red": {}}}})},
        "its label space has",
    ),
}


@pytest.mark.parametrize(("metadata", "message"), BAD_METADATA.values(), ids=BAD_METADATA.keys())
def test_a_foreign_file_is_refused_in_one_line(metadata, message, tmp_path):
    path = save(tmp_path / "foreign.onnx", fixed_model(metadata))
    with pytest.raises(WeightsError, match=message) as caught:
        OnnxDetector(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "tl export" in str(caught.value)


def test_other_inputs_are_refused(tmp_path):
    model = fixed_model({"tl": json.dumps(METADATA)})
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    for node in model.graph.node:
        node.input[:] = ["frame" if name == "image" else name for name in node.input]
    model.graph.input[0].name = "frame"
    with pytest.raises(WeightsError, match="expected one uint8"):
        OnnxDetector(save(tmp_path / "other.onnx", model))


def test_an_input_of_one_size_is_refused(tmp_path):
    model = fixed_model({"tl": json.dumps(METADATA)})
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 32
    with pytest.raises(WeightsError, match="of any height and width"):
        OnnxDetector(save(tmp_path / "fixed_height.onnx", model))


def test_a_provider_may_be_one_name(model_path):
    assert Runtime(model_path, providers="CPUExecutionProvider").providers == ("CPUExecutionProvider",)


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


IN_VEHICLE = """
import sys

ALLOWED = {"numpy", "onnxruntime", "tl_runtime"} | set(sys.stdlib_module_names)


class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ALLOWED:
            raise ImportError(f"{name} is not in the vehicle")


sys.meta_path.insert(0, Refuse())
import numpy as np
from tl_runtime.session import Runtime

runtime = Runtime(sys.argv[1], threads=1)
xyxy, score, class_id = runtime.detect(np.zeros((64, 128, 3), np.uint8))
print([runtime.names[i] for i in class_id], xyxy.tolist())
foreign = {name.partition(".")[0] for name in sys.modules} & {
    "torch", "torchvision", "ultralytics", "cv2", "polars", "pydantic", "onnx", "yaml", "PIL"
}
print(sorted(foreign))
"""


def test_runtime_imports_numpy_and_onnxruntime_only(model_path):
    result = subprocess.run(
        [sys.executable, "-c", IN_VEHICLE, str(model_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == ["['red', 'light'] [[64.0, 16.0, 80.0, 48.0], [16.0, 8.0, 32.0, 24.0]]", "[]"]
    assert result.stderr == ""


@pytest.fixture
def fixed_model_path(tmp_path):
    """The file of `fixed_model` with further metadata."""
    return lambda more: save(tmp_path / "fixed.onnx", fixed_model({"tl": json.dumps(METADATA | more)}))


@pytest.fixture
def file_of(tmp_path):
    """A thresholds file with a text."""

    def write(text: str) -> Path:
        (tmp_path / "thresholds.yaml").write_text(text)
        return tmp_path / "thresholds.yaml"

    return write


@pytest.fixture
def frame_path(tmp_path) -> Path:
    write_rgb(tmp_path / "frame.png", np.zeros((32, 64, 3), np.uint8))
    return tmp_path / "frame.png"


def detected(out: Path) -> tuple[list[tuple[str, float]], dict[str, float]]:
    document = json.loads((out / "detections.json").read_text())
    found = [(item["class"], item["score"]) for item in document["frames"][0]["detections"]]
    return found, document["score_thresholds"]


def test_detect_uses_the_scores_of_a_file(fixed_model_path, frame_path, file_of, tmp_path):
    model = str(fixed_model_path({}))  # always a red at 0.9 and a light at 0.4
    path = file_of("thresholds_version: 1\nclasses: {red: {score: 0.95}, light: {score: 0.4}}\n")
    arguments = ["detect", model, str(frame_path), "--thresholds", str(path), "--out", str(tmp_path / "a")]
    assert main(arguments) == 0
    assert detected(tmp_path / "a") == ([("light", 0.4)], {"red": 0.95, "light": 0.4})
    assert main(["detect", model, str(frame_path), "--out", str(tmp_path / "b")]) == 0
    assert detected(tmp_path / "b") == ([("red", 0.9), ("light", 0.4)], {"red": 0.25, "light": 0.25})


def test_detect_uses_the_scores_that_an_exported_file_carries(fixed_model_path, frame_path, tmp_path):
    model = str(fixed_model_path({"operating_scores": {"light": 0.5, "red": 0.5}}))
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
def test_detect_refuses_a_bad_file(fixed_model_path, frame_path, file_of, tmp_path, capsys, text, code, message):
    model, path = str(fixed_model_path({})), file_of(text)
    out = tmp_path / "out"
    assert main(["detect", model, str(frame_path), "--thresholds", str(path), "--out", str(out)]) == code
    told = capsys.readouterr().err
    assert told.startswith(f"tl detect: {path}: ") and message in told and told.count("\n") == 1
    assert not out.exists()


def test_detect_takes_one_of_score_and_thresholds(fixed_model_path, frame_path, file_of, capsys):
    arguments = ["detect", "m.onnx", str(frame_path), "--out", "x", "--score", "0.5", "--thresholds", "t.yaml"]
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "not allowed with argument" in capsys.readouterr().err


def test_runtime_leaves_out_what_is_below_the_operating_scores(fixed_model_path):
    frame = np.zeros((32, 64, 3), np.uint8)
    runtime = Runtime(fixed_model_path({"operating_scores": {"light": 0.5, "red": 0.9}}))
    assert runtime.operating_scores == (0.9, 0.5)
    assert [values.tolist() for values in runtime.detect(frame)[1:]] == [pytest.approx([0.9]), [0]]
    assert len(runtime.detect(frame, low_scores=True)[1]) == 2
    assert len(OnnxDetector(runtime.path).detect([frame])[0]) == 2, "an evaluation sees every score"
    assert Runtime(fixed_model_path({})).operating_scores is None


@pytest.mark.parametrize(
    "scores", [[0.5, 0.5], {"red": 0.5}, {"red": 0.5, "light": 2}, {"red": 0.5, "light": "high"}, None]
)
def test_damaged_operating_scores_are_refused(fixed_model_path, scores):
    with pytest.raises(ModelError, match="operating scores in the metadata are not one per class"):
        Runtime(fixed_model_path({"operating_scores": scores}))
