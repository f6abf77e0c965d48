"""`ReadReport`: what a reader changed or left out, counted, so that nothing happens silently."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from tl_datasets.errors import printable

# How many places are kept per kind of event, to look at by hand.
_EXAMPLES = 3


class Event(StrEnum):
    """What may happen to a frame or box on its way in. The value is what a person reads."""

    BOX_CLIPPED = "boxes clipped to the image"
    BOX_SWAPPED = "boxes with a corner on the wrong side, swapped back"
    BOX_NO_AREA = "boxes dropped: reversed or without area"
    BOX_OUTSIDE = "boxes dropped: wholly outside the image"
    BOX_DUPLICATE = "boxes dropped: exact repetition of a row"
    BOX_DRAWN_TWICE = "boxes dropped: another record of the frame has the same light"
    LABEL_DROPPED = "boxes dropped by the label map"
    NO_BOX = "labels without a box skipped (lanes, areas, masks)"
    NOTHING_IN_VIEW = "labels of the whole image left out: they say that nothing is in view"
    PART_OF_OBJECT = "boxes of parts of objects left out"
    BOX_ORIGIN = "decision where coordinates begin"
    SCORE_LEFT_OUT = "scores of boxes left out: such boxes are detections of a program"
    POLYGON_TO_BOX = "polygons converted to their bounding box"
    OTHER_STREAM = "boxes left out: of another camera stream"
    ROTATED_TO_BOX = "rotated boxes converted to their upright bounding box"
    TAG_LEFT_OUT = "image tags left out: they name no condition"
    VALUE_UNKNOWN = "values without a word of ours, read as unknown"
    TIMESTAMP_UNKNOWN = "time stamps left out: no unit makes them a date"
    STATE_MISSING = "lights without a state file: state unknown"
    NO_LABEL_FILE = "images without a label file"
    NO_RECORD = "images without a record"
    NO_LIGHT = (
        "sets in which no light is labelled, whose frames count as negatives: if nobody looked for lights, use a label "
        "map that says labelled_categories"
    )
    LABEL_FILE_WITHOUT_IMAGE = "label files without an image"
    LISTED_WITHOUT_IMAGE = "names in lists of parts without a frame"
    NAMES_DIFFER = "label files that name another image than their own name does"
    COPY_LEFT_OUT = "files left out: copies in sample folders"
    LINK_LEFT_OUT = "images left out: the link leaves the folder or leads nowhere"
    FRAME_REPEATED = "frames dropped: another file of the source has them too"
    IMAGE_MISSING = "frames dropped: image file missing"
    IMAGE_BROKEN = "frames dropped: image file does not open"
    IMAGE_NOT_CHECKED = "frames kept although their image file is missing"
    SIZE_ASSUMED = "frames with an assumed image size"
    SIZE_UNUSUAL = "frames of another size than all of the data set: right only if their boxes were scaled too"


@dataclass(slots=True)
class ReadReport:
    """Counts of one reading, and what it learned about the files besides the frames.

    Attributes:
        root: Folder that the frames' paths are relative to; set by the reader before its first frame.
        total: Number of frames to expect, where the reader knows it before it begins.
        content_hashes: SHA-256 of the image bytes by frame id, filled as the reader goes.
        counts: Occurrences by (event, detail); the detail is a word of the source, or empty.
        examples: The first places of each event.
    """

    root: Path | None = None
    total: int | None = None
    content_hashes: dict[str, str] = field(default_factory=dict)
    counts: Counter[tuple[Event, str]] = field(default_factory=Counter)
    examples: dict[Event, list[str]] = field(default_factory=dict)

    def add(self, event: Event, where: object = "", detail: str = "") -> None:
        """Count one event.

        Args:
            event: What happened.
            where: File, line or frame, kept as an example.
            detail: Word of the source by which the event is counted apart.
        """
        self.counts[event, printable(detail)] += 1
        places = self.examples.setdefault(event, [])
        if len(places) < _EXAMPLES:
            places.append(printable(str(where)))

    def count(self, event: Event) -> int:
        """Occurrences of one event over all details."""
        return sum(number for (kind, _), number in self.counts.items() if kind is event)

    def lines(self) -> list[str]:
        """One line per event that occurred, with count, details and an example."""
        result = []
        for event in Event:
            if not (number := self.count(event)):
                continue
            details = [f"{word} {n}" for (kind, word), n in self.counts.most_common() if kind is event and word]
            listed = f" ({', '.join(details)})" if details else ""
            result.append(f"{number} {event}{listed}, e.g. {self.examples[event][0]}")
        return result

    def to_dict(self) -> dict[str, Any]:
        """The counts as plain values for JSON: event name -> count, details, examples."""
        return {
            event.name.lower(): {
                "count": self.count(event),
                "details": {word: n for (kind, word), n in self.counts.items() if kind is event and word},
                "examples": self.examples[event],
            }
            for event in Event
            if self.count(event)
        }
