"""tools/cpp: the example is compiled, finds what Python's runtime finds, and refuses what it must not run.

Tests skip where cmake, a compiler, or onnxruntime's C headers are absent; `make headers` fetches the last on Debian.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from tl_datasets.label_space import LabelSpace
from tl_detection.checkpoint import Checkpoint, save_checkpoint
from tl_detection.detectors.onnx import OnnxDetector
from tl_detection.export.export import export

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "tools" / "cpp"
# Names that JSON writes with escapes, and one with a blank; a class without one state.
CLASSES = {"rouge é": {"state": "red"}, '信号 "🚦"': {"state": None}}


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    """The example, compiled with warnings as errors."""
    if shutil.which("cmake") is None:
        pytest.skip("no cmake here")
    if shutil.which(os.environ.get("CXX", "c++")) is None:
        pytest.skip("no C++ compiler here")
    build = tmp_path_factory.mktemp("cpp")
    prefix = os.environ.get("ONNXRUNTIME_ROOT", str(ROOT / "build" / "onnxruntime"))
    options = [f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_COMPILE_WARNING_AS_ERROR=ON"]
    done = subprocess.run(["cmake", "-S", SOURCE, "-B", build, *options], capture_output=True, text=True)
    if "libonnxruntime not found" in done.stderr:
        pytest.skip("no C headers or no library of onnxruntime here; make headers fetches them on Debian")
    assert done.returncode == 0, done.stderr
    done = subprocess.run(["cmake", "--build", build], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return build / "tl_detect"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A file of `tl export` whose network, never trained, sees many things."""
    from tl_detection.detectors.yolo import build_yolo

    torch.manual_seed(0)
    settings = {"architecture": "yolo11n", "width_px": 128, "height_px": 64, "max_detections": 50}
    network = build_yolo(settings, len(CLASSES))
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight)
    with torch.no_grad():
        network.train()
        for _ in range(10):  # running means of the batch norms
            network(torch.rand(4, 3, 64, 128))
        network.eval()
        for branch in network.model[-1].cv3:
            branch[-1].weight *= 10
            branch[-1].bias.fill_(-2)
    folder = tmp_path_factory.mktemp("model")
    space = LabelSpace.model_validate({"classes": CLASSES})
    weights = folder / "best.pt"
    save_checkpoint(
        weights, Checkpoint(kind="yolo", model=settings, label_space=space, state=network.state_dict(), meta={})
    )
    return with_hash(export(weights, folder / "lights.onnx", frame_size="any").path)


def with_hash(path: Path) -> Path:
    """Write what `sha256sum` writes beside a file."""
    path.with_name(path.name + ".sha256").write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    return path


def write_ppm(path: Path, image: np.ndarray, comment: str = "") -> Path:
    path.write_bytes(f"P6\n{comment}{image.shape[1]} {image.shape[0]}\n255\n".encode() + image.tobytes())
    return path


def metadata_of(model: Path) -> dict:
    return json.loads({entry.key: entry.value for entry in onnx.load(model).metadata_props}["tl"])


def with_metadata(model: Path, out: Path, **changes: object) -> Path:
    """The same network that says something else of itself."""
    proto = onnx.load(model)
    helper.set_model_props(proto, {"tl": json.dumps({**metadata_of(model), **changes})})
    onnx.save(proto, out)
    return with_hash(out)


def run(program: Path, *arguments: Path) -> tuple[int, str, str]:
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def assert_same(program: Path, model: Path, frame: Path, image: np.ndarray, detector: OnnxDetector) -> int:
    """Compare the lines of the example with Python's detections; give their number."""
    code, out, error = run(program, model, frame)
    assert (code, error) == (0, "")
    rows = [line.split("\t") for line in out.splitlines()]
    found = detector.detect([image])[0]
    names = list(CLASSES)
    states = [entry["state"] or "-" for entry in CLASSES.values()]
    assert [row[0] for row in rows] == [names[i] for i in found.class_id]
    assert [row[1] for row in rows] == [states[i] for i in found.class_id]
    # Half of the last printed digit, and the rounding of float32.
    np.testing.assert_allclose([float(row[2]) for row in rows], found.score, rtol=0, atol=1e-6)
    np.testing.assert_allclose([[float(side) for side in row[3:]] for row in rows], found.xyxy, rtol=0, atol=1e-3)
    return len(rows)


def test_the_example_speaks_the_contract_of_today(model):
    source = (SOURCE / "contract.hpp").read_text(encoding="utf-8")
    match = re.search(r"constexpr int kContractVersion = (\d+);", source)
    assert match is not None
    assert int(match.group(1)) == metadata_of(model)["contract"]


