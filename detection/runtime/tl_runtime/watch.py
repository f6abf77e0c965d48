"""What is wrong with a frame before it reaches the network: another form than the file takes, or a camera that died.

A frame of another form would be detected in wrongly or not at all; a camera that sends one picture again and again, or
none, would look like a road without change. Each is told by a word, never guessed away.
Deliberately absent: dirt, blur, and wrong exposure, for which there is no limit that holds for every camera; and old
pictures that come again in turn, which only the time they were taken tells apart from new ones.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tl_runtime.contract import Contract

# A sensor in the dark gives values of a few levels; a lit lamp is far above.
_BLACK_LEVEL = 12
# As many values may be brighter in a black frame: a few hot pixels. A lone lamp of a few pixels in a picture otherwise
# black is taken for them: the frame says nothing, where "no light" may be wrong. Frames at night are far from it: the
# darkest of 1,664 real ones has 10,587 values above the level, 22 % of all.
_BRIGHT_VALUES = 24
# Every so many pixels of a row and of a column are looked at first; nearly every frame is told apart by these.
_STEP = 8
# No camera has more pixels a side. An array without end costs nothing to make (`numpy.broadcast_to`).
_MOST_PX = 16384


class Health(StrEnum):
    """How a frame went."""

    OK = "ok"
    NOT_A_FRAME = "not_a_frame"
    """It is no array of bytes."""
    WRONG_SIZE = "wrong_size"
    """It has another height, width, number of channels or layout than the file takes."""
    BLACK = "black"
    """There is nothing brighter than a sensor's noise in it."""
    UNIFORM = "uniform"
    """Every pixel has one colour."""
    FROZEN = "frozen"
    """It is the same picture, pixel by pixel, as several before it."""
    STALE = "stale"
    """It is older than allowed, not newer than the one before, or nobody knows."""
    BROKEN_OUTPUT = "broken_output"
    """The network gave what no detector gives."""
    FAILED = "failed"
    """onnxruntime failed, or the memory was not enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRules:
    """When a camera counts as dead.

    Attributes:
        frozen_after: The same picture as often in a row is frozen, 2 or more; None = not looked at, as for drawn scenes
            without noise and for videos, whose compression can repeat a picture.
        max_age_ms: A frame older than this, from as long in the future, or without the time it was taken, is stale;
            None = only that each is newer than the one before, where the times are given.
    """

    frozen_after: int | None = 3
    max_age_ms: float | None = None

    def __post_init__(self):
        if self.frozen_after is not None and self.frozen_after < 2:
            raise ValueError(f"frozen_after={self.frozen_after}: expected 2 or more, or None")
        if self.max_age_ms is not None and not self.max_age_ms > 0:
            raise ValueError(f"max_age_ms={self.max_age_ms}: expected more than 0, or None")


class CameraWatch:
    """What one camera sent before; one for each camera, for one thread at a time. Holds two pictures, no more."""

    def __init__(self, rules: WatchRules):
        self._rules = rules
        self._picture: NDArray[np.uint8] | None = None
        self._last: NDArray[np.uint8] | None = None
        self._same = 1
        self._last_ns: int | None = None

    def take(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Copy a frame of the right form, so that what is looked at is what is detected in, whoever writes to it.

        Args:
            frame: (H, W, 3) uint8, in any order in memory.

        Returns:
            The same, C-contiguous. It holds until the next but one is taken.
        """
        self._picture, self._last = self._last, self._picture
        if self._picture is None or self._picture.shape != frame.shape:
            self._picture = np.empty(frame.shape, np.uint8)
        plain = np.asarray(frame)
        if plain.strides[2] == 1:
            np.copyto(self._picture, plain)
        else:
            # Reversed colours or planes: 0.8 instead of 6 ms for 1280x720.
            for channel in range(plain.shape[2]):
                self._picture[..., channel] = plain[..., channel]
        return self._picture

    def look(self, picture: NDArray[np.uint8], taken_ns: int | None, now_ns: int | None) -> tuple[Health, str]:
        """Look at what `take` gave last.

        Args:
            picture: (H, W, 3) uint8.
            taken_ns: When it was taken, nanoseconds of a clock that does not go back; None = not known.
            now_ns: The same clock now; None = `time.monotonic_ns()`.

        Returns:
            OK, or what is wrong; and a line about it.
        """
        stale = self._age(taken_ns, now_ns)
        seen = picture[::_STEP, ::_STEP].copy()
        is_same = (
            self._last is not None
            and self._last.shape == picture.shape
            and np.array_equal(self._last[::_STEP, ::_STEP], seen)
            and np.array_equal(self._last, picture)
        )
        self._same = self._same + 1 if is_same else 1
        if stale:
            return Health.STALE, stale
        if _is_black(seen) and _is_black(picture) and picture.size > _BRIGHT_VALUES:
            hint = "; values from 0 to 1 are no camera frame" if picture.max(initial=0) <= 1 else ""
            return Health.BLACK, f"no value above {_BLACK_LEVEL} of 255 but for {_BRIGHT_VALUES} at most{hint}"
        if _is_uniform(seen) and _is_uniform(picture) and picture.size > 3:
            return Health.UNIFORM, f"one colour everywhere, {tuple(int(value) for value in picture[0, 0])}"
        if self._rules.frozen_after is not None and self._same >= self._rules.frozen_after:
            return Health.FROZEN, f"the same picture {self._same} times in a row"
        return Health.OK, ""

    def _age(self, taken_ns: Any, now_ns: Any) -> str:
        """What is wrong with the time of a frame; empty where nothing is."""
        limit = self._rules.max_age_ms
        if taken_ns is None:
            return "" if limit is None else f"without the time it was taken (taken_ns), allowed are {limit:g} ms"
        for name, value in (("taken_ns", taken_ns), ("now_ns", now_ns)):
            if value is not None and not isinstance(value, int | np.integer):
                return f"{name} is of type {type(value).__name__}, expected whole nanoseconds"
        taken = int(taken_ns)
        if limit is not None:
            age_ms = ((time.monotonic_ns() if now_ns is None else int(now_ns)) - taken) / 1e6
            # A time that cannot be is not remembered, or it would make stale whatever comes after it.
            if age_ms < -limit:
                return f"taken {-age_ms:.1f} ms after now: not the same clock"
            if age_ms > limit:
                return f"{age_ms:.1f} ms old, allowed are {limit:g}"
        last, self._last_ns = self._last_ns, taken if self._last_ns is None else max(taken, self._last_ns)
        if last is not None and taken <= last:
            return f"taken {(last - taken) / 1e6:.1f} ms before the newest frame, or is that frame again"
        return ""


