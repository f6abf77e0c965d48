"""Training of Faster R-CNN on a few drawn lamps, through the calls that the command makes."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.models import mobilenet_v3_large, resnet18

from tl_datasets.catalog import Catalog
from tl_datasets.errors import TrainingError, WeightsError
from tl_detection.checkpoint import load_checkpoint
from tl_detection.config import FasterRcnnConfig, RunConfig, TrainConfig
from tl_detection.detectors.faster_rcnn import build_faster_rcnn
from tl_detection.detectors.load import load_detector
from tl_detection.run_dir import RunDir
from tl_detection.training import faster_rcnn as trainer
from tl_detection.training import train as trainer_of_both
from tl_detection.training.data import prepare_data
from tl_detection.training.faster_rcnn import make_optimizer, train_faster_rcnn
from tl_detection.training.faster_rcnn_start import copy_class_rows, describe_model, load_start_weights
from tl_detection.training.train import resume, train

MakeConfig = Callable[..., RunConfig]


@pytest.fixture(scope="module", autouse=True)
def light_heads():
    """A box head and pyramid that a test can afford."""
    from tl_detection.training import faster_rcnn_start

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            faster_rcnn_start, "_HEADS", dict.fromkeys(("resnet18", "resnet50", "mobilenet_v3_large"), (32, 64))
        )
        yield


@pytest.fixture(scope="module")
def make_config(lamp_run_config: MakeConfig) -> MakeConfig:
    """`make(folder, model={...}, **of lamp_run_config)`: a Faster R-CNN over drawn lamps."""

    def make(folder: Path, *, model: dict[str, Any] | None = None, **settings: Any) -> RunConfig:
        config = lamp_run_config(folder, **settings)
        of_model = {
            "kind": "faster_rcnn",
            "backbone": "mobilenet_v3_large",
            "input": {"width_px": 128, "height_px": 64},
        }
        return config.model_copy(update={"model": FasterRcnnConfig.model_validate(of_model | (model or {}))})

    return make


def start(config: RunConfig) -> RunDir:
    run = RunDir.create(config)
    train_faster_rcnn(prepare_data(config), run, None)
    return run


def rows_of(run: RunDir) -> list[dict]:
    return [json.loads(line) for line in run.metrics_path.read_text().splitlines()]


@pytest.fixture(scope="module")
def learned(tmp_path_factory, make_config: MakeConfig) -> RunDir:
    config = make_config(
        tmp_path_factory.mktemp("learned"),
        epochs=12,
        batch_size=2,
        optimizer="adamw",
        lr=0.002,
        val_every=6,
        ema_decay=0.9,
    )
    return train(config)


def test_a_run_leaves_weights_metrics_and_the_report(learned: RunDir):
    assert sorted(path.name for path in learned.weights.iterdir()) == ["best.pt", "last.pt"]
    top = {path.name for path in learned.path.iterdir()}
    expected = {"config.yaml", "environment.json", "log.txt", "metrics.jsonl", "tensorboard", "weights", "evaluation"}
    assert expected | {"result.json", "lint"} == top
    rows = rows_of(learned)
    assert [row["epoch"] for row in rows] == list(range(12))
    assert [row["val"] is not None for row in rows] == [number in (5, 11) for number in range(12)]
    best, last = load_checkpoint(learned.best, kind="faster_rcnn"), load_checkpoint(learned.last)
    assert best.training is None and last.training is not None
    assert best.label_space.names == ("red", "green")
    assert last.meta["epoch"] == 11 and not last.meta["stopped"]
    assert best.model["backbone"] == "mobilenet_v3_large" and best.model["width_px"] == 128


def test_it_learns(learned: RunDir):
    rows = rows_of(learned)
    losses = [row["train"]["loss"] for row in rows]
    parts = {"loss", "classifier", "box_reg", "objectness", "rpn_box_reg"}
    assert set(rows[0]["train"]) == parts
    assert losses[0] == pytest.approx(sum(value for name, value in rows[0]["train"].items() if name != "loss"))
    assert losses[-1] < 0.5 * losses[0]
    assert rows[-1]["val"]["ap50"] > 0.5
    assert json.loads((learned.path / "result.json").read_text())["ap50"] == pytest.approx(
        max(row["val"]["ap50"] for row in rows if row["val"])
    )


def test_the_best_weights_detect(learned: RunDir):
    config = load_checkpoint(learned.best).meta
    assert config["run"] == learned.path.name
    detector = load_detector(learned.path, device="cpu")
    assert len(detector.detect([np.zeros((64, 128, 3), np.uint8)])) == 1


def test_a_finished_run_is_not_resumed(learned: RunDir):
    with pytest.raises(WeightsError, match="has finished after 12 epochs"):
        resume(learned.path)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("ema_decay", [0.9, None])
def test_an_interrupted_run_ends_as_if_it_had_not_been(ema_decay, tmp_path, make_config, monkeypatch):
    settings = {"frames": 5, "epochs": 4, "batch_size": 2, "accumulate": 2, "lr": 0.005, "ema_decay": ema_decay}
    augment = {"mosaic": 0.5, "mosaic_off_epochs": 1}
    config = make_config(tmp_path, augment=augment, **settings)
    straight = start(config)

    def killed_in_the_third_epoch(run: RunDir, row: dict) -> None:
        run.append_metrics(row)
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    for workers in (0, 1) if ema_decay else (0,):
        broken = RunDir.create(config)
        with monkeypatch.context() as patch:
            patch.setattr(trainer, "log_epoch", killed_in_the_third_epoch)
            with pytest.raises(KeyboardInterrupt):
                train_faster_rcnn(prepare_data(config), broken, None)
        torch.manual_seed(99)
        if workers == 0:
            resume(broken.path)
            assert [row["epoch"] for row in rows_of(broken)] == [0, 1, 2, 3]
            assert [row["train"] for row in rows_of(broken)] == [row["train"] for row in rows_of(straight)]
        else:
            other = config.model_copy(update={"train": config.train.model_copy(update={"workers": 1})})
            train_faster_rcnn(prepare_data(other), broken, load_checkpoint(broken.last))
        first, second = load_checkpoint(straight.last), load_checkpoint(broken.last)
        assert first.state.keys() == second.state.keys()
        for name, value in first.state.items():
            assert torch.equal(value, second.state[name]), (workers, name)
        assert first.training is not None and second.training is not None
        if ema_decay:
            for name, value in first.training["model"].items():
                assert torch.equal(value, second.training["model"][name]), (workers, name)
            assert any(not torch.equal(first.training["model"][name], value) for name, value in first.state.items())
        else:
            assert first.training["model"] is None
        assert first.training["best"] == second.training["best"]


def test_a_loss_that_is_not_finite_names_the_frames(tmp_path, make_config):
    config = make_config(tmp_path, frames=4, epochs=3, batch_size=2, optimizer="sgd", lr=1e30, clip_norm=None)
    with pytest.raises(
        TrainingError, match=r"epoch \d, step \d: .*not finite; frames: frame\d, frame\d; lower train.lr"
    ):
        start(config)


def test_frames_without_boxes_are_learned_as_negatives(tmp_path, make_config):
    config = make_config(tmp_path, overfit=False, epochs=1, batch_size=3, val_every=1)
    catalog = Catalog.open(config.data.catalog)
    emptied = [
        replace(frame, annotations=()) if frame.split == "train" and index else frame
        for index, frame in enumerate(catalog.iter_frames())
    ]
    Catalog.from_frames(emptied, source="drawn", root=tmp_path / "images").save(tmp_path / "mostly_empty")
    data = config.data.model_copy(update={"catalog": tmp_path / "mostly_empty"})
    row = rows_of(start(config.model_copy(update={"data": data})))[0]
    assert np.isfinite(list(row["train"].values())).all()


def test_patience_stops_a_run(tmp_path, make_config, monkeypatch):
    config = make_config(tmp_path, frames=4, epochs=9, batch_size=4, lr=1e-9, patience=2)
    run = train(config)
    assert len(rows_of(run)) < 9
    assert load_checkpoint(run.last).meta["stopped"] is True
    with pytest.raises(WeightsError, match="has finished"):
        resume(run.path)


def test_only_a_scored_epoch_ends_a_run(tmp_path, make_config):
    run = start(make_config(tmp_path, frames=4, epochs=9, batch_size=4, lr=1e-9, patience=2, val_every=3))
    scored = [row["epoch"] for row in rows_of(run) if row["val"]]
    assert scored == [2, 5] and len(rows_of(run)) == 6


def test_a_gradient_that_is_not_finite_names_the_frames(tmp_path, make_config, monkeypatch):
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_: torch.tensor(torch.inf))
    with pytest.raises(TrainingError, match=r"epoch 1, step 1: the gradient is not finite; frames: frame\d, frame\d"):
        start(make_config(tmp_path, frames=4, epochs=1, batch_size=2, clip_norm=None))


def test_a_run_is_not_resumed_over_other_frames(tmp_path, make_config):
    config = make_config(tmp_path, frames=4, epochs=2, batch_size=4)
    run = train(config.model_copy(update={"train": config.train.model_copy(update={"epochs": 1})}))
    text = run.config_path.read_text()
    run.config_path.write_text(text.replace("epochs: 1\n", "epochs: 2\n"))
    catalog = Catalog.open(config.data.catalog)
    moved = catalog.annotations.with_columns(x1=catalog.annotations["x1"] + 1)
    shutil.rmtree(config.data.catalog)
    other_catalog = Catalog(frames=catalog.frames, annotations=moved, roots=catalog.roots)
    other_catalog.save(config.data.catalog)
    with pytest.raises(WeightsError, match=r"data\.catalog has changed since the run began"):
        resume(run.path)
    checkpoint = load_checkpoint(run.last)
    other = replace(
        checkpoint,
        meta=checkpoint.meta | {"catalog_fingerprint": other_catalog.fingerprint, "label_space_fingerprint": "x"},
    )
    with pytest.raises(WeightsError, match=r"data\.label_space has changed .*fingerprint x"):
        trainer_of_both._require_same_data(run.path, other, prepare_data(config))


def test_a_run_killed_before_its_report_gets_it(learned: RunDir, tmp_path):
    run = RunDir(tmp_path / "run")
    shutil.copytree(learned.path, run.path)
    (run.path / "result.json").unlink()
    shutil.rmtree(run.path / "evaluation")
    resume(run.path)
    assert (run.path / "result.json").read_text() == (learned.path / "result.json").read_text()
    assert (run.path / "evaluation" / "report.md").exists()
    with pytest.raises(WeightsError, match="has finished"):
        resume(run.path)


def test_bf16_on_a_cpu(tmp_path, make_config):
    row = rows_of(start(make_config(tmp_path, frames=4, epochs=1, batch_size=4, amp="bf16")))[0]
    assert np.isfinite(list(row["train"].values())).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("amp", ["bf16", "fp16", "off"])
def test_one_epoch_on_a_gpu(amp, tmp_path, make_config):
    run = start(make_config(tmp_path, frames=4, epochs=2, batch_size=2, amp=amp, device="cuda", workers=1))
    rows = rows_of(run)
    assert np.isfinite(list(rows[-1]["train"].values())).all() and rows[-1]["gpu_mem_gb"] > 0
    training = load_checkpoint(run.last).training
    assert training is not None and bool(training["scaler"]) == (amp == "fp16")


# --- what a run starts from


def test_fine_tuning_keeps_the_classes_of_the_same_name(learned: RunDir, tmp_path, make_config, caplog):
    config = make_config(
        tmp_path, epochs=1, batch_size=8, lr=1e-12, ema_decay=None, model={"weights": learned.best, "max_detections": 7}
    )
    space = {"classes": {"green": {"state": "green"}, "lit": {"state": "yellow"}, "red": {"state": "red"}}}
    data = prepare_data(config)
    other = replace(data, label_space=type(data.label_space).model_validate(space))
    caplog.set_level(logging.INFO)
    description = describe_model(config.model, other)  # type: ignore[arg-type]
    former = load_checkpoint(learned.best)
    assert description["anchor_sizes"] == former.model["anchor_sizes"]
    assert description["max_detections"] == 7
    model = build_faster_rcnn(description, 3)
    fresh = {name: value.clone() for name, value in model.state_dict().items()}
    load_start_weights(model, config.model, other)  # type: ignore[arg-type]
    now = model.state_dict()
    assert torch.equal(now["backbone.body.5.block.0.0.weight"], former.state["backbone.body.5.block.0.0.weight"])
    layer = "roi_heads.box_predictor."
    for name, rows in ((f"{layer}cls_score.weight", 1), (f"{layer}bbox_pred.weight", 4)):
        assert torch.equal(now[name][:rows], former.state[name][:rows])  # background
        assert torch.equal(now[name][rows : 2 * rows], former.state[name][2 * rows : 3 * rows])  # green
        assert torch.equal(now[name][2 * rows : 3 * rows], fresh[name][2 * rows : 3 * rows])  # lit is new
        assert torch.equal(now[name][3 * rows :], former.state[name][rows : 2 * rows])  # red
    assert "classes kept: green, red; classes that start anew: lit" in caplog.text


def test_a_fine_tuned_run_begins_where_the_other_ended(learned: RunDir, tmp_path, make_config):
    run = start(make_config(tmp_path, epochs=1, batch_size=8, lr=1e-12, model={"weights": learned.best}))
    assert rows_of(run)[0]["val"]["ap50"] > 0.5


@pytest.mark.parametrize(
    ("what", "model", "message"),
    [
        ("no such file", {"weights": "absent.pt"}, "absent.pt: cannot be read"),
        ("another backbone", {"weights": "LEARNED", "backbone": "resnet50"}, "set model.backbone=mobilenet_v3_large"),
        (
            "no backbone file",
            {"weights_backbone": "absent.pth"},
            "mobilenet_v3_large-5c1a4163.pth from download.pytorch.org",
        ),
        ("a text", {"weights_backbone": "TEXT"}, "not a state dict, or cut off"),
        ("a checkpoint of tl", {"weights_backbone": "LEARNED"}, "not a state dict"),
        ("another network", {"weights_backbone": "OTHER"}, "of another architecture"),
    ],
)
def test_weights_that_cannot_be_used(what, model, message, learned: RunDir, tmp_path, make_config):
    (tmp_path / "text.pth").write_text("nothing")
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    files = {"LEARNED": learned.best, "TEXT": tmp_path / "text.pth", "OTHER": tmp_path / "other.pth"}
    config = make_config(
        tmp_path, frames=4, epochs=1, model={key: files.get(value, value) for key, value in model.items()}
    )
    with pytest.raises(WeightsError, match=message) as caught:
        start(config)
    assert "\n" not in str(caught.value), what


@pytest.mark.parametrize(
    ("backbone", "make", "name"),
    [
        ("resnet18", resnet18, "layer3.1.conv2.weight"),
        ("mobilenet_v3_large", mobilenet_v3_large, "features.12.block.0.0.weight"),
    ],
)
def test_a_torchvision_state_dict_starts_the_backbone(backbone, make, name, tmp_path, make_config, caplog):
    torch.manual_seed(5)
    state = make(weights=None).state_dict()
    torch.save(state, tmp_path / "imagenet.pth")
    of_model = {"backbone": backbone, "weights_backbone": tmp_path / "imagenet.pth", "norm": "frozen"}
    config = make_config(tmp_path, frames=4, epochs=1, model=of_model)
    data = prepare_data(config)
    description = describe_model(config.model, data)  # type: ignore[arg-type]
    assert description["trainable_layers"] == 3
    model = build_faster_rcnn(description, 2)
    load_start_weights(model, config.model, data)  # type: ignore[arg-type]
    assert torch.equal(model.backbone.body.state_dict()[name.removeprefix("features.")], state[name])  # type: ignore[union-attr]
    group = FasterRcnnConfig.model_validate(config.model.model_dump() | {"norm": "group"})
    assert describe_model(group, data)["trainable_layers"] is None
    load_start_weights(build_faster_rcnn(describe_model(group, data), 2), group, data)
    assert "model.norm=frozen keeps what the file knows" in caplog.text


def test_class_rows_without_a_common_name_keep_only_the_background():
    spec = {
        "backbone": "resnet18",
        "norm": "group",
        "anchor_sizes": [[8]],
        "anchor_ratios": [1],
        "fpn_channels": 8,
        "box_head_size": 8,
        "max_detections": 5,
    }
    model, other = build_faster_rcnn(spec, 1), build_faster_rcnn(spec, 2)
    state = other.state_dict()
    fitted, new = copy_class_rows(model, state, ("a",), ("b", "c"))
    assert new == ["a"]
    name = "roi_heads.box_predictor.cls_score.weight"
    assert torch.equal(fitted[name][0], state[name][0])
    assert torch.equal(fitted[name][1], model.state_dict()[name][1])
    assert state[name].shape[0] == 3


def test_the_anchor_coverage_is_said_before_training(tmp_path, make_config, caplog):
    caplog.set_level(logging.INFO)
    data = prepare_data(make_config(tmp_path))
    fitted = describe_model(data.config.model, data)  # type: ignore[arg-type]
    assert "100 % of the boxes have one with IoU 0.5" in caplog.text
    assert max(fitted["anchor_sizes"][0]) < 40
    assert "set model.anchors=fit" not in caplog.text
    stock = data.config.model.model_copy(update={"anchors": "default"})
    assert describe_model(stock, data)["anchor_sizes"] == [[32], [64], [128], [256], [512]]  # type: ignore[arg-type]
    assert "set model.anchors=fit" in caplog.text


# --- the pieces of the loop


@pytest.mark.parametrize(
    ("name", "kind"), [("auto", torch.optim.SGD), ("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)]
)
def test_optimiser(name, kind):
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.GroupNorm(2, 4), torch.nn.Conv2d(4, 4, 1))
    model[2].requires_grad_(False)
    optimizer = make_optimizer(model, TrainConfig(optimizer=name, weight_decay=0.1, lr=0.5))
    assert type(optimizer) is kind
    decay, plain = optimizer.param_groups
    assert [tuple(p.shape) for p in decay["params"]] == [(4, 3, 3, 3)] and decay["weight_decay"] == 0.1
    assert len(plain["params"]) == 3 and plain["weight_decay"] == 0


def test_musgd_is_of_the_other_trainer(tmp_path, make_config):
    values = make_config(tmp_path, frames=4).model_dump()
    with pytest.raises(ValueError, match=r"train.optimizer: musgd comes with YOLO"):
        RunConfig.model_validate({**values, "train": {"optimizer": "musgd"}})
