"""Detection 2020 files of BDD100K out of a catalog: `labels/det_20/det_<split>.json` and `images/100k/<split>/`.

Written as the official tools expect: names with suffix, ids as text, inclusive x2 and y2 (width - 1), and the words of
2020 with their blanks. A light of state unknown becomes "NA", which is what the set says of lights that nobody can
read; one of state None has no colour key. Frames without a part go to `train`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError
from tl_datasets.formats.bdd100k import RECORDING
from tl_datasets.formats.image_names import image_names
from tl_datasets.formats.write_report import BOX_FIELDS, FRAME_FIELDS, WriteReport
from tl_datasets.frame import Annotation, Frame
from tl_datasets.images import write_whole
from tl_datasets.taxonomy import TRAFFIC_LIGHT, ConditionSource, Scene, State, TimeOfDay, Weather

_PARTS = ("train", "val", "test")
_COLOURS = {State.RED: "R", State.YELLOW: "Y", State.GREEN: "G"}
_NO_COLOUR = "NA"
_OTHER_WORDS = {Scene.GAS_STATION: "gas stations", TimeOfDay.DAWN_DUSK: "dawn/dusk"}
# What a record has a place for; single values are counted by `_count_frame` and `_count_box`.
_HELD_FRAME = frozenset({"weather", "scene", "time_of_day", "sequence", "split", "condition_source"})
_HELD_BOX = frozenset({"category", "state", "occluded", "truncated", "ignore", "source_label"})


def write(catalog: Catalog, out: Path, *, report: WriteReport) -> list[str]:
    """Write a catalog in the form of Detection 2020.

    An unlabelled frame has an image and no record, which is how the set has it; read it back with unlabelled=include.

    Args:
        catalog: What to write.
        out: An existing folder.
        report: Takes the counts of what is lost.

    Returns:
        Where the image of each frame belongs below `out`.

    Raises:
        DataError: No frame is labelled.
    """
    splits = [split if split in _PARTS else "train" for split in catalog.frames["split"]]
    names = image_names(catalog, report, flat=True)
    records: dict[str, list[dict[str, Any]]] = {}
    for frame, name, split in zip(catalog.iter_frames(), names, splits, strict=True):
        _count_frame(frame, name, split, report)
        if frame.annotations is not None:
            records.setdefault(split, []).append(_record(frame, name, report))
    if not records:
        raise DataError("no frame of the catalog is labelled; expected at least one to write as BDD100K")
    for split, found in records.items():
        path = out / "labels" / "det_20" / f"det_{split}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(found))
    # An image without a record is found by the records of its folder.
    report.lose("frame", sum(split not in records for split in splits))
    report.lose_fields(
        catalog,
        frame=[name for name in FRAME_FIELDS if name not in _HELD_FRAME],
        box=[name for name in BOX_FIELDS if name not in _HELD_BOX],
    )
    return [f"images/100k/{split}/{name}" for split, name in zip(splits, names, strict=True)]


def _record(frame: Frame, name: str, report: WriteReport) -> dict[str, Any]:
    attributes = {"weather": _weather(frame), "timeofday": _word(frame.time_of_day), "scene": _word(frame.scene)}
    labels = []
    for annotation in frame.annotations or ():
        x1, y1, x2, y2 = annotation.xyxy
        if x1 >= x2 - 1 or y1 >= y2 - 1:  # the inclusive form makes it a box that the official tools drop
            report.lose("box")
            continue
        _count_box(annotation, report)
        labels.append(
            {
                "id": str(len(labels)),
                "category": _category(annotation),
                "attributes": _attributes(annotation),
                "box2d": {"x1": x1, "y1": y1, "x2": x2 - 1, "y2": y2 - 1},
            }
        )
    return {
        "name": name,
        "attributes": {key: word for key, word in attributes.items() if word is not None},
        "size": {"width": frame.width_px, "height": frame.height_px},
        "labels": labels,
    }


def _attributes(annotation: Annotation) -> dict[str, Any]:
    colour = _NO_COLOUR if annotation.category != TRAFFIC_LIGHT else _colour(annotation.state)
    attributes = {"occluded": annotation.occluded, "truncated": annotation.truncated, "trafficLightColor": colour}
    if annotation.ignore:
        attributes["ignored"] = True
    return {key: value for key, value in attributes.items() if value is not None}


def _colour(state: State | None) -> str | None:
    return None if state is None else _COLOURS.get(state, _NO_COLOUR)


def _category(annotation: Annotation) -> str:
    return annotation.category.replace("_", " ")


def _weather(frame: Frame) -> str | None:
    return None if frame.weather is Weather.SANDSTORM else _word(frame.weather)


def _word(value: Scene | TimeOfDay | Weather | None) -> str | None:
    return None if value is None else _OTHER_WORDS.get(value, value.replace("_", " "))


def _count_frame(frame: Frame, name: str, split: str, report: WriteReport) -> None:
    """Count the conditions, sequence and part that do not come back."""
    report.lose("frame.split", frame.split != split)
    recording = RECORDING.match(name)
    report.lose("frame.sequence", frame.sequence != (recording[0] if recording else None))
    has_record = frame.annotations is not None
    kept = {
        "weather": frame.weather if has_record and frame.weather is not Weather.SANDSTORM else None,
        "scene": frame.scene if has_record else None,
        "time_of_day": frame.time_of_day if has_record else None,
    }
    source = ConditionSource.ANNOTATED if any(kept.values()) else None
    for field, value in {**kept, "condition_source": source}.items():
        report.lose(f"frame.{field}", getattr(frame, field) != value)


def _count_box(annotation: Annotation, report: WriteReport) -> None:
    is_light = annotation.category == TRAFFIC_LIGHT
    held = is_light and (annotation.state is State.UNKNOWN or annotation.state in _COLOURS)
    report.lose("box.state", annotation.state is not None and not held)
    report.lose("box.source_label", annotation.source_label != _category(annotation))
