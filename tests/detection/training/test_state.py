"""The state of a run: what goes on from it gives the same bits as what was never interrupted."""

from __future__ import annotations

import copy
import json
import random
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tl_datasets.errors import WeightsError
from tl_datasets.label_space import LabelSpace
from tl_detection.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tl_detection.config import TrainConfig
from tl_detection.training.ema import Ema
from tl_detection.training.optimizers import align_state, make_optimizer
from tl_detection.training.state import (
    random_states,
    restore_random_states,
    restore_training_state,
    training_state,
    used_weights,
)
from tl_detection.training.stopping import BestEpoch
from tl_detection.ultralytics_door import MuSGD

SPACE = LabelSpace.model_validate({"classes": {"red": {"state": "red"}}})


@dataclass
class Run:
    """A network with dropout, a batch norm and a layer that does not learn."""

    network: nn.Sequential
    ema: Ema | None
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    best: BestEpoch

    def step(self) -> None:
        """One step on random samples: every generator has its part."""
        samples = torch.randn(6, 3, 8, 8) + random.random() + np.random.rand()  # noqa: NPY002
        samples = samples.to(memory_format=torch.channels_last)
        self.network.train()
        self.network(samples).square().mean().backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.ema:
            self.ema.update(self.network)

    def save(self, path: Path, **position: object) -> None:
        state = training_state(
            network=self.network,
            ema=self.ema,
            optimizer=self.optimizer,
            scaler=self.scaler,
            best=self.best,
            position=position,
        )
        weights = used_weights(self.network, self.ema)
        save_checkpoint(
            path, Checkpoint(kind="yolo", model={}, label_space=SPACE, state=weights, meta={}, training=state)
        )

    def load(self, path: Path) -> dict:
        return restore_training_state(
            load_checkpoint(path),
            path,
            network=self.network,
            ema=self.ema,
            optimizer=self.optimizer,
            scaler=self.scaler,
            best=self.best,
        )


def make(seed: int, optimizer: str = "sgd", *, ema: bool = True) -> Run:
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.3), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(64, 2)
    ).to(memory_format=torch.channels_last)
    network[0].requires_grad_(False)
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learned if p.ndim > 1], "weight_decay": 0.01, "initial_lr": 0.05},
        {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0, "initial_lr": 0.1},
    ]
    made: dict[str, torch.optim.Optimizer] = {
        "sgd": torch.optim.SGD(groups, lr=0.05, momentum=0.9),
        "adamw": torch.optim.AdamW(groups, lr=0.05),
        "musgd": MuSGD([{**groups[0], "use_muon": True}, groups[1]], lr=0.05, momentum=0.9, nesterov=True),
    }
    return Run(
        network=network,
        ema=Ema(network, 0.9, 20) if ema else None,
        optimizer=made[optimizer],
        scaler=torch.amp.GradScaler("cpu", enabled=False),
        best=BestEpoch(None),
    )


