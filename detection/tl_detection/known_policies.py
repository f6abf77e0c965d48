"""Colour augmentation as other trainers ship it, to be measured on the user's own lamps beside the user's own policy.

Each policy is a step with the strength and probabilities that it is shipped with. The HSV shifts of ultralytics and
YOLOX are written out here, after `RandomHSV` of ultralytics 8.4 and `augment_hsv` of YOLOX 0.3; those of albumentations
and torchvision are their own code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.augment.labelled import Labelled, Visibility
from tl_datasets.augment.settings import Transform
from tl_datasets.augment.steps import Step, run_steps
from tl_datasets.augment.transforms import build_steps

Image = NDArray[np.uint8]
Recolour = Callable[[Image, np.random.Generator], Image]

# hsv_h, hsv_s, hsv_v of ultralytics' default.yaml, and the upper ends of the space that its tune() searches.
_ULTRALYTICS_DEFAULT, _ULTRALYTICS_TUNE = (0.015, 0.7, 0.4), (0.1, 0.9, 0.9)
# What ultralytics takes from albumentations, each with p .01.
_ULTRALYTICS_ALBUMENTATIONS = ("Blur", "MedianBlur", "ToGray", "CLAHE")
# Degrees of OpenCV's half circle, and levels of saturation and value; each is drawn for half of the images.
_YOLOX_GAINS = (5, 30, 30)
_BGR_P = 0.5


def known_policies() -> Mapping[str, Step]:
    """Name -> policy as one step, which is always applied and decides the rest by itself."""
    default = _recolour("hsv", partial(ultralytics_hsv, gains=_ULTRALYTICS_DEFAULT))
    tune = _recolour("hsv", partial(ultralytics_hsv, gains=_ULTRALYTICS_TUNE))
    rare = [_albumentations(name, 0.01) for name in _ULTRALYTICS_ALBUMENTATIONS]
    bgr = replace(_recolour("bgr", lambda image, _: np.ascontiguousarray(image[:, :, ::-1])), p=_BGR_P)
    policies = {
        "ultralytics default": (*rare, default),
        "ultralytics tune(), upper hue": (*rare, tune),
        "ultralytics tune(), upper hue, bgr .5": (*rare, tune, bgr),
        "YOLOX hsv": (_recolour("hsv", yolox_hsv),),
        "torchvision RandomPhotometricDistort (D-FINE, TAO)": (_recolour("distort", _photometric_distort),),
        "the same without channel permutation": (
            _recolour("distort", partial(_photometric_distort, may_permute=False)),
        ),
    }
    for name in (
        "HueSaturationValue",
        "ColorJitter",
        "ChannelShuffle",
        "ToGray",
        "RGBShift",
        "PlanckianJitter",
        "RandomBrightnessContrast",
    ):
        policies[f"albumentations {name}, p .5"] = (_albumentations(name, 0.5),)
    return {name: _as_one(name, steps) for name, steps in policies.items()}


def ultralytics_hsv(image: Image, rng: np.random.Generator, gains: tuple[float, float, float]) -> Image:
    """Hue, saturation and value as ultralytics changes them.

    Args:
        image: (H, W, 3) uint8 RGB.
        rng: Decides by how much.
        gains: `hsv_h`, `hsv_s` and `hsv_v`.
    """
    hue, saturation, value = rng.uniform(-1, 1, 3) * gains
    levels = np.arange(256, dtype=np.float64)
    tables = np.stack(
        [
            (levels + hue * 180) % 180,
            np.clip(levels * (1 + saturation), 0, 255),
            np.clip(levels * (1 + value), 0, 255),
        ],
        axis=-1,
    ).astype(np.uint8)
    tables[0, 1] = 0  # white stays white
    hsv = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), tables[None])
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


def yolox_hsv(image: Image, rng: np.random.Generator) -> Image:
    """Hue, saturation and value as YOLOX shifts them.

    Args:
        image: (H, W, 3) uint8 RGB.
        rng: Decides by how much, and which of the three.
    """
    gains = (rng.uniform(-1, 1, 3) * _YOLOX_GAINS * rng.integers(0, 2, 3)).astype(np.int16)
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.int16) + gains
    hsv[:, :, 0] %= 180
    return np.asarray(cv2.cvtColor(np.clip(hsv, 0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB), np.uint8)


def _photometric_distort(image: Image, rng: np.random.Generator, may_permute: bool = True) -> Image:
    import torch
    from torchvision.transforms import v2

    transform = v2.RandomPhotometricDistort()
    pixels = torch.from_numpy(image.copy()).permute(2, 0, 1)
    threads = torch.get_num_threads()
    # The image is small: on a busy machine, waiting for other threads takes a hundred times as long as the work.
    torch.set_num_threads(1)
    try:
        # It draws from torch's own state, which belongs to the training.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**31)))
            drawn = transform.make_params([pixels])
        if not may_permute:
            drawn["channel_permutation"] = None
        return np.ascontiguousarray(transform.transform(pixels, drawn).permute(1, 2, 0).numpy())
    finally:
        torch.set_num_threads(threads)


def _recolour(name: str, change: Recolour) -> Step:
    def apply(sample: Labelled, rng: np.random.Generator) -> Labelled:
        return replace(sample, image=change(sample.image, rng))

    return Step(name=name, p=1.0, apply=apply)


def _albumentations(name: str, p: float) -> Step:
    everything_stays = Visibility(shares=np.zeros(1), size_px=0.0)
    return build_steps([Transform(name=name, p=p)], (640, 640), everything_stays, np.ones(1, dtype=bool))[0]


def _as_one(name: str, steps: tuple[Step, ...]) -> Step:
    return Step(name=name, p=1.0, apply=lambda sample, rng: run_steps(steps, sample, rng))
