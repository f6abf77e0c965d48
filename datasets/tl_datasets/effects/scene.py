"""What an effect is given (`Scene`, `View`) and what it is (`Effect`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tl_datasets.taxonomy import State, TimeOfDay, Weather

# Severities of the tables in this package; between them, values are interpolated.
SEVERITIES = (1, 2, 3, 4, 5)
# Where the horizon of a dash camera lies, as a share of the frame's height, if nobody says better.
HORIZON = 0.45
# Focal length as a share of the frame's width: a lens of 53 degrees, common for dash and front cameras.
FOCAL = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A rectangle of an image that shows (a part of) one frame; a mosaic has four.

    Attributes:
        x1: Left edge in pixels of the image.
        y1: Top edge.
        x2: Right edge, exclusive.
        y2: Bottom edge, exclusive.
        horizon_px: Row of the frame's horizon in pixels of the image; may lie outside of the rectangle.
        focal_px: Focal length in pixels of the image.
    """

    x1: int
    y1: int
    x2: int
    y2: int
    horizon_px: float
    focal_px: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """An image and what an effect may know of it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        lights_xyxy: (N, 4) float64 boxes of the signal heads in pixels of the image.
        lights_state: What each head is labelled to show; None = nobody knows. Empty = nobody knows of any.
        views: Rectangles that show a frame; what lies in none is padding.

    Raises:
        ValueError: `lights_state` has another length than `lights_xyxy`.
    """

    image: NDArray[np.uint8]
    lights_xyxy: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))
    lights_state: tuple[State | None, ...] = ()
    views: tuple[View, ...] = ()

    def __post_init__(self) -> None:
        if not self.lights_state:
            object.__setattr__(self, "lights_state", (None,) * len(self.lights_xyxy))
        if len(self.lights_state) != len(self.lights_xyxy):
            raise ValueError(f"lights_state: {len(self.lights_state)} words for {len(self.lights_xyxy)} heads")

    @classmethod
    def of_frame(
        cls,
        image: NDArray[np.uint8],
        lights_xyxy: NDArray[np.float64] | None = None,
        horizon: float = HORIZON,
        *,
        lights_state: Sequence[State | None] = (),
    ) -> Scene:
        """A whole frame of a camera.

        Args:
            image: (H, W, 3) uint8 RGB.
            lights_xyxy: (N, 4) boxes of its signal heads; None = none.
            horizon: Row of the horizon as a share of the height.
            lights_state: What each head is labelled to show; empty = nobody knows.

        Raises:
            ValueError: `lights_state` has another length than `lights_xyxy`.
        """
        height, width = image.shape[:2]
        view = View(x1=0, y1=0, x2=width, y2=height, horizon_px=horizon * height, focal_px=FOCAL * width)
        boxes = np.zeros((0, 4)) if lights_xyxy is None else np.asarray(lights_xyxy, dtype=np.float64).reshape(-1, 4)
        return cls(image=image, lights_xyxy=boxes, lights_state=tuple(lights_state), views=(view,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One effect.

    Attributes:
        apply: (scene, severity in [1, 5], random generator) -> new (H, W, 3) uint8 RGB image of the same size; the
            scene is not changed.
        weather: The weather that the image shows afterwards; None = as before.
        time_of_day: The time of day that it shows afterwards; None = as before.
        not_in_weather: Frames of this weather are left as they are: rain does not fall out of a snowy street.
        not_in_time_of_day: Frames of this time of day are left as they are.
    """

    apply: Callable[[Scene, float, np.random.Generator], NDArray[np.uint8]]
    weather: Weather | None = None
    time_of_day: TimeOfDay | None = None
    not_in_weather: frozenset[Weather] = frozenset()
    not_in_time_of_day: frozenset[TimeOfDay] = frozenset()


def at(table: Sequence[float], severity: float) -> float:
    """Value of a table of five numbers, one per severity, at a severity in [1, 5]; linear between them.

    Raises:
        ValueError: The severity is outside 1 to 5.
    """
    if not SEVERITIES[0] <= severity <= SEVERITIES[-1]:
        raise ValueError(f"severity {severity}, expected 1 to 5")
    return float(np.interp(severity, SEVERITIES, table))
