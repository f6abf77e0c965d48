"""KITTI object detection, out: for trainers that read it, such as TAO.

The type says category, state and pictogram, as in the YOLO files. An ignore area is `DontCare`, which has no other
field. KITTI has shares where we have flags: what is occluded is written as "partly", what is truncated as one half.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePosixPath

import polars as pl

from tl_datasets.catalog import Catalog
from tl_datasets.formats.common.image_names import image_names
from tl_datasets.formats.common.lost_fields import lose_box_fields
from tl_datasets.formats.common.split_lists import PARTS, write_split_lists
from tl_datasets.formats.common.write_report import FRAME_FIELDS, WriteReport
from tl_datasets.formats.kitti_rows import DONT_CARE
from tl_datasets.formats.yolo_write import class_name
from tl_datasets.frame import Annotation
from tl_datasets.images import write_whole
from tl_datasets.taxonomy import TRAFFIC_LIGHT, LabelStatus

IMAGES, LABELS, LISTS = "training/image_2", "training/label_2", "ImageSets"
_OCCLUDED = {False: "0", True: "1", None: "3"}
# KITTI's score leaves out what is truncated by more than 0.50, so this is the most that still counts.
_TRUNCATED = {False: "0.00", True: "0.50", None: "-1"}
# What the rows of areas have in KITTI's own files: height, width, length, x, y, z, rotation.
_NO_3D_BOX = "-1 -1 -1 -1000 -1000 -1000 -10"


def write(catalog: Catalog, out: Path, *, report: WriteReport, flat: bool = False) -> list[str]:
    """Write the label files and the lists of parts; the images are the caller's to copy.

    Args:
        catalog: What to write.
        out: An existing empty folder.
        report: Takes what is lost: conditions, and every field of a box that KITTI has no place for.
        flat: Write sub-folders of frame ids as `__`, for tools that look into one folder only.

    Returns:
        Where the image of each frame belongs, relative to `out`.
    """
    report.lose_fields(catalog, frame=[name for name in FRAME_FIELDS if name != "split"], box=())
    # A list must not name what has no label file: other readers would fail, or take it for a negative.
    is_unlabelled = pl.col("label_status") == LabelStatus.UNLABELLED
    unlisted = pl.col("split").is_not_null() & (~pl.col("split").is_in(PARTS) | is_unlabelled)
    report.lose("frame.split", len(catalog.frames.filter(unlisted)))
    places = image_names(catalog, report, IMAGES, flat=flat)
    listed: list[tuple[str, str | None]] = []
    for frame, place in zip(catalog.iter_frames(), places, strict=True):
        name = place.removeprefix(f"{IMAGES}/").removesuffix(PurePosixPath(frame.path).suffix)
        if frame.annotations is None:
            continue
        listed.append((name, frame.split))
        path = out / LABELS / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, "".join(_row(annotation, report) for annotation in frame.annotations))
    write_split_lists(out / LISTS, listed)
    return places


def _row(annotation: Annotation, report: WriteReport) -> str:
    back = _read_back(annotation)
    lose_box_fields(report, annotation, back)
    box = " ".join(map(repr, annotation.xyxy))
    if annotation.ignore:
        return f"{DONT_CARE} -1 -1 -10 {box} {_NO_3D_BOX}\n"
    truncated, occluded = _TRUNCATED[annotation.truncated], _OCCLUDED[annotation.occluded]
    return f"{back.source_label} {truncated} {occluded} -10 {box} {_NO_3D_BOX}\n"


def _read_back(annotation: Annotation) -> Annotation:
    """What our reader makes of the row."""
    if annotation.ignore:
        return Annotation(xyxy=annotation.xyxy, category=TRAFFIC_LIGHT, ignore=True, source_label=DONT_CARE)
    kept = Annotation(
        xyxy=annotation.xyxy,
        category=annotation.category,
        truncated=annotation.truncated,
        occluded=annotation.occluded,
        source_label=class_name(annotation.category, annotation.state, annotation.pictogram),
    )
    if annotation.category != TRAFFIC_LIGHT:
        return kept
    return replace(kept, state=annotation.state, pictogram=annotation.pictogram)
