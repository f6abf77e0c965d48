"""Which device and which number format a run uses."""

from __future__ import annotations

import re

import torch

from tl_datasets.errors import TrainingError, UsageError


def pick_device(name: str) -> torch.device:
    """The device that a configuration asks for.

    Raises:
        UsageError: There is no such name.
        TrainingError: CUDA is asked for and there is none.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise UsageError(f"device '{name}': expected auto, cpu, cuda or cuda:N")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise TrainingError(f"device {name} is asked for and no CUDA device is usable; use auto or cpu")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise TrainingError(f"device {name} is asked for and there are {torch.cuda.device_count()}, counted from 0")
    return device


def amp_dtype(name: str, device: torch.device) -> torch.dtype | None:
    """The type of mixed precision, or None for full precision.

    Args:
        name: `train.amp`. "auto" = bf16 where the device computes in it, fp16 on an older CUDA device, else none.
        device: The run's device; "fp16" has effect on CUDA alone.
    """
    if name == "off":
        return None
    if device.type == "cuda":
        # Ampere and later compute in bf16; older devices only emulate it.
        bf16 = name == "bf16" or (name == "auto" and torch.cuda.get_device_capability(device) >= (8, 0))
        return torch.bfloat16 if bf16 else torch.float16
    if name == "bf16" or (name == "auto" and _cpu_has_matrix_units()):
        return torch.bfloat16
    return None


def _cpu_has_matrix_units() -> bool:
    # One YOLO26n step of eight 640x288 frames on two cores with AMX: 0.66 s in float32, 0.39 s in bf16.
    # Without such units bf16 on a CPU is emulated and slower.
    probe = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(probe is not None and probe())
