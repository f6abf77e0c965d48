"""Detections as a JSON file in COCO's form, written and read for the frames of a catalog.

Two forms are read: COCO's list of results, and one object with "images", "categories" and "annotations", which is also
what is written. Classes are matched by name, never by number. Coordinates and scores are kept as 32-bit floats.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from tl_datasets.boxes import xywh_from_xyxy, xyxy_from_xywh
from tl_datasets.catalog import Catalog
from tl_datasets.errors import AnnotationError, DataError
from tl_datasets.images import write_whole
from tl_datasets.label_space import LabelSpace
from tl_detection.detector import Detections

# No image is that large; a coordinate beyond it, or one that is no number, is a mistake.
_LARGEST_PX = 1e6

logger = logging.getLogger(__name__)


def write_predictions(
    path: Path | str, catalog: Catalog, label_space: LabelSpace, detections: Sequence[Detections]
) -> None:
    """Write one result per frame of a catalog, with its images and categories; the file appears whole.

    Raises:
        DataError: There is not one result per frame, or a class id is outside the label space.
    """
    if len(detections) != len(catalog):
        raise DataError(f"{path}: {len(detections)} results for {len(catalog)} frames; expected one per frame")
    columns = catalog.frames.select("frame_id", "path", "width_px", "height_px").iter_rows()
    images, annotations = [], []
    for image_id, ((frame_id, file_name, width, height), found) in enumerate(
        zip(columns, detections, strict=True), start=1
    ):
        if found.class_id.max(initial=0) >= len(label_space):
            raise DataError(
                f"{path}: frame {frame_id} has a detection of class id {found.class_id.max()}, the label space has "
                f"{len(label_space)} classes; class ids begin at 0"
            )
        images.append({"id": image_id, "file_name": file_name, "width": width, "height": height, "frame_id": frame_id})
        boxes = xywh_from_xyxy(found.xyxy).tolist()
        annotations.extend(
            {"image_id": image_id, "category_id": class_id + 1, "bbox": box, "score": score}
            for box, score, class_id in zip(boxes, found.score.tolist(), found.class_id.tolist(), strict=True)
        )
    for index, annotation in enumerate(annotations, start=1):
        annotation["id"] = index
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
    """Read a predictions file for the frames of a catalog.

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
        One result per frame of `catalog`, empty where the file has none.

    Raises:
        AnnotationError: The file is broken, or a prediction has an unknown frame or category, a malformed box, or a
            score outside [0, 1]; or more than 5 % of the boxes end far beyond their frames.
    """
    content = _load(path)
    results, tables = _results_and_tables(path, content)
    if coco is not None:
        tables = {**{name: _rows_of(coco, _load(coco), name) for name in ("images", "categories")}, **tables}
    frames = catalog if whole is None else whole
    rows = _FrameLookup(path, frames, tables.get("images"))
    classes = _ClassLookup(path, label_space, tables.get("categories"))

    row, class_id, bbox, score = [], [], [], []
    for index, result in enumerate(results):
        if not isinstance(result, dict) or not {"image_id", "category_id", "bbox", "score"} <= result.keys():
            raise AnnotationError(
                path,
                f"prediction {index}: found {_short(result)}, expected an object with image_id, category_id, bbox "
                "and score; is this a file of predictions, not of ground truth?",
            )
        row.append(rows.find(index, result["image_id"]))
        class_id.append(classes.find(index, result["category_id"]))
        bbox.append(_checked_box(path, index, result["bbox"]))
        score.append(_checked_score(path, index, result["score"]))
    _check_places(path, np.array(bbox).reshape(-1, 4), frames, np.array(row, np.int64))
    position = _positions(frames, catalog)[np.array(row, np.int64)]
    left_out = int((position < 0).sum())
    if left_out:
        logger.info("%s: %d predictions of frames outside the chosen part were left out", path, left_out)
    order = np.argsort(position, kind="stable")[left_out:]
    bounds = np.searchsorted(position[order], np.arange(len(catalog) + 1))
    xyxy = xyxy_from_xywh(np.array(bbox))[order]
    scores, class_ids = np.array(score, np.float32)[order], np.array(class_id, np.int64)[order]
    return [
        Detections(xyxy=xyxy[start:stop], score=scores[start:stop], class_id=class_ids[start:stop])  # type: ignore[arg-type]
        for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
    ]


class _FrameLookup:
    """Image ids of a file -> rows of a catalog."""

    def __init__(self, path: Path | str, catalog: Catalog, images: Sequence[Any] | None):
        self.path = path
        self.images = None if images is None else {image.get("id"): image for image in images}
        self.found: dict[int | str, int] = {}
        ids, paths = catalog.frames["frame_id"].to_list(), catalog.frames["path"].to_list()
        # From the most to the least certain; a name that is shared is only an error when it is asked for.
        self.levels = [
            _rows_by(ids),
            _rows_by(paths),
            _rows_by(PurePosixPath(item).name for item in paths),
            _rows_by(PurePosixPath(item).stem for item in paths),
        ]

    def find(self, index: int, image_id: Any) -> int:
        if not _is_id(image_id):
            raise AnnotationError(
                self.path, f"prediction {index}: image_id {_short(image_id)}, expected a number or text"
            )
        if image_id not in self.found:
            self.found[image_id] = self._look_up(index, image_id)
        return self.found[image_id]

    def _look_up(self, index: int, image_id: int | str) -> int:
        where = f"prediction {index}: image_id {_short(image_id)}"
        image = (self.images or {}).get(image_id)
        if image is None:
            if isinstance(image_id, int):
                known = "is not among the images" if self.images is not None else "is a number, and no images define it"
                raise AnnotationError(
                    self.path, f"{where} {known}; expected a frame id as text, or a COCO file with that image (--coco)"
                )
            names = [image_id]
        else:
            names = [image[key] for key in ("frame_id", "file_name") if isinstance(image.get(key), str)]
            where += f" ({', '.join(names)})"
        for name in names:
            file_name = PurePosixPath(name)
            for level, text in zip(self.levels, (name, name, file_name.name, file_name.stem), strict=True):
                rows = level.get(text, [])
                if len(rows) > 1:
                    raise AnnotationError(
                        self.path, f"{where}: {len(rows)} frames are named '{text}'; expected a whole frame id or path"
                    )
                if rows:
                    return rows[0]
        raise AnnotationError(
            self.path, f"{where}: no such frame in the catalog; expected ids such as '{next(iter(self.levels[0]), '')}'"
        )


class _ClassLookup:
    """Category ids of a file -> class ids of a label space, by name."""

    def __init__(self, path: Path | str, label_space: LabelSpace, categories: Sequence[Any] | None):
        self.path = path
        self.names = label_space.names
        self.categories = None if categories is None else {item.get("id"): item.get("name") for item in categories}
        self.found: dict[int | str, int] = {}

    def find(self, index: int, category_id: Any) -> int:
        if not _is_id(category_id):
            raise AnnotationError(
                self.path, f"prediction {index}: category_id {_short(category_id)}, expected a number or a class name"
            )
        if category_id not in self.found:
            self.found[category_id] = self._look_up(index, category_id)
        return self.found[category_id]

    def _look_up(self, index: int, category_id: int | str) -> int:
        where = f"prediction {index}: category_id {_short(category_id)}"
        name = category_id
        if isinstance(category_id, int):
            if self.categories is None:
                raise AnnotationError(
                    self.path, f"{where} is a number, and no categories name it; expected a class name, or give --coco"
                )
            if category_id not in self.categories:
                raise AnnotationError(
                    self.path, f"{where}: not among the categories; expected one of {sorted(self.categories)}"
                )
            name = self.categories[category_id]
            where += f" ({name})"
        if name not in self.names:
            raise AnnotationError(
                self.path, f"{where}: no such class in the label space; expected one of {', '.join(self.names)}"
            )
        return self.names.index(str(name))


def _load(path: Path | str) -> Any:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise AnnotationError(path, f"cannot be read ({error.strerror}); expected a JSON file") from error
    except json.JSONDecodeError as error:
        raise AnnotationError(path, f"broken JSON ({error.msg}); write the file again", line=error.lineno) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise AnnotationError(path, f"not a JSON text file ({error.__class__.__name__})") from error


def _results_and_tables(path: Path | str, content: Any) -> tuple[list[Any], dict[str, list[Any]]]:
    if isinstance(content, list):
        return content, {}
    if not isinstance(content, Mapping) or not isinstance(content.get("annotations"), list):
        raise AnnotationError(
            path, f"found {_short(content)}, expected a list of predictions or an object with 'annotations'"
        )
    present = [name for name in ("images", "categories") if name in content]
    return content["annotations"], {name: _rows_of(path, content, name) for name in present}


def _rows_of(path: Path | str, content: Any, name: str) -> list[Any]:
    rows = content.get(name) if isinstance(content, Mapping) else None
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) and _is_id(row.get("id")) for row in rows):
        raise AnnotationError(
            path, f"'{name}' is {_short(rows)}, expected a list of objects with an id (number or text)"
        )
    ids = [str(row["id"]) for row in rows]
    if len(set(ids)) != len(ids):
        repeated = next(item for index, item in enumerate(ids) if item in ids[:index])
        raise AnnotationError(path, f"'{name}' has the id {repeated} more than once; expected unique ids")
    return rows


def _rows_by(names: Any) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(name, []).append(row)
    return rows


def _positions(frames: Catalog, catalog: Catalog) -> np.ndarray:
    """(rows of frames,) row in the catalog, or -1."""
    row_of = {frame_id: row for row, frame_id in enumerate(catalog.frames["frame_id"])}
    return np.array([row_of.get(frame_id, -1) for frame_id in frames.frames["frame_id"]], np.int64)


def _check_places(path: Path | str, bbox: np.ndarray, frames: Catalog, row: np.ndarray) -> None:
    """Refuse boxes that are not x, y, width, height of these frames, and say how many lie beside them."""
    size = frames.frames.select("width_px", "height_px").to_numpy()[row]
    # A detector may reach over the edge a little; corners that are read as sizes reach far.
    far = (bbox[:, :2] + bbox[:, 2:] > 1.1 * size).any(axis=1)
    if far.sum() > 0.05 * len(bbox):
        index = int(np.argmax(far))
        raise AnnotationError(
            path,
            f"prediction {index}: bbox {_short(bbox[index].tolist())} ends far beyond its frame of "
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


def _checked_box(path: Path | str, index: int, bbox: Any) -> list[float]:
    if (
        not isinstance(bbox, list)
        or len(bbox) != 4
        or not all(type(value) in (float, int) and abs(value) <= _LARGEST_PX for value in bbox)
        or min(bbox[2:]) < 0
    ):
        raise AnnotationError(
            path, f"prediction {index}: bbox {_short(bbox)}, expected [x, y, width, height] in pixels, finite"
        )
    return bbox


def _checked_score(path: Path | str, index: int, score: Any) -> float:
    if type(score) not in (float, int) or not 0 <= score <= 1:
        raise AnnotationError(
            path, f"prediction {index}: score {_short(score)}, expected a number from 0 to 1; divide percent by 100"
        )
    return score


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _short(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
