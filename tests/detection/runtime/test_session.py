"""What is opened, what is refused, and that no damage of a file ends in anything but one line."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto
from onnxruntime.capi import onnxruntime_pybind11_state as ort  # type: ignore[attr-defined]

from tl_runtime.errors import BrokenOutputError, ModelError, TlRuntimeError
from tl_runtime.session import Session, open_session


def test_boxes_keep_their_promises(vehicle_file, draw):
    (found,) = Session(vehicle_file()).run(draw()[None])
    assert (found.xyxy.dtype, found.scores.dtype, found.labels.dtype) == (np.float32, np.float32, np.int64)
    assert (found.xyxy.shape, found.scores.shape, found.labels.shape) == ((2, 4), (2,), (2,))
    assert found.xyxy.tolist() == [[32, 8, 40, 24], [8, 4, 16, 12]] and len(found) == 2
    assert found.scores[0] >= found.scores[1]


def test_low_scores_come_when_asked_for(vehicle_file, draw):
    session = Session(vehicle_file(scores={"red": 0.5, "light": 0.5}))
    assert [len(session.run(draw()[None], low_scores=low)[0]) for low in (False, True, False)] == [1, 2, 1]


def test_boxes_are_no_memory_of_the_session(vehicle_file, draw):
    session = Session(vehicle_file())
    (found,) = session.run(draw()[None])
    kept = [values.copy() for values in (found.xyxy, found.scores, found.labels)]
    assert all(values.base is None and values.flags.writeable for values in (found.xyxy, found.scores, found.labels))
    for seed in range(20):
        session.run(draw(seed, 48, 80)[None] // 2)
    assert all(np.array_equal(a, b) for a, b in zip(kept, (found.xyxy, found.scores, found.labels), strict=True))


def test_a_batch_gives_as_many(vehicle_file, draw):
    frames = np.stack([draw(0), draw(1) // 2])
    first, second = Session(vehicle_file(batch=2)).run(frames)
    assert first.scores[0] > 0.5 > second.scores[0]


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((1, 32, 64, 4), np.uint8),
        np.zeros((2, 32, 64, 3), np.uint8),
        np.zeros((1, 0, 64, 3), np.uint8),
        np.zeros((1, 32, 64, 3), np.float32),
        np.zeros((1, 32, 64, 3), object),
        np.zeros((32, 64, 3), np.uint8),
    ],
)
def test_what_onnxruntime_refuses_is_one_error(vehicle_file, frames):
    with pytest.raises(ModelError, match="onnxruntime failed") as caught:
        Session(vehicle_file()).run(frames)
    assert "\n" not in str(caught.value)


QUIET = """
import sys
import numpy as np
from tl_runtime.errors import ModelError
from tl_runtime.session import Session

for path, frame in ((sys.argv[1], np.zeros((1, 0, 64, 3), np.uint8)), (sys.argv[2], None)):
    try:
        Session(path).run(frame)
    except ModelError as error:
        print(error)
