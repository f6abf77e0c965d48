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
from importlib.util import find_spec
from pathlib import Path

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
from ultralytics.utils import callbacks  # noqa: E402
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

__all__ = [
    "LOSS_GAINS",
    "MODELS_FOLDER",
    "Conv",
    "DetectionModel",
    "E2ELoss",
    "MuSGD",
    "torch_safe_load",
    "v8DetectionLoss",
]
