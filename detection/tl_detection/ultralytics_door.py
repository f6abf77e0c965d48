"""The only door to ultralytics: no other file imports it.

The library asks name servers and the package index while it is imported, installs packages, downloads fonts and
weights, reports usage and uploads runs. All of that is switched off here, before the import, so that nothing is tried
on a closed network and nothing leaves an open one. What the import changes for the whole process (`torch.save`,
`Image.open`, print options, OpenCV's threads, environment variables) is put back.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from tl_datasets.errors import UsageError

logger = logging.getLogger(__name__)

_LOCKS = {
    "YOLO_OFFLINE": "1",
    "YOLO_AUTOINSTALL": "false",
    "YOLO_VERBOSE": "false",
    "ULTRALYTICS_SAFE_LOAD": "1",
    "NO_ALBUMENTATIONS_UPDATE": "1",
}
# With one of these ultralytics uploads console output, metrics and checkpoints of every training.
_KEYS = ("ULTRALYTICS_API_KEY",)
# Looked for in the configuration folder before they are downloaded.
_FONTS = ("Arial.ttf", "Arial.Unicode.ttf")
_INTEGRATIONS = ("clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb")


def _lock_environment() -> None:
    """Set everything that ultralytics reads once, at its import."""
    if "ultralytics" in sys.modules:
        from ultralytics import utils

        if utils.ONLINE or utils.AUTOINSTALL or not utils.SAFE_LOAD:
            raise UsageError(
                "ultralytics was imported before tl_detection could close its network access; "
                "import tl_detection.ultralytics_door first"
            )
    for key in _KEYS:
        if os.environ.pop(key, None):
            logger.warning("%s is set: it is not used, and nothing is uploaded", key)
    os.environ.update(_LOCKS)
    # A folder per process: no settings or keys of the user are read, nothing is left behind, and a read-only home
    # is no obstacle.
    folder = Path(tempfile.mkdtemp(prefix="tl-ultralytics-"))
    atexit.register(_remove, folder, os.getpid())
    os.environ["YOLO_CONFIG_DIR"] = str(folder)
    settings = folder / "Ultralytics"
    settings.mkdir()
    _place_fonts(settings)


def _remove(folder: Path, pid: int) -> None:
    if os.getpid() == pid:  # a forked worker leaves its parent's folder alone
        shutil.rmtree(folder, ignore_errors=True)


def _place_fonts(folder: Path) -> None:
    package = find_spec("matplotlib")  # not imported: that makes a folder in the user's home
    if package is None or package.origin is None:
        return
    font = Path(package.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    for name in _FONTS:
        (folder / name).symlink_to(font)


def _lock_settings() -> None:
    """Switch off what is read from settings and hooks after the import."""
    utils.SETTINGS.update({"sync": False, "api_key": "", "openai_api_key": "", **dict.fromkeys(_INTEGRATIONS, False)})
    # Every trainer, validator and predictor would collect the usage events and platform uploads here.
    callbacks.add_integration_callbacks = lambda instance: None
    for handler in utils.LOGGER.handlers[:]:
        utils.LOGGER.removeHandler(handler)
    utils.LOGGER.parent = logger
    utils.LOGGER.propagate = True
    utils.LOGGER.setLevel(logging.DEBUG if logger.isEnabledFor(logging.DEBUG) else logging.WARNING)


_before = (dict(os.environ), torch.save, cv2.getNumThreads(), np.get_printoptions(), Image.open)
_lock_environment()

from ultralytics import utils  # noqa: E402
from ultralytics.nn.modules import Conv  # noqa: E402
from ultralytics.nn.tasks import DetectionModel, torch_safe_load  # noqa: E402
from ultralytics.optim import MuSGD  # noqa: E402
from ultralytics.utils import callbacks, torch_utils  # noqa: E402
from ultralytics.utils.loss import E2ELoss, v8DetectionLoss  # noqa: E402

_lock_settings()
for _name in set(os.environ) - set(_before[0]) - set(_LOCKS) - {"YOLO_CONFIG_DIR"}:
    del os.environ[_name]
torch.save = _before[1]
cv2.setNumThreads(_before[2])
np.set_printoptions(**_before[3])
Image.open = _before[4]  # theirs tries to install a package for every file that does not open
torch.set_printoptions(profile="default")
del _before

# Architectures that ultralytics ships, as YAML files.
MODELS_FOLDER = Path(utils.ROOT) / "cfg" / "models"
# How ultralytics weighs the parts of its loss by default.
LOSS_GAINS = {name: float(getattr(utils.DEFAULT_CFG, name)) for name in ("box", "cls", "dfl")}


def yolo_class() -> Any:
    """Give `YOLO`, which predicts and exports; it brings all of the library along, so it is imported when asked for."""
    from ultralytics import YOLO

    return YOLO


def write_weights(module: DetectionModel, names: Sequence[str], path: Path) -> None:
    """Write a network as a checkpoint of ultralytics' own, which `YOLO(path)` opens.

    Args:
        module: On the CPU, not fused. It is changed: it takes the names, and is of ultralytics' class afterwards.
        names: Of its classes, by id.
        path: Ending in `.pt`.
    """
    # Of the checkpoint's classes ultralytics opens its own alone; what ours adds matters in training only.
    module.__class__ = DetectionModel
    module.names = dict(enumerate(names))
    vars(module).update(task="detect", args={})
    torch.save({"model": module.eval(), "train_args": {}}, path)


def export_onnx(path: Path, width_px: int, height_px: int, *, end_to_end: bool) -> tuple[Path, bool]:
    """Export a checkpoint of ultralytics' own with its exporter, as it comes.

    Args:
        path: The checkpoint; the file lies beside it.
        width_px: Of the network's input.
        height_px: Of the network's input.
        end_to_end: Use the head without suppression, where there is one.

    Returns:
        The ONNX file, and whether it was simplified, which the exporter does where onnxslim is installed.
    """
    simplify = find_spec("onnxslim") is not None
    nms = {"nms": False} if end_to_end else {}
    model = yolo_class()(str(path))
    with warnings.catch_warnings():
        # It uses torch's older exporter, which warns of its age.
        warnings.simplefilter("ignore")
        file = model.export(format="onnx", imgsz=(height_px, width_px), simplify=simplify, device="cpu", **nms)
    return Path(file), simplify


def limit_threads(threads: int) -> None:
    """Limit everything that `predict` uses in this process to a number of threads.

    ultralytics sets torch's number by the number of cores when it chooses its device, and opens onnxruntime without
    options: a thread per core, which fight for one where the process is pinned.
    """
    import onnxruntime

    torch_utils.NUM_THREADS = threads  # type: ignore[attr-defined]
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    session = onnxruntime.InferenceSession

    def limited(path: Any, options: Any = None, **arguments: Any) -> Any:
        if options is None:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
        return session(path, options, **arguments)

    onnxruntime.InferenceSession = limited


__all__ = [
    "LOSS_GAINS",
    "MODELS_FOLDER",
    "Conv",
    "DetectionModel",
    "E2ELoss",
    "MuSGD",
    "export_onnx",
    "limit_threads",
    "torch_safe_load",
    "v8DetectionLoss",
    "write_weights",
    "yolo_class",
]