"""


def test_onnxruntime_prints_nothing_beside_the_error(vehicle_file, tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"\x08\x0a broken")
    command = [sys.executable, "-c", QUIET, str(vehicle_file()), str(tmp_path / "broken.onnx")]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert told.stderr == ""
    lines = told.stdout.splitlines()
    assert len(lines) == 2 and "onnxruntime failed" in lines[0] and "cannot open it" in lines[1]


def swap_outputs(model: onnx.ModelProto) -> None:
    outputs = [*model.graph.output]
    del model.graph.output[:]
    model.graph.output.extend([outputs[0], outputs[2], outputs[1], outputs[3]])


def change_thresholds(model: onnx.ModelProto) -> None:
    for values in (model.graph.input, model.graph.initializer):
        (item,) = [value for value in values if value.name == "score_thresholds"]
        if isinstance(item, TensorProto):
            item.CopyFrom(onnx.numpy_helper.from_array(np.zeros(3, np.float32), "score_thresholds"))
        else:
            item.type.tensor_type.shape.dim[0].dim_value = 3


def another_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(onnx.helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (swap_outputs, "outputs num_detections .* expected num_detections"),
        (change_thresholds, r"initializers score_thresholds tensor\(float\) \[3\], expected .* \[2\]"),
        (another_input, "inputs .* more "),
    ],
)
def test_a_graph_that_is_not_what_its_metadata_say(change, message, vehicle_file):
    with pytest.raises(ModelError, match=message):
        Session(vehicle_file(change=change))


def test_more_rows_than_the_metadata_say(vehicle_file):
    with pytest.raises(ModelError, match=r"detection_boxes tensor\(float\) \[1, 3, 4\].*expected.*\[1, 100, 4\]"):
        Session(vehicle_file(more={"max_detections": 100}))


def outside(path: Path):
    """The thresholds in another file than the one that is hashed."""

    def change(model: onnx.ModelProto) -> None:
        (item,) = [value for value in model.graph.initializer if value.name == "score_thresholds"]
        path.write_bytes(item.raw_data)
        item.ClearField("raw_data")
        item.data_location = TensorProto.EXTERNAL
        for key, value in (("location", path.name), ("length", str(path.stat().st_size))):
            entry = item.external_data.add()
            entry.key, entry.value = key, value

    return change


def test_weights_of_another_file_are_not_looked_for(vehicle_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = vehicle_file(change=outside(tmp_path / "weights.bin"))
    onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])  # would take them
    with pytest.raises(ModelError, match="has weights in another file, which nobody verified"):
        Session(path)


@pytest.mark.parametrize("word", [b'"red"', b"detection_boxes"])
def test_names_that_are_no_text(word, vehicle_file):
    path = vehicle_file()
    path.write_bytes(path.read_bytes().replace(word, b"\xff" * len(word)))
    with pytest.raises(ModelError, match="damaged"):
        Session(path)


def test_a_plain_model_of_torch_is_refused(tmp_path):
    path = tmp_path / "plain.onnx"
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()).eval()
    program = torch.onnx.export(net, (torch.zeros(1, 3, 8, 8),), dynamo=True, verbose=False)
    assert program is not None
    program.save(str(path))
    with pytest.raises(ModelError, match="without tl's metadata"):
        Session(path)


@pytest.mark.parametrize("threads", [0, -1, 1025, 10**30])
def test_a_number_of_threads_that_cannot_be(threads, vehicle_file):
    with pytest.raises(ModelError, match="threads, expected 1 to 1024"):
        Session(vehicle_file(), threads=threads)


def test_another_provider_is_named_first(vehicle_file):
    other = [name for name in onnxruntime.get_available_providers() if name != "CPUExecutionProvider"]
    if not other:
        pytest.skip("onnxruntime has the CPU alone here")
    session = Session(vehicle_file(), providers=[other[-1], "CPUExecutionProvider"])
    assert session.providers == (other[-1], "CPUExecutionProvider")


class OnTheCpuInstead:
    """As onnxruntime does where the libraries of a provider are missing."""

    def __init__(self, *_, **__):
        pass

    def get_providers(self):
        return ["CPUExecutionProvider"]


class WithoutDriver:
    def __init__(self, *_, **__):
        raise ort.EPFail("no driver\nat line 3")


@pytest.mark.parametrize(
    ("session", "message"), [(OnTheCpuInstead, "is installed but does not start"), (WithoutDriver, "no driver")]
)
def test_a_provider_that_does_not_start(session, message, vehicle_file, monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    with pytest.raises(ModelError, match=message) as caught:
        Session(vehicle_file(), providers="CUDAExecutionProvider")
    assert "line 3" not in str(caught.value)


class FailingProvider:
    def run(self, *_):
        raise ort.EPFail("the device was lost")

    def __getattr__(self, name):
        return lambda *_: False


def test_a_provider_that_fails_on_the_way_is_not_replaced(vehicle_file, draw, capsys):
    session = Session(vehicle_file())
    session._session._sess = FailingProvider()  # type: ignore[attr-defined]
    for _ in range(2):
        with pytest.raises(ModelError, match="the device was lost"):
            session.run(draw()[None])
    assert capsys.readouterr().out == ""


class Outputs:
    """A session that gives what it is told."""

    def __init__(self, *values):
        self.values = [np.asarray(value) for value in values]

    def run(self, *_):
        return self.values


def rows(count=2, boxes=((1, 1, 5, 5), (2, 2, 4, 4), (0, 0, 0, 0)), scores=(0.9, 0.5, 0), labels=(0, 1, -1)):
    return [[count]], np.array([boxes], np.float32), np.array([scores], np.float32), np.array([labels], np.int32)


BROKEN = {
    "not finite": (rows(-1), "not finite"),
    "fewer than none": (rows(-2), "-2 detections, expected 0 to 3"),
    "more than there are": (rows(4), "4 detections, expected 0 to 3"),
    "an unknown class": (rows(labels=(0, 2, -1)), "beyond the contract"),
    "no class": (rows(3), "beyond the contract"),
    "a score above 1": (rows(scores=(1.1, 0.5, 0)), "beyond the contract"),
    "a score below 0": (rows(scores=(0.5, -0.1, 0)), "beyond the contract"),
    "no score": (rows(scores=(np.nan, 0.5, 0)), "beyond the contract"),
    "the lower score first": (rows(scores=(0.4, 0.5, 0)), "beyond the contract"),
    "no number in a box": (rows(boxes=((1, 1, np.nan, 5), (2, 2, 4, 4), (0, 0, 0, 0))), "beyond the contract"),
    "an endless box": (rows(boxes=((1, 1, np.inf, 5), (2, 2, 4, 4), (0, 0, 0, 0))), "beyond the contract"),
    "an exchanged box": (rows(boxes=((5, 1, 1, 5), (2, 2, 4, 4), (0, 0, 0, 0))), "beyond the contract"),
    "right of the frame": (rows(boxes=((1, 1, 65, 5), (2, 2, 4, 4), (0, 0, 0, 0))), "beyond the contract"),
    "below the frame": (rows(boxes=((1, 1, 5, 33), (2, 2, 4, 4), (0, 0, 0, 0))), "beyond the contract"),
    "left of the frame": (rows(boxes=((-1, 1, 5, 5), (2, 2, 4, 4), (0, 0, 0, 0))), "beyond the contract"),
    "other shapes": ((np.zeros(3), *rows()[1:]), r"outputs \[\(3,\), "),
}


@pytest.mark.parametrize(("outputs", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_outputs_that_no_detector_gives(outputs, message, vehicle_file, draw):
    session = Session(vehicle_file())
    session._session = Outputs(*outputs)  # type: ignore[assignment]
    with pytest.raises(BrokenOutputError, match=message):
        session.run(draw()[None])


def test_outputs_at_the_edges_of_the_contract(vehicle_file, draw):
    session = Session(vehicle_file())
    session._session = Outputs(*rows(boxes=((0, 0, 64, 32), (2, 2, 4, 4), (0, 0, 0, 0)), scores=(1, 1, 0)))  # type: ignore[assignment]
    assert len(session.run(draw()[None])[0]) == 2
    session._session = Outputs(*rows(0))  # type: ignore[assignment]
    (found,) = session.run(draw()[None])
    assert (len(found), found.xyxy.shape) == (0, (0, 4))


def test_any_error_of_the_library_is_told(vehicle_file, draw):
    for error in (MemoryError(), ValueError("two\nlines"), RuntimeError("")):

        class Raising:
            def run(self, *_, told=error):
                raise told

        session = Session(vehicle_file())
        session._session = Raising()  # type: ignore[assignment]
        with pytest.raises(ModelError, match="onnxruntime failed"):
            session.run(draw()[None])


DAMAGE = """
import random
import sys
from pathlib import Path

