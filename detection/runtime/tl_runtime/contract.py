"""The contract of an exported file: names, shapes and meaning of what goes in and out, and what it says of itself.

A file carries its contract as JSON in the metadata entry `tl`; `contract.schema.json` beside this module describes it.
Two variants exist: a detector takes camera frames and gives lights in their pixels, `raw` is the network alone.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tl_runtime.errors import ModelError

# Raised when inputs, outputs or the metadata change their meaning.
CONTRACT_VERSION = 2
METADATA_KEY = "tl"
INPUT_NAME = "image"
# An initializer that may be overridden when the file is run: the lowest score of each class.
THRESHOLDS_NAME = "score_thresholds"
# Names, shapes and meaning follow TensorRT's EfficientNMS.
OUTPUT_NAMES = ("num_detections", "detection_boxes", "detection_scores", "detection_classes")
RAW_INPUT_NAME = "images"
RAW_OUTPUT_NAMES = ("boxes", "scores")
# Instead of a count: the network gave what is not a finite number, so that nothing is known of the frame.
NOT_FINITE = -1
SCHEMA_FILE = Path(__file__).with_name("contract.schema.json")
# A damaged file may hold a text of any length where a number is expected; a message is one line to be read.
_MOST_LETTERS = 200
REMEDY = "make one with: tl export RUN --out FILE.onnx"


@dataclass(frozen=True, slots=True, kw_only=True)
class LightClass:
    """A class of an exported detector.

    Attributes:
        name: Its name.
        state: What such a light shows ("red", "off" ...); None where the class has no single state.
        pictogram: What its lens shows ("circle", "arrow_left" ...); None where the class has no single one.
        group: Classes of one group exclude each other on one lamp.
        threshold: Lowest score that is reported, in [0, 1].
    """

    name: str
    state: str | None
    pictogram: str | None
    group: int
    threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What a file says of itself.

    Attributes:
        variant: "detector" or "raw".
        classes: By id.
        color_order: "RGB" or "BGR", of the frames that it takes.
        frame_size: Width and height of the frames in pixels; None = any.
        batch: Frames at once.
        network_size: Width and height of the network's input in pixels.
        max_detections: Most lights in a frame.
        has_thresholds: Whether somebody chose the thresholds; else they are the score floor of the trainer.
        metadata: Everything, as it stands in the file.
    """

    variant: Literal["detector", "raw"]
    classes: tuple[LightClass, ...]
    color_order: Literal["RGB", "BGR"]
    frame_size: tuple[int, int] | None
    batch: int
    network_size: tuple[int, int]
    max_detections: int
    has_thresholds: bool
    metadata: Mapping[str, Any]


def read_contract(entries: Mapping[str, str], source: str) -> Contract:
    """Read what an exported file says of itself. Whatever stands in the entries, nothing but ModelError is raised.

    Args:
        entries: The metadata entries of the file.
        source: Named in messages.

    Raises:
        ModelError: The entries are not those of an exported detector, are damaged, or of another contract.
    """
    if METADATA_KEY not in entries:
        raise ModelError(f"{source}: an ONNX file without tl's metadata, so its classes are unknown; {REMEDY}")
    try:
        data = json.loads(entries[METADATA_KEY])
        version = data["contract"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelError(f"{source}: the metadata of tl are damaged ({error!r}); {REMEDY}") from error
    if type(version) is not int or version != CONTRACT_VERSION:
        raise ModelError(
            f"{source}: contract version {_short(version)}, expected {CONTRACT_VERSION}; use the tl that wrote it, "
            f"or {REMEDY}"
        )
    try:
        return _parse(data)
    except (KeyError, TypeError, ValueError) as error:
        what = f"'{error.args[0]}' is missing" if isinstance(error, KeyError) else str(error)
        raise ModelError(f"{source}: the metadata of tl are damaged ({what[:_MOST_LETTERS]}); {REMEDY}") from error


def _parse(data: Mapping[str, Any]) -> Contract:
    floor = _number(data, "score_floor", 0, 1)
    scores = data["operating_scores"]
    items = _list(data, "classes")
    names = [_text(item, "name") for item in items]
    if not names or len(set(names)) != len(names):
        raise ValueError("classes: expected one or more, each with a name of its own")
    # The network's outputs count the classes: in another order, a red light would be a green one.
    if [_whole(item, "id", 0) for item in items] != list(range(len(items))):
        raise ValueError("classes: expected ids that count from 0 in the order of the list")
    if scores is not None and (not isinstance(scores, dict) or set(scores) != set(names)):
        raise ValueError("operating_scores: expected one score for each class")
    classes = tuple(
        LightClass(
            name=name,
            state=_text(item, "state", may_be_none=True),
            pictogram=_text(item, "pictogram", may_be_none=True),
            group=_whole(item, "group", 0),
            threshold=floor if scores is None else _number(scores, name, 0, 1),
        )
        for name, item in zip(names, items, strict=True)
    )
    frame, network = _object(data, "frame"), _object(data, "input")
    is_any = frame["width_px"] is None and frame["height_px"] is None
    return Contract(
        variant=_choice(data, "variant", ("detector", "raw")),
        classes=classes,
        color_order=_choice(data, "color_order", ("RGB", "BGR")),
        frame_size=None if is_any else (_whole(frame, "width_px", 1), _whole(frame, "height_px", 1)),
        batch=_whole(frame, "batch", 1),
        network_size=(_whole(network, "width_px", 1), _whole(network, "height_px", 1)),
        max_detections=_whole(data, "max_detections", 1),
        has_thresholds=scores is not None,
        metadata=data,
    )


def _number(data: Mapping[str, Any], key: str, low: float, high: float) -> float:
    value = data[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{key}: {_short(value)}, expected a number from {low} to {high}")
    return float(value)


def _whole(data: Mapping[str, Any], key: str, low: int) -> int:
    value = data[key]
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise ValueError(f"{key}: {_short(value)}, expected a whole number from {low} on")
    return value


def _text(data: Mapping[str, Any], key: str, *, may_be_none: bool = False) -> Any:
    value = data[key]
    if not isinstance(value, str) and not (may_be_none and value is None):
        raise ValueError(f"{key}: {_short(value)}, expected a text")
    return value


def _choice(data: Mapping[str, Any], key: str, known: tuple[str, ...]) -> Any:
    if data[key] not in known:
        raise ValueError(f"{key}: {_short(data[key])}, expected {' or '.join(known)}")
    return data[key]


def _object(data: Mapping[str, Any], key: str) -> dict[str, Any]:
    if not isinstance(data[key], dict):
        raise ValueError(f"{key}: {_short(data[key])}, expected an object")
    return data[key]


def _list(data: Mapping[str, Any], key: str) -> list[Any]:
    if not isinstance(data[key], list):
        raise ValueError(f"{key}: expected a list")
    return data[key]


def _short(value: Any) -> str:
    """A value as JSON gave it, however deep or long it is."""
    return reprlib.repr(value)
