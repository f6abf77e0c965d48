"""What stands beside the file: which contenders there are for its weights, and why others are not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tl_datasets.errors import WeightsError
from tl_detection.benchmark.children import child_environment
from tl_detection.benchmark.contender import Absent, Contender
from tl_detection.benchmark.prepare import PREPARED, Prepared
from tl_detection.benchmark.providers import PROVIDERS, TORCH_DEVICES

PLAIN = "plain network + OpenCV"
ULTRALYTICS_ONNX = "ultralytics predict, its ONNX"
ULTRALYTICS_PT = "ultralytics predict, .pt"
TORCH = "torchvision eager"


def prepare_beside(weights: Path, folder: Path) -> Prepared:
    """Make everything in a process of its own, so that this one needs no torch.

    Raises:
        WeightsError: The weights cannot be used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "tl_detection.benchmark.prepare", str(weights), str(folder)],
        env=child_environment(),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    result = folder / PREPARED
    if not result.is_file():
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise WeightsError(f"{weights}: cannot be run beside the file ({said[-1] if said else 'no reason was given'})")
    answer: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    if "error" in answer:
        raise WeightsError(answer["error"])
    return Prepared(**answer)


def file_contender(
    path: Path, provider: str, color_order: str = "RGB", name: str | None = None, compared_with: str | None = None
) -> Contender:
    """The exported file."""
    return Contender(
        name=name or f"{path.name}, {provider}",
        engine="exported",
        settings={"path": str(path), "provider": PROVIDERS[provider], "color_order": color_order},
        about="camera frame to boxes through the in-vehicle runtime",
        compared_with=compared_with,
    )


def beside_contenders(
    made: Prepared | None, provider: str, score: float, file: str, label: str = ""
) -> tuple[list[Contender], list[Absent]]:
    """What the same weights can be run by.

    Args:
        made: What was prepared; None = no weights were given.
        provider: As the file's.
        score: The lowest score that is kept.
        file: Name of the contender that must find the same.
        label: Put behind the names, to tell those of several files apart.

    Returns:
        Those that can be run, and those that cannot.
    """
    tail = (f", {provider}" if provider != "CPU" else "") + label
    if made is None:
        reason = "no weights were given; name the file's own with --beside RUN or --beside WEIGHTS.pt"
        return [], [Absent(name=f"{name}{tail}", reason=reason) for name in (PLAIN, ULTRALYTICS_ONNX, ULTRALYTICS_PT)]
    if made.kind != "yolo":
        two_parts = "the network has a suppression of proposals in its middle, so that there is no network alone"
        eager = Contender(
            name=f"{TORCH}{tail}",
            engine="torch_checkpoint",
            settings={"path": made.weights, "device": TORCH_DEVICES[provider]},
            about="the checkpoint as tl evaluate runs it",
            compared_with=file,
        )
        return [eager], [
            Absent(name=f"{PLAIN}{tail}", reason=two_parts),
            Absent(name=f"{ULTRALYTICS_ONNX}{tail}", reason="the weights are a Faster R-CNN"),
        ]
    contenders, absent = [_plain(made, provider, score, file, tail)], []
    for name, path in ((ULTRALYTICS_ONNX, made.ultralytics_onnx), (ULTRALYTICS_PT, made.ultralytics_pt)):
        if path is None:
            absent.append(Absent(name=f"{name}{tail}", reason=made.faults.get("ultralytics_onnx", "was not made")))
        else:
            contenders.append(_predict(f"{name}{tail}", path, made, TORCH_DEVICES[provider], score, file))
    return contenders, absent


def _suppression(made: Prepared, score: float, *, suppresses: bool) -> str:
    overlap = f"IoU {made.iou} {'across classes' if made.across_classes else 'within each class'}"
    if not suppresses:
        overlap = "no suppression, which the file has"
    elif not made.same_suppression:
        overlap += " (the file's own rules differ: see its metadata)"
    return f"score {score}, {overlap}, {made.max_detections} boxes at most"


def _plain(made: Prepared, provider: str, score: float, file: str, tail: str) -> Contender:
    return Contender(
        name=f"{PLAIN}{tail}",
        engine="plain_network",
        settings={
            "path": made.network,
            "provider": PROVIDERS[provider],
            "width_px": made.width_px,
            "height_px": made.height_px,
            "score": score,
            "iou": made.iou,
            "across_classes": made.across_classes,
            "max_detections": made.max_detections,
            "end_to_end": made.end_to_end,
        },
        about="the network alone in onnxruntime, cv2 letterbox before and cv2 suppression after it; "
        + _suppression(made, score, suppresses=True),
        compared_with=file,
    )


def _predict(name: str, path: str, made: Prepared, device: str, score: float, file: str) -> Contender:
    simplified = ""
    if path.endswith(".onnx"):
        simplified = ", simplified" if made.simplified else ", not simplified (onnxslim is not installed)"
    return Contender(
        name=name,
        engine="ultralytics_predict",
        settings={
            "path": path,
            "predict": {
                "imgsz": [made.height_px, made.width_px],
                # Without it a .pt is given another input size than its ONNX file has.
                "rect": False,
                "conf": score,
                "iou": made.iou,
                "agnostic_nms": made.across_classes,
                "max_det": made.max_detections,
                "device": device,
                "verbose": False,
                **({"nms": False} if made.end_to_end else {}),
            },
        },
        about=f"YOLO(...).predict of one frame, input {made.width_px}x{made.height_px}{simplified}; "
        + _suppression(made, score, suppresses=not made.end_to_end),
        compared_with=file,
    )