def test_the_example_finds_what_python_finds(program, model, tmp_path):
    detector = OnnxDetector(model)
    rng = np.random.default_rng(0)
    takes = [axis.dim_value for axis in onnx.load(model).graph.input[0].type.tensor_type.shape.dim[1:3]]
    for height, width in [(64, 128), (90, 161), (201, 97)] if takes == [0, 0] else [takes]:
        image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        frame = write_ppm(tmp_path / "frame.ppm", image, "# drawn at random\n")
        assert assert_same(program, model, frame, image, detector) >= 10

    # A network that wants blue first gets it: with the channels of the file exchanged, it sees what it saw.
    bgr = with_metadata(model, tmp_path / "bgr.onnx", color_order="BGR")
    exchanged = write_ppm(tmp_path / "exchanged.ppm", np.ascontiguousarray(image[:, :, ::-1]))
    every = assert_same(program, bgr, exchanged, image, detector)
    assert run(program, bgr, frame)[1] != run(program, bgr, exchanged)[1]

    # Thresholds inside the file count.
    score = detector.detect([image])[0].score
    least = float(np.sort(score)[len(score) // 2])
    proto = onnx.load(model)
    lowest = next(tensor for tensor in proto.graph.initializer if tensor.name == "score_thresholds")
    lowest.CopyFrom(numpy_helper.from_array(np.full(len(CLASSES), least, np.float32), lowest.name))
    onnx.save(proto, tmp_path / "strict.onnx")
    strict = with_hash(tmp_path / "strict.onnx")
    code, out, _ = run(program, strict, frame)
    assert code == 0
    assert len(out.splitlines()) == int((score >= least).sum()) < every


def foreign(out: Path, shape: list, entries: dict, box: float = 0.0, count: int = 1) -> Path:
    """A file that gives one detection without looking, for frames of this shape."""
    values = {
        "num_detections": (TensorProto.INT32, [1, 1], [count]),
        "detection_boxes": (TensorProto.FLOAT, [1, 1, 4], [box] * 4),
        "detection_scores": (TensorProto.FLOAT, [1, 1], [0.5]),
        "detection_classes": (TensorProto.INT32, [1, 1], [0]),
    }
    graph = helper.make_graph(
        [helper.make_node("Constant", [], [name], value=helper.make_tensor(name, *v)) for name, v in values.items()],
        "g",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info(name, *v[:2]) for name, v in values.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(proto, {key: json.dumps(value) for key, value in entries.items()})
    onnx.save(proto, out)
    return with_hash(out)


def test_the_example_refuses_with_one_line(program, model, tmp_path):
    def raw(name: str, data: bytes) -> Path:
        (tmp_path / name).write_bytes(data)
        return with_hash(tmp_path / name)

    good = write_ppm(tmp_path / "good.ppm", np.zeros((10, 20, 3), np.uint8))
    said = {"tl": metadata_of(model)}
    tampered = raw("tampered.onnx", model.read_bytes())
    tampered.write_bytes(model.read_bytes()[:-1] + b"\0")
    unsigned = Path(shutil.copy(model, tmp_path / "unsigned.onnx"))
    size = [1, "height", "width", 3]
    rows = [
        ("no model", tmp_path / "none.onnx", good, "cannot be read"),
        ("a folder", tmp_path, good, "a folder, expected a file"),
        ("no hash", unsigned, good, "may have been changed"),
        ("tampered", tampered, good, "not the one that was exported"),
        ("truncated", raw("short.onnx", model.read_bytes()[:100_000]), good, "onnxruntime cannot use it"),
        ("empty", raw("empty.onnx", b""), good, "onnxruntime cannot use it"),
        ("no metadata", foreign(tmp_path / "foreign.onnx", size, {}), good, "without tl's metadata"),
        ("metadata of another kind", foreign(tmp_path / "kind.onnx", size, {"tl": [1]}), good, "damaged"),
        ("another contract", with_metadata(model, tmp_path / "c.onnx", contract=99), good, "contract version 99"),
        ("the network alone", with_metadata(model, tmp_path / "r.onnx", variant="raw"), good, "the network alone"),
        ("not finite", foreign(tmp_path / "i.onnx", size, said, count=-1), good, "numbers that are not finite"),
        ("grey", with_metadata(model, tmp_path / "g.onnx", color_order="GREY"), good, "order of colours 'GREY'"),
        ("no class", with_metadata(model, tmp_path / "n.onnx", classes=[]), good, "damaged (no class)"),
        ("batch of 4", foreign(tmp_path / "b.onnx", [4, *size[1:]], said), good, "takes 4 frames at once"),
        ("any batch", foreign(tmp_path / "a.onnx", ["n", *size[1:]], said), good, "takes any number of frames"),
        ("channels first", foreign(tmp_path / "f.onnx", [1, 3, 10, 20], said), good, "uint8 (1, H, W, 3)"),
        ("NaN", foreign(tmp_path / "nan.onnx", size, said, np.nan), good, "is no number"),
        ("another size", foreign(tmp_path / "s.onnx", [1, 10, 21, 3], said), good, "20 x 10 pixels, expected 21 x 10"),
        ("no frame", model, tmp_path / "none.ppm", "cannot be read"),
        ("grey picture", model, raw("grey.ppm", b"P5\n2 2\n255\nabcd"), "begins with P6"),
        ("16 bits", model, raw("deep.ppm", b"P6\n1 1\n65535\nabcdef"), "highest value 65535"),
        ("no header", model, raw("bare.ppm", b"P6"), "names no width"),
        ("huge", model, raw("huge.ppm", b"P6\n99999999999999999999 2\n255\n"), "names no width"),
        ("too few pixels", model, raw("few.ppm", good.read_bytes()[:-1]), "599 bytes of pixels, expected 600"),
        ("too many pixels", model, raw("many.ppm", good.read_bytes() + b"x"), "601 bytes of pixels, expected 600"),
    ]
    for name, file, frame, reason in rows:
        code, out, error = run(program, file, frame)
        assert (code, out, error.count("\n")) == (1, "", 1), name
        assert reason in error, name
    assert run(program, model)[0] == 2

    # The same maker's file passes where nothing is wrong with it.
    assert run(program, foreign(tmp_path / "fits.onnx", [1, 10, 20, 3], said), good)[0] == 0
    # Lengths around the ends of SHA-256's blocks.
    for length in (1, 55, 56, 63, 64, 65, 119, 120, 128):
        odd = raw("odd.onnx", bytes(range(length)))
        hashed = hashlib.sha256(odd.read_bytes()).hexdigest()
        odd.with_name("odd.onnx.sha256").write_text("0" * 64)
        assert f"SHA-256 {hashed}," in run(program, odd, good)[2], length
