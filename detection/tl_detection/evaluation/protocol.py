"""How detections are judged: the COCO rules as one object that is stored with every result."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The IoU at which precision, recall, F1, phantoms and red-as-green are counted.
OPERATING_IOU = 0.5
# The score above which a detection counts when no class of the data gives an operating score.
FALLBACK_OPERATING_SCORE = 0.5

# What holds at each threshold is one bit of an integer with a sign.
_MOST_THRESHOLDS = 62
# COCO's upper end of the open ranges.
UNBOUNDED_PX2 = 1e10


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaRange:
    """A range of box areas in square pixels of the original image; both ends belong to it."""

    name: str
    low_px2: float
    high_px2: float

    def holds(self, area_px2: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(N,) true for the areas that lie in the range."""
        return (area_px2 >= self.low_px2) & (area_px2 <= self.high_px2)


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoProtocol:
    """The rules of the COCO detection benchmark.

    An ignore area is COCO's crowd: overlap is measured over the detection's area, any number of detections may fall
    on it, and those count neither as right nor as wrong. The area of an object is that of its box.

    Attributes:
        iou_thresholds: Ascending, in (0, 1], at most 62; holds 0.5.
        max_detections: Ascending; per frame and class only the best-scored so many count. The last one is the limit
            for average precision.
        area_ranges: "all" first; the others give the scores by size.
        recall_points: Number of equally spaced recalls at which precision is read.
        small_slice_objects: A slice with fewer objects is marked as too small to conclude from.
        tie_rule: What orders detections of one score.

    Raises:
        ValueError: 0.5 is no IoU threshold, there are too many of them, or the first area range is not "all".
    """

    iou_thresholds: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())
    max_detections: tuple[int, ...] = (1, 10, 100)
    area_ranges: tuple[AreaRange, ...] = (
        AreaRange(name="all", low_px2=0.0, high_px2=UNBOUNDED_PX2),
        AreaRange(name="small", low_px2=0.0, high_px2=32.0**2),
        AreaRange(name="medium", low_px2=32.0**2, high_px2=96.0**2),
        AreaRange(name="large", low_px2=96.0**2, high_px2=UNBOUNDED_PX2),
    )
    recall_points: int = 101
    small_slice_objects: int = 30
    tie_rule: str = "score, then frame id, then box"

    def __post_init__(self):
        if self.threshold_index(OPERATING_IOU) is None:
            raise ValueError(f"IoU thresholds {self.iou_thresholds}: expected {OPERATING_IOU} among them")
        if len(self.iou_thresholds) > _MOST_THRESHOLDS:
            raise ValueError(f"{len(self.iou_thresholds)} IoU thresholds: expected at most {_MOST_THRESHOLDS}")
        if not self.area_ranges or self.area_ranges[0].name != "all":
            raise ValueError("area ranges: expected the first to be named all")

    def threshold_index(self, iou: float) -> int | None:
        """Position of an IoU threshold, or None where the protocol does not measure it."""
        return next((index for index, each in enumerate(self.iou_thresholds) if abs(each - iou) <= 1e-9), None)

    def area_index(self, name: str) -> int | None:
        """Position of an area range, or None where the protocol does not measure it."""
        names = [area.name for area in self.area_ranges]
        return names.index(name) if name in names else None

    def to_dict(self) -> dict[str, Any]:
        """The rules as plain values for a report."""
        return {"name": "COCO", **asdict(self), "operating_iou": OPERATING_IOU}


COCO = CocoProtocol()
