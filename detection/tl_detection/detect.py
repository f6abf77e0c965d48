"""`tl detect`: images, folders and videos in; drawn pictures and one `detections.json` out.

The folder appears whole. What does not open is counted and listed, and does not stop the others.
Deliberately absent: tracking, and writing of videos.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import cv2

from tl_datasets.errors import DataError, ImageError, UsageError
from tl_datasets.images import IMAGE_SUFFIXES, VIDEO_SUFFIXES, list_images, read_rgb, write_rgb
from tl_detection.detector import Detections, Detector, Image
from tl_detection.draw import draw_detections

logger = logging.getLogger(__name__)

DETECTIONS_FILE = "detections.json"
DEFAULT_SCORE = 0.25
_FRAMES_AT_ONCE = 8
# Containers state the number of frames only roughly.
_VIDEO_IS_WHOLE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectSummary:
    """What was detected in.

    Attributes:
        n_frames: Frames that were read.
        n_detections: Detections in them.
        faults: One line for each image or video that cannot be read to its end.
    """

    n_frames: int
    n_detections: int
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """One image or video, and the picture file or folder that it leads to, relative to the output folder."""

    path: Path
    target: PurePosixPath
    is_video: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shot:
    """One frame; index and time only in a video."""

    source: _Source
    image: Image
    target: PurePosixPath
    frame_index: int | None = None
    time_s: float | None = None


def detect_files(
    detector: Detector,
    sources: Sequence[Path],
    out_dir: Path,
    *,
    score_threshold: float | Sequence[float] = DEFAULT_SCORE,
    every_nth: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> DetectSummary:
    """Detect in files, draw what was found, and write it as JSON.

    Args:
        detector: Any detector.
        sources: Images, videos, and folders of them with their sub-folders.
        out_dir: Folder to make; its pictures lie as the sources do.
        score_threshold: Lowest score that is drawn and written, in [0, 1], of all classes or of each, by id.
        every_nth: Of a video take the frames 0, N, 2N ...
        progress: Called with frames done and frames in all (an estimate for videos).

    Returns:
        Counts, and one line for each file that does not open.

    Raises:
        UsageError: `score_threshold` or `every_nth` is out of range.
        DataError: `out_dir` is not empty, or there is neither image nor video.
        ImageError: A source does not exist or is neither image nor video, or none of them opens.
    """
    names = detector.label_space.names
    lowest = [score_threshold] * len(names) if isinstance(score_threshold, float | int) else list(score_threshold)
    if not all(0 <= score <= 1 for score in lowest):
        raise UsageError(f"--score {score_threshold}: expected a number from 0 to 1")
    if len(lowest) != len(names):
        raise UsageError(f"{len(lowest)} scores for the {len(names)} classes {', '.join(names)}; give one for each")
    if every_nth < 1:
        raise UsageError(f"--every {every_nth}: expected 1 or more")
    out_dir = Path(out_dir)
    if out_dir.exists() and (not out_dir.is_dir() or any(out_dir.iterdir())):
        raise DataError(f"{out_dir}: exists already; choose another --out or remove it first")
    found = _find_sources([Path(source) for source in sources])
    faults: list[str] = []
    rows: list[dict[str, Any]] = []
    n_detections = 0
    target = out_dir.resolve()  # behind a link, too
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        total = sum(_count_frames(source, every_nth) for source in found) if progress is not None else 0
        shots = _shots(found, every_nth, faults)
        while chunk := list(islice(shots, _FRAMES_AT_ONCE)):
            for shot, detections in zip(chunk, detector.detect([shot.image for shot in chunk]), strict=True):
                shown = detections.above(lowest)
                _draw(shot, shown, detector, partial)
                rows.append(_row(shot, shown, detector))
                n_detections += len(shown)
            if progress is not None:
                progress(len(rows), max(total, len(rows)))
        if not rows:
            raise ImageError(f"{faults[0]} (none of {len(found)} files gives a frame)")
        document = {
            "model": detector.description,
            "classes": _classes(detector),
            "score_thresholds": dict(zip(names, lowest, strict=True)),
            "frames": rows,
            "faults": faults,
        }
        (partial / DETECTIONS_FILE).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        partial.chmod(0o755)
        partial.replace(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return DetectSummary(n_frames=len(rows), n_detections=n_detections, faults=tuple(faults))


def _find_sources(paths: Sequence[Path]) -> list[_Source]:
    """List what there is to detect in; every source gets a target of its own."""
    listed: list[tuple[Path, PurePosixPath]] = []
    for path in paths:
        if path.is_dir():
            root = PurePosixPath(path.resolve().name) if len(paths) > 1 else PurePosixPath()
            listed += [(file, root / file.relative_to(path).as_posix()) for file in _list_files(path)]
        elif not path.is_file():
            raise ImageError(f"{path}: no such file or folder; expected an image, a video or a folder of them")
        elif path.suffix.lower() not in IMAGE_SUFFIXES | VIDEO_SUFFIXES:
            known = " ".join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))
            raise ImageError(f"{path}: neither image nor video by its name; expected one of {known}")
        else:
            listed.append((path, PurePosixPath(path.name)))
    if not listed:
        names = ", ".join(str(path) for path in paths)
        raise DataError(f"{names or 'no source'}: neither image nor video in it; give images, videos or folders")
    listed = [(path, _picture_of(path, target)) for path, target in listed]
    times = Counter(target for _, target in listed)
    taken: set[PurePosixPath] = set()
    sources = []
    for path, target in listed:
        is_video = path.suffix.lower() in VIDEO_SUFFIXES
        if times[target] > 1 and path.resolve().parent.name:
            target = target.with_name(f"{path.resolve().parent.name}-{target.name}")
        free, count = target, 1
        while free in taken:
            count += 1
            free = target.with_name(f"{target.stem}-{count}{target.suffix}")
        taken.add(free)
        sources.append(_Source(path=path, target=free, is_video=is_video))
    return sources


def _picture_of(path: Path, target: PurePosixPath) -> PurePosixPath:
    """The name of the picture: one that is written as JPEG or PNG, and not that of the list of detections."""
    if path.suffix.lower() not in VIDEO_SUFFIXES and target.suffix.lower() not in {".jpg", ".jpeg", ".png"}:
        target = target.with_name(f"{target.name}.jpg")
    if target.parts[0] == DETECTIONS_FILE:
        target = PurePosixPath(f"{DETECTIONS_FILE}-pictures", *target.parts[1:])
    return target


def _list_files(folder: Path) -> list[Path]:
    root = folder.resolve()
    videos = [
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file() and path.resolve().is_relative_to(root)
    ]
    return sorted([*list_images(folder), *videos])


def _shots(sources: Sequence[_Source], every_nth: int, faults: list[str]) -> Iterator[_Shot]:
    """Read one frame after the other; what does not open is added to the faults."""
    for source in sources:
        try:
            if source.is_video:
                yield from _video_shots(source, every_nth)
            else:
                yield _Shot(source=source, image=read_rgb(source.path), target=source.target)
        except ImageError as error:
            faults.append(str(error))


def _video_shots(source: _Source, every_nth: int) -> Iterator[_Shot]:
    capture = cv2.VideoCapture(str(source.path))
    try:
        rate = capture.get(cv2.CAP_PROP_FPS)
        expected = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        index = 0
        while capture.grab():
            if index % every_nth == 0:
                ok, bgr = capture.retrieve()
                if not ok or bgr is None:
                    break
                yield _Shot(
                    source=source,
                    image=cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB),  # type: ignore[arg-type]
                    target=source.target / f"{index:06d}.jpg",
                    frame_index=index,
                    time_s=round(index / rate, 6) if rate > 0 else None,
                )
            index += 1
    finally:
        capture.release()
    if index == 0:
        raise ImageError(f"{source.path}: does not open as a video; replace it, or convert it to H.264 in .mp4")
    if index < _VIDEO_IS_WHOLE * expected:
        raise ImageError(
            f"{source.path}: ends after {index} of {expected} frames; the file is cut off or damaged, copy it again"
        )


def _count_frames(source: _Source, every_nth: int) -> int:
    if not source.is_video:
        return 1
    capture = cv2.VideoCapture(str(source.path))
    try:
        return -(-max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT))) // every_nth)
    finally:
        capture.release()


def _draw(shot: _Shot, detections: Detections, detector: Detector, folder: Path) -> None:
    path = folder / shot.target
    path.parent.mkdir(parents=True, exist_ok=True)
    label_space = detector.label_space
    write_rgb(path, draw_detections(shot.image, detections, label_space.names, label_space.states))


def _classes(detector: Detector) -> list[dict[str, str | None]]:
    label_space = detector.label_space
    return [
        {"name": name, "state": None if state is None else str(state)}
        for name, state in zip(label_space.names, label_space.states, strict=True)
    ]


def _row(shot: _Shot, detections: Detections, detector: Detector) -> dict[str, Any]:
    height, width = shot.image.shape[:2]
    classes = _classes(detector)
    row: dict[str, Any] = {"file": shot.source.path.as_posix(), "picture": shot.target.as_posix()}
    if shot.frame_index is not None:
        row |= {"frame_index": shot.frame_index, "time_s": shot.time_s}
    return row | {
        "width_px": width,
        "height_px": height,
        "detections": [
            {
                "xyxy": [round(float(value), 2) for value in xyxy],
                "score": round(float(score), 4),
                "class": classes[class_id]["name"],
                "state": classes[class_id]["state"],
            }
            for xyxy, score, class_id in zip(
                detections.xyxy, detections.score, detections.class_id.tolist(), strict=True
            )
        ],
    }
