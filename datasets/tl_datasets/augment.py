"""Light-safe augmentation: pixel transforms of albumentations, and our own geometry that knows what a light is.

Colour is the label and direction is the label. So each configured pixel transform is tried on drawn lamps before
training, and refused by name if lamps change or lose their colour; a mirror image exchanges left and right classes or
is refused; and no visible lamp silently becomes background: a box that a crop leaves too small or too cut is painted
over with the padding grey, and counted.

This module is the only door to albumentations.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from tl_datasets.boxes import area
from tl_datasets.errors import ConfigError
from tl_datasets.label_space import LabelSpace
from tl_datasets.letterbox import PAD_VALUE, place

# Must be set before the first import of albumentations, which otherwise asks the package index for its version.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

_LAMP_KEPT_SHARE = (
    0.95  # of 96 drawn lamps per state; default RandomBrightnessContrast keeps 1.00, RGBShift 0.93 of red
)
# Rim colours of lit lamps, RGB: saturated, and pale as small real lamps are (median hue of red -5, of yellow 30 deg).
_LAMPS: dict[str, tuple[tuple[int, int, int], ...]] = {
    "red": ((230, 40, 40), (200, 105, 112), (150, 108, 112)),
    "yellow": ((240, 180, 30), (215, 170, 110), (165, 142, 110)),
    "green": ((40, 220, 160), (110, 200, 165), (112, 155, 140)),
}
# Hue range in degrees in which a lamp of that state is read; the border of red and yellow lies between the medians.
_HUES = {"red": (-60.0, 14.0), "yellow": (14.0, 65.0), "green": (85.0, 200.0)}


class Transform(BaseModel):
    """One albumentations transform by its own name and arguments."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    p: float = Field(default=0.5, ge=0, le=1)


