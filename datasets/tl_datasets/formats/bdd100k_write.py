"""Detection 2020 files of BDD100K out of a catalog: `labels/det_20/det_<split>.json` and `images/100k/<split>/`.

Written as the official tools expect: names with suffix, ids as text, inclusive x2 and y2 (width - 1), and the words of
2020 with their blanks. A light of state unknown becomes "NA", which is what the set says of lights that nobody can
read; one of state None has no colour key. Frames without a part go to `train`.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError
from tl_datasets.formats.bdd100k import RECORDING
from tl_datasets.formats.common.image_names import image_names
from tl_datasets.formats.common.lost_fields import lose_box_fields, lose_frame_fields
from tl_datasets.formats.common.write_report import WriteReport
from tl_datasets.frame import Annotation, Frame
from tl_datasets.images import write_whole
from tl_datasets.taxonomy import TRAFFIC_LIGHT, ConditionSource, LabelStatus, Scene, State, TimeOfDay, Weather

_PARTS = ("train", "val", "test")
_COLOURS = {State.RED: "R", State.YELLOW: "Y", State.GREEN: "G"}
_NO_COLOUR = "NA"
_OTHER_WORDS = {Scene.GAS_STATION: "gas stations", TimeOfDay.DAWN_DUSK: "dawn/dusk"}


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
    is_labelled = catalog.frames["label_status"] != LabelStatus.UNLABELLED
    written_parts = {split for split, labelled in zip(splits, is_labelled, strict=True) if labelled}
    if not written_parts:
        raise DataError("no frame of the catalog is labelled; expected at least one to write as BDD100K")
    # An image without a record is found by the records of its folder.
    comes_back = [split in written_parts for split in splits]
    names = image_names(catalog, WriteReport(), flat=True)
    records: dict[str, list[dict[str, Any]]] = {}
    for frame, name, split, is_back in zip(catalog.iter_frames(), names, splits, comes_back, strict=True):
        if not is_back:
            report.lose("frame")
            continue
        report.lose("frame.frame_id", PurePosixPath(name).stem != frame.frame_id)
        _count_frame(frame, name, split, report)
        if frame.annotations is not None:
            records.setdefault(split, []).append(_record(frame, name, report))
    for split, found in records.items():
        path = out / "labels" / "det_20" / f"det_{split}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(found))
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
    """Count what of a frame does not come back."""
    recording = RECORDING.match(name)
    has_record = frame.annotations is not None
    kept = {
        "weather": None if frame.weather is Weather.SANDSTORM else frame.weather,
        "scene": frame.scene,
        "time_of_day": frame.time_of_day,
    }
    again = Frame(
        frame_id=frame.frame_id,
        path=frame.path,
        width_px=frame.width_px,
        height_px=frame.height_px,
        annotations=None,
        sequence=recording[0] if recording else None,
        split=split,
        condition_source=ConditionSource.ANNOTATED if has_record and any(kept.values()) else None,
        **(kept if has_record else {}),
    )
    lose_frame_fields(report, frame, again)


def _count_box(annotation: Annotation, report: WriteReport) -> None:
    """Count what of a box does not come back."""
    state = annotation.state if annotation.category == TRAFFIC_LIGHT else None
    again = Annotation(
        xyxy=annotation.xyxy,
        category=annotation.category,
        state=state if state is None or state in _COLOURS else State.UNKNOWN,
        occluded=annotation.occluded,
        truncated=annotation.truncated,
        ignore=annotation.ignore,
        source_label=_category(annotation),
    )
    lose_box_fields(report, annotation, again)
