"""Everything that stands beside the file is made here, from the weights, in a process of its own.

Started as `python -m tl_detection.benchmark.prepare WEIGHTS FOLDER`; prints nothing and leaves `prepared.json` in the
folder. The command itself imports no torch.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

PREPARED = "prepared.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What was made; everything lies in one folder.

    Attributes:
        kind: "yolo" or "faster_rcnn".
        weights: The checkpoint.
        width_px: Of the network's input.
        height_px: Of the network's input.
        max_detections: Most boxes per frame.
        end_to_end: True if the head needs no suppression.
        iou: By how much boxes may overlap.
        across_classes: True if boxes of different classes suppress each other, too.
        same_suppression: True if the file suppresses by these two and nothing else.
        network: ONNX file of the network alone.
        ultralytics_pt: The weights as ultralytics' own checkpoint.
        ultralytics_onnx: The ONNX file that its exporter made of that.
        simplified: True if its exporter simplified it.
        faults: What could not be made -> why.
    """

    kind: str
    weights: str
    width_px: int
    height_px: int
    max_detections: int
    end_to_end: bool
    iou: float
    across_classes: bool
    same_suppression: bool
    network: str | None = None
    ultralytics_pt: str | None = None
    ultralytics_onnx: str | None = None
    simplified: bool = False
    faults: dict[str, str]


def prepare(weights: Path, folder: Path) -> Prepared:
    """Make what can be made of a checkpoint.

    Raises:
        WeightsError: The checkpoint cannot be used.
    """
    from tl_detection.checkpoint import load_checkpoint
    from tl_detection.detectors.suppression import STATE_IOU

    checkpoint = load_checkpoint(weights)
    model = checkpoint.model
    # One group of all classes, which is usual, is what ultralytics calls agnostic; groups beside each other it cannot.
    groups = checkpoint.label_space.groups
    across_classes = len(set(groups)) == 1 and len(groups) > 1
    common = {
        "kind": checkpoint.kind,
        "weights": str(weights),
        "width_px": int(model["width_px"]),
        "height_px": int(model["height_px"]),
        "max_detections": int(model["max_detections"]),
        "across_classes": across_classes,
    }
    if checkpoint.kind != "yolo":
        return Prepared(**common, end_to_end=False, iou=STATE_IOU, same_suppression=False, faults={})
    return _prepare_yolo(checkpoint, folder, common)


def _prepare_yolo(checkpoint, folder: Path, common: dict) -> Prepared:
    import onnx
    import torch

    from tl_detection.detectors.suppression import STATE_IOU
    from tl_detection.detectors.yolo import NMS_IOU, TWIN_IOU, RawPrediction, YoloDetector, build_yolo
    from tl_detection.export.graph import IR_VERSION
    from tl_detection.export.network import trace
    from tl_detection.ultralytics_door import export_onnx, write_weights

    faults: dict[str, str] = {}
    space = checkpoint.label_space
    detector = YoloDetector.from_checkpoint(checkpoint, torch.device("cpu"), source=common["weights"])
    example = torch.zeros(1, 3, detector.height_px, detector.width_px)
    alone = RawPrediction(detector.module)
    with torch.no_grad():
        alone(example)  # the head lays its grid of points at the first call; from then on it is a constant
    network = trace(alone, [example], ["raw"])
    network.ir_version = IR_VERSION
    network_path = folder / "network.onnx"
    onnx.save(network, str(network_path))

    module = build_yolo(checkpoint.model, len(space))
    module.load_state_dict(checkpoint.state)
    own, own_onnx, simplified = folder / "ultralytics.pt", None, False
    write_weights(module, space.names, own)
    try:
        own_onnx, simplified = export_onnx(own, detector.width_px, detector.height_px, end_to_end=detector.end_to_end)
    # Whatever another program's exporter raises: the rest can still be compared.
    except Exception as error:
        faults["ultralytics_onnx"] = " ".join(str(error).split()) or type(error).__name__
    across_classes = bool(common["across_classes"])
    return Prepared(
        **common,
        end_to_end=detector.end_to_end,
        iou=STATE_IOU if across_classes else TWIN_IOU if detector.end_to_end else NMS_IOU,
        same_suppression=across_classes or len(set(space.groups)) == len(space.groups),
        network=str(network_path),
        ultralytics_pt=str(own),
        ultralytics_onnx=None if own_onnx is None else str(own_onnx),
        simplified=simplified,
        faults=faults,
    )


def main() -> int:
    """Prepare, and leave what was made, or the reason why nothing was."""
    from tl_datasets.errors import TlError

    weights, folder = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        answer = asdict(prepare(weights, folder))
    except TlError as error:
        answer = {"error": str(error)}
    (folder / PREPARED).write_text(json.dumps(answer), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
