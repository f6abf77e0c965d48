"""The frames that every contender is given: a few, of one size, in memory before any clock runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.errors import DataError, UsageError

N_FRAMES = 8
DEFAULT_SIZE = (1280, 720)
# The synthetic module draws nothing smaller.
_SMALLEST_SCENE = (160, 90)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchFrames:
    """Frames.

    Attributes:
        images: (N, H, W, 3) uint8 RGB.
        about: Where they are from, in words.
    """

    images: NDArray[np.uint8]
    about: str

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.images.shape[2], self.images.shape[1]


def parse_size(text: str) -> tuple[int, int]:
    """Width and height of a text such as 1280x720.

    Raises:
        UsageError: It is no size.
    """
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if match is None or not (int(match[1]) and int(match[2])):
        raise UsageError(f"--frame-size {text}: expected WIDTHxHEIGHT in pixels, such as 1280x720")
    return int(match[1]), int(match[2])


def collect_frames(size: tuple[int, int] | None, catalog: Path | None, images: Path | None) -> BenchFrames:
    """Collect frames.

    Args:
        size: Width and height; frames of another size are scaled to it. None = that of the first frame.
        catalog: Catalog to take frames from, spread evenly over it.
        images: Folder, or one image, instead.

    Raises:
        DataError: There is no frame, or one cannot be read.
    """
    if catalog is not None:
        from tl_detection.export.frames import choose_frames, open_frames

        source = open_frames(catalog, None)
        rows = choose_frames(source, N_FRAMES)
        return _of_size([source.read_rgb(row) for row in rows], size, f"{len(rows)} frames of {catalog}")
    if images is not None:
        from tl_datasets.images import list_images, read_rgb

        if not images.exists():
            raise DataError(f"{images}: no such folder; expected one with images")
        paths = [images] if images.is_file() else list_images(images)
        if not paths:
            raise DataError(f"{images}: no image in it; expected .jpg, .png or other images")
        picked = np.unique(np.linspace(0, len(paths) - 1, min(N_FRAMES, len(paths))).round().astype(int))
        chosen = [read_rgb(paths[index]) for index in picked]
        return _of_size(chosen, size, f"{len(chosen)} frames of {images}")
    width, height = size or DEFAULT_SIZE
    return BenchFrames(images=np.stack(_draw(width, height)), about=f"{N_FRAMES} drawn frames")


def _of_size(images: list[NDArray[np.uint8]], size: tuple[int, int] | None, about: str) -> BenchFrames:
    width, height = size or (images[0].shape[1], images[0].shape[0])
    others = sum(image.shape[:2] != (height, width) for image in images)
    scaled: list[Any] = [
        image
        if image.shape[:2] == (height, width)
        else cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        for image in images
    ]
    return BenchFrames(images=np.stack(scaled), about=about + (f", {others} scaled to this size" if others else ""))


def _draw(width: int, height: int) -> list[NDArray[np.uint8]]:
    if width < _SMALLEST_SCENE[0] or height < _SMALLEST_SCENE[1]:
        rng = np.random.default_rng(0)
        return list(rng.integers(0, 256, (N_FRAMES, height, width, 3), dtype=np.uint8))
    from tl_datasets.synthetic.render import render_sequence
    from tl_datasets.synthetic.spec import plan_sequences

    return [next(iter(render_sequence(spec)))[1] for spec in plan_sequences(N_FRAMES, 1, 0, width, height)]
