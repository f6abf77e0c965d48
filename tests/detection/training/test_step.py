"""A step of the optimiser: the same gradient however its frames are cut into pieces, batches and ranks."""

from __future__ import annotations

import logging

import pytest
import torch

from tl_datasets.errors import TrainingError
from tl_datasets.torch_dataset import make_loader
from tl_detection.distributed import Ranks
from tl_detection.training.data import prepare_data
from tl_detection.training.ema import Ema
from tl_detection.training.faster_rcnn_ignore import SeededSampler
from tl_detection.training.seeds import seed_everything
from tl_detection.training.step import Share, Stepper, is_out_of_memory, take
from tl_detection.training.train import make_learner

CPU = torch.device("cpu")


@pytest.fixture
def make_stepper(run_config, tmp_path):
    """`make(kind, micro_batch, **train)` -> stepper, and the batches of its first epoch."""

    def make(kind: str, micro_batch: int = 8, **train):
        config = run_config(tmp_path, kind, frames=6, optimizer="sgd", **{"batch_size": 6, "lr": 0.01, **train})
        data = prepare_data(config)
        seed_everything(0)
        learner = make_learner(data, CPU)
        stepper = Stepper(
            learner=learner,
            settings=config.train,
            optimizer=learner.make_optimizer(),
            scaler=torch.amp.GradScaler("cpu", enabled=False),
            ema=None,
            ranks=Ranks(),
            device=CPU,
            dtype=None,
            micro_batch=micro_batch,
        )
        learner.network.train()
        # Statistics of the batch differ between pieces, and are not what is looked at here.
        for layer in learner.network.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.eval()
        loader = make_loader(data.dataset, config.train.batch_size, 0, 0, pin_memory=False)
        shares = [Share(batch=batch, counts=loader.batches.shares(number)) for number, batch in enumerate(loader)]
        return stepper, shares

    return make


def gradient(stepper: Stepper, shares: list[Share]) -> torch.Tensor:
    stepper.optimizer.zero_grad()
    stepper._add_gradients(shares, 0, Ranks(), stepper.learner.losses, {})
    return torch.cat([p.grad.flatten() for p in stepper.learner.network.parameters() if p.grad is not None])


@pytest.mark.parametrize("micro_batch", [4, 1])
def test_pieces_give_the_gradient_of_the_whole(micro_batch, make_stepper):
    whole_stepper, whole = make_stepper("faster_rcnn")
    pieces_stepper, _ = make_stepper("faster_rcnn", micro_batch)
    expected, found = gradient(whole_stepper, whole), gradient(pieces_stepper, whole)
    assert expected.norm() > 0.1
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_accumulated_batches_give_the_gradient_of_one_with_all_frames(make_stepper):
    whole_stepper, whole = make_stepper("faster_rcnn")
    stepper, halves = make_stepper("faster_rcnn", batch_size=4)
    assert [len(share.batch["frame_ids"]) for share in halves] == [4, 2]
    torch.testing.assert_close(gradient(stepper, halves), gradient(whole_stepper, whole), rtol=1e-4, atol=1e-6)


def test_a_yolo_sums_over_the_frames_of_a_step(make_stepper):
    """Each piece is divided by its own target scores, so pieces are weighed by their frames and sum to all of them."""
    stepper, (whole,) = make_stepper("yolo", micro_batch=3)
    both = gradient(stepper, [whole])
    alone = []
    for start in (0, 3):
        part = take(whole.batch, start, start + 3)
        alone.append(gradient(stepper, [Share(batch=part, counts=[3])]))
    torch.testing.assert_close(both, alone[0] + alone[1], rtol=1e-4, atol=1e-3)


