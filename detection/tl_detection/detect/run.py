"""`detect_files`: one frame after the other is read, seen, smoothed, drawn and written; none is kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

from tl_datasets.errors import ImageError, UsageError
from tl_datasets.new_folder import new_folder, refuse_full
from tl_detection.detect.pictures import Pictures
from tl_detection.detect.record import Record, classes_of, row_of
from tl_detection.detect.settings import DEFAULT_SCORE, Taking, Writing
from tl_detection.detect.shots import Shot, count_shots, read_shots
from tl_detection.detect.sources import Kind, Source, find_sources
from tl_detection.detector import Detections, Detector
from tl_detection.draw import draw_detections
from tl_runtime.smoothing import SmoothedStates, StateSmoother

_FRAMES_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectSummary:
    """What was detected in.

    Attributes:
        n_frames: Frames that were seen.
        n_detections: Detections in them.
        faults: One line for each image, video or camera that cannot be read to its end, and each video not written.
        has_camera: Whether a camera was among the sources.
        is_interrupted: Whether it was ended from the keyboard, and what was seen until then is kept.
    """

    n_frames: int
    n_detections: int
    faults: tuple[str, ...]
    has_camera: bool = False
    is_interrupted: bool = False


def detect_files(
    detector: Detector,
    sources: Sequence[Path | str],
    out_dir: Path,
    *,
    score_threshold: float | Sequence[float] = DEFAULT_SCORE,
    taking: Taking | None = None,
    writing: Writing | None = None,
    green_after: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> DetectSummary:
    """Detect in files and cameras, draw what was found, and write it as JSON.

    The folder appears whole at the end. With lines (`Writing.lines`, and always with a camera) it is there from the
    first frame on, and what it holds is kept however the run ends.

    Args:
        detector: Any detector.
        sources: Images, videos, folders of them with their sub-folders, and cameras, as `camera:0` or device file.
        out_dir: Folder to make; its pictures lie as the sources do.
        score_threshold: Lowest score that is drawn and written, in [0, 1], of all classes or of each, by id.
        taking: Which frames are taken; None = all.
        writing: What is written; None = pictures and the document.
        green_after: Frames in a row that must show green before a light is reported so (`tl_runtime.smoothing`), in
            each video, camera and folder of images, whose images follow each other by their names; None = no tracks.
        progress: Called with frames done and frames in all (an estimate for videos, None where a camera has no end).

    Returns:
        Counts, and one line for each source that does not open.

    Raises:
        UsageError: `score_threshold` or `green_after` is out of range.
        DataError: `out_dir` is not empty, or there is neither image nor video.
        ImageError: A source does not exist or is neither image nor video, or none of them gives a frame.
    """
    taking, writing = taking or Taking(), writing or Writing()
    space = detector.label_space
    lowest = _lowest_scores(score_threshold, space.names)
    if green_after is not None and green_after < 1:
        raise UsageError(f"--green-after {green_after}: expected 1 or more")
    smoother = None if green_after is None else StateSmoother(space.states, space.groups, green_after=green_after)
    out_dir = Path(out_dir)
    refuse_full(out_dir)
    found = find_sources(sources)
    has_camera = any(source.kind is Kind.CAMERA for source in found)
    writing = replace(writing, lines=writing.lines or has_camera)
    total = count_shots(found, taking) if progress is not None else None
    head = {
        "model": detector.description,
        "classes": classes_of(detector),
        "score_thresholds": dict(zip(space.names, lowest, strict=True)),
        "smoothing": None if green_after is None else {"green_after": green_after},
    }
    faults: list[str] = []
    # Of a camera no frame waits for others.
    seen = _see(
        detector, read_shots(found, taking, faults), lowest, faults, at_once=1 if has_camera else _FRAMES_AT_ONCE
    )
    first = next(seen, None)
    if first is None:
        raise ImageError(faults[0] + (f" (none of {len(found)} sources gives a frame)" if len(found) > 1 else ""))
    n_frames = n_detections = 0
    with _folder(out_dir, writing) as folder:
        record, pictures = Record(folder, head, lines=writing.lines), Pictures(folder, writing, faults)
        ended, sequence = "failed", first[0].source.sequence
        try:
            for shot, shown in chain([first], seen):
                if smoother is not None and shot.source.sequence != sequence:
                    smoother.reset()
                sequence = shot.source.sequence
                smoothed = None if smoother is None else _smooth(smoother, shot, shown)
                if pictures.draws(shot):
                    pictures.add(shot, draw_detections(shot.image, shown, space.names, space.states, smoothed))
                row = row_of(shot, shown, head["classes"], picture=pictures.has_picture(shot), smoothed=smoothed)
                record.add(row)
                n_frames, n_detections = n_frames + 1, n_detections + len(shown)
                if progress is not None:
                    progress(n_frames, None if total is None else max(total, n_frames))
            ended = "complete"
        except KeyboardInterrupt:
            ended = "interrupted"
            if not writing.lines:
                raise
        except SystemExit:  # ended from outside
            ended = "interrupted"
            raise
        finally:
            seen.close()
            try:
                pictures.close()
            finally:
                record.close(ended, faults)
    return DetectSummary(
        n_frames=n_frames,
        n_detections=n_detections,
        faults=tuple(faults),
        has_camera=has_camera,
        is_interrupted=ended == "interrupted",
    )


def _lowest_scores(score_threshold: float | Sequence[float], names: Sequence[str]) -> list[float]:
    is_one = isinstance(score_threshold, float | int)
    lowest: list[float] = [score_threshold] * len(names) if is_one else list(score_threshold)
    if not all(0 <= score <= 1 for score in lowest):
        raise UsageError(f"--score {score_threshold}: expected a number from 0 to 1")
    if len(lowest) != len(names):
        raise UsageError(f"{len(lowest)} scores for the {len(names)} classes {', '.join(names)}; give one for each")
    return lowest


def _see(
    detector: Detector, shots: Iterator[Shot], lowest: Sequence[float], faults: list[str], *, at_once: int
) -> Generator[tuple[Shot, Detections], None, None]:
    """Detect; a frame of a size that an exported file does not take is a fault, told once for each source."""
    refused: Source | None = None
    missed = 0
    while chunk := list(islice(shots, at_once)):
        for shot, found in _detect_each(detector, chunk):
            if isinstance(found, ImageError):
                if shot.source is not refused:
                    faults.append(f"{shot.source.path}: {found}")
                refused, missed = shot.source, missed + 1 + shot.missed_before
                continue
            is_same = refused is not None and shot.source.sequence == refused.sequence
            yield (
                replace(shot, missed_before=shot.missed_before + missed) if missed and is_same else shot,
                found.above(lowest),
            )
            missed = 0


def _detect_each(detector: Detector, chunk: Sequence[Shot]) -> list[tuple[Shot, Detections | ImageError]]:
    try:
        return list(zip(chunk, detector.detect([shot.image for shot in chunk]), strict=True))
    except ImageError:  # of some: one after the other
        results: list[tuple[Shot, Detections | ImageError]] = []
        for shot in chunk:
            try:
                results.append((shot, detector.detect([shot.image])[0]))
            except ImageError as error:
                results.append((shot, error))
        return results


def _smooth(smoother: StateSmoother, shot: Shot, detections: Detections) -> SmoothedStates:
    for _ in range(shot.missed_before):
        smoother.skip()
    return smoother.update(detections.xyxy, detections.class_id)


def _folder(out_dir: Path, writing: Writing) -> AbstractContextManager[Path]:
    """The folder to write into: lines are kept from the first on, a document appears with all that belongs to it."""
    if not writing.lines:
        return new_folder(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    return nullcontext(out_dir)
