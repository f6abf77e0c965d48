"""The JSON of `tl detect`: a document at the end, or a line per frame while it runs.

    detections.json    the model, its classes, every frame, the faults; it appears with everything else, at the end
    detections.jsonl   one frame per line, written out as soon as the frame was seen; beside it
    run.json           what else the document holds, and how the run ended: null while it runs, and if it was killed

Frames are kept on the disk, not in memory, either way.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tl_datasets.images import write_whole
from tl_detection.detect.settings import DETECTIONS_FILE, LINES_FILE, RUN_FILE
from tl_detection.detect.shots import Shot
from tl_detection.detector import Detections, Detector
from tl_runtime.smoothing import PENDING, SmoothedStates


class Record:
    """The lines of a run, and at its end what frames them."""

    def __init__(self, folder: Path, head: dict[str, Any], *, lines: bool):
        """Begin a run.

        Args:
            folder: Where to write.
            head: What is known before the first frame.
            lines: Keep the lines as they are, and write `run.json`; else join them to a document.
        """
        self._folder = folder
        self._head = head
        self._started = datetime.now(UTC).isoformat(timespec="seconds")
        self._keeps_lines = lines
        self._path = folder / (LINES_FILE if lines else f".{LINES_FILE}")
        self._n_frames = 0
        self._file = self._path.open("w", encoding="utf-8")
        if lines:
            self._write_run(None, [])

    def add(self, row: dict[str, Any]) -> None:
        """Write a frame out."""
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        self._n_frames += 1

    def close(self, ended: str, faults: list[str]) -> None:
        """End the run.

        Args:
            ended: "complete", "interrupted" or "failed"; a document is written of a complete run alone.
            faults: One line for each source that could not be read to its end.
        """
        self._file.close()
        if self._keeps_lines:
            self._write_run(ended, faults)
            return
        if ended == "complete":
            self._write_document(faults)
        self._path.unlink()

    def _write_run(self, ended: str | None, faults: list[str]) -> None:
        document = {**self._head, "started": self._started, "ended": ended, "frames": self._n_frames, "faults": faults}
        write_whole(self._folder / RUN_FILE, json.dumps(document, indent=1) + "\n")

    def _write_document(self, faults: list[str]) -> None:
        """Join the lines to one document, line by line."""
        with (
            self._path.open(encoding="utf-8") as lines,
            (self._folder / DETECTIONS_FILE).open("w", encoding="utf-8") as file,
        ):
            file.write(json.dumps(self._head, indent=1).removesuffix("\n}") + ',\n "frames": [')
            for number, line in enumerate(lines):
                file.write(("," if number else "") + "\n  " + line.rstrip("\n"))
            file.write('\n ],\n "faults": ' + json.dumps(faults) + "\n}\n")


def classes_of(detector: Detector) -> list[dict[str, str | None]]:
    """Names and states of the classes, by id."""
    space = detector.label_space
    return [
        {"name": name, "state": None if state is None else str(state)}
        for name, state in zip(space.names, space.states, strict=True)
    ]


def row_of(
    shot: Shot,
    detections: Detections,
    classes: list[dict[str, str | None]],
    *,
    picture: bool,
    smoothed: SmoothedStates | None = None,
) -> dict[str, Any]:
    """One frame, as it stands in the document or on its line.

    Args:
        shot: The frame.
        detections: What to tell of it.
        classes: As `classes_of` gives them.
        picture: Whether a picture of it is written.
        smoothed: What they are reported as.
    """
    height, width = shot.image.shape[:2]
    row: dict[str, Any] = {"file": shot.source.path.as_posix(), "picture": shot.target.as_posix() if picture else None}
    if shot.frame_index is not None:
        row |= {"frame_index": shot.frame_index, "time_s": shot.time_s}
    told = [
        {
            "xyxy": [round(float(value), 2) for value in xyxy],
            "score": round(float(score), 4),
            "class": classes[class_id]["name"],
            "state": classes[class_id]["state"],
        }
        for xyxy, score, class_id in zip(detections.xyxy, detections.score, detections.class_id.tolist(), strict=True)
    ]
    if smoothed is not None:
        for number, (each, class_id) in enumerate(zip(told, smoothed.class_id.tolist(), strict=True)):
            each |= {
                "track": int(smoothed.track[number]),
                "smoothed_class": None if class_id == PENDING else classes[class_id]["name"],
                "smoothed_state": smoothed.state[number],
                "is_held": bool(smoothed.is_held[number]),
            }
    return row | {"width_px": width, "height_px": height, "detections": told}