class AugmentConfig(BaseModel):
    """What is done to a training sample. Nothing is done to a validation sample.

    Attributes:
        mosaic: Share of samples made of four crops.
        mosaic_off_epochs: Number of last epochs without mosaic.
        scale: Range of the random factor on top of the letterbox scale.
        translate: Largest shift as a share of the input size.
        flip_lr: Share of mirrored samples; left and right classes are exchanged.
        transforms: Pixel transforms, in order.
        min_visible: A box keeps its label if at least this share of its area is visible.
        min_size_px: and if both sides are at least this long in network pixels.
        allow_unsafe: Names of transforms that may run although lamps do not survive them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mosaic: float = Field(default=0.5, ge=0, le=1)
    mosaic_off_epochs: int = Field(default=5, ge=0)
    scale: tuple[float, float] = (0.7, 1.5)
    translate: float = Field(default=0.1, ge=0, le=0.5)
    flip_lr: float = Field(default=0.5, ge=0, le=1)
    transforms: tuple[Transform, ...] = ()
    min_visible: float = Field(default=0.5, ge=0, le=1)
    min_size_px: float = Field(default=2.0, ge=0)
    allow_unsafe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """An image with its boxes.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        xyxy: (N, 4) float64 pixels of the image.
        class_id: (N,) int64, 0-based.
        vanished: Boxes painted over because a crop left too little of them.
    """

    image: NDArray[np.uint8]
    xyxy: NDArray[np.float64]
    class_id: NDArray[np.int64]
    vanished: int = 0


class Augmenter:
    """Turns frames into training samples of the network's input size, each decided by its own random generator."""

    def __init__(self, config: AugmentConfig, label_space: LabelSpace, width_px: int, height_px: int):
        """Check the configuration.

        Raises:
            ConfigError: A transform is unknown, unsafe for lights, or a mirror image has no class to become.
        """
        self.config = config
        self.width_px, self.height_px = width_px, height_px
        if not 0 < config.scale[0] <= config.scale[1]:
            raise ConfigError("augment.scale", [f"{list(config.scale)}, expected two positive factors, lower first"])
        self.mirrored = label_space.mirrored
        if config.flip_lr and None in self.mirrored:
            alone = [name for name, partner in zip(label_space.names, self.mirrored, strict=True) if partner is None]
            raise ConfigError(
                "augment.flip_lr",
                [f"class '{alone[0]}' has no mirror class; set flip_lr: 0 or add the other direction"],
            )
        for transform in config.transforms:
            _check_transform(transform, allowed=transform.name in config.allow_unsafe)
        self._pixels = _compose(config.transforms)

    def sample(self, frames: list[Labelled], rng: np.random.Generator) -> Labelled:
        """Make one sample from one frame, or a mosaic from four.

        Args:
            frames: One or four frames of any size.
            rng: Decides everything random about this sample.

        Returns:
            A sample of the network's input size.
        """
        canvas = self._mosaic(frames, rng) if len(frames) == 4 else self._single(frames[0], rng)
        if self.config.flip_lr and rng.random() < self.config.flip_lr:
            canvas = flip_lr(canvas, self.mirrored)
        if self._pixels is not None:
            self._pixels.set_random_seed(int(rng.integers(2**31)))
            image = np.ascontiguousarray(self._pixels(image=canvas.image)["image"])
            canvas = replace(canvas, image=image)
        return canvas

    def _single(self, frame: Labelled, rng: np.random.Generator) -> Labelled:
        height, width = frame.image.shape[:2]
        fit = place(width, height, self.width_px, self.height_px)
        scale = fit.scale * rng.uniform(*self.config.scale)
        shift = rng.uniform(-self.config.translate, self.config.translate, size=2)
        left = (self.width_px - width * scale) / 2 + shift[0] * self.width_px
        top = (self.height_px - height * scale) / 2 + shift[1] * self.height_px
        return self._lay([(frame, scale, left, top, (0, 0, self.width_px, self.height_px))])

    def _mosaic(self, frames: list[Labelled], rng: np.random.Generator) -> Labelled:
        """Four tiles that meet in a random point, each a crop that shows a random object of its frame if it has one."""
        centre_x = int(rng.uniform(0.3, 0.7) * self.width_px)
        centre_y = int(rng.uniform(0.3, 0.7) * self.height_px)
        columns, rows = [(0, centre_x), (centre_x, self.width_px)], [(0, centre_y), (centre_y, self.height_px)]
        tiles = [(x1, y1, x2, y2) for y1, y2 in rows for x1, x2 in columns]
        pieces = []
        for frame, tile in zip(frames, tiles, strict=True):
            height, width = frame.image.shape[:2]
            fit = place(width, height, self.width_px, self.height_px)
            # A tile is never larger than the scaled frame, so that no tile shows padding.
            needed = max((tile[2] - tile[0]) / width, (tile[3] - tile[1]) / height)
            scale = max(fit.scale * rng.uniform(*self.config.scale), needed)
            if len(frame.xyxy):
                box = frame.xyxy[rng.integers(len(frame.xyxy))]
                anchor = np.array([box[0] + box[2], box[1] + box[3]]) / 2 * scale
            else:
                anchor = rng.uniform(0, 1, size=2) * (width * scale, height * scale)
            size = np.array([tile[2] - tile[0], tile[3] - tile[1]])
            free = np.array([width, height]) * scale - size
            corner = np.clip(anchor - rng.uniform(0.15, 0.85, size=2) * size, 0, np.maximum(free, 0))
            pieces.append((frame, scale, tile[0] - corner[0], tile[1] - corner[1], tile))
        return self._lay(pieces)

    def _lay(self, pieces: list[tuple[Labelled, float, float, float, tuple[int, int, int, int]]]) -> Labelled:
        """Draw scaled frames into tiles of one canvas and keep, or paint over, their boxes."""
        canvas = np.full((self.height_px, self.width_px, 3), PAD_VALUE, dtype=np.uint8)
        boxes, classes, vanished = [], [], 0
        for frame, scale, left, top, (x1, y1, x2, y2) in pieces:
            # Pixel centres lie at +0.5, which warpAffine does not know: hence the half-pixel terms.
            matrix = np.array(
                [[scale, 0, left - x1 + scale / 2 - 0.5], [0, scale, top - y1 + scale / 2 - 0.5]], dtype=np.float64
            )
            tile = cv2.warpAffine(
                frame.image,
                matrix,
                (x2 - x1, y2 - y1),
                flags=cv2.INTER_LINEAR,  # as the letterbox that frames meet when they are scored
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=(PAD_VALUE,) * 3,
            )
            whole = frame.xyxy * scale + np.array([left, top, left, top])
            seen = np.clip(whole, np.array([x1, y1, x1, y1]), np.array([x2, y2, x2, y2]))
            share = area(seen) / np.maximum(area(whole), 1e-9)
            sides = (seen[:, 2:] - seen[:, :2]).min(axis=1, initial=np.inf)
            inside = area(seen) > 0
            keep = inside & (share >= self.config.min_visible) & (sides >= self.config.min_size_px)
            gone, origin = seen[inside & ~keep], np.array([x1, y1, x1, y1])
            paint(tile, gone - origin, seen[keep] - origin)  # type: ignore[arg-type]
            vanished += len(gone)
            canvas[y1:y2, x1:x2] = tile
            boxes.append(seen[keep])
            classes.append(frame.class_id[keep])
        return Labelled(image=canvas, xyxy=np.concatenate(boxes), class_id=np.concatenate(classes), vanished=vanished)


def paint(image: NDArray[np.uint8], xyxy: NDArray[np.floating], shown: NDArray[np.floating]) -> None:
    """Paint boxes of an image grey, in place, so that they neither reward nor punish what is learned there.

    Args:
        image: (H, W, 3).
        xyxy: (N, 4) boxes to paint.
        shown: (M, 4) boxes that keep their pixels: a light before an ignored sign is still a light.
    """
    if not len(xyxy):
        return
    before = image.copy() if len(shown) else image
    for box in xyxy:
        image[_region(box)] = PAD_VALUE
    for box in shown:
        image[_region(box)] = before[_region(box)]


