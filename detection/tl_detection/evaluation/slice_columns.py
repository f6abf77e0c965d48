"""The columns by which frames, objects and detections are told apart in slices.

A name of the catalog's frames table means the frame (`weather`, `sequence`), one of its annotations table the object
(`state`, `occluded`). `width_px` and `height_px` are those of the box; the image's are `image_width_px` and
`image_height_px`. Sizes are also given in pixels of the network's input, where its size is known. Widths and heights
are to a thousandth of a pixel (see `network_size`); `area_px2` is exact, as the COCO ranges have it.

What is known of a detection: its frame, its box and so its size, its class, and of its state what its class says.
Nobody knows whether what it reports is occluded or relevant.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import polars as pl

from tl_datasets.catalog import ANNOTATION_SCHEMA, BOX_COLUMNS, FRAME_SCHEMA
from tl_datasets.errors import UsageError
from tl_datasets.network_size import InputSize, box_sizes_px, input_scales
from tl_datasets.taxonomy import (
    CATEGORIES,
    ConditionSource,
    Facing,
    LabelStatus,
    Orientation,
    Pictogram,
    PixelFormat,
    Relevance,
    Scene,
    State,
    TimeOfDay,
    Weather,
)
from tl_detection.evaluation.ground_truth import GroundTruth
from tl_detection.evaluation.matching import Matched
from tl_detection.evaluation.pairs import FloatArray, IntArray, area_px2

# The image's size yields its name to the box's; a list is no value to slice by.
_RENAMED = {"image_width_px": "width_px", "image_height_px": "height_px"}
_FRAME_COLUMNS = {
    **{name: name for name in FRAME_SCHEMA if name not in {"labelled_categories", *_RENAMED.values()}},
    **_RENAMED,
}
# Ignore areas are no objects, so the flag says nothing.
_ANNOTATION_COLUMNS = tuple(name for name in ANNOTATION_SCHEMA if name not in {"frame_id", "ignore", *BOX_COLUMNS})
NETWORK_COLUMNS = ("network_width_px", "network_height_px")
SIZE_COLUMNS = ("width_px", "height_px", *NETWORK_COLUMNS, "area_px2")

FRAME_TYPES: dict[str, pl.DataType] = {name: FRAME_SCHEMA[column] for name, column in _FRAME_COLUMNS.items()}
OBJECT_TYPES: dict[str, pl.DataType] = {
    **{name: ANNOTATION_SCHEMA[name] for name in (*BOX_COLUMNS, *_ANNOTATION_COLUMNS)},
    **dict.fromkeys(SIZE_COLUMNS, pl.Float64()),
    "class_name": pl.String(),
}
COLUMN_TYPES: dict[str, pl.DataType] = {**FRAME_TYPES, **OBJECT_TYPES}

VOCABULARIES: dict[str, tuple[str, ...]] = {
    "weather": (*Weather,),
    "scene": (*Scene,),
    "time_of_day": (*TimeOfDay,),
    "condition_source": (*ConditionSource,),
    "label_status": (*LabelStatus,),
    "pixel_format": (*PixelFormat,),
    "category": CATEGORIES,
    "state": (*State,),
    "pictogram": (*Pictogram,),
    "relevance": (*Relevance,),
    "facing": (*Facing,),
    "orientation": (*Orientation,),
}
# `train` is a category as well as a part of the data, so it is refused where it stands alone instead of misread.
WORDS: dict[str, tuple[str, ...]] = {**VOCABULARIES, "split": ("train", "val", "test")}

# What nobody knows of a detection, apart from the state, which its class may say.
UNKNOWN_OF_DETECTIONS = tuple(name for name in _ANNOTATION_COLUMNS if name != "state")


def is_of_frames(columns: Collection[str]) -> bool:
    """True where all columns are of the frames table."""
    return all(column in FRAME_TYPES for column in columns)


def require_input_size(columns: Collection[str], input_size: InputSize | None, what: str) -> None:
    """Refuse sizes in pixels of the network where nobody said how large its input is.

    Raises:
        UsageError: It is needed and not known.
    """
    asked = [column for column in NETWORK_COLUMNS if column in columns]
    if asked and input_size is None:
        raise UsageError(f"{what}: {asked[0]} needs the size of the detector's input; give --input-size 1280x736")


def columns_of_frames(truth: GroundTruth, columns: Collection[str]) -> pl.DataFrame:
    """F rows with those of the columns that are of the frames table, and a row number."""
    wanted = [pl.col(_FRAME_COLUMNS[name]).alias(name) for name in columns if name in FRAME_TYPES]
    return truth.frames.select(wanted).with_row_index("row") if wanted else _rows(len(truth))


def columns_of_objects(truth: GroundTruth, columns: Collection[str], input_size: InputSize | None) -> pl.DataFrame:
    """N rows, one per object or ignore area, with the columns and a row number."""
    own = [name for name in columns if name in _ANNOTATION_COLUMNS]
    parts = [_of_boxes(truth, truth.frame_index, truth.class_id, truth.xyxy, columns, input_size)]
    parts += [truth.boxes.select(own)] if own else []
    return pl.concat(parts, how="horizontal")


def columns_of_detections(matched: Matched, columns: Collection[str], input_size: InputSize | None) -> pl.DataFrame:
    """D rows with those of the columns that are known of every detection, and a row number."""
    return _of_boxes(matched.ground_truth, matched.frame_index, matched.class_id, matched.xyxy, columns, input_size)


def _of_boxes(
    truth: GroundTruth,
    frame_index: IntArray,
    class_id: IntArray,
    xyxy: FloatArray,
    columns: Collection[str],
    input_size: InputSize | None,
) -> pl.DataFrame:
    require_input_size(columns, input_size, "slices")
    made: dict[str, pl.Series] = {
        name: pl.Series(name, xyxy[:, index]) for index, name in enumerate(BOX_COLUMNS) if name in columns
    }
    if {"width_px", "height_px", *NETWORK_COLUMNS}.intersection(columns):
        sizes = box_sizes_px(xyxy)
        made |= {name: pl.Series(name, sizes[:, axis]) for axis, name in enumerate(("width_px", "height_px"))}
        if input_size is not None and set(NETWORK_COLUMNS).intersection(columns):
            scale = input_scales(truth.frames, input_size)[frame_index]
            made |= {name: pl.Series(name, sizes[:, axis] * scale) for axis, name in enumerate(NETWORK_COLUMNS)}
    if "area_px2" in columns:
        made["area_px2"] = pl.Series("area_px2", area_px2(xyxy))
    if "class_name" in columns:
        # An ignore area of every class has a negative id, which reads the null at the end.
        names = pl.Series("class_name", [*truth.names, None], dtype=pl.String)
        made["class_name"] = names.gather(np.where(class_id >= 0, class_id, len(truth.names)))
    wanted = {name: series for name, series in made.items() if name in columns}
    of_frames = columns_of_frames(truth, columns).drop("row")
    parts = [_rows(len(xyxy)), pl.DataFrame(wanted)] if wanted else [_rows(len(xyxy))]
    parts += [of_frames[frame_index]] if of_frames.width else []
    return pl.concat(parts, how="horizontal")


def _rows(n: int) -> pl.DataFrame:
    return pl.DataFrame({"row": np.arange(n, dtype=np.uint32)})
