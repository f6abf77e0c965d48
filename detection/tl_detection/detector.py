"""What every detector takes and gives, whichever engine runs it. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tl_datasets.label_space import LabelSpace

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """What a detector found in one frame.

    Attributes:
        xyxy: (N, 4) float32, pixels of the original image, half-open.
        score: (N,) float32 in [0, 1], highest first is usual but not promised.
        class_id: (N,) int64, 0-based positions in `label_space.names`.

    Raises:
        ValueError: A shape is wrong, a value is not finite, a score lies outside [0, 1], a box is inside out, or a
            class id is negative.
    """

    xyxy: NDArray[np.float32]
    score: NDArray[np.float32]
    class_id: NDArray[np.int64]

    def __post_init__(self):
        object.__setattr__(self, "xyxy", np.asarray(self.xyxy, dtype=np.float32))
        object.__setattr__(self, "score", np.asarray(self.score, dtype=np.float32))
        object.__setattr__(self, "class_id", np.asarray(self.class_id, dtype=np.int64))
        n = len(self.score)
        shapes = (self.xyxy.shape, self.score.shape, self.class_id.shape)
        if shapes != ((n, 4), (n,), (n,)):
            raise ValueError(f"detections have shapes {shapes}, expected ((N, 4), (N,), (N,)) with one N")
        if not (np.isfinite(self.xyxy).all() and np.isfinite(self.score).all()):
            raise ValueError("detections hold a value that is not finite; expected finite boxes and scores")
        if n and not (self.score.min() >= 0 and self.score.max() <= 1):
            raise ValueError(f"detections hold scores {self.score.min()} to {self.score.max()}, expected 0 to 1")
        if n and not (self.xyxy[:, 2:] >= self.xyxy[:, :2]).all():
            raise ValueError("detections hold a box with x2 < x1 or y2 < y1; expected left, top, right, bottom")
        if n and self.class_id.min() < 0:
            raise ValueError(f"detections hold class id {self.class_id.min()}, expected 0 or more")

    def __len__(self) -> int:
        return len(self.score)

    @staticmethod
    def empty() -> Detections:
        """No detection."""
        return Detections(
            xyxy=np.zeros((0, 4), np.float32), score=np.zeros(0, np.float32), class_id=np.zeros(0, np.int64)
        )

    def above(self, score: float | Sequence[float]) -> Detections:
        """Only the detections with at least this score, one for all or one per class, by id."""
        # In the precision of the scores, so that a detection that scores just what is asked for stays.
        lowest = np.asarray(score, np.float32)
        keep = self.score >= (lowest[self.class_id] if lowest.ndim else lowest)
        return Detections(xyxy=self.xyxy[keep], score=self.score[keep], class_id=self.class_id[keep])


class Detector(Protocol):
    """Frames in, detections in their pixels out. Resizing and its inverse happen inside."""

    @property
    def label_space(self) -> LabelSpace:
        """The classes that it was trained on; `Detections.class_id` indexes `label_space.names`."""
        ...

    @property
    def description(self) -> dict[str, str]:
        """What made this detector (engine, weights file, fingerprint), for reports."""
        ...

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """Detect in (H, W, 3) uint8 RGB images of any size; one result per image, low scores included."""
        ...
