"""What a run stands on: device, ranks, weights file, versions, network, licence, tracking."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from tl_datasets.errors import TlError, WeightsError
from tl_detection.config import FasterRcnnConfig, RunConfig
from tl_detection.devices import amp_dtype, pick_device
from tl_detection.environment import environment
from tl_detection.plan.findings import Finding, Section, look, ok, stop
from tl_detection.tracking.tracker import check_tracking

_LICENCES = {
    "yolo": "AGPL-3.0 of ultralytics, whose network, loss and target assignment are used: offer what you distribute "
    "with it, weights as its vendor reads them included, under the same terms, or get a licence from the vendor",
    "faster_rcnn": "BSD-3-Clause of torchvision; nothing of ultralytics is imported",
}
# Ultralytics would upload with it; it is taken away before the import.
_KEY = "ULTRALYTICS_API_KEY"


def look_at_surroundings(config: RunConfig) -> Section:
    """What training needs beside frames."""
    findings = [_judge_device(config), *_judge_weights(config), *_judge_tracking(config)]
    online = f"; {_KEY} is set and is not used" if os.environ.get(_KEY) else ""
    findings.append(ok(f"network: nothing is downloaded and nothing is sent{online}"))
    found = environment()
    versions = ", ".join(f"{name} {number}" for name, number in found["packages"].items() if number)
    return Section(
        title="surroundings",
        findings=tuple(findings),
        notes=(
            f"licence: {_LICENCES[config.model.kind]}; this program AGPL-3.0-or-later",
            f"python {found['python']}, {versions}",
        ),
        values={"environment": found, "licence": _LICENCES[config.model.kind]},
    )


def _judge_device(config: RunConfig) -> Finding:
    settings = config.train
    try:
        device = pick_device(settings.device)
    except TlError as error:
        return stop(str(error))
    precision = str(amp_dtype(settings.amp, device) or torch.float32).removeprefix("torch.")
    message = f"device: {device} in {precision}"
    if device.type == "cuda":
        count = torch.cuda.device_count()
        message += f", {torch.cuda.get_device_name(device)}"
        if count > 1:
            message += f"; one rank is looked at here, torchrun --nproc_per_node={count} uses all {count}"
        return ok(message)
    if settings.device == "auto":
        return look(f"{message}: there is no CUDA device, and train.device: auto takes what there is")
    return ok(message)


def _judge_weights(config: RunConfig) -> list[Finding]:
    model = config.model
    files: dict[str, Path | None] = {"model.weights": model.weights}
    if isinstance(model, FasterRcnnConfig):
        files["model.weights_backbone"] = model.weights_backbone
    given = {key: path for key, path in files.items() if path is not None}
    if not given:
        return [ok("weights: none, the model starts from scratch")]
    found = []
    for key, path in given.items():
        try:
            found.append(ok(f"{key}: {path}: {_read(config, key, path)}"))
        except TlError as error:
            found.append(stop(f"{key}: {error}"))
    return found


def _read(config: RunConfig, key: str, path: Path) -> str:
    """Read a weights file as training will, and say what is in it."""
    model = config.model
    if isinstance(model, FasterRcnnConfig):
        from tl_detection.training.faster_rcnn_weights import read_backbone, read_start_weights

        if key == "model.weights_backbone":
            return f"{len(read_backbone(path, model.backbone))} tensors of {model.backbone}"
        start = read_start_weights(path, model.backbone, model.version)
    else:
        from tl_detection.training.yolo_start import read_start_weights as read_yolo

        start = read_yolo(path)
    if not start.state:
        raise WeightsError(f"{path}: holds no weights; use another file")
    return f"{len(start.state)} tensors"


def _judge_tracking(config: RunConfig) -> list[Finding]:
    uri = config.track.mlflow
    if uri is None:
        return []
    try:
        check_tracking(config)
    except TlError as error:
        return [stop(str(error))]
    if uri.startswith(("http:", "https:", "databricks")):
        return [look(f"track.mlflow: {uri}: parameters and measures are sent there, as asked; nothing else is sent")]
    return [ok(f"track.mlflow: {uri}, on this machine")]
