"""What is wrong with a frame before it reaches the network: another form than the file takes, or a camera that died.

A frame of another form would be detected in wrongly or not at all; a camera that sends one picture again and again, or
none, would look like a road without change. Each is told by a word, never guessed away.
Deliberately absent: dirt, blur, and wrong exposure, for which there is no limit that holds for every camera.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tl_runtime.contract import Contract

# A sensor in the dark gives values of a few levels; a lit lamp is far above.
_BLACK_LEVEL = 12
# As many values may be brighter in a black frame: a hot pixel or two. A lamp of 4 by 4 px has 48.
_BRIGHT_VALUES = 24
# Every so many pixels of a row and of a column are looked at to tell pictures apart. Noise makes two frames of a live
# camera differ in some of them, however still the scene is.
_STEP = 8


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
    """Every pixel looked at has one value."""
    FROZEN = "frozen"
    """It is the same picture as several before it."""
    STALE = "stale"
    """It is older than allowed, or not newer than the one before."""
    BROKEN_OUTPUT = "broken_output"
    """The network gave what no detector gives."""
    FAILED = "failed"
    """onnxruntime failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRules:
    """When a camera counts as dead.

    Attributes:
        frozen_after: The same picture as often in a row is frozen, 2 or more; None = not looked at.
        max_age_ms: A frame older than this is stale; None = only that each is newer than the one before.
    """

    frozen_after: int | None = 3
    max_age_ms: float | None = None

    def __post_init__(self):
        if self.frozen_after is not None and self.frozen_after < 2:
            raise ValueError(f"frozen_after={self.frozen_after}: expected 2 or more, or None")
        if self.max_age_ms is not None and not self.max_age_ms > 0:
            raise ValueError(f"max_age_ms={self.max_age_ms}: expected more than 0, or None")


class CameraWatch:
    """What one camera sent before; one for each camera."""

    def __init__(self, rules: WatchRules):
        self._rules = rules
        self._last: NDArray[np.uint8] | None = None
        self._same = 1
        self._last_ns: int | None = None

    def look(self, frame: NDArray[np.uint8], taken_ns: int | None, now_ns: int | None) -> tuple[Health, str]:
        """Look at a frame of the right form.

        Args:
            frame: (H, W, 3) uint8.
            taken_ns: When it was taken, nanoseconds of any clock that does not go back; None = not known.
            now_ns: The same clock now; None = not known.

        Returns:
            OK, or what is wrong; and a line about it.
        """
        stale = self._age(taken_ns, now_ns)
        seen = frame[::_STEP, ::_STEP].copy()
        same = self._last is not None and np.array_equal(self._last, seen)
        self._same = self._same + 1 if same else 1
        self._last = seen
        if stale:
            return Health.STALE, stale
        if np.count_nonzero(frame > _BLACK_LEVEL) <= _BRIGHT_VALUES and frame.size > _BRIGHT_VALUES:
            hint = "; values from 0 to 1 are no camera frame" if frame.max(initial=0) <= 1 else ""
            return Health.BLACK, f"no value above {_BLACK_LEVEL} of 255 but for {_BRIGHT_VALUES} at most{hint}"
        if seen.shape[0] * seen.shape[1] > 1 and (seen == seen[0, 0]).all():
            return Health.UNIFORM, f"one colour everywhere, {tuple(int(value) for value in seen[0, 0])}"
        if self._rules.frozen_after is not None and self._same >= self._rules.frozen_after:
            return Health.FROZEN, f"the same picture {self._same} times in a row"
        return Health.OK, ""

    def _age(self, taken_ns: int | None, now_ns: int | None) -> str:
        if taken_ns is None:
            return ""
        last, self._last_ns = self._last_ns, taken_ns if self._last_ns is None else max(taken_ns, self._last_ns)
        if last is not None and taken_ns <= last:
            return f"taken {(last - taken_ns) / 1e6:.1f} ms before the newest frame, or is that frame again"
        limit = self._rules.max_age_ms
        if limit is not None and now_ns is not None and now_ns - taken_ns > limit * 1e6:
            return f"{(now_ns - taken_ns) / 1e6:.1f} ms old, allowed are {limit:g}"
        return ""


def check_form(frame: Any, contract: Contract) -> tuple[Health, str]:
    """Whether a file takes a frame: OK, or what is wrong; and a line about it."""
    expected = f"expected {expected_form(contract)}"
    if not isinstance(frame, np.ndarray):
        return Health.NOT_A_FRAME, f"{type(frame).__name__}, {expected}"
    if frame.dtype != np.uint8:
        hint = "; multiply by 255 and round first" if np.issubdtype(frame.dtype, np.floating) else ""
        return Health.NOT_A_FRAME, f"values of type {frame.dtype}, {expected}{hint}"
    shape = tuple(frame.shape)
    if frame.ndim != 3 or shape[2] != 3 or not frame.size:
        return Health.WRONG_SIZE, f"shape {shape}, {expected}{_hint(shape)}"
    size = contract.frame_size
    if size is not None and shape[:2] != (size[1], size[0]):
        turned = "; height and width are exchanged" if shape[:2] == size else ""
        return Health.WRONG_SIZE, f"shape {shape}, {expected}{turned}"
    return Health.OK, ""


def expected_form(contract: Contract) -> str:
    """What a frame must be, in words."""
    height, width = ("height", "width") if contract.frame_size is None else contract.frame_size[::-1]
    return f"a numpy array ({height}, {width}, 3) uint8 {contract.color_order}"


def _hint(shape: tuple[int, ...]) -> str:
    if len(shape) == 4:
        return "; one frame without an axis for the batch"
    if len(shape) == 3 and shape[0] in (1, 3, 4):
        return "; channels come last: transpose it to (height, width, 3)"
    if len(shape) == 2 or (len(shape) == 3 and shape[2] == 1):
        return "; grey has no colour of a light, take the camera's colours"
    if len(shape) == 3 and shape[2] == 4:
        return "; leave out the fourth channel"
    return ""
