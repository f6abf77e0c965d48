"""Start weights are drawn: the generators that they come from begin at the run's seed."""

from __future__ import annotations

import random

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Set the generators of Python, numpy and torch, on every rank alike."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    torch.manual_seed(seed)
