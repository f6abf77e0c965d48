"""Checkpoints: written whole, read as data, refused with a reason."""

from __future__ import annotations

import pickle
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tl_datasets.errors import WeightsError
from tl_datasets.label_space import LabelSpace
from tl_detection.checkpoint import Checkpoint, file_fingerprint, load_checkpoint, save_checkpoint, transfer_state
from tl_detection.detectors.load import load_detector

SPACE = LabelSpace.model_validate({"classes": {"red": {"state": "red"}, "off": {"state": "off"}}})

WHOLE = {"version": 1, "kind": "yolo", "model": "{}", "label_space": SPACE.to_json(), "meta": "{}", "training": None}


@pytest.fixture
def checkpoint() -> Checkpoint:
    return Checkpoint(
        kind="faster_rcnn",
        model={"backbone": "resnet18", "anchor_sizes": [[8.5, 12.0]], "trainable_layers": None},
        label_space=SPACE,
        state={"a": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(3)},
        meta={"epoch": 4, "score": 0.5},
        training={"optimizer": {"state": {0: {"step": torch.tensor(1.0)}}}, "best": {"score": None, "epoch": 1}},
    )


def test_what_is_written_is_read(checkpoint, tmp_path):
    path = tmp_path / "last.pt"
    save_checkpoint(path, checkpoint)
    again = load_checkpoint(path, kind="faster_rcnn")
    require_equal(again, checkpoint)
    assert again.label_space.fingerprint == SPACE.fingerprint
    assert [item.name for item in tmp_path.iterdir()] == ["last.pt"]  # no temporary file stays


def test_an_interrupted_write_leaves_the_former_file(checkpoint, tmp_path, monkeypatch):
    path = tmp_path / "last.pt"
    save_checkpoint(path, checkpoint)
    before = path.read_bytes()
    unwritable = Checkpoint(
        kind="yolo", model={}, label_space=SPACE, state={}, meta={}, training={"open": (item for item in ())}
    )
    with pytest.raises(TypeError):
        save_checkpoint(path, unwritable)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["last.pt"]


def test_what_a_killed_write_has_left_is_written_over(checkpoint, tmp_path):
    (tmp_path / ".last.pt.part").write_bytes(bytes(100_000))
    save_checkpoint(tmp_path / "last.pt", checkpoint)
    assert [item.name for item in tmp_path.iterdir()] == ["last.pt"]
    load_checkpoint(tmp_path / "last.pt")


def test_nothing_is_copied_in_memory(tmp_path, checkpoint):
    """Sixteen tensors of 4 MB that share one memory are written once, and never gathered in a buffer."""
    shared = torch.zeros(1_000_000)
    big = replace(checkpoint, state={str(number): shared for number in range(16)})
    tracemalloc.start()
    save_checkpoint(tmp_path / "last.pt", big)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3_000_000
    assert 4_000_000 < (tmp_path / "last.pt").stat().st_size < 4_100_000


# --- damage


@pytest.fixture
def whole(checkpoint, tmp_path) -> bytes:
    save_checkpoint(tmp_path / "best.pt", checkpoint)
    return (tmp_path / "best.pt").read_bytes()


def test_every_cut_is_noticed(whole, tmp_path):
    path = tmp_path / "best.pt"
    for length in np.linspace(0, len(whole) - 1, 50).round().astype(int):
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError, match="not a checkpoint of tl, or cut off") as caught:
            load_checkpoint(path)
        assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", range(2))
def test_every_changed_byte_is_noticed_or_harmless(seed, checkpoint, whole, tmp_path):
    path = tmp_path / "best.pt"
    rng = np.random.default_rng(seed)
    noticed = 0
    for position in rng.integers(0, len(whole), 100):
        damaged = bytearray(whole)
        damaged[position] ^= rng.integers(1, 256)
        path.write_bytes(damaged)
        try:
            again = load_checkpoint(path)
        except WeightsError as error:
            noticed += 1
            assert "\n" not in str(error)
        else:
            require_equal(again, checkpoint)
    # Half of so small a file is padding.
    assert noticed > 30


