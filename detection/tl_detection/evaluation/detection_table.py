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
        size_px: (D, 2) width and height where a file says them: x1 + width is rounded, so x2 - x1 may differ from
            the width in its last bit, and an overlap may then fall on the other side of a threshold. None = x2 - x1.
    """

    frame_index: IntArray
    class_id: IntArray
    score: FloatArray
    xyxy: FloatArray
    size_px: FloatArray | None = None

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

    @property
    def sizes(self) -> FloatArray:
        """(D, 2) width and height in pixels."""
        return self.xyxy[:, 2:] - self.xyxy[:, :2] if self.size_px is None else self.size_px

    def take(self, which: IntArray | BoolArray) -> DetectionTable:
        """Some of them, by position or mask."""
        at = np.arange(len(self))[which]
        return self._take(at, self.frame_index[at])

    def of_frames(self, rows: NDArray[np.int64], n_frames: int) -> DetectionTable:
        """Only those of some frames, whose positions in `rows` become their frame index.

        Args:
            rows: Frames to keep, each once.
            n_frames: Frames that the table's own indices run over.
        """
        position = np.full(n_frames, -1, np.int64)
        position[rows] = np.arange(len(rows))
        place = position[self.frame_index]
        kept = np.flatnonzero(place >= 0)
        return self._take(kept, place[kept])

    def by_frame(self, n_frames: int) -> list[Detections]:
        """One result per frame, in single precision, each in the order of the table."""
        order = np.argsort(self.frame_index, kind="stable")
        bounds = np.searchsorted(self.frame_index[order], np.arange(n_frames + 1))
        xyxy = self.xyxy[order].astype(np.float32)
        score, class_id = self.score[order].astype(np.float32), self.class_id[order]
        return [
            Detections(xyxy=xyxy[start:stop], score=score[start:stop], class_id=class_id[start:stop])
            for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
        ]

    def _take(self, at: IntArray, frame_index: IntArray) -> DetectionTable:
        return DetectionTable(
            frame_index=frame_index,
            class_id=self.class_id[at],
            score=self.score[at],
            # Rows of two dimensions are taken several times as fast by `take`.
            xyxy=self.xyxy.take(at, axis=0),
            size_px=None if self.size_px is None else self.size_px.take(at, axis=0),
        )
