"""`Annotation` and `Frame`: how readers speak. Everything downstream speaks `Catalog`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tl_datasets.taxonomy import (
    TRAFFIC_LIGHT,
    ConditionSource,
    Facing,
    LabelStatus,
    Orientation,
    Pictogram,
    PixelFormat,
    Relevance,
    Scene,
    State,
    TimeOfDay,
    Weather,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One box and what is known of it.

    Attributes:
        xyxy: Float pixels of the stored image, half-open, origin at the top-left corner of the top-left pixel.
        category: A word of `taxonomy.CATEGORIES`.
        state: What the light shows; None where the source has no such field.
        ignore: Neither reward nor punish a detection here (crowd, difficult, reflection rules ...).
        source_label: The source's own word, kept for reports.
        aspects: Number of lenses, 1 to 4.

    Raises:
        ValueError: A coordinate is not finite, or the box has no area.
    """

    xyxy: tuple[float, float, float, float]
    category: str = TRAFFIC_LIGHT
    state: State | None = None
    pictogram: Pictogram | None = None
    relevance: Relevance | None = None
    facing: Facing | None = None
    orientation: Orientation | None = None
    aspects: int | None = None
    occluded: bool | None = None
    truncated: bool | None = None
    reflection: bool | None = None
    ignore: bool = False
    track_id: str | None = None
    source_label: str | None = None

    def __post_init__(self):
        if len(self.xyxy) != 4 or not math.isfinite(sum(self.xyxy)):
            raise ValueError(f"box {self.xyxy}: expected four finite pixel coordinates x1, y1, x2, y2")
        x1, y1, x2, y2 = self.xyxy
        if x2 <= x1 or y2 <= y1:
            raise ValueError(f"box {self.xyxy}: no area; expected x1 < x2 and y1 < y2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One camera image with its conditions and boxes.

    Attributes:
        frame_id: Unique within its source; the image path without suffix unless the source has a better name.
        path: Image file relative to the source's image root, with forward slashes.
        width_px: Width of the stored image.
        height_px: Height of the stored image.
        annotations: None = unlabelled, () = a true negative.
        labelled_categories: For a partial frame, the categories that were labelled; else empty.
        sequence: The split unit (drive, clip, recording); None = the frame stands alone.
        split: The part that the source assigns, or None.
        timestamp_ns: Capture time, where known.
        condition_source: Where weather, scene and time of day come from.
        fog_beta_per_m: Attenuation of fog that was put into the image; the visibility is about 3 / beta metres.
        pixel_format: How a raw sensor file is decoded; None = an ordinary 8-bit image.

    Raises:
        ValueError: The size is not positive.
    """

    frame_id: str
    path: str
    width_px: int
    height_px: int
    annotations: tuple[Annotation, ...] | None
    labelled_categories: tuple[str, ...] = ()
    weather: Weather | None = None
    scene: Scene | None = None
    time_of_day: TimeOfDay | None = None
    sequence: str | None = None
    split: str | None = None
    timestamp_ns: int | None = None
    condition_source: ConditionSource | None = None
    fog_beta_per_m: float | None = None
    pixel_format: PixelFormat | None = None

    def __post_init__(self):
        if self.width_px <= 0 or self.height_px <= 0:
            raise ValueError(f"frame {self.frame_id}: size {self.width_px}x{self.height_px}, expected positive numbers")

    @property
    def label_status(self) -> LabelStatus:
        """What the absence of a box in this frame means."""
        if self.annotations is None:
            return LabelStatus.UNLABELLED
        return LabelStatus.PARTIAL if self.labelled_categories else LabelStatus.LABELLED