def test_a_changed_weight_is_noticed(tmp_path, checkpoint):
    """torch alone reads it without a word: this file would have another red."""
    path = tmp_path / "best.pt"
    weights = torch.arange(1000.0)
    save_checkpoint(path, replace(checkpoint, state={"a": weights}))
    whole = bytearray(path.read_bytes())
    whole[whole.index(weights.numpy().tobytes()) + 2001] ^= 0x10
    path.write_bytes(whole)
    assert not torch.equal(torch.load(path, weights_only=True)["state"]["a"], weights)
    with pytest.raises(WeightsError, match=r"or damaged \(Bad CRC-32 for file .*data/0'\)"):
        load_checkpoint(path)


def test_a_hole_is_noticed(tmp_path, checkpoint):
    """What a power cut leaves on some file systems: the length is right, the end is zeros."""
    path = tmp_path / "best.pt"
    save_checkpoint(path, checkpoint)
    whole = path.read_bytes()
    path.write_bytes(whole[:500] + bytes(len(whole) - 500))
    with pytest.raises(WeightsError, match="or damaged"):
        load_checkpoint(path)


def test_a_packed_archive_is_refused(tmp_path, checkpoint):
    """A stranger's file of a few kilobytes could take all memory."""
    save_checkpoint(tmp_path / "best.pt", checkpoint)
    with (
        zipfile.ZipFile(tmp_path / "best.pt") as plain,
        zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for part in plain.infolist():
            packed.writestr(part.filename, plain.read(part))
    with pytest.raises(WeightsError, match=r"data\.pkl is packed"):
        load_checkpoint(tmp_path / "packed.pt")


def require_equal(one: Checkpoint, other: Checkpoint) -> None:
    assert (one.kind, one.model, one.label_space, one.meta) == (
        other.kind,
        other.model,
        other.label_space,
        other.meta,
    )
    assert one.state.keys() == other.state.keys()
    assert all(torch.equal(one.state[name], other.state[name]) for name in one.state)
    assert one.training is not None and other.training is not None
    assert repr(one.training) == repr(other.training)


# --- files that are not ours


class Payload:
    """A pickle that would make a file when it is loaded."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_from_the_file_is_run(tmp_path):
    mark = tmp_path / "mark"
    torch.save({"format": "tl-checkpoint", "bad": Payload(mark)}, tmp_path / "evil.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Payload(mark)))
    for name in ("evil.pt", "plain.pt"):
        with pytest.raises(WeightsError, match="not a checkpoint of tl"):
            load_checkpoint(tmp_path / name)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("what", "content"),
    [
        ("another program's checkpoint", {"model": torch.zeros(2), "epoch": 3}),
        ("a bare state dict", {"conv1.weight": torch.zeros(2)}),
        ("a tensor", torch.zeros(3)),
        ("a list", [1, 2]),
    ],
)
def test_foreign_files(what, content, tmp_path):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(WeightsError, match="not a checkpoint of tl"):
        load_checkpoint(tmp_path / "x.pt")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04.", b"PK\x03\x04" + bytes(100), bytes(range(256)) * 9])
def test_files_that_are_no_checkpoint(content, tmp_path):
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(WeightsError, match="not a checkpoint of tl"):
        load_checkpoint(tmp_path / "x.pt")


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(WeightsError, match=r"cannot be read \(No such file or directory\)"):
        load_checkpoint(tmp_path / "absent.pt")
    with pytest.raises(WeightsError, match=r"cannot be read \(Is a directory\)"):
        load_checkpoint(tmp_path)


def test_the_wrong_kind(checkpoint, tmp_path):
    save_checkpoint(tmp_path / "best.pt", checkpoint)
    with pytest.raises(
        WeightsError, match=r"a faster_rcnn checkpoint, expected yolo; choose another file or model\.kind"
    ):
        load_checkpoint(tmp_path / "best.pt", kind="yolo")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "checkpoint version None, expected 1"),
        ({"version": 1, "kind": "yolo"}, r"with a part missing or damaged \(KeyError\('model'\)\)"),
        ({"version": 1, "kind": "yolo", "model": "{"}, "with a part missing or damaged"),
        ({"version": 1, "kind": "yolo", "model": 3}, "with a part missing or damaged"),
        ({"version": 1, "kind": "yolo", "model": "{}", "label_space": "{}"}, "with a part missing or damaged"),
        ({"version": 1, "kind": "yolo", "model": "[" * 100_000}, "with a part missing or damaged"),
        ({**WHOLE, "state": [1]}, "state holds something else than tensors"),
        ({**WHOLE, "state": {"a": 1}}, "state holds something else than tensors"),
        ({**WHOLE, "state": {}, "training": 3}, "training is a int"),
        ({**WHOLE, "version": torch.ones(2)}, "checkpoint version tensor"),
        ({**WHOLE, "kind": torch.ones(2)}, "checkpoint, expected yolo"),
    ],
)
def test_our_own_format_with_damage(content, message, tmp_path):
    torch.save({"format": "tl-checkpoint", **content}, tmp_path / "x.pt")
    with pytest.raises(WeightsError, match=message) as caught:
        load_checkpoint(tmp_path / "x.pt", kind="yolo")
    assert len(str(caught.value)) < 1000


def test_a_format_that_is_no_text(tmp_path):
    torch.save({"format": torch.ones(2)}, tmp_path / "x.pt")
    with pytest.raises(WeightsError, match="not a checkpoint of tl"):
        load_checkpoint(tmp_path / "x.pt")


def test_another_version(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr("tl_detection.checkpoint.VERSION", 2)
    save_checkpoint(tmp_path / "best.pt", checkpoint)
    monkeypatch.undo()
    with pytest.raises(WeightsError, match="checkpoint version 2, expected 1"):
        load_checkpoint(tmp_path / "best.pt")


def test_an_absent_detector_names_what_is_expected(tmp_path):
    for path in (tmp_path / "none.pt", tmp_path):
        with pytest.raises(WeightsError, match="no such file; expected a run folder"):
            load_detector(path)


def test_origin_says_what_the_file_says_of_its_run(checkpoint):
    assert checkpoint.origin == {"epoch": "4"}
    meta = {"name": "lamps", "run": "20260102-120000", "epoch": 3, "fingerprint": {"short": "0123456789ab"}}
    assert replace(checkpoint, meta=meta).origin == {
        "name": "lamps",
        "run": "20260102-120000",
        "epoch": "3",
        "run_fingerprint": "0123456789ab",
    }
    assert replace(checkpoint, meta={"fingerprint": "odd"}).origin == {}


# --- weights of another model


def test_what_fits_is_copied_and_the_rest_is_named():
    model = torch.nn.Sequential(torch.nn.Linear(10, 10), torch.nn.Linear(10, 3))
    other = torch.nn.Sequential(torch.nn.Linear(10, 10), torch.nn.Linear(10, 4))
    last = model[1].weight.clone()
    count, missing = transfer_state(model, {**other.state_dict(), "extra": torch.zeros(3)}, "file.pt")
    assert count == 2 and missing == ["1.weight", "1.bias"]
    assert torch.equal(model[0].weight, other[0].weight)
    assert torch.equal(model[1].weight, last)


def test_another_architecture_is_refused_before_anything_is_copied():
    model = torch.nn.Sequential(torch.nn.Linear(10, 10), torch.nn.Linear(10, 30))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(WeightsError, match=r"file.pt: only 25% of the model's values fit"):
        transfer_state(model, {"0.weight": torch.zeros(10, 10), "0.bias": torch.zeros(10)}, "file.pt")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_fingerprint_of_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_fingerprint(tmp_path / "a") == "ba7816bf8f01cfea"
