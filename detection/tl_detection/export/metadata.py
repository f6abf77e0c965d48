"""What an exported file says of itself, so that nobody has to guess its classes, colours or sizes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import metadata as packages
from typing import Any

from tl_datasets.letterbox import PAD_VALUE
from tl_detection.checkpoint import Checkpoint
from tl_detection.detectors.suppression import STATE_IOU
from tl_detection.export.graph import OPSET
from tl_detection.export.preprocess import RESIZE_RULE
from tl_runtime.session import CONTRACT_VERSION, METADATA_KEY

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
    score_floor: float,
    max_detections: int,
    operating_scores: Sequence[float] | None = None,
) -> dict[str, str]:
    """Collect the entries of a file.

    Args:
        checkpoint: What is exported.
        fingerprint: Of the checkpoint's file.
        score_floor: Boxes at or below are not reported.
        max_detections: Rows of the outputs.
        operating_scores: From which score on a detection of each class counts, by id; None = nobody chose any.

    Returns:
        Everything as JSON under `tl`, and the most asked-for entries again under plain keys. The same checkpoint and
        versions give the same text: there is no time, path or machine in it.
    """
    label_space = checkpoint.label_space
    width, height = int(checkpoint.model["width_px"]), int(checkpoint.model["height_px"])
    scores = None if operating_scores is None else dict(zip(label_space.names, operating_scores, strict=True))
    everything: dict[str, Any] = {
        "contract": CONTRACT_VERSION,
        "kind": checkpoint.kind,
        "architecture": checkpoint.model.get("architecture") or checkpoint.model.get("backbone"),
        "classes": [
            {"id": i, "name": name, "state": None if state is None else str(state), "group": group}
            for i, (name, state, group) in enumerate(
                zip(label_space.names, label_space.states, label_space.groups, strict=True)
            )
        ],
        "label_space": json.loads(label_space.to_json()),
        "color_order": "RGB",
        "input": {"width_px": width, "height_px": height},
        "resize_rule": RESIZE_RULE,
        "pad_value": PAD_VALUE,
        "score_floor": score_floor,
        "suppression_rule": _SUPPRESSION_RULE,
        **({} if scores is None else {"operating_scores": scores}),
        "max_detections": max_detections,
        "batch": 1,
        "opset": OPSET,
        "license": _LICENCES[checkpoint.kind],
        "checkpoint_fingerprint": fingerprint,
        **checkpoint.origin,
        **{key: checkpoint.meta[key] for key in _RUN_KEYS if key in checkpoint.meta},
        "versions": {name: packages.version(name) for name in ("torch", "torchvision", "onnx", "onnxscript")},
    }
    plain = {
        "names": json.dumps(label_space.names),
        "color_order": "RGB",
        "input_size": f"{width}x{height}",
        "resize_rule": RESIZE_RULE,
        "pad_value": str(PAD_VALUE),
        "score_floor": str(score_floor),
        **({} if scores is None else {"operating_scores": json.dumps(scores)}),
        "max_detections": str(max_detections),
        "license": everything["license"],
        "run": str(everything.get("run", "")),
        "checkpoint_fingerprint": fingerprint,
    }
    return {METADATA_KEY: json.dumps(everything), **plain}
