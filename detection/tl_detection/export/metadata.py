"""What an exported file says of itself, so that nobody has to guess its classes, colours or sizes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import metadata as packages
from typing import Any

from tl_datasets.letterbox import PAD_VALUE
from tl_detection.checkpoint import Checkpoint
from tl_detection.detectors.suppression import STATE_IOU
from tl_detection.export.camera import Camera
from tl_detection.export.graph import IR_VERSION, OPSET
from tl_detection.export.preprocess import RESIZE_RULE
from tl_runtime.contract import CONTRACT_VERSION, METADATA_KEY

# Weights that ultralytics' code trained are under its licence, as its own exports say of themselves.
_LICENCES = {"yolo": "AGPL-3.0 (trained with ultralytics)", "faster_rcnn": "AGPL-3.0-or-later"}
_SUPPRESSION_RULE = (
    "classes of one group exclude each other: where boxes of a group with several classes overlap by an IoU over "
    f"{STATE_IOU}, the one with the highest score stays"
)
_RUN_KEYS = ("run", "name", "epoch", "catalog_fingerprint", "label_space_fingerprint")


def describe(
    checkpoint: Checkpoint,
    fingerprint: str,
    *,
    camera: Camera,
    score_floor: float,
    max_detections: int,
    operating_scores: Sequence[float] | None = None,
    variant: str = "detector",
) -> dict[str, Any]:
    """Collect what a file says of itself.

    Args:
        checkpoint: What is exported.
        fingerprint: Of the checkpoint's file.
        camera: The frames that it takes.
        score_floor: Boxes at or below are not reported.
        max_detections: Rows of the outputs.
        operating_scores: From which score on a detection of each class counts, by id; None = nobody chose any.
        variant: "detector", or "raw" for the network alone.

    Returns:
        Plain values. The same checkpoint and versions give the same: there is no time, path or machine in it.
    """
    space = checkpoint.label_space
    width, height = int(checkpoint.model["width_px"]), int(checkpoint.model["height_px"])
    frame_width, frame_height = (None, None) if camera.frame_size is None else camera.frame_size
    described = zip(space.names, space.states, space.pictograms, space.groups, strict=True)
    return {
        "contract": CONTRACT_VERSION,
        "variant": variant,
        "kind": checkpoint.kind,
        "architecture": checkpoint.model.get("architecture") or checkpoint.model.get("backbone"),
        "precision": "float32",
        "classes": [
            {"id": i, "name": name, "state": _word(state), "pictogram": _word(pictogram), "group": group}
            for i, (name, state, pictogram, group) in enumerate(described)
        ],
        "label_space": json.loads(space.to_json()),
        "color_order": camera.color_order,
        "frame": {"width_px": frame_width, "height_px": frame_height, "batch": camera.batch},
        "input": {"width_px": width, "height_px": height},
        "resize_rule": RESIZE_RULE,
        "pad_value": PAD_VALUE,
        "score_floor": score_floor,
        "suppression_rule": _SUPPRESSION_RULE,
        "operating_scores": None if operating_scores is None else dict(zip(space.names, operating_scores, strict=True)),
        "max_detections": max_detections,
        "opset": OPSET,
        "ir_version": IR_VERSION,
        "license": _LICENCES[checkpoint.kind],
        "checkpoint_fingerprint": fingerprint,
        **checkpoint.origin,
        **{key: checkpoint.meta[key] for key in _RUN_KEYS if key in checkpoint.meta},
        "versions": {name: packages.version(name) for name in ("torch", "torchvision", "onnx", "onnxscript")},
    }


def as_entries(everything: Mapping[str, Any]) -> dict[str, str]:
    """The metadata entries of a file: everything as JSON under `tl`, and the most asked-for again under plain keys."""
    frame, network, scores = everything["frame"], everything["input"], everything["operating_scores"]
    size = "any" if frame["width_px"] is None else f"{frame['width_px']}x{frame['height_px']}"
    plain = {
        "names": json.dumps([item["name"] for item in everything["classes"]]),
        "color_order": everything["color_order"],
        "frame_size": size,
        "input_size": f"{network['width_px']}x{network['height_px']}",
        "resize_rule": everything["resize_rule"],
        "pad_value": str(everything["pad_value"]),
        "score_floor": str(everything["score_floor"]),
        **({} if scores is None else {"operating_scores": json.dumps(scores)}),
        "max_detections": str(everything["max_detections"]),
        "precision": everything["precision"],
        "license": everything["license"],
        "run": str(everything.get("run", "")),
        "checkpoint_fingerprint": everything["checkpoint_fingerprint"],
    }
    return {METADATA_KEY: json.dumps(everything), **plain}


def _word(value: Any) -> str | None:
    return None if value is None else str(value)
