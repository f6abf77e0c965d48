"""Detections as a file, written and read for the frames of a catalog: JSON in COCO's form, or Parquet.

Two forms of JSON are read: COCO's list of results, and one object with "images", "categories" and "annotations", which
is also what is written. Classes are matched by name, never by number. Numbers are kept in double precision. The columns
of a Parquet file are in `prediction_parquet`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tl_datasets.boxes import xywh_from_xyxy
from tl_datasets.catalog import Catalog
from tl_datasets.errors import AnnotationError, DataError
from tl_datasets.images import write_whole
from tl_datasets.label_space import LabelSpace
from tl_detection.detector import Detections
from tl_detection.evaluation.detection_table import DetectionTable
from tl_detection.evaluation.pairs import FloatArray, IntArray
from tl_detection.evaluation.prediction_json import read_prediction_columns, read_tables
from tl_detection.evaluation.prediction_lookup import ClassLookup, FrameLookup, short
from tl_detection.evaluation.prediction_parquet import read_parquet_columns

logger = logging.getLogger(__name__)


def write_predictions(
    path: Path | str, catalog: Catalog, label_space: LabelSpace, detections: Sequence[Detections] | DetectionTable
) -> None:
    """Write the detections of a catalog's frames, with its images and categories; the file appears whole.

    Raises:
        DataError: There is not one result per frame, or a class id is outside the label space.
    """
    if not isinstance(detections, DetectionTable):
        if len(detections) != len(catalog):
            raise DataError(f"{path}: {len(detections)} results for {len(catalog)} frames; expected one per frame")
        detections = DetectionTable.of(detections)
    frame_ids = catalog.frames["frame_id"]
    table = detections.take(np.argsort(detections.frame_index, kind="stable"))
    beyond = np.flatnonzero(table.class_id >= len(label_space))
    if len(beyond):
        raise DataError(
            f"{path}: frame {frame_ids[int(table.frame_index[beyond[0]])]} has a detection of class id "
            f"{table.class_id[beyond[0]]}, the label space has {len(label_space)} classes; class ids begin at 0"
        )
    columns = catalog.frames.select("frame_id", "path", "width_px", "height_px").iter_rows()
    images = [
        {"id": image_id, "file_name": file_name, "width": width, "height": height, "frame_id": frame_id}
        for image_id, (frame_id, file_name, width, height) in enumerate(columns, start=1)
    ]
    found = zip(
        table.frame_index.tolist(),
        table.class_id.tolist(),
        xywh_from_xyxy(table.xyxy).tolist(),
        table.score.tolist(),
        strict=True,
    )
    annotations = [
        {"id": index, "image_id": frame + 1, "category_id": class_id + 1, "bbox": box, "score": score}
        for index, (frame, class_id, box, score) in enumerate(found, start=1)
    ]
    categories = [{"id": index, "name": name} for index, name in enumerate(label_space.names, start=1)]
    write_whole(path, json.dumps({"images": images, "categories": categories, "annotations": annotations}))


def read_predictions(
    path: Path | str,
    catalog: Catalog,
    label_space: LabelSpace,
    *,
    coco: Path | str | None = None,
    whole: Catalog | None = None,
) -> list[Detections]:
    """One result per frame, in single precision; see `read_prediction_table`."""
    return read_prediction_table(path, catalog, label_space, coco=coco, whole=whole).by_frame(len(catalog))


def read_prediction_table(
    path: Path | str,
    catalog: Catalog,
    label_space: LabelSpace,
    *,
    coco: Path | str | None = None,
    whole: Catalog | None = None,
) -> DetectionTable:
    """Read a predictions file for the frames of a catalog: Parquet where its name ends so, else JSON.

    An `image_id` that is text names a frame by its id, path, file name or file name without suffix. One that is a
    number, and every `category_id` that is a number, is looked up in the file's own "images" and "categories", or in
    those of `coco`. A `category_id` that is text is a class name.

    Args:
        path: The predictions.
        catalog: The frames to read for.
        label_space: Its names are those that categories must have.
        coco: COCO file that defines the ids, for predictions that are a bare list.
        whole: The catalog before it was filtered: predictions of its other frames are left out and logged.

    Returns:
        The predictions of the frames of `catalog`, which may be none.

    Raises:
        AnnotationError: The file is broken, or a prediction has an unknown frame or category, a malformed box, or a
            score outside [0, 1], or the id of another; or more than 5 % of the boxes end far beyond their frames.
    """
    is_parquet = Path(path).suffix == ".parquet"
    columns = read_parquet_columns(path) if is_parquet else read_prediction_columns(path)
    tables = {**(read_tables(coco) if coco is not None and not is_parquet else {}), **columns.tables}
    frames = catalog if whole is None else whole
    rows = FrameLookup(path, frames, tables.get("images"))
    classes = ClassLookup(path, label_space, tables.get("categories"))
    classes.expect(columns.category_ids)
    row_of = [rows.find(index, each) for index, each in _first_places(columns.image, columns.image_ids)]
    class_of = [classes.find(index, each) for index, each in _first_places(columns.category, columns.category_ids)]
    row = np.array(row_of, np.int64)[columns.image]
    _check_places(path, columns.xywh, frames, row)
    position = _positions(frames, catalog)[row]
    kept = np.flatnonzero(position >= 0)
    left_out = len(position) - len(kept)
    if left_out:
        logger.info("%s: %d predictions of frames outside the chosen part were left out", path, left_out)
    logger.info("%s: %d predictions for %d frames", path, len(kept), len(catalog))
    xywh = columns.xywh.take(kept, axis=0)
    return DetectionTable(
        frame_index=position[kept],
        class_id=np.array(class_of, np.int64)[columns.category[kept]],
        score=columns.score[kept],
        xyxy=np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1),
        size_px=np.ascontiguousarray(xywh[:, 2:]),
    )


def _first_places(number: IntArray, ids: Sequence[int | str]) -> list[tuple[int, int | str]]:
    """(first prediction, id) of each id, whatever the order in which they are numbered."""
    # Nearly always numbered in the order in which they come first.
    first = np.searchsorted(np.maximum.accumulate(number), np.arange(len(ids)))
    if not np.array_equal(number[np.minimum(first, len(number) - 1)], np.arange(len(ids))):
        # Of several values for one place the last is kept, which is the first prediction.
        first[number[::-1]] = np.arange(len(number))[::-1]
    return list(zip(first.tolist(), ids, strict=True))


def _positions(frames: Catalog, catalog: Catalog) -> IntArray:
    """(rows of frames,) row in the catalog, or -1."""
    row_of = {frame_id: row for row, frame_id in enumerate(catalog.frames["frame_id"])}
    return np.array([row_of.get(frame_id, -1) for frame_id in frames.frames["frame_id"]], np.int64)


def _check_places(path: Path | str, bbox: FloatArray, frames: Catalog, row: IntArray) -> None:
    """Refuse boxes that are not x, y, width, height of these frames, and say how many lie beside them."""
    size = frames.frames.select("width_px", "height_px").to_numpy().take(row, axis=0)
    # A detector may reach over the edge a little; corners that are read as sizes reach far.
    far = (bbox[:, :2] + bbox[:, 2:] > 1.1 * size).any(axis=1)
    if far.sum() > 0.05 * len(bbox):
        index = int(np.argmax(far))
        raise AnnotationError(
            path,
            f"prediction {index}: bbox {short(bbox[index].tolist())} ends far beyond its frame of "
            f"{size[index, 0]}x{size[index, 1]} px, and so do {int(far.sum())} of {len(bbox)}; expected x, y, width, "
            "height in the frame's pixels: are these corners x1, y1, x2, y2, or pixels of another image size?",
        )
    beside = (bbox[:, 2:] <= 0) | (bbox[:, :2] >= size) | (bbox[:, :2] + bbox[:, 2:] <= 0)
    if beside.any():
        logger.warning(
            "%s: %d predictions have no area inside their frame; they are scored as false detections",
            path,
            int(beside.any(axis=1).sum()),
        )
