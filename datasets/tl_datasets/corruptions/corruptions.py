"""`CORRUPTIONS`: the 15 common corruptions by their names, and `corrupt`, which applies one.

Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", ICLR 2019;
for object detection Michaelis et al., "Benchmarking Robustness in Object Detection", arXiv 1907.07484, whose package
imagecorruptions (Apache-2.0) is the reference. The parameters are theirs, the code is not. What differs: the ice of
`frost` is drawn, and a frame may have any size. Their authors ask to keep these 15 for testing alone; to train on
weather there is `tl_datasets.effects`.

What they do to real frames is held against that package's figures by a test, and measured by
`tools/measure_corruptions.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tl_datasets.corruptions import blur, digital, noise, weather
from tl_datasets.errors import UsageError

Corrupt = Callable[[NDArray[np.uint8], int, np.random.Generator], NDArray[np.uint8]]

SEVERITIES = (1, 2, 3, 4, 5)
# Name -> function of an (H, W, 3) uint8 RGB image, a severity of 1 to 5 and a random generator.
CORRUPTIONS: dict[str, Corrupt] = {
    "gaussian_noise": noise.gaussian_noise,
    "shot_noise": noise.shot_noise,
    "impulse_noise": noise.impulse_noise,
    "defocus_blur": blur.defocus_blur,
    "glass_blur": blur.glass_blur,
    "motion_blur": blur.motion_blur,
    "zoom_blur": blur.zoom_blur,
    "snow": weather.snow,
    "frost": weather.frost,
    "fog": weather.fog,
    "brightness": digital.brightness,
    "contrast": digital.contrast,
    "elastic_transform": digital.elastic_transform,
    "pixelate": digital.pixelate,
    "jpeg_compression": digital.jpeg_compression,
}
# These move pixels while the boxes stay: some of the score at high IoU is lost by that alone.
MOVES_PIXELS = frozenset({"zoom_blur", "elastic_transform", "glass_blur"})


def corrupt(
    image: NDArray[np.uint8], name: str, severity: int, rng: np.random.Generator | None = None
) -> NDArray[np.uint8]:
    """Corrupt an image.

    Args:
        image: (H, W, 3) uint8 RGB; it is not changed.
        name: A key of `CORRUPTIONS`.
        severity: 1 to 5.
        rng: Source of everything random; None = one with seed 0.

    Returns:
        A new image of the same size.

    Raises:
        UsageError: There is no such corruption or severity.
        ValueError: The image is no (H, W, 3) uint8 array.
    """
    if name not in CORRUPTIONS:
        raise UsageError(f"corruption '{name}': unknown; expected {', '.join(CORRUPTIONS)}")
    if severity not in SEVERITIES:
        raise UsageError(f"severity {severity}: expected a whole number from 1 to 5")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"image of {image.dtype} and shape {image.shape}, expected (H, W, 3) uint8")
    image = np.ascontiguousarray(image)
    return CORRUPTIONS[name](image, int(severity), np.random.default_rng(0) if rng is None else rng)