def test_memory_that_runs_out_is_answered_with_smaller_pieces(make_stepper, caplog):
    stepper, shares = make_stepper("faster_rcnn")
    plain, _ = make_stepper("faster_rcnn")
    sizes, forward = [], stepper.learner.losses.forward

    def small_memory(batch, epoch):
        sizes.append(len(batch["frame_ids"]))
        if sizes[-1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return forward(batch, epoch)

    stepper.learner.losses.forward = small_memory
    stepper.step(shares, 0, 1.0, "epoch 1, step 1")
    plain.step(shares, 0, 1.0, "epoch 1, step 1")
    assert sizes == [6, 3, 2, 2, 2]
    assert stepper.micro_batch == 2
    assert "out of memory with 6 frames at a time: 3 from now on" in caplog.text
    for (name, value), other in zip(
        stepper.learner.network.named_parameters(), plain.learner.network.parameters(), strict=True
    ):
        torch.testing.assert_close(value, other, rtol=1e-4, atol=1e-6, msg=name)
    assert stepper.mean_losses()["loss"] == pytest.approx(plain.mean_losses()["loss"], rel=1e-5)


def test_what_was_learned_before_memory_ran_out_counts_once(make_stepper):
    stepper, shares = make_stepper("faster_rcnn", micro_batch=3)
    plain, _ = make_stepper("faster_rcnn", micro_batch=3)
    calls, forward = [], stepper.learner.losses.forward

    def filled_memory(batch, epoch):
        calls.append(len(batch["frame_ids"]))
        if len(calls) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return forward(batch, epoch)

    stepper.learner.losses.forward = filled_memory
    for each in (stepper, plain):
        each.step(shares, 0, 1.0, "epoch 1, step 1")
    assert calls == [3, 3, 2, 2, 2]
    for one, other in zip(stepper.learner.network.parameters(), plain.learner.network.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    assert stepper.mean_losses()["loss"] == pytest.approx(plain.mean_losses()["loss"], rel=1e-5)


def test_memory_that_does_not_suffice_for_a_frame(make_stepper):
    stepper, shares = make_stepper("faster_rcnn")

    def no_memory(batch, epoch):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    stepper.learner.losses.forward = no_memory
    with pytest.raises(TrainingError, match=r"out of memory with 1 frame at a time; make model\.input smaller"):
        stepper.step(shares, 0, 1.0, "epoch 1, step 1")


def test_other_errors_are_raised_as_they_are(make_stepper):
    stepper, shares = make_stepper("faster_rcnn")

    def broken(batch, epoch):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    stepper.learner.losses.forward = broken
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        stepper.step(shares, 0, 1.0, "epoch 1, step 1")
    assert is_out_of_memory(RuntimeError("CUDA error: out of memory"))


@pytest.mark.parametrize("kind", ["yolo", "faster_rcnn"])
def test_what_is_not_finite_names_its_frames(kind, make_stepper):
    stepper, shares = make_stepper(kind, micro_batch=3)
    forward = stepper.learner.losses.forward

    def spoiled(batch, epoch):
        parts = forward(batch, epoch)
        return {**parts, "loss": parts["loss"] * (float("nan") if "frame0" in batch["frame_ids"] else 1.0)}

    stepper.learner.losses.forward = spoiled
    piece = next(
        part["frame_ids"]
        for part in (take(shares[0].batch, 0, 3), take(shares[0].batch, 3, 6))
        if "frame0" in part["frame_ids"]
    )
    before = [value.clone() for value in stepper.learner.network.parameters()]
    with pytest.raises(TrainingError, match=rf"epoch 1, step 1: the loss is not finite; frames: {', '.join(piece)};"):
        stepper.step(shares, 0, 1.0, "epoch 1, step 1")
    assert all(torch.equal(one, other) for one, other in zip(before, stepper.learner.network.parameters(), strict=True))


def test_a_gradient_that_is_not_finite_names_all_frames(make_stepper, monkeypatch):
    stepper, shares = make_stepper("faster_rcnn")
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_: torch.tensor(torch.inf))
    with pytest.raises(TrainingError, match="the gradient is not finite; frames: ") as caught:
        stepper.step(shares, 0, 1.0, "epoch 1, step 1")
    assert all(f"frame{number}" in str(caught.value) for number in range(6))


def test_class_weights_reach_the_loss(make_stepper):
    for kind in ("yolo", "faster_rcnn"):
        sums = []
        for weight in (1.0, 5.0):
            stepper, shares = make_stepper(kind, class_weights={"red": weight})
            parts: dict[str, torch.Tensor] = {}
            stepper._add_gradients(shares, 0, Ranks(), stepper.learner.losses, parts)
            sums.append({name: float(value) for name, value in parts.items()})
        classes = "cls_loss" if kind == "yolo" else "classifier"
        assert sums[1][classes] > sums[0][classes] * 1.1
        others = set(sums[0]) - {classes, "loss"}
        assert all(sums[1][name] == pytest.approx(sums[0][name]) for name in others)


def test_each_stage_is_shared_by_its_own_samples(make_stepper, monkeypatch):
    """Other ranks have as many samples for the proposals, and three times as many for the box head."""
    found = {}
    for name, join in (("alone", lambda own: own), ("shared", lambda own: own * torch.tensor([2.0, 4.0]))):
        stepper, (share,) = make_stepper("faster_rcnn")
        monkeypatch.setattr("tl_detection.training.faster_rcnn.sum_over_ranks", join)
        parts = stepper.learner.losses(share.batch, 0)
        found[name] = {part: float(value.detach()) for part, value in parts.items()}
    ratios = {part: found["alone"][part] / found["shared"][part] for part in found["alone"] if part != "loss"}
    of_stage = {"objectness": 2.0, "rpn_box_reg": 2.0, "classifier": 4.0, "box_reg": 4.0}
    assert ratios == pytest.approx(of_stage, rel=1e-5)


def test_what_is_learned_from_is_drawn_anew_in_each_epoch_and_for_each_repeat(make_stepper, monkeypatch):
    stepper, (share,) = make_stepper("faster_rcnn")
    seeds, choose = [], SeededSampler._choose

    def spy(self, labels, seed):
        seeds.append(seed)
        return choose(self, labels, seed)

    monkeypatch.setattr(SeededSampler, "_choose", spy)
    again = {**share.batch, "occurrence": [number + 1 for number in share.batch["occurrence"]]}
    drawn = []
    for batch, epoch in ((share.batch, 0), (share.batch, 1), (again, 0), (share.batch, 0)):
        seeds.clear()
        stepper.learner.losses(batch, epoch)
        drawn.append(list(seeds))
    assert drawn[3] == drawn[0]
    first, next_epoch, repeat = (set(each) for each in drawn[:3])
    assert len(first) == 2 * len(share.batch["frame_ids"])  # both stages of every frame
    assert not first & next_epoch and not first & repeat


@pytest.mark.parametrize("kind", ["yolo", "faster_rcnn"])
def test_frozen_stages_stay(kind, run_config, tmp_path, start, caplog):
    caplog.set_level(logging.INFO)
    from tl_detection.checkpoint import load_checkpoint

    config = run_config(
        tmp_path, kind, frames=4, epochs=1, batch_size=4, lr=0.1, ema_decay=None, model={"frozen_stages": 3}
    )
    seed_everything(0)
    before = make_learner(prepare_data(config), CPU).network.state_dict()
    run = start(config)
    after = load_checkpoint(run.last).state
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    first = "model.0." if kind == "yolo" else "backbone.body.0."
    assert moved and not any(name.startswith(first) for name in moved)


def test_what_one_rank_asks_for_all_hear(make_stepper, monkeypatch):
    """Each hears it with the sum over the ranks that every step has in any case."""
    stepper, shares = make_stepper("faster_rcnn")
    assert stepper.step(shares, 0, 1.0, "epoch 1, step 1") is False
    assert stepper.step(shares, 0, 1.0, "epoch 1, step 2", asks=True) is True
    others = torch.tensor([0.0, 0.0, 1.0])
    monkeypatch.setattr("tl_detection.training.step.sum_over_ranks", lambda values: values + others)
    assert stepper.step(shares, 0, 1.0, "epoch 1, step 3") is True


def test_the_average_follows_the_weights(make_stepper):
    stepper, shares = make_stepper("faster_rcnn")
    stepper.ema = Ema(stepper.learner.network, 0.5, 10)
    before = [value.clone() for value in stepper.ema.model.parameters()]
    stepper.step(shares, 0, 1.0, "epoch 1, step 1")
    assert stepper.ema.updates == 1
    after = stepper.ema.model.parameters()
    assert any(not torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_frames_without_a_light_teach_the_background(make_stepper):
    stepper, (share,) = make_stepper("yolo")
    count = len(share.batch["frame_ids"])
    nothing = {"xyxy": [torch.zeros(0, 4)] * count, "class_id": [torch.zeros(0, dtype=torch.int64)] * count}
    # A factor of 0 / 1 target scores would silence it.
    assert float(stepper.learner.losses({**share.batch, **nothing}, 0)["loss"].detach()) > 0
