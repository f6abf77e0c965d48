"""Open a detector by its file, whichever engine made it."""

from __future__ import annotations

from pathlib import Path

from tl_datasets.errors import UsageError, WeightsError
from tl_detection.detector import Detector


def load_detector(path: Path | str, device: str = "auto") -> Detector:
    """Open a run folder, a checkpoint (.pt) or an exported model (.onnx).

    Args:
        path: A run folder stands for its `weights/best.pt`.
        device: "auto", "cpu", "cuda" or "cuda:N"; an exported model runs on the CPU alone.

    Raises:
        UsageError: There is no such device, or an exported model shall run elsewhere than on the CPU.
        WeightsError: The file is missing, foreign or cut off.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "weights" / "best.pt"
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; expected a run folder, RUN/weights/best.pt or FILE.onnx")
    if path.suffix == ".onnx":
        from tl_detection.detectors.onnx import OnnxDetector

        if device not in ("auto", "cpu"):
            raise UsageError(f"{path}: an exported model runs on the CPU here, not on '{device}'; leave --device out")
        return OnnxDetector(path)
    from tl_detection.checkpoint import load_checkpoint
    from tl_detection.devices import pick_device

    checkpoint = load_checkpoint(path)
    if checkpoint.kind == "yolo":
        from tl_detection.detectors.yolo import YoloDetector

        return YoloDetector.from_checkpoint(checkpoint, pick_device(device), source=str(path))
    from tl_detection.detectors.faster_rcnn import FasterRcnnDetector

    return FasterRcnnDetector.from_checkpoint(checkpoint, pick_device(device), source=str(path))
