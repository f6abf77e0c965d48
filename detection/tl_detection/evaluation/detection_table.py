"""`DetectionTable`: the detections of all frames as columns, in double precision, as they stand in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tl_detection.detector import Detections
from tl_detection.evaluation.pairs import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionTable:
    """Detections in any order.

    Attributes:
        frame_index: (D,) frame of each.
        class_id: (D,) 0-based.
        score: (D,) in [0, 1].
        xyxy: (D, 4) pixels of the original image, half-open.
    """

    frame_index: IntArray
    class_id: IntArray
    score: FloatArray
    xyxy: FloatArray

    @staticmethod
    def of(detections: Sequence[Detections]) -> DetectionTable:
        """One table of a result per frame."""
        # The empty result in front gives the columns their types and shapes when there is no frame at all.
        parts = [Detections.empty(), *detections]
        return DetectionTable(
            frame_index=np.repeat(np.arange(-1, len(detections)), [len(item) for item in parts]),
            class_id=np.concatenate([item.class_id for item in parts]),
            score=np.concatenate([item.score for item in parts]).astype(np.float64),
            xyxy=np.concatenate([item.xyxy for item in parts]).astype(np.float64),
        )

    def __len__(self) -> int:
        return len(self.score)

    def take(self, which: IntArray | BoolArray) -> DetectionTable:
        """Some of them, by position or mask."""
        return DetectionTable(
            frame_index=self.frame_index[which],
            class_id=self.class_id[which],
            score=self.score[which],
            xyxy=self.xyxy[which],
        )

    def of_frames(self, rows: NDArray[np.int64], n_frames: int) -> DetectionTable:
        """Only those of some frames, whose positions in `rows` become their frame index.

        Args:
            rows: Frames to keep, each once.
            n_frames: Frames that the table's own indices run over.
        """
        position = np.full(n_frames, -1, np.int64)
        position[rows] = np.arange(len(rows))
        kept = self.take(position[self.frame_index] >= 0)
        return DetectionTable(
            frame_index=position[kept.frame_index], class_id=kept.class_id, score=kept.score, xyxy=kept.xyxy
        )
