"""What happens to a box of a source file that is reversed, without area, or leaves its image."""

from __future__ import annotations

import math
from typing import Literal

from tl_datasets.boxes import TRUNCATED_SHARE
from tl_datasets.formats.common.place import Place
from tl_datasets.read_report import Event, ReadReport

OnBadBox = Literal["error", "drop"]
XYXY = tuple[float, float, float, float]

# Less than this beyond the edge is the rounding of the file, not a box that leaves the image: six decimals of a
# normalised coordinate are 0.004 px in an 8K image.
ROUNDING_PX = 0.01


def fit_box(
    xyxy: XYXY,
    width_px: int,
    height_px: int,
    *,
    truncated: bool | None,
    on_bad_box: OnBadBox,
    report: ReadReport,
    where: Place,
) -> tuple[XYXY, bool | None] | None:
    """Bring a box of a source into its image.

    Args:
        xyxy: Half-open pixels as the source says, before any clipping.
        width_px: Image width.
        height_px: Image height.
        truncated: What the source says; None = it has no such field.
        on_bad_box: "error", or "drop" to count and leave out a box that has no area inside the image.
        report: Takes the counts.
        where: For messages.

    Returns:
        The box inside the image and whether it is truncated (set where the source says nothing and more than 2% of the
        area is cut away); None for a box that was dropped.

    Raises:
        AnnotationError: A coordinate is not finite; or `on_bad_box` is "error" and the box is reversed, has no area, or
            lies outside the image.
    """
    x1, y1, x2, y2 = xyxy
    if 0 <= x1 < x2 <= width_px and 0 <= y1 < y2 <= height_px:  # nearly every box of a large set
        return xyxy, truncated
    if not all(math.isfinite(value) for value in xyxy):
        raise where.error(f"box {_show(xyxy)} has a coordinate that is not finite; expected numbers")
    if x2 <= x1 or y2 <= y1:
        if on_bad_box == "error":
            raise where.error(
                f"box {_show(xyxy)} is reversed or has no area; expected x1 < x2 and y1 < y2; "
                "mend it, or set on_bad_box=drop"
            )
        report.add(Event.BOX_NO_AREA, where)
        return None
    inside = (max(x1, 0.0), max(y1, 0.0), min(x2, float(width_px)), min(y2, float(height_px)))
    if _is_gone(inside[2] - inside[0], x2 - x1) or _is_gone(inside[3] - inside[1], y2 - y1):
        if on_bad_box == "error":
            raise where.error(
                f"box {_show(xyxy)} lies outside its image of {width_px}x{height_px}; mend it, or set on_bad_box=drop"
            )
        report.add(Event.BOX_OUTSIDE, where)
        return None
    if max(abs(before - after) for before, after in zip(xyxy, inside, strict=True)) > ROUNDING_PX:
        report.add(Event.BOX_CLIPPED, where)
        kept = (inside[2] - inside[0]) * (inside[3] - inside[1])
        if truncated is None and kept < (1 - TRUNCATED_SHARE) * (x2 - x1) * (y2 - y1):
            truncated = True
    return inside, truncated


def _is_gone(left_px: float, before_px: float) -> bool:
    """Whether clipping left nothing of a side, or only what the rounding of the file may have added."""
    return left_px <= 0 or (left_px < ROUNDING_PX and before_px - left_px > ROUNDING_PX)


def _show(xyxy: XYXY) -> str:
    return "(" + ", ".join(f"{value:g}" for value in xyxy) + ")"
