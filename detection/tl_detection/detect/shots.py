"""Frames out of sources, one after the other: nothing is kept, however long a drive is."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

import cv2

from tl_datasets.errors import ImageError
from tl_datasets.images import read_rgb
from tl_detection.detect.settings import Taking
from tl_detection.detect.sources import CAMERA, Kind, Source
from tl_detection.detector import Image

# Containers state the number of frames only roughly.
_VIDEO_IS_WHOLE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One frame.

    Attributes:
        source: Where it is from.
        image: (H, W, 3) uint8 RGB.
        target: Its picture, relative to the output folder.
        frame_index: Number of the frame in its video or camera, those that were passed over counted; None of an image.
        time_s: Its time in the video, or since the first frame of the camera; None where the video states no rate.
        fps: Rate of the frames that are taken of a video, where it states one.
        missed_before: Files right before it in its folder that do not open.
    """

    source: Source
    image: Image
    target: PurePosixPath
    frame_index: int | None = None
    time_s: float | None = None
    fps: float | None = None
    missed_before: int = 0


def read_shots(sources: Sequence[Source], taking: Taking, faults: list[str]) -> Iterator[Shot]:
    """Read one frame after the other; what does not open, or ends too early, adds a line to the faults."""
    last, missed = None, 0
    for source in sources:
        missed = missed if source.sequence == last else 0
        last = source.sequence
        try:
            for shot in _shots_of(source, taking):
                yield replace(shot, missed_before=missed) if missed else shot
                missed = 0
        except ImageError as error:
            faults.append(str(error))
            missed += 1


def count_shots(sources: Sequence[Source], taking: Taking) -> int | None:
    """About how many frames there will be; None where a camera has no end."""
    counts = [_count(source, taking) for source in sources]
    return None if None in counts else sum(count for count in counts if count is not None)


def _shots_of(source: Source, taking: Taking) -> Iterator[Shot]:
    if source.kind is Kind.CAMERA:
        yield from _camera_shots(source, taking)
    elif source.kind is Kind.VIDEO:
        yield from _video_shots(source, taking)
    else:
        yield Shot(source=source, image=read_rgb(source.path), target=source.target)


def _video_shots(source: Source, taking: Taking) -> Iterator[Shot]:
    capture = cv2.VideoCapture(str(source.path))
    try:
        rate = capture.get(cv2.CAP_PROP_FPS)
        expected = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if taking.seconds is not None and not rate > 0 and capture.isOpened():
            raise ImageError(f"{source.path}: states no frame rate to count seconds by; limit it with --frames instead")
        index = 0
        while capture.grab():
            time_s = round(index / rate, 6) if rate > 0 else None
            if _has_all(taking, index) or (taking.seconds is not None and (time_s or 0) >= taking.seconds):
                return
            if index % taking.every_nth == 0:
                ok, bgr = capture.retrieve()
                if not ok or bgr is None:
                    break
                yield _shot(source, bgr, index, time_s, rate / taking.every_nth if rate > 0 else None)
            index += 1
    finally:
        capture.release()
    if index == 0:
        raise ImageError(f"{source.path}: does not open as a video; replace it, or convert it to H.264 in .mp4")
    if index < _VIDEO_IS_WHOLE * expected:
        raise ImageError(
            f"{source.path}: ends after {index} of {expected} frames; the file is cut off or damaged, copy it again"
        )


def _camera_shots(source: Source, taking: Taking) -> Iterator[Shot]:
    named = CAMERA.fullmatch(str(source.path))
    capture = cv2.VideoCapture(int(named[1])) if named else cv2.VideoCapture(str(source.path), cv2.CAP_V4L2)
    try:
        if not capture.isOpened():
            raise ImageError(
                f"{source.path}: does not open as a camera; connect it, close other programs that use it, or check "
                "your rights (on Linux: the group video)"
            )
        index, start = 0, None
        while not _has_all(taking, index):
            ok, bgr = capture.read()
            now = time.monotonic()
            start = now if start is None else start
            if not ok or bgr is None:
                raise ImageError(
                    f"{source.path}: stopped delivering after {index} frames; check its cable and its power, "
                    "and start again"
                )
            if taking.seconds is not None and now - start >= taking.seconds:
                return
            if index % taking.every_nth == 0:
                yield _shot(source, bgr, index, round(now - start, 6), None)
            index += 1
    finally:
        capture.release()


def _has_all(taking: Taking, index: int) -> bool:
    """Whether the frames before this index are all that are asked for."""
    return taking.frames is not None and index > (taking.frames - 1) * taking.every_nth


def _shot(source: Source, bgr, index: int, time_s: float | None, fps: float | None) -> Shot:
    return Shot(
        source=source,
        image=cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB),  # type: ignore[arg-type]
        target=source.target / f"{index:06d}.jpg",
        frame_index=index,
        time_s=time_s,
        fps=fps,
    )


def _count(source: Source, taking: Taking) -> int | None:
    if source.kind is Kind.IMAGE:
        return 1
    if source.kind is Kind.CAMERA:
        return taking.frames
    capture = cv2.VideoCapture(str(source.path))
    try:
        count, rate = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT))), capture.get(cv2.CAP_PROP_FPS)
    finally:
        capture.release()
    if taking.seconds is not None and rate > 0:
        count = min(count, int(taking.seconds * rate))
    count = -(-count // taking.every_nth)
    return count if taking.frames is None else min(count, taking.frames)
