"""ASAM OpenLABEL 1.0, out: one file per sequence beside `images/`.

Objects are numbered within a file; a track is one object. The fields of a box stand as attributes inside its `bbox`,
weather, scene and time of day as tags that point to the images through `resources`, and what else is known of a frame
in its `frame_properties`. A field that is absent is None.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tl_datasets.catalog import CONDITIONS, Catalog
from tl_datasets.formats.common.attribute_words import box_attributes, frame_attributes
from tl_datasets.formats.common.image_names import image_names
from tl_datasets.formats.common.write_report import WriteReport
from tl_datasets.frame import Annotation, Frame
from tl_datasets.images import write_whole
from tl_datasets.taxonomy import LabelStatus

ONTOLOGY = "urn:tl-perception:vocabulary:1"
_ONTOLOGY_UID = "0"
_CAMERA = "camera"
# Frames that belong to no sequence share files of this many, so that a reader holds few at a time.
_ALONE_PER_FILE = 1000


def write(catalog: Catalog, out: Path, *, report: WriteReport) -> list[str]:
    """Write a catalog as `scene_<number>.json` and `images/`.

    Args:
        catalog: What to write.
        out: An existing folder.
        report: Takes empty texts, which cannot be told from None.

    Returns:
        Where the image of each frame belongs below `out`.
    """
    names = image_names(catalog, WriteReport(), "images")
    scenes: dict[tuple[str | None, int], list[int]] = {}
    alone = 0
    for row, sequence in enumerate(catalog.frames["sequence"]):
        key = (sequence, 0) if sequence else (None, alone // _ALONE_PER_FILE)
        alone += not sequence
        scenes.setdefault(key, []).append(row)
    for number, ((sequence, _), rows) in enumerate(scenes.items()):
        scene = _SceneWriter(report)
        for row in rows:
            scene.add(catalog.frame(row), names[row])
        write_whole(out / f"scene_{number:06d}.json", json.dumps(scene.document(sequence), allow_nan=False))
    return names


class _SceneWriter:
    """Collects the frames of one file."""

    def __init__(self, report: WriteReport):
        """Take the report of the writing."""
        self._report = report
        self._frames: dict[str, Any] = {}
        self._objects: dict[str, dict[str, Any]] = {}
        self._seen_in: dict[str, list[int]] = {}
        self._tracks: dict[tuple[str, str], str] = {}
        self._resources: dict[str, str] = {}
        self._tags: dict[tuple[str, str], dict[str, str]] = {}

    def add(self, frame: Frame, name: str) -> None:
        """Add the next frame."""
        number = len(self._frames)
        self._resources[str(number)] = name
        for condition in CONDITIONS:
            word = getattr(frame, condition)
            if word is not None:
                self._tags.setdefault((condition, word), {})[str(number)] = name
        record: dict[str, Any] = {"frame_properties": self._properties(frame, name)}
        objects = {self._uid(box, number): _object_data(box, self._report) for box in frame.annotations or ()}
        if objects:
            record["objects"] = objects
        self._frames[str(number)] = record

    def document(self, sequence: str | None) -> dict[str, Any]:
        """The whole file."""
        for uid, numbers in self._seen_in.items():
            self._objects[uid]["frame_intervals"] = _intervals(numbers)
        tags = {
            str(number): {
                "type": condition,
                "ontology_uid": _ONTOLOGY_UID,
                "resource_uid": pointers,
                "tag_data": {"text": [{"name": condition, "type": "value", "val": str(word)}]},
            }
            for number, ((condition, word), pointers) in enumerate(self._tags.items())
        }
        metadata = {"schema_version": "1.0.0", **({"name": sequence} if sequence else {})}
        parts = {
            "resources": self._resources,
            "tags": tags,
            "streams": {_CAMERA: {"type": "camera"}},
            "objects": self._objects,
            "frames": self._frames,
            "frame_intervals": _intervals(range(len(self._frames))),
        }
        return {"openlabel": {"metadata": metadata, "ontologies": {_ONTOLOGY_UID: ONTOLOGY}, **parts}}

    def _properties(self, frame: Frame, name: str) -> dict[str, Any]:
        size = {"width_px": frame.width_px, "height_px": frame.height_px}
        fields = {
            key: value
            for key, value in frame_attributes(frame).items()
            if value not in (None, [], "") and key not in CONDITIONS
        }
        for field in ("frame_id", "sequence", "split"):
            self._report.lose(f"frame.{field}", getattr(frame, field) == "")
        if frame.label_status is LabelStatus.LABELLED:
            del fields["label_status"]
        fields.setdefault("sequence", None)  # else the scene is one
        if any(getattr(frame, condition) is not None for condition in CONDITIONS):
            fields.setdefault("condition_source", None)  # else a person is taken to have said so
        return {**fields, "streams": {_CAMERA: {"uri": name, "stream_properties": size}}}

    def _uid(self, box: Annotation, number: int) -> str:
        """The object of a box: that of its track, unless the frame has it already."""
        kind = "".join(part.capitalize() for part in box.category.split("_"))
        key = (box.track_id or "", box.category)
        uid = self._tracks.get(key) if box.track_id is not None else None
        if uid is None or self._seen_in[uid][-1] == number:
            uid = str(len(self._objects))
            name = f"{kind}_{uid}" if box.track_id is None else box.track_id
            self._objects[uid] = {"name": name, "type": kind, "ontology_uid": _ONTOLOGY_UID}
            self._seen_in[uid] = []
            if box.track_id is not None:
                self._tracks[key] = uid
        self._seen_in[uid].append(number)
        return uid


def _object_data(box: Annotation, report: WriteReport) -> dict[str, Any]:
    x1, y1, x2, y2 = box.xyxy
    fields: dict[str, Any] = {name: value for name, value in box_attributes(box).items() if value is not None}
    report.lose("box.source_label", box.source_label == "")
    fields["source_label"] = box.source_label or ""  # without it, the type of the object is the label
    if box.ignore:
        fields["ignore"] = True
    if box.track_id is not None:
        fields["track_id"] = box.track_id
    shape = {"name": "shape", "val": [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], "attributes": _typed(fields)}
    return {"object_data": {"bbox": [shape]}}


def _typed(fields: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for name, value in fields.items():
        kind = "boolean" if isinstance(value, bool) else "num" if isinstance(value, int | float) else "text"
        found.setdefault(kind, []).append({"name": name, "val": str(value) if kind == "text" else value})
    return found


def _intervals(numbers: Iterable[int]) -> list[dict[str, int]]:
    found: list[dict[str, int]] = []
    for number in numbers:
        if found and number == found[-1]["frame_end"] + 1:
            found[-1]["frame_end"] = number
        else:
            found.append({"frame_start": number, "frame_end": number})
    return found
