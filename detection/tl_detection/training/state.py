"""The state of a run, as `last.pt` keeps it: everything that decides what the next step gives, in full precision.

Weights, their average, the optimiser's buffers, the scaler, random states, the best epoch, and how far the run is. The
learning rate, the samples and their augmentation follow from the step's number; they have no state.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from tl_datasets.errors import WeightsError
from tl_detection.checkpoint import Checkpoint
from tl_detection.training.ema import Ema
from tl_detection.training.optimizers import align_state
from tl_detection.training.stopping import BestEpoch


def used_weights(network: nn.Module, ema: Ema | None) -> dict[str, torch.Tensor]:
    """State dict of the weights that are scored and exported: the average, where the run has one. Not a copy."""
    return (ema.model if ema else network).state_dict()


def training_state(
    *,
    network: nn.Module,
    ema: Ema | None,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    best: BestEpoch,
    position: Mapping[str, Any],
    random_by_rank: Sequence[Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """What a checkpoint keeps beside `used_weights`. Tensors are not copied: write it before the next step.

    Args:
        network: What learns.
        ema: Its average; None = the run has none.
        optimizer: Of the network's parameters.
        scaler: Of fp16; disabled otherwise.
        best: The best epoch so far.
        position: How far the run is; JSON values only.
        random_by_rank: `random_states` of each rank in order; None = of this process, the only one.
    """
    return {
        # Without an average they are what the checkpoint holds anyway.
        "weights": network.state_dict() if ema else None,
        "ema_updates": ema.updates if ema else 0,
        "optimizer": optimizer.state_dict(),
        "scaler": scaler.state_dict(),
        "best": {"score": best.score, "epoch": best.epoch},
        "position": json.dumps(dict(position)),
        "random": [random_states()] if random_by_rank is None else [dict(states) for states in random_by_rank],
    }


def restore_training_state(
    checkpoint: Checkpoint,
    where: object,
    *,
    network: nn.Module,
    ema: Ema | None,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    best: BestEpoch,
    rank: int = 0,
) -> dict[str, Any]:
    """Put everything back as it was, on the devices where it is now; the inverse of `training_state`.

    Args:
        checkpoint: `last.pt`.
        where: The run or file, named in errors.
        network: As it was built for the run; changed in place, as are the others.
        ema: Its average, if the run has one.
        optimizer: Made as it was made for the run.
        scaler: Of fp16; disabled otherwise.
        best: The best epoch.
        rank: Whose random states are put back. A rank that the run did not have keeps its own.

    Returns:
        The position.

    Raises:
        WeightsError: The checkpoint has no such state, or it does not fit the network or the optimiser.
    """
    training = checkpoint.training
    if training is None:
        raise WeightsError(f"{where}: holds no training state, expected weights/last.pt; start a new run from it")
    try:
        if ema:
            network.load_state_dict(training["weights"])
            ema.model.load_state_dict(checkpoint.state)
            ema.updates = int(training["ema_updates"])
        else:
            network.load_state_dict(checkpoint.state)
        # Buffers come to the device and type of their parameters.
        optimizer.load_state_dict(training["optimizer"])
        align_state(optimizer)
        # Empty from a run without fp16.
        if training["scaler"]:
            scaler.load_state_dict(training["scaler"])
        best.score, best.epoch = training["best"]["score"], int(training["best"]["epoch"])
        position = json.loads(training["position"])
        if rank < len(training["random"]):
            restore_random_states(training["random"][rank])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(
            f"{where}: the training state does not fit this run ({type(error).__name__}: {reason}); "
            "resume with the tl that wrote it, or start a new run from best.pt"
        ) from error
    return position


def random_states() -> dict[str, Any]:
    """States of all generators of this process: torch's (CPU and every CUDA device), numpy's and Python's."""
    state: Any = np.random.get_state(legacy=True)  # noqa: NPY002
    version, keys, *rest = state
    python_version, python_keys, python_gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        # A run on the CPU of a machine with CUDA has woken no device, and shall not.
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        "numpy": [version, torch.tensor(keys.astype(np.int64)), *rest],
        "python": [python_version, torch.tensor(python_keys), python_gauss],
    }


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Put back what `random_states` gave; of the CUDA devices, those that are here and were there."""
    torch.set_rng_state(states["torch"])
    if torch.cuda.is_available():
        for device, state in zip(range(torch.cuda.device_count()), states["cuda"], strict=False):
            torch.cuda.set_rng_state(state, device)
    version, keys, *rest = states["numpy"]
    np.random.set_state((version, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    version, keys, gauss = states["python"]
    random.setstate((version, tuple(keys.tolist()), gauss))