def _region(xyxy: NDArray[np.floating]) -> tuple[slice, slice]:
    x1, y1 = np.floor(np.maximum(xyxy[:2], 0)).astype(int)
    x2, y2 = np.ceil(np.maximum(xyxy[2:], 0)).astype(int)
    return slice(y1, y2), slice(x1, x2)


def flip_lr(sample: Labelled, mirrored: tuple[int | None, ...]) -> Labelled:
    """Mirror a sample and exchange left and right classes.

    Args:
        sample: Image and boxes.
        mirrored: The class that each class becomes (`LabelSpace.mirrored`).
    """
    width = sample.image.shape[1]
    xyxy = sample.xyxy.copy()
    xyxy[:, [0, 2]] = width - sample.xyxy[:, [2, 0]]
    table = np.array([-1 if partner is None else partner for partner in mirrored], dtype=np.int64)
    return Labelled(
        image=np.ascontiguousarray(sample.image[:, ::-1]),
        xyxy=xyxy,
        class_id=table[sample.class_id],
        vanished=sample.vanished,
    )


def lamp_survival(transform: Transform, draws: int = 32) -> dict[str, float]:
    """Measure how many drawn lamps still show their state after a transform that is always applied.

    Args:
        transform: One albumentations transform.
        draws: Random draws per lamp colour.

    Returns:
        State -> share in [0, 1] of its lamps whose hue is still read as that state.
    """
    pipeline = _compose((transform.model_copy(update={"p": 1.0}),))
    if pipeline is None:
        return dict.fromkeys(_LAMPS, 1.0)
    result = {}
    for state, colours in _LAMPS.items():
        kept = 0
        for number, colour in enumerate(colours):
            image = np.full((48, 32, 3), (70, 75, 80), dtype=np.uint8)
            cv2.rectangle(image, (6, 2), (25, 45), (22, 22, 24), -1)
            cv2.circle(image, (16, 24), 7, colour, -1, cv2.LINE_AA)
            for draw in range(draws):
                pipeline.set_random_seed(1000 * number + draw)
                after = pipeline(image=image)["image"]
                kept += _read_state(after[20:29, 12:21]) == state
        result[state] = kept / (draws * len(colours))
    return result


def _read_state(lamp: NDArray[np.uint8]) -> str | None:
    """State of a lamp by the mean hue of its patch; None where it is grey."""
    red, green, blue = lamp.reshape(-1, 3).astype(np.float64).mean(axis=0)
    chroma = max(red, green, blue) - min(red, green, blue)
    if chroma < 15:
        return None
    hue = np.degrees(np.arctan2(np.sqrt(3) * (green - blue), 2 * red - green - blue))
    hue = hue + 360 if hue < -60 else hue
    return next((state for state, (low, high) in _HUES.items() if low <= hue < high), None)


def _check_transform(transform: Transform, *, allowed: bool) -> None:
    key = f"augment.transforms.{transform.name}"
    survival = lamp_survival(transform)
    worst = min(survival, key=survival.__getitem__)
    if survival[worst] < _LAMP_KEPT_SHARE and not allowed:
        raise ConfigError(
            key,
            [
                f"only {survival[worst]:.0%} of drawn {worst} lamps are still {worst} after it, expected at least "
                f"{_LAMP_KEPT_SHARE:.0%}; remove it, weaken it, or add it to augment.allow_unsafe"
            ],
        )


def _compose(transforms: tuple[Transform, ...]) -> Any:
    if not transforms:
        return None
    import albumentations

    if albumentations.__version__ != "2.0.8":
        raise ConfigError(
            "albumentations",
            [f"version {albumentations.__version__} is installed, expected 2.0.8; pip install albumentations==2.0.8"],
        )
    built = []
    for transform in transforms:
        factory = getattr(albumentations, transform.name, None)
        if not (isinstance(factory, type) and issubclass(factory, albumentations.BasicTransform)):
            raise ConfigError(
                f"augment.transforms.{transform.name}", ["is no transform of albumentations 2.0.8; check the spelling"]
            )
        if not issubclass(factory, albumentations.ImageOnlyTransform):
            raise ConfigError(
                f"augment.transforms.{transform.name}",
                [
                    "moves or turns signal heads, whose lamp order and direction are the label; "
                    "use scale, translate, mosaic and flip_lr, which keep labels true"
                ],
            )
        try:
            # Without `strict` a misspelt argument is a warning and the default is used.
            built.append(factory(**{"p": transform.p, "strict": True, **(transform.model_extra or {})}))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"augment.transforms.{transform.name}", [str(error).replace("\n", " ")]) from error
    return albumentations.Compose(built)
