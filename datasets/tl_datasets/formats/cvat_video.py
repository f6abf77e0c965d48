"""The form of CVAT for video: tracks in, the frames of one video out."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from tl_datasets.errors import AnnotationError
from tl_datasets.formats.common.image_files import ImageFiles, Located
from tl_datasets.formats.common.numbered_images import name_of_frame, numbered_images
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.cvat_reading import CvatReading
from tl_datasets.formats.cvat_shapes import Geometry
from tl_datasets.formats.cvat_tracks import Track, boxes_by_frame, read_track
from tl_datasets.frame import Frame
from tl_datasets.parsing import iter_xml


def read_video(reading: CvatReading, files: ImageFiles, frame_names: str | None) -> Iterator[Frame]:
    """The frames of a file in the form for video, its task being the sequence.

    Args:
        reading: The options.
        files: The images.
        frame_names: How they are named; see `numbered_images`.

    Raises:
        AnnotationError: As `cvat.read`; or the tracks are those of several videos.
        ImageError: As `cvat.read`.
        UsageError: As `cvat.read`.
    """
    path, report = reading.path, reading.report
    if len(reading.tasks) > 1:
        raise AnnotationError(
            path, f"tracks of a project of {len(reading.tasks)} tasks; export each by itself, or in the form for images"
        )
    task = reading.only_task
    numbers = task.frames
    paths = numbered_images(files, frame_names, numbers, path)
    frames = sorted(paths) if numbers is None else numbers
    report.total = len(frames)
    numbered = frames if isinstance(frames, range) else frozenset(frames)
    is_checked = numbers is not None or files.missing == "error"

    def tracks() -> Iterator[Track]:
        for number, element in enumerate(iter_xml(path, {"image", "track"})):
            where = Place(path)
            if element.tag == "image":
                raise where.error("an image after tracks; expected one form in a file: export images or video")
            track = read_track(element, number, reading.attributes, report, where)
            if track is not None:
                if is_checked:
                    _check_frames(track, numbered)
                yield track

    def located() -> Iterator[tuple[tuple[list[tuple[Track, Geometry, dict[str, Any]]], Place], Located]]:
        for number, boxes in boxes_by_frame(list(tracks()), frames):
            where = Place(path, ("frame", number))
            found = paths.get(number)
            if found is None:
                image = files.absent(name_of_frame(frame_names, number), where, task.size_px)
            else:
                image = files.locate(found, where, task.size_px)
            if image is not None:
                yield (boxes, where), image

    def read_frames() -> Iterator[Frame]:
        sequence = reading.sequence(task)
        for (seen, where), image in files.sized(located()):
            boxes = (
                box
                for track, geometry, fields in seen
                if (box := reading.annotation(track.label, geometry, fields, image, track.where.at(*where.inside)))
            )
            known = {"sequence": sequence, "split": task.split}
            yield reading.frame(image, known, boxes, bool(seen), where)
        reading.words.check()

    return read_frames()


def _check_frames(track: Track, known: Collection[int]) -> None:
    wrong = next((key.frame for key in track.keys if not key.is_outside and key.frame not in known), None)
    if wrong is not None:
        raise track.where.error(
            f"has a box in frame {wrong}, which is none of the frames of the task or its images; set images=DIR or "
            "frame_names"
        )
