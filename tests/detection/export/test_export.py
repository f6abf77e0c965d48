"""`tl export`: the file does what the checkpoint does, says what it is, and a wrong one never appears."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

import tl_detection.export.export as exporting
from tl_datasets.boxes import iou
from tl_datasets.errors import DataError, UsageError, WeightsError
from tl_datasets.label_space import LabelSpace
from tl_detection.checkpoint import Checkpoint, file_fingerprint, load_checkpoint, save_checkpoint
from tl_detection.cli import main
from tl_detection.detector import Detections, Detector
from tl_detection.detectors.faster_rcnn import FasterRcnnDetector, network_from_checkpoint
from tl_detection.detectors.load import load_detector
from tl_detection.detectors.onnx import OnnxDetector
from tl_detection.detectors.yolo import YoloDetector
from tl_detection.export.camera import Camera, parse_frame_size
from tl_detection.export.export import export
from tl_detection.export.model import build_model
from tl_detection.export.parity import compare, compare_detectors

ANY_SIZE = Camera(frame_size=None)


def test_exported_yolo_sees_what_the_checkpoint_sees(yolo_export, yolo_checkpoint, scene):
    assert yolo_export.parity.is_equal
    assert yolo_export.parity.compared >= 60
    assert yolo_export.real_frames == 3
    frames = [scene(192, 320, 11), scene(720, 1280, 12), scene(201, 97, 13)]
    report = compare_detectors(load_detector(yolo_checkpoint, "cpu"), OnnxDetector(yolo_export.path), frames, 50)
    assert report.compared >= 25
    assert report.missing == report.ties == 0
    assert report.worst_box_px < 0.05
    assert report.worst_score < 1e-3


def test_exported_faster_rcnn_sees_what_the_checkpoint_sees(faster_checkpoint, scene):
    frames = [scene(192, 320, 1), scene(360, 640, 2), scene(333, 217, 3)]
    report = export(faster_checkpoint, faster_checkpoint.parent / "faster.onnx", frames=frames, frame_size="any")
    assert report.parity.compared >= 100
    actual = compare_detectors(
        load_detector(faster_checkpoint, "cpu"), OnnxDetector(report.path), [frames[0]], max_detections=40
    )
    assert actual.compared >= 20
    assert actual.worst_box_px < 1e-2
    assert actual.worst_score < 1e-3
    graph = onnx.load(report.path).graph
    assert not {node.op_type for node in graph.node} & {"If", "Loop", "Scan", "NonZero", "SequenceConstruct"}


def test_end_to_end_head_without_checkpoint(lively_yolo, label_space, scene, tmp_path):
    module, model = lively_yolo("yolo26n")
    module.end2end = True
    detector = YoloDetector(module.eval().fuse(verbose=False), label_space, model, {})
    assert detector.end_to_end
    built = build_model(detector, {}, ANY_SIZE, [0.0] * len(detector.label_space))
    onnx.checker.check_model(built, full_check=True)
    session = onnxruntime.InferenceSession(built.SerializeToString(), providers=["CPUExecutionProvider"])
    for frame in (scene(192, 320, 1), scene(360, 640, 2)):
        count, boxes, scores, classes = session.run(None, {"image": frame[None]})
        n = int(count[0, 0])
        expected = detector.detect([frame])[0]
        found = Detections(xyxy=boxes[0, :n], score=scores[0, :n], class_id=classes[0, :n])
        report = compare([(expected, found)], 50)
        assert report.compared > 10
        assert report.is_equal


# Red and green of vehicle heads, and of pedestrian heads; and the same ids as classes that exclude nothing.
HEADS = LabelSpace.model_validate(
    {
        "classes": {
            "red": {"state": "red"},
            "wait": {"state": "red", "pictogram": "pedestrian"},
            "green": {"state": "green"},
            "walk": {"state": "green", "pictogram": "pedestrian"},
        }
    }
)
APART = LabelSpace.model_validate(
    {"classes": {word: {"pictogram": word} for word in ("circle", "tram", "bicycle", "pedestrian")}}
)


def plant_twins(layer: torch.nn.Module, first: int = 0, outputs: int = 1) -> None:
    """Make three classes copies of the first one, each a little less sure, in a layer with `outputs` per class."""
    for copy, less_sure in ((2, 0.001), (1, 0.002), (3, 0.003)):
        for values in (layer.weight.data, layer.bias.data):
            start, end = (first + copy) * outputs, (first + copy + 1) * outputs
            values[start:end] = values[first * outputs : (first + 1) * outputs]
        if outputs == 1:
            layer.bias.data[first + copy] -= less_sure


@pytest.fixture(params=["yolo26n", "yolo11n", "faster_rcnn"])
def sees_twins(request, lively_yolo, faster_checkpoint) -> Callable[[LabelSpace], Detector]:
    """A network that sees everything as red, green, wait and walk at once, the surest first."""
    if request.param == "faster_rcnn":
        checkpoint = load_checkpoint(faster_checkpoint)
        network = network_from_checkpoint(checkpoint, "twins").eval()
        plant_twins(network.roi_heads.box_predictor.cls_score, first=1)
        plant_twins(network.roi_heads.box_predictor.bbox_pred, first=1, outputs=4)
        size = int(checkpoint.model["width_px"]), int(checkpoint.model["height_px"])
        return lambda space: FasterRcnnDetector(network, space, *size, torch.device("cpu"))
    module, model = lively_yolo(request.param)
    module.end2end = request.param == "yolo26n"
    for branch in getattr(module.model[-1], "one2one_cv3" if module.end2end else "cv3"):
        plant_twins(branch[-1])
    if request.param == "yolo11n":  # its distances, which the fresh start made negative
        module.model[-1].dfl.conv.weight.data[:] = torch.arange(16.0).view(1, 16, 1, 1)
    module = module.eval().fuse(verbose=False)
    return lambda space: YoloDetector(module, space, model, {})


def states_on_one_lamp(found: Detections) -> tuple[int, int]:
    """Pairs of boxes in one place: exclusive ones, and others."""
    group = np.array(HEADS.groups)[found.class_id]
    over = np.triu(iou(found.xyxy, found.xyxy) > 0.42, 1)  # beyond the limit, by more than rounding
    exclusive = (group[:, None] == group) & (found.class_id[:, None] != found.class_id)
    return int((over & exclusive).sum()), int((over & (group[:, None] != group)).sum())


def test_a_lamp_in_two_states_is_exported_as_it_is_detected(sees_twins, scene):
    detector, judge = sees_twins(HEADS), sees_twins(APART)
    built = build_model(detector, {}, ANY_SIZE, [0.0] * len(detector.label_space))
    session = onnxruntime.InferenceSession(built.SerializeToString(), providers=["CPUExecutionProvider"])
    exclusive = others = 0
    for frame in (scene(192, 320, 1), scene(360, 640, 2)):
        count, boxes, scores, classes = session.run(None, {"image": frame[None]})
        n = int(count[0, 0])
        found = Detections(xyxy=boxes[0, :n], score=scores[0, :n], class_id=classes[0, :n])
        expected = detector.detect([frame])[0]
        assert states_on_one_lamp(expected)[0] == states_on_one_lamp(found)[0] == 0
        assert found.class_id.tolist() == expected.class_id.tolist()
        np.testing.assert_allclose(found.xyxy, expected.xyxy, atol=0.02)
        np.testing.assert_allclose(found.score, expected.score, atol=1e-3)
        exclusive += states_on_one_lamp(judge.detect([frame])[0])[0]
        others += states_on_one_lamp(found)[1]
        assert set(found.class_id.tolist()) <= {0, 1}
    assert exclusive > 10 and others > 5


def test_outputs_follow_the_contract(yolo_export, scene):
    session = onnxruntime.InferenceSession(str(yolo_export.path), providers=["CPUExecutionProvider"])
    count, boxes, scores, classes = session.run(None, {"image": scene(100, 150, 0)[None]})
    n = int(count[0, 0])
    assert (count.dtype, boxes.dtype, scores.dtype, classes.dtype) == (np.int32, np.float32, np.float32, np.int32)
    assert (count.shape, boxes.shape, scores.shape, classes.shape) == ((1, 1), (1, 50, 4), (1, 50), (1, 50))
    assert 0 < n <= 50
    assert (np.diff(scores[0, :n]) <= 0).all()
    assert (boxes[0, :n] >= 0).all()
    assert (boxes[0, :n] <= [150, 100, 150, 100]).all()
    assert (boxes[0, n:] == 0).all()
    assert (scores[0, n:] == 0).all()
    assert (classes[0, n:] == -1).all()


def test_file_says_what_it_is(yolo_export, yolo_checkpoint):
    entries = (
        onnxruntime.InferenceSession(str(yolo_export.path), providers=["CPUExecutionProvider"])
        .get_modelmeta()
        .custom_metadata_map
    )
    everything = json.loads(entries["tl"])
    assert everything == OnnxDetector(yolo_export.path).session.contract.metadata
    assert json.loads(entries["names"]) == ["red", "yellow", "green", "off"]
    assert [entry["state"] for entry in everything["classes"]] == ["red", "yellow", "green", "off"]
    assert [entry["group"] for entry in everything["classes"]] == [0, 0, 0, 0]
    assert "IoU over 0.4" in everything["suppression_rule"]
    assert entries["color_order"] == everything["color_order"] == "RGB"
    assert everything["input"] == {"width_px": 320, "height_px": 192}
    assert everything["frame"] == {"width_px": None, "height_px": None, "batch": 1}
    assert (everything["variant"], everything["precision"], everything["opset"]) == ("detector", "float32", 18)
    assert everything["run"] == "20260101-000000"
    assert everything["catalog_fingerprint"] == "c0ffee"
    assert (
        everything["checkpoint_fingerprint"] == file_fingerprint(yolo_checkpoint) == entries["checkpoint_fingerprint"]
    )
    assert "AGPL" in entries["license"]
    detector = OnnxDetector(yolo_export.path)
    assert detector.label_space == load_checkpoint(yolo_checkpoint).label_space
    assert detector.label_space.fingerprint == load_checkpoint(yolo_checkpoint).label_space.fingerprint


def test_file_names_no_path_and_no_machine(yolo_export):
    data = yolo_export.path.read_bytes()
    for word in (str(Path(__file__).resolve().parents[3]), "site-packages", ".py", str(yolo_export.path.parent)):
        assert word.encode() not in data, word


def test_same_checkpoint_gives_the_same_bytes(yolo_export, yolo_checkpoint, tmp_path):
    again = export(yolo_checkpoint, tmp_path / "again.onnx", frame_size="any")
    assert again.fingerprint == yolo_export.fingerprint
    assert again.path.read_bytes() == yolo_export.path.read_bytes()


def swap_colours(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        node.input[:] = ["swapped" if name == "image" else name for name in node.input]
    order = numpy_helper.from_array(np.array([2, 1, 0]), "bgr")
    model.graph.initializer.append(order)
    model.graph.node.insert(0, onnx.helper.make_node("Gather", ["image", "bgr"], ["swapped"], axis=3))


def swap_classes(model: onnx.ModelProto) -> None:
    last = next(node for node in model.graph.node if node.output[0] == "detection_classes")
    wanted = last.input[0]
    model.graph.initializer.append(numpy_helper.from_array(np.array([3, 2, 1, 0, -1], np.int32), "order"))
    last.input[0] = "reordered"
    model.graph.node.insert(
        list(model.graph.node).index(last),
        onnx.helper.make_node("Gather", ["order", wanted], ["reordered"], axis=0),
    )


def swap_names(model: onnx.ModelProto) -> None:
    entry = next(entry for entry in model.metadata_props if entry.key == "tl")
    data = json.loads(entry.value)
    data["classes"].reverse()
    for number, item in enumerate(data["classes"]):
        item["id"] = number  # else the contract's reader refuses it before anything is compared
    data["label_space"]["classes"] = dict(reversed(list(data["label_space"]["classes"].items())))
    entry.value = json.dumps(data)


def change_constant(model: onnx.ModelProto, before: float, after: float, dtype: type) -> None:
    changed = 0
    for tensor in model.graph.initializer:
        if tensor.name.startswith("tl/constant") and not tensor.dims:
            value = numpy_helper.to_array(tensor)
            if value.dtype == dtype and value == np.asarray(before, dtype):
                tensor.CopyFrom(numpy_helper.from_array(np.asarray(after, dtype), tensor.name))
                changed += 1
    assert changed == 1


def ignore_thresholds(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        node.input[:] = ["no_thresholds" if name == "score_thresholds" else name for name in node.input]
    model.graph.initializer.append(numpy_helper.from_array(np.full(4, 0.95, np.float32), "no_thresholds"))


def change_range(model: onnx.ModelProto) -> None:
    """As of a network that is fed values up to 2, not to 1."""
    weight = next(tensor for tensor in model.graph.initializer if tensor.name.endswith("model.0.conv.weight"))
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(2), weight.name))


FAULTS = {
    "colours swapped": swap_colours,
    "class ids swapped": swap_classes,
    "class names swapped": swap_names,
    "no half-pixel centres": lambda model: change_constant(model, 0.5, 0.0, np.float64),
    "other padding": lambda model: change_constant(model, 114, 0, np.float32),
    "thresholds of its own": ignore_thresholds,
    "other range": change_range,
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_wrong_file_never_appears(fault, yolo_export, yolo_checkpoint, scene, tmp_path, monkeypatch):
    def build_wrong(*_):
        model = onnx.load(yolo_export.path)
        fault(model)
        return model

    monkeypatch.setattr(exporting, "build_model", build_wrong)
    out = tmp_path / "out" / "model.onnx"
    with pytest.raises(WeightsError, match="nothing was written") as caught:
        export(yolo_checkpoint, out, frames=[scene(360, 640, 1)], frame_size="any")
    assert "\n" not in str(caught.value)
    assert list(out.parent.iterdir()) == []


def test_a_failing_build_leaves_nothing_and_keeps_the_old_file(yolo_checkpoint, tmp_path, monkeypatch):
    def fail(*_):
        raise WeightsError("broken")

    monkeypatch.setattr(exporting, "build_model", fail)
    out = tmp_path / "model.onnx"
    out.write_bytes(b"old")
    with pytest.raises(WeightsError, match="broken"):
        export(yolo_checkpoint, out, overwrite=True, frame_size="any")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    assert out.read_bytes() == b"old"


def test_refusals_come_before_the_work(yolo_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "build_model", lambda *args: pytest.fail("work was done"))
    existing = tmp_path / "model.onnx"
    existing.write_bytes(b"old")
    with pytest.raises(DataError, match="exists already"):
        export(yolo_checkpoint, existing)
    with pytest.raises(UsageError, match=r"ends in \.onnx"):
        export(yolo_checkpoint, tmp_path / "model.pt")
    with pytest.raises(UsageError, match="--frames -3: expected 0 or more"):
        export(yolo_checkpoint, tmp_path / "new.onnx", n_frames=-3)
    with pytest.raises(WeightsError, match="cannot be read"):
        export(tmp_path / "absent.pt", tmp_path / "new.onnx")
    with pytest.raises(DataError):
        export(yolo_checkpoint, tmp_path / "new.onnx", catalog=tmp_path / "absent")
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_a_network_that_sees_nothing_is_exported_with_a_warning(
    lively_yolo, label_space, yolo_export, tmp_path, monkeypatch, caplog
):
    def build_blind(*_):
        built = onnx.load(yolo_export.path)
        suppression = next(node for node in built.graph.node if node.op_type == "NonMaxSuppression")
        for tensor in built.graph.initializer:
            if tensor.name == suppression.input[4]:
                tensor.CopyFrom(numpy_helper.from_array(np.array([2], np.float32), tensor.name))
        return built

    module, model = lively_yolo("yolo11n")
    for branch in module.model[-1].cv3:
        branch[-1].bias.data[:] = -40
        branch[-1].weight.data[:] = 0
    path = tmp_path / "best.pt"
    save_checkpoint(
        path, Checkpoint(kind="yolo", model=model, label_space=label_space, state=module.state_dict(), meta={})
    )
    monkeypatch.setattr(exporting, "build_model", build_blind)
    report = export(path, tmp_path / "blind.onnx", frame_size="any")
    assert report.parity.compared == 0
    assert "no detection in any compared frame" in caplog.text
    assert any("no real frame" in line for line in report.lines())


def test_the_file_carries_the_scores_of_a_thresholds_file(yolo_checkpoint, scene, tmp_path, capsys):
    thresholds, out = tmp_path / "thresholds.yaml", tmp_path / "lights.onnx"
    names = load_checkpoint(yolo_checkpoint).label_space.names
    thresholds.write_text("thresholds_version: 1\nclasses: {red: {score: 0.5}}\n")
    arguments = ["export", str(yolo_checkpoint), "--out", str(out), "--no-catalog", "--frame-size", "320x192"]
    arguments += ["--thresholds", str(thresholds)]
    assert main(arguments) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"tl export: {thresholds}: classes.yellow: is missing") and told.count("\n") == 1
    assert not out.exists()

    scores = dict(zip(names, (0.2, 0.3, 0.4, 1.0), strict=True))
    thresholds.write_text(
        json.dumps({"thresholds_version": 1, "classes": {n: {"score": s} for n, s in scores.items()}})
    )
    assert main(arguments) == 0
    detector, frame = OnnxDetector(out), scene(192, 320, 1)
    assert detector.operating_scores == tuple(scores.values())
    entries = {entry.key: entry.value for entry in onnx.load(out).metadata_props}
    assert json.loads(entries["operating_scores"]) == scores
    everything = detector.detect([frame])[0]
    (shown,) = detector.session.run(frame[None])
    assert 0 < len(shown) == len(everything.above(detector.operating_scores)) < len(everything)
    # Another runtime, without any of our code, gets the same.
    count = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"]).run(None, {"image": frame[None]})
    assert count[0].item() == len(shown)


CAMERAS = {
    "half": ((640, 384), 1, "RGB"),
    "a third, blue first": ((960, 576), 1, "BGR"),
    "its own size, blue first": ((320, 192), 1, "BGR"),
    "bands above and below, two at once": ((640, 360), 2, "RGB"),
    "odd sides, three at once": ((333, 217), 3, "BGR"),
}


@pytest.mark.parametrize(("size", "batch", "order"), CAMERAS.values(), ids=CAMERAS.keys())
def test_a_file_for_one_camera_sees_what_the_checkpoint_sees(size, batch, order, yolo_checkpoint, scene, tmp_path):
    frames = [scene(size[1], size[0], seed) for seed in range(3)]
    report = export(yolo_checkpoint, tmp_path / "c.onnx", frames=frames, color_order=order, batch=batch)
    assert report.camera == Camera(frame_size=size, color_order=order, batch=batch)
    assert report.parity.compared >= 60
    assert report.parity.missing == report.parity.ties == 0
    assert report.parity.worst_box_px < 0.05
    session = onnxruntime.InferenceSession(str(report.path), providers=["CPUExecutionProvider"])
    shown = np.stack([frames[row % 3] if order == "RGB" else frames[row % 3][..., ::-1] for row in range(batch)])
    count, boxes, scores, classes = session.run(None, {"image": shown})
    assert (count.shape, boxes.shape, scores.shape, classes.shape) == (
        (batch, 1),
        (batch, 50, 4),
        (batch, 50),
        (batch, 50),
    )
    expected = load_detector(yolo_checkpoint, "cpu").detect(list(frames[: min(3, batch)]))
    for row, wanted in enumerate(expected):
        n = int(count[row, 0])
        found = Detections(xyxy=boxes[row, :n], score=scores[row, :n], class_id=classes[row, :n])
        assert compare([(wanted, found)], 50).is_equal


def test_a_batch_of_faster_rcnn_sees_in_each_frame_what_it_sees_alone(faster_checkpoint, scene, tmp_path):
    frames = [scene(180, 300, seed) for seed in range(4)]
    report = export(faster_checkpoint, tmp_path / "f.onnx", frames=frames, batch=2)
    assert report.parity.compared >= 100
    assert report.parity.missing == 0


@pytest.mark.parametrize("kind", ["yolo", "faster"])
def test_the_network_alone_is_proven_with_the_rest_around_it(kind, yolo_checkpoint, faster_checkpoint, scene, tmp_path):
    checkpoint = yolo_checkpoint if kind == "yolo" else faster_checkpoint
    frames = [scene(192, 320, 1), scene(333, 217, 3)]
    report = export(checkpoint, tmp_path / "raw.onnx", frames=frames, raw=True, batch=2)
    assert report.is_raw
    assert report.parity.compared >= 60
    assert report.parity.missing == 0
    session = onnxruntime.InferenceSession(str(report.path), providers=["CPUExecutionProvider"])
    assert [(node.name, node.shape) for node in session.get_inputs()] == [("images", [2, 3, 192, 320])]
    boxes, scores = session.run(None, {"images": np.zeros((2, 3, 192, 320), np.float32)})
    assert boxes.shape == (2, scores.shape[1], 4)
    assert scores.shape[2] == 4
    with pytest.raises(WeightsError, match="holds the network alone"):
        OnnxDetector(report.path)


@pytest.mark.parametrize("kind", ["yolo", "faster"])
def test_a_network_that_gives_no_numbers_is_no_empty_road(kind, yolo_checkpoint, faster_checkpoint, scene, tmp_path):
    path = yolo_checkpoint if kind == "yolo" else faster_checkpoint
    detector = load_detector(path, "cpu")
    module = detector.module if isinstance(detector, YoloDetector) else detector.network
    first = next(part for part in module.modules() if isinstance(part, torch.nn.Conv2d))
    with torch.no_grad():
        first.weight.data[0, 0, 0, 0] = float("nan")
    model = build_model(detector, {}, Camera(frame_size=(320, 192)), [0.0] * 4)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.run(["num_detections"], {"image": scene(192, 320, 1)[None]})[0].tolist() == [[-1]]


def test_frames_of_several_sizes_need_a_word(yolo_checkpoint, scene, tmp_path):
    out = tmp_path / "model.onnx"
    with pytest.raises(UsageError, match=r"frames of 2 sizes \(640x360 \(2\), 97x201 \(1\)\); give .* --frame-size"):
        export(yolo_checkpoint, out, frames=[scene(360, 640, 0), scene(360, 640, 1), scene(201, 97, 2)])
    with pytest.raises(UsageError, match="no frame to see the camera's size from"):
        export(yolo_checkpoint, out)
    for settings, message in (
        ({"frame_size": (0, 5)}, "--frame-size 0x5: expected 1 to 16384"),
        ({"frame_size": "any", "batch": 0}, "--batch 0: expected 1 to 64"),
        ({"frame_size": "any", "color_order": "GBR"}, "--colors GBR: expected RGB or BGR"),
        ({"raw": True, "frame_size": "any"}, "--raw: the network alone has no"),
        ({"frame_size": "any", "max_drop": -1}, "--max-drop -1"),
    ):
        with pytest.raises(UsageError, match=message):
            export(yolo_checkpoint, out, **settings)
    assert not out.exists()


@pytest.mark.parametrize(
    ("text", "size"),
    [("1280x720", (1280, 720)), ("any", None), ("720", 0), ("1280X720", 0), ("0x4", 0), ("1280x720x3", 0), ("", 0)],
)
def test_frame_sizes_are_read(text, size):
    if size == 0:
        with pytest.raises(UsageError, match="expected WIDTHxHEIGHT"):
            parse_frame_size(text)
    else:
        assert parse_frame_size(text) == size
