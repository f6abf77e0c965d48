"""Writes label files of the DriveU Traffic Light Dataset (DTLD) v2.0, which hold every attribute of a light."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from tl_datasets.catalog import Catalog
from tl_datasets.formats.common.foreign_paths import path_without_suffix
from tl_datasets.formats.common.lost_fields import lose_box_fields, lose_frame_fields
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.sequence_folders import labels_lights, sequence_places
from tl_datasets.formats.common.write_report import WriteReport
from tl_datasets.formats.dtld import WORDS
from tl_datasets.formats.dtld_files import N_PARTS, timestamp_ns
from tl_datasets.formats.dtld_v1 import UNKNOWN
from tl_datasets.frame import Annotation, Frame
from tl_datasets.images import write_whole
from tl_datasets.taxonomy import TRAFFIC_LIGHT, PixelFormat

_PARTS = ("train", "val", "test")


def write(catalog: Catalog, out: Path, *, report: WriteReport) -> list[str]:
    """Write a catalog as v2.0 label files: one per part (DTLD_train.json ...), or DTLD_all.json without parts.

    v2 has `unknown` for state, pictogram and aspects alone; elsewhere, and where nothing is said, stands null.
    Pictograms that v2 lacks are written in our words. There are no velocities, positions and disparity images: the keys
    are there because the toolkit wants them. Only lights are written; DTLD cannot say that a frame is unlabelled: such
    frames are left out. The toolkit takes each .tiff for a raw frame.

    Args:
        catalog: What to write.
        out: An empty folder.
        report: Takes the losses.

    Returns:
        Where the image of each frame belongs, below `out`: four parts, as the toolkit wants it.
    """
    is_written = [labels_lights(frame) for frame in catalog.iter_frames()]
    places = sequence_places(catalog, report, is_written, n_folders=N_PARTS - 1)
    parts: dict[str | None, list[dict[str, Any]]] = {}
    unique_id = 0
    for frame, place, written in zip(catalog.iter_frames(), places, is_written, strict=True):
        report.lose("frame", not written)
        if not written:
            continue
        labels = []
        for annotation in frame.annotations or ():
            if annotation.category != TRAFFIC_LIGHT:
                report.lose("box")
                continue
            unique_id += 1
            labels.append(_label_record(annotation, unique_id, report))
        again = _read_again(frame, place)
        lose_frame_fields(report, frame, again)
        parts.setdefault(again.split, []).append(_image_record(again, labels))
    for part, records in (parts or {None: []}).items():
        name = part or ("unsplit" if len(parts) > 1 else "all")
        write_whole(out / f"DTLD_{name}.json", json.dumps({"images": records}))
    return places


def _read_again(frame: Frame, place: str) -> Frame:
    """The frame as the reader will give it, without its boxes."""
    is_dated = timestamp_ns(frame.timestamp_ns or 0, Place(Path())) == frame.timestamp_ns
    is_bayer = frame.pixel_format is PixelFormat.BAYER_GRBG12
    return Frame(
        frame_id=path_without_suffix(place),
        path=place,
        width_px=frame.width_px,
        height_px=frame.height_px,
        annotations=(),
        sequence=PurePosixPath(place).parent.name,
        split=frame.split if frame.split in _PARTS else None,
        timestamp_ns=frame.timestamp_ns if is_dated else None,
        pixel_format=PixelFormat.BAYER_GRBG12 if is_bayer else None,
    )


def _image_record(frame: Frame, labels: list[dict[str, Any]]) -> dict[str, Any]:
    path = PurePosixPath(frame.path)
    return {
        "image_path": f"./{path}",
        "disparity_image_path": f"./{path.with_name(path.stem + '_nativeV2.tiff')}",
        "time_stamp": frame.timestamp_ns,
        "velocity": None,
        "yaw_rate": None,
        "longitude": None,
        "latitude": None,
        "labels": labels,
    }


def _label_record(annotation: Annotation, unique_id: int, report: WriteReport) -> dict[str, Any]:
    attributes, fields = {}, {}
    for attribute, (name, meanings) in WORDS.items():
        value = getattr(annotation, name)
        word = next((word for word, meaning in meanings.items() if meaning is value and word != UNKNOWN), None)
        attributes[attribute] = UNKNOWN if word is None and attribute == "aspects" else word
        fields[name] = None if word is None else value
    attributes["state"], attributes["pictogram"] = annotation.state, annotation.pictogram
    again = Annotation(
        xyxy=annotation.xyxy,
        state=annotation.state,
        pictogram=annotation.pictogram,
        ignore=annotation.reflection is True,
        track_id=annotation.track_id or None,
        **fields,
    )
    lose_box_fields(report, annotation, again)
    x1, y1, x2, y2 = annotation.xyxy
    box = zip("xywh", (x1, y1, x2 - x1, y2 - y1), strict=True)
    return {
        **{key: int(value) if value == int(value) else value for key, value in box},
        "unique_id": unique_id,
        "track_id": annotation.track_id,
        "attributes": attributes,
    }