def bits(value: object) -> object:
    """Nested states with tensors as bytes, to be compared bit by bit."""
    if isinstance(value, torch.Tensor):
        return (str(value.dtype), tuple(value.shape), value.detach().contiguous().numpy().tobytes())
    if isinstance(value, dict):
        return {key: bits(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [bits(item) for item in value]
    return value


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "musgd"])
@pytest.mark.parametrize("ema", [True, False])
def test_a_run_that_goes_on_gives_the_same_bits(optimizer, ema, tmp_path):
    straight = make(0, optimizer, ema=ema)
    for _ in range(3):
        straight.step()
    straight.best.update(2, 0.4)
    straight.save(tmp_path / "last.pt", epoch=0, batch=3)
    for _ in range(4):
        straight.step()

    resumed = make(99, optimizer, ema=ema)
    random.seed(5)
    np.random.seed(6)  # noqa: NPY002
    assert resumed.load(tmp_path / "last.pt") == {"epoch": 0, "batch": 3}
    assert (resumed.best.score, resumed.best.epoch) == (0.4, 2)
    for _ in range(4):
        resumed.step()

    for part in ("network", "optimizer"):
        assert bits(getattr(resumed, part).state_dict()) == bits(getattr(straight, part).state_dict())
    if ema:
        assert resumed.ema is not None and straight.ema is not None
        assert resumed.ema.updates == straight.ema.updates == 7
        assert bits(resumed.ema.model.state_dict()) == bits(straight.ema.model.state_dict())
    assert bits(random_states()) != bits(make(0) and random_states())  # the comparison can fail


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_what_is_remembered_lies_as_its_parameter_does(kind):
    """Else a fused step takes the momentum of one weight for another, and says nothing."""

    def step(parameter, optimizer, seed):
        torch.manual_seed(seed)
        parameter.grad = torch.randn(8, 4, 3, 3).to(memory_format=torch.channels_last)
        optimizer.step()

    def make_pair():
        torch.manual_seed(0)
        parameter = torch.nn.Parameter(torch.randn(8, 4, 3, 3).to(memory_format=torch.channels_last))
        return parameter, make_optimizer([{"params": [parameter]}], TrainConfig(optimizer=kind, lr=0.1))

    straight, optimizer = make_pair()
    other, resumed = make_pair()
    step(straight, optimizer, 1)
    kept = copy.deepcopy(optimizer.state_dict())
    for values in kept["state"].values():
        values |= {name: value.contiguous() for name, value in values.items()}
    resumed.load_state_dict(kept)
    align_state(resumed)
    other.data.copy_(straight.data)
    step(straight, optimizer, 2)
    step(other, resumed, 2)
    assert torch.equal(straight, other)
    assert not straight.is_contiguous()


def test_full_precision_and_no_double(tmp_path):
    """Weights that are used anyway are stored once, in the type that they have."""
    with_average, without = make(0), make(0, ema=False)
    for run in (with_average, without):
        run.step()
        run.save(tmp_path / f"{run.ema is None}.pt")
    with_average, without = (load_checkpoint(tmp_path / f"{name}.pt") for name in (False, True))
    assert with_average.training is not None and without.training is not None
    assert without.training["weights"] is None
    assert {value.dtype for value in with_average.state.values()} == {torch.float32, torch.int64}
    assert {value.dtype for value in with_average.training["weights"].values()} == {torch.float32, torch.int64}
    assert not torch.equal(with_average.state["5.weight"], with_average.training["weights"]["5.weight"])


def test_the_scale_of_fp16_comes_back_and_a_run_without_ignores_it(tmp_path):
    run = make(0)
    run.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    run.scaler.scale(torch.ones(1))
    run.save(tmp_path / "last.pt")
    again = make(0)
    again.scaler = torch.amp.GradScaler("cpu")
    again.load(tmp_path / "last.pt")
    assert again.scaler.get_scale() == 1024.0
    plain = make(0)
    plain.load(tmp_path / "last.pt")
    assert not plain.scaler.is_enabled()
    plain.save(tmp_path / "plain.pt")
    again.load(tmp_path / "plain.pt")
    assert again.scaler.get_scale() == 1024.0


def test_buffers_take_the_type_of_their_parameters(tmp_path):
    run = make(0)
    run.step()
    run.save(tmp_path / "last.pt")
    wide = make(0)
    wide.network.double()
    wide.load(tmp_path / "last.pt")
    assert {value["momentum_buffer"].dtype for value in wide.optimizer.state.values()} == {torch.float64}


def test_nothing_is_copied():
    run = make(0)
    run.step()
    state = training_state(
        network=run.network, ema=run.ema, optimizer=run.optimizer, scaler=run.scaler, best=run.best, position={}
    )
    assert state["weights"]["5.weight"].data_ptr() == run.network[5].weight.data_ptr()


# --- generators


def draw() -> tuple[list[float], ...]:
    torch_numbers, numpy_numbers = torch.rand(3).tolist(), np.random.rand(3).tolist()  # noqa: NPY002
    return torch_numbers, numpy_numbers, np.random.randn(3).tolist(), [random.random(), random.gauss(0, 1)]  # noqa: NPY002