import numpy as np

from tl_runtime.errors import TlRuntimeError
from tl_runtime.session import Session

path, proven = Path(sys.argv[1]), Path(sys.argv[1]).read_bytes()
chance, frame = random.Random(int(sys.argv[2])), np.full((1, 32, 64, 3), 99, np.uint8)
opened = refused = 0
for number in range(int(sys.argv[3])):
    data = bytearray(proven)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(len(data))
        kind = chance.randrange(4)
        if kind == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at] = chance.randrange(256)
        elif kind == 2:
            del data[at : at + chance.randrange(1, 40)]
        else:
            data[at:at] = chance.randbytes(chance.randrange(1, 9))
    path.write_bytes(data)
    try:
        Session(path, threads=1).run(frame)
        opened += 1
    except TlRuntimeError as error:
        assert len(str(error)) < 5000
        refused += 1
print(opened, refused)
"""


def test_no_damage_ends_the_process(vehicle_file):
    """In a process of its own: a library in C++ could end it. The hash that would refuse each of them is not asked."""
    command = [sys.executable, "-c", DAMAGE, str(vehicle_file()), "0", "1000"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert told.returncode == 0, told.stderr[-2000:]
    opened, refused = map(int, told.stdout.split())
    assert opened > 20 and refused > 20, told.stdout


def test_every_cut_is_refused_or_whole(vehicle_file, draw):
    path = vehicle_file()
    proven = path.read_bytes()
    for length in random.Random(0).sample(range(len(proven)), 60):
        path.write_bytes(proven[:length])
        with pytest.raises(TlRuntimeError):
            Session(path)


def test_any_onnx_can_be_opened_for_other_uses(vehicle_file):
    path = vehicle_file(entries={})
    assert open_session(path, path.read_bytes(), None, 1).get_providers() == ["CPUExecutionProvider"]
