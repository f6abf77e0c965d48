"""JPEG compression of a recorder: 8 x 8 blocks, and colour at half the width.

Qualities are milder than those of the corruption benchmark (25, 18, 15, 10, 7: Michaelis et al., arXiv 1907.07484),
which is kept for testing. Colour is halved across only (4:2:2, as motion-JPEG cameras do): with 4:2:0 a quality of 70
already takes the readable state from 10 % of DTLD's lamps, with 4:2:2 from 3 %.

What it does not do: the artefacts of video codecs, which also smear over time.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.effects.scene import Effect, Scene, at

# Quality of libjpeg, 1 to 100.
QUALITY = (75.0, 65.0, 55.0, 45.0, 35.0)


def apply(scene: Scene, severity: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Compress the whole image and open it again.

    Args:
        scene: The image.
        severity: 1 to 5 = quality of 75 to 35.
        rng: Not used: compression has no chance in it.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: The severity is outside 1 to 5.
    """
    quality = round(at(QUALITY, severity))
    # The codec takes BGR: with red and blue swapped it would weigh the colours wrongly.
    options = [
        *(cv2.IMWRITE_JPEG_QUALITY, quality),
        *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422),
    ]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR), options)
    return cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)  # type: ignore[return-value]


JPEG = Effect(apply=apply)
