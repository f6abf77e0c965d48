"""Of processing: brightness, contrast, elastic shifts, large pixels, JPEG."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

Image = NDArray[np.uint8]

# What is added to the value of HSV, as a share of white.
_BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)
# What is left of each colour's distance from its mean.
_CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)
# Factor on a field of random shifts within 0.5 % of the height, smoothed over 1 % of the height and of the width.
_ELASTIC = (12.5, 16.25, 21.25, 25.0, 30.0)
_ELASTIC_SHIFT, _ELASTIC_SIGMA = 0.005, 0.01
# Where the original cuts that Gaussian off, in standard deviations.
_ELASTIC_CUT = 3.0
# Share of the width and height that is left.
_PIXELATE = (0.6, 0.5, 0.4, 0.3, 0.25)
_JPEG_QUALITY = (25, 18, 15, 10, 7)


def brightness(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Brighter by a share of white at the same hue and saturation; nothing is drawn."""
    red, green, blue = cv2.split(image)
    value = cv2.max(cv2.max(red, green), blue)
    place = image.astype(np.uint16)
    place += (value.astype(np.uint16) << 8)[..., None]
    return _brighter(_BRIGHTNESS[severity - 1]).take(place)


def contrast(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Each colour closer to its mean; nothing is drawn."""
    mean = np.array(cv2.mean(image)[:3]) / 255
    levels = np.arange(256)[:, None] / 255
    table = np.clip((levels - mean) * _CONTRAST[severity - 1] + mean, 0, 1) * 255
    return cv2.LUT(image, table.astype(np.uint8)[None])  # type: ignore[return-value]


def elastic_transform(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Each place shifted a little, near places alike. Pixels move by a pixel or two, boxes do not."""
    height, width = image.shape[:2]
    x, y = (_shifts(height, width, severity, rng) for _ in range(2))
    x += np.arange(width, dtype=np.float32)
    y += np.arange(height, dtype=np.float32)[:, None]
    return cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)  # type: ignore[return-value]


def pixelate(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Few, large pixels; nothing is drawn."""
    height, width = image.shape[:2]
    share = _PIXELATE[severity - 1]
    small = (max(int(width * share), 1), max(int(height * share), 1))
    # Pillow, since its box filter is the one that the figures of others were made with.
    picture = PillowImage.fromarray(image).resize(small, PillowImage.Resampling.BOX)
    return np.array(picture.resize((width, height), PillowImage.Resampling.NEAREST))


def jpeg_compression(image: Image, severity: int, rng: np.random.Generator) -> Image:
    """Stored as JPEG and read again; nothing is drawn."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY[severity - 1]])
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)  # type: ignore[return-value, arg-type]


@lru_cache(maxsize=len(_BRIGHTNESS))
def _brighter(added: float) -> Image:
    """(256 * 256,) what a colour becomes in a pixel of a value of HSV, at 256 * value + colour."""
    value, colour = np.divmod(np.arange(1 << 16), 256)
    target = np.minimum(value / 255 + added, 1.0)
    # Black has no saturation: all its colours become the value.
    share = np.divide(colour, value, out=np.ones(1 << 16), where=value > 0)
    # A hair less than a whole number is the whole number.
    return (np.minimum(share, 1) * target * 255 + 1e-9).astype(np.uint8)


def _shifts(height: int, width: int, severity: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(H, W) shifts in pixels along one axis."""
    field = rng.random((height, width), dtype=np.float32)
    field -= 0.5
    field *= 2 * _ELASTIC_SHIFT * height * _ELASTIC[severity - 1]
    sigma_y, sigma_x = _ELASTIC_SIGMA * height, _ELASTIC_SIGMA * width
    size_x, size_y = (2 * int(_ELASTIC_CUT * sigma + 0.5) + 1 for sigma in (sigma_x, sigma_y))
    size = (size_x, size_y)
    return cv2.GaussianBlur(field, size, sigma_x, sigmaY=sigma_y, borderType=cv2.BORDER_REFLECT)  # type: ignore[return-value]
