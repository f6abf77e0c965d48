"""Drawn frames on the disk: a picture of each, a video of each sequence, or both."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from tl_datasets.errors import ImageError
from tl_datasets.images import write_rgb
from tl_detection.detect.settings import VIDEO_FILE, VIDEO_FPS, Writing
from tl_detection.detect.shots import Shot
from tl_detection.detect.sources import Kind
from tl_detection.detect.video import VideoFile
from tl_detection.detector import Image


class Pictures:
    """Writes drawn frames; at most one video is under way."""

    def __init__(self, folder: Path, writing: Writing, faults: list[str]):
        """Begin with nothing.

        Args:
            folder: Where to write.
            writing: What to write.
            faults: Takes a line for each video that cannot be written.
        """
        self._folder = folder
        self._writing = writing
        self._faults = faults
        self._sequence: Path | PurePosixPath | None = None
        self._video: VideoFile | None = None

    def has_picture(self, shot: Shot) -> bool:
        """Whether a frame gets a picture of its own."""
        wanted = self._writing.pictures
        return shot.source.kind is not Kind.CAMERA if wanted is None else wanted

    def draws(self, shot: Shot) -> bool:
        """Whether a frame is to be drawn at all."""
        return self._writing.video or self.has_picture(shot)

    def add(self, shot: Shot, picture: Image) -> None:
        """Write a drawn frame."""
        path = self._folder / shot.target
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.has_picture(shot):
            write_rgb(path, picture)
        if not self._writing.video:
            return
        if shot.source.sequence != self._sequence:
            self.close()
            self._sequence = shot.source.sequence
            self._video = self._begin(shot, picture)
        if self._video is not None:
            self._video.add(picture)

    def close(self) -> None:
        """End the video that is under way."""
        video, self._video = self._video, None
        if video is not None:
            try:
                video.close()
            except ImageError as error:
                self._faults.append(str(error))

    def _begin(self, shot: Shot, picture: Image) -> VideoFile | None:
        path, count = (self._folder / shot.target).with_name(VIDEO_FILE), 1
        while path.exists():
            count += 1
            path = path.with_name(f"{Path(VIDEO_FILE).stem}-{count}.mp4")
        try:
            return VideoFile(
                *(path, (picture.shape[1], picture.shape[0]), self._writing.fps or shot.fps or VIDEO_FPS),
                name=path.relative_to(self._folder).as_posix(),
            )
        except ImageError as error:
            self._faults.append(str(error))
            return None