def test_generators_go_on_where_they_were(tmp_path):
    draw()  # normal numbers come in pairs: the second of one is waiting
    before = random_states()
    expected = draw()
    torch.save(before, tmp_path / "x.pt")
    restore_random_states(torch.load(tmp_path / "x.pt", weights_only=True))
    assert draw() == expected
    assert draw() != expected


@pytest.mark.parametrize("here", [0, 1, 2, 4])
def test_another_number_of_devices(here, monkeypatch):
    given: dict[int, str] = {}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: here > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: here)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: given.update({device: state}))
    restore_random_states({**random_states(), "cuda": ["first", "second"]})
    assert given == dict(list({0: "first", 1: "second"}.items())[:here])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_generators_of_devices():
    torch.rand(1, device="cuda")
    before = random_states()
    expected = torch.rand(5, device="cuda")
    restore_random_states(before)
    assert torch.equal(torch.rand(5, device="cuda"), expected)


def test_each_rank_has_its_own(tmp_path):
    run = make(0)
    ranks = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        ranks.append(random_states())
    parts = {"network": run.network, "ema": run.ema, "optimizer": run.optimizer, "scaler": run.scaler, "best": run.best}
    state = training_state(**parts, position={}, random_by_rank=ranks)
    kept = Checkpoint(
        kind="yolo", model={}, label_space=SPACE, state=used_weights(run.network, run.ema), meta={}, training=state
    )
    drawn = []
    for rank in (0, 1, 2):
        torch.manual_seed(7)
        restore_training_state(kept, "here", **parts, rank=rank)
        drawn.append(torch.rand(1).item())
    expected = []
    for seed in (1, 2, 7):  # the third rank was not there
        torch.manual_seed(seed)
        expected.append(torch.rand(1).item())
    assert drawn == expected


# --- what does not fit


@pytest.fixture
def kept(tmp_path) -> Checkpoint:
    run = make(0)
    run.step()
    run.save(tmp_path / "last.pt", epoch=0)
    return load_checkpoint(tmp_path / "last.pt")


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("no state", r"run: holds no training state, expected weights/last\.pt"),
        ("of an earlier tl", r"run: the training state does not fit this run \(KeyError: 'position'\)"),
        ("another network", r"does not fit this run \(RuntimeError: .*Missing key.*; resume with the tl that wrote it"),
        ("another optimizer", r"does not fit this run \(ValueError: .*parameter group"),
        ("nonsense", r"does not fit this run \(JSONDecodeError"),
        ("no mapping", r"does not fit this run \(TypeError"),
    ],
)
def test_states_that_do_not_fit(what, message, kept):
    run = make(0)
    training = copy.copy(kept.training)
    assert training is not None
    changed: dict | None = training
    if what == "no state":
        changed = None
    elif what == "of an earlier tl":
        del training["position"]
    elif what == "another network":
        training["weights"] = {"a": torch.zeros(1)}
    elif what == "another optimizer":
        run.optimizer = torch.optim.SGD(run.network.parameters(), lr=0.1)
    elif what == "nonsense":
        training["position"] = "{"
    else:
        training["best"] = [1]
    with pytest.raises(WeightsError, match=message) as caught:
        restore_training_state(
            replace(kept, training=changed),
            "run",
            network=run.network,
            ema=run.ema,
            optimizer=run.optimizer,
            scaler=run.scaler,
            best=run.best,
        )
    assert "\n" not in str(caught.value)


def test_a_position_is_plain_data():
    run = make(0)
    parts = {"network": run.network, "ema": run.ema, "optimizer": run.optimizer, "scaler": run.scaler, "best": run.best}
    position = {"epoch": 3, "losses": {"loss": 0.1 + 0.2}, "broken": ["a.png"], "never": None}
    assert json.loads(training_state(**parts, position=position)["position"]) == position
    with pytest.raises(TypeError):
        training_state(**parts, position={"loss": torch.ones(1)})
