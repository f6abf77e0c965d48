"""What the frames of a camera are like that an exported file takes: size, order of colours, how many at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from tl_datasets.errors import UsageError

ColorOrder = Literal["RGB", "BGR"]
# Cameras have at most 16k pixels a side; more is a mistake.
_MOST_PX = 16384
_MOST_FRAMES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """The input of an exported file.

    Attributes:
        frame_size: Width and height of every frame, in pixels; None = any size, which is slower.
        color_order: In which order a pixel's three bytes come.
        batch: Frames at once, of as many cameras; all of one size.
    """

    frame_size: tuple[int, int] | None
    color_order: ColorOrder = "RGB"
    batch: int = 1

    def __post_init__(self):
        if self.color_order not in ("RGB", "BGR"):
            raise UsageError(f"--colors {self.color_order}: expected RGB or BGR")
        if not 1 <= self.batch <= _MOST_FRAMES:
            raise UsageError(f"--batch {self.batch}: expected 1 to {_MOST_FRAMES} frames at once")
        if self.frame_size is not None and not all(1 <= side <= _MOST_PX for side in self.frame_size):
            width, height = self.frame_size
            raise UsageError(f"--frame-size {width}x{height}: expected 1 to {_MOST_PX} px a side")

    @property
    def channels(self) -> tuple[int, int, int]:
        """Where red, green and blue lie in a pixel."""
        return (0, 1, 2) if self.color_order == "RGB" else (2, 1, 0)


def parse_frame_size(text: str) -> tuple[int, int] | None:
    """Read "1280x720" as width and height, "any" as None.

    Raises:
        UsageError: It is neither.
    """
    if text == "any":
        return None
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if found is None:
        raise UsageError(f"--frame-size {text}: expected WIDTHxHEIGHT such as 1280x720, or any")
    return int(found[1]), int(found[2])