def _is_black(picture: NDArray[np.uint8]) -> bool:
    return bool(np.count_nonzero(picture > _BLACK_LEVEL) <= _BRIGHT_VALUES)


def _is_uniform(picture: NDArray[np.uint8]) -> bool:
    values = picture.reshape(-1)
    return bool((values[3:] == values[:-3]).all())


def check_form(frame: Any, contract: Contract) -> tuple[Health, str]:
    """Whether a file takes a frame: OK, or what is wrong; and a line about it."""
    expected = f"expected {expected_form(contract)}"
    if not isinstance(frame, np.ndarray):
        return Health.NOT_A_FRAME, f"{type(frame).__name__}, {expected}"
    if isinstance(frame, np.ma.MaskedArray):
        return Health.NOT_A_FRAME, f"a masked array, {expected}; what is masked is no picture"
    # What the array is, whatever a class derived from it says.
    frame = np.asarray(frame)
    if frame.dtype != np.uint8:
        hint = "; multiply by 255 and round first" if _is_from_0_to_1(frame) else "; give the bytes of the camera"
        return Health.NOT_A_FRAME, f"values of type {frame.dtype}, {expected}{hint}"
    shape = tuple(frame.shape)
    if frame.ndim != 3 or shape[2] != 3 or not frame.size:
        return Health.WRONG_SIZE, f"shape {shape}, {expected}{_hint(shape)}"
    size = contract.frame_size
    if size is not None and shape[:2] != (size[1], size[0]):
        turned = "; height and width are exchanged" if shape[:2] == size else ""
        return Health.WRONG_SIZE, f"shape {shape}, {expected}{turned}"
    if max(shape) > _MOST_PX:
        return Health.WRONG_SIZE, f"shape {shape}, {expected} of at most {_MOST_PX} px a side"
    return Health.OK, ""


def expected_form(contract: Contract) -> str:
    """What a frame must be, in words."""
    height, width = ("height", "width") if contract.frame_size is None else contract.frame_size[::-1]
    return f"a numpy array ({height}, {width}, 3) uint8 {contract.color_order}"


def _is_from_0_to_1(frame: NDArray) -> bool:
    """By a few values: the array may be large, and this is a hint."""
    if not np.issubdtype(frame.dtype, np.floating) or not frame.size:
        return False
    few = frame.reshape(-1)[:: max(1, frame.size // 1024)] if frame.flags.c_contiguous else frame.flat[:1024]
    return bool(((few >= 0) & (few <= 1)).all())


def _hint(shape: tuple[int, ...]) -> str:
    if len(shape) == 4:
        return "; one frame without an axis for the batch"
    if len(shape) == 2 or (len(shape) == 3 and shape[2] == 1):
        return "; grey has no colour of a light, take the camera's colours"
    if len(shape) == 3 and shape[2] == 4:
        return "; leave out the fourth channel"
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        return "; channels come last: transpose it to (height, width, 3)"
    return ""
