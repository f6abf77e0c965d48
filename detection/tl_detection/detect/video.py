"""Drawn frames as a video that any player opens: MPEG-4 Part 2 (`mp4v`) in .mp4.

OpenCV's own wheels come without an encoder for H.264, whose licence they avoid; this one is in every OpenCV.
Browsers do not play it: `ffmpeg -i detections.mp4 -c:v libx264 out.mp4` makes one that they do.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from tl_datasets.errors import ImageError
from tl_detection.detector import Image

_CODEC = "mp4v"


class VideoFile:
    """A video under way; it appears under its name when it is closed and opens again."""

    def __init__(self, path: Path, size: tuple[int, int], fps: float, *, name: str = ""):
        """Begin a video.

        Args:
            path: Ends in .mp4; its folder must exist.
            size: Width and height in pixels; an odd one grows by one, for the colours of two pixels are one.
            fps: Frames per second.
            name: What messages call it, if not by its path.

        Raises:
            ImageError: OpenCV does not write such a video.
        """
        self.path = path
        self._name = name or str(path)
        self._partial = path.with_name(f".{path.stem}.partial{path.suffix}")
        self._width, self._height = (side + side % 2 for side in size)
        self._n_frames = 0
        # More digits than this do not fit into the clock of an MPEG-4 stream.
        rate = round(fps, 2)
        self._writer = cv2.VideoWriter(
            str(self._partial), cv2.VideoWriter.fourcc(*_CODEC), rate, (self._width, self._height)
        )
        if not self._writer.isOpened():
            self._partial.unlink(missing_ok=True)
            raise ImageError(
                f"{self._name}: OpenCV writes no {_CODEC} video of {self._width} x {self._height} pixels at "
                f"{rate} frames per second; leave --video out, or give smaller frames"
            )

    def add(self, picture: Image) -> None:
        """Append a frame; one of another size is scaled into the first one's, with dark borders."""
        self._writer.write(cv2.cvtColor(self._fitted(picture), cv2.COLOR_RGB2BGR))
        self._n_frames += 1

    def close(self) -> None:
        """End the video.

        Raises:
            ImageError: It does not open again with all its frames, as on a full disk.
        """
        self._writer.release()
        capture = cv2.VideoCapture(str(self._partial))
        try:
            ok, _ = capture.read()
            counted = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        finally:
            capture.release()
        if not ok or counted != self._n_frames:
            self._partial.unlink(missing_ok=True)
            raise ImageError(
                f"{self._name}: {self._n_frames} frames were written, {counted if ok else 0} can be read; "
                "is the disk full? make room, and run it again"
            )
        self._partial.replace(self.path)

    def _fitted(self, picture: Image) -> Image:
        height, width = picture.shape[:2]
        scale = min(self._width / width, self._height / height)
        canvas = np.zeros((self._height, self._width, 3), np.uint8)
        if (width + width % 2, height + height % 2) == (self._width, self._height):
            canvas[:height, :width] = picture
            return canvas
        new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
        left, top = (self._width - new_width) // 2, (self._height - new_height) // 2
        canvas[top : top + new_height, left : left + new_width] = cv2.resize(
            picture, (new_width, new_height), interpolation=cv2.INTER_AREA
        )
        return canvas
