"""Writes the label files of the Bosch Small Traffic Lights Dataset (BSTLD)."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import yaml

try:
    from yaml import CSafeDumper as _Dumper
except ImportError:  # PyYAML built without libyaml
    from yaml import SafeDumper as _Dumper

from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError, show
from tl_datasets.formats.common.lost_fields import lose_box_fields, lose_frame_fields
from tl_datasets.formats.common.sequence_folders import labels_lights, sequence_places
from tl_datasets.formats.common.write_report import WriteReport
from tl_datasets.frame import Annotation, Frame
from tl_datasets.images import write_whole
from tl_datasets.label_maps import LabelMap, load_label_map
from tl_datasets.taxonomy import TRAFFIC_LIGHT, Pictogram, State

_SPLITS = ("train", "val", "test")
# The file of frames that are in none of these.
_NO_SPLIT = "labels"

_STATE_WORDS = {
    State.RED: "Red",
    State.RED_YELLOW: "Red",  # no word of its own; "stop" either way
    State.YELLOW: "Yellow",
    State.GREEN: "Green",
    State.OFF: "off",
}
_PICTOGRAM_WORDS = {
    Pictogram.ARROW_LEFT: "Left",
    Pictogram.ARROW_RIGHT: "Right",
    Pictogram.ARROW_STRAIGHT: "Straight",
    Pictogram.ARROW_STRAIGHT_LEFT: "StraightLeft",
    Pictogram.ARROW_STRAIGHT_RIGHT: "StraightRight",
}


def write(catalog: Catalog, out: Path, *, report: WriteReport) -> list[str]:
    """Write a catalog as label files train.yaml, val.yaml, test.yaml, and labels.yaml for frames in no split.

    Only lights are written. A light of unknown state has no word and is left out, as in BSTLD itself; red and yellow
    together is written as Red; a pictogram without a word (tram, pedestrian ...) as the plain colour, which is read as
    a circle. BSTLD cannot say that a frame is unlabelled: such frames are left out, and so are those with a light whose
    source has no states, which would come back as frames without it.

    Args:
        catalog: What to write.
        out: An empty folder.
        report: Takes the losses.

    Returns:
        Where the image of each frame belongs, below `out`: in a folder with the name of its sequence.
    """
    is_written = [labels_lights(frame) and _has_states(frame) for frame in catalog.iter_frames()]
    places = sequence_places(catalog, report, is_written)
    label_map = load_label_map("bstld")
    parts: dict[str, list[str]] = {}
    for frame, place, written in zip(catalog.iter_frames(), places, is_written, strict=True):
        report.lose("frame", not written)
        if not written:
            continue
        stem = frame.split if frame.split in _SPLITS else _NO_SPLIT
        boxes = [_box_record(annotation, label_map, report) for annotation in frame.annotations or ()]
        record = {"boxes": [box for box in boxes if box is not None], "path": f"./{place}"}
        parts.setdefault(stem, []).append(yaml.dump([record], Dumper=_Dumper, allow_unicode=True))
        again = Frame(
            frame_id=frame.frame_id,
            path=place,
            width_px=frame.width_px,
            height_px=frame.height_px,
            annotations=(),
            sequence=PurePosixPath(place).parent.name or None,
            split=None if stem == _NO_SPLIT else stem,
        )
        lose_frame_fields(report, frame, again)
    for stem, texts in (parts or {_NO_SPLIT: ["[]\n"]}).items():
        write_whole(out / f"{stem}.yaml", "".join(texts))
    return places


def _has_states(frame: Frame) -> bool:
    lights = [annotation for annotation in frame.annotations or () if annotation.category == TRAFFIC_LIGHT]
    return all(light.state is not None for light in lights)


def _box_record(annotation: Annotation, label_map: LabelMap, report: WriteReport) -> dict[str, Any] | None:
    colour = None if annotation.state is None else _STATE_WORDS.get(annotation.state)
    if annotation.category != TRAFFIC_LIGHT or colour is None:
        report.lose("box")
        return None
    shape = "" if annotation.pictogram is None else _PICTOGRAM_WORDS.get(annotation.pictogram, "")
    word = colour if colour == _STATE_WORDS[State.OFF] else colour + shape
    meaning = label_map.label(word)
    if meaning is None or isinstance(meaning, str):
        raise DataError(f"label map '{label_map.name}': no meaning for {show(word)}; expected one")
    x1, y1, x2, y2 = annotation.xyxy
    occluded = bool(annotation.occluded)
    lose_box_fields(
        report,
        annotation,
        Annotation(**meaning.as_arguments, xyxy=annotation.xyxy, occluded=occluded, source_label=word),
    )
    return {"label": word, "occluded": occluded, "x_max": x2, "x_min": x1, "y_max": y2, "y_min": y1}
