"""What of the sources is taken, what is written of it, and under which names."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tl_datasets.errors import UsageError

DEFAULT_SCORE = 0.25
DETECTIONS_FILE = "detections.json"
LINES_FILE = "detections.jsonl"
RUN_FILE = "run.json"
VIDEO_FILE = "detections.mp4"
# Names that no picture and no folder of pictures may have.
RESERVED_NAME = re.compile(r"detections\.jsonl?|run\.json|detections(-\d+)?\.mp4")
# Of a drawn video whose source states no rate: a camera, or a folder of images.
VIDEO_FPS = 10.0
# Frames in a row that must show green.
DEFAULT_GREEN_AFTER = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """Which frames of a video or camera are taken; images are taken whole.

    Attributes:
        every_nth: The frames 0, N, 2N ...
        frames: At most so many of each video or camera; None = all.
        seconds: The first so many of each video or camera; None = all.

    Raises:
        UsageError: A number is out of its range.
    """

    every_nth: int = 1
    frames: int | None = None
    seconds: float | None = None

    def __post_init__(self):
        if self.every_nth < 1:
            raise UsageError(f"--every {self.every_nth}: expected 1 or more")
        if self.frames is not None and self.frames < 1:
            raise UsageError(f"--frames {self.frames}: expected 1 or more")
        if self.seconds is not None and not self.seconds > 0:
            raise UsageError(f"--seconds {self.seconds}: expected a number above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """What is written besides the list of detections.

    Attributes:
        lines: A line of JSON for each frame as soon as it was seen, instead of one document at the end; a camera, which
            has no end, always has lines.
        pictures: A drawn picture of each frame; None = of images and videos, not of cameras, which would fill the disk.
        video: A drawn video of each video, camera, and folder of images.
        fps: Frames per second of that video; None = those of a video, and `VIDEO_FPS` for the others.

    Raises:
        UsageError: A number is out of its range, or of no use.
    """

    lines: bool = False
    pictures: bool | None = None
    video: bool = False
    fps: float | None = None

    def __post_init__(self):
        if self.fps is not None and not self.video:
            raise UsageError("--fps is the rate of the drawn video; give --video, too")
        if self.fps is not None and not 0.1 <= self.fps <= 240:
            raise UsageError(f"--fps {self.fps}: expected 0.1 to 240")
