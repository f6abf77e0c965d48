"""What a run was made with: versions, devices, and the program itself."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import tl_datasets
import tl_detection

_PACKAGES = ("torch", "torchvision", "ultralytics", "albumentations", "opencv-python", "numpy", "polars", "onnxruntime")


def environment() -> dict[str, Any]:
    """Versions, device and source revision that a run was made with."""
    import torch

    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": versions,
        "cuda": torch.version.cuda,
        "devices": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "threads": torch.get_num_threads(),
        "revision": source_revision(),
    }


def source_revision() -> str | None:
    """Git commit of the program's own checkout, with a + if it has uncommitted changes; None outside a checkout."""
    here = Path(__file__).resolve().parent
    try:
        commit = subprocess.run(  # noqa: S603
            ["git", "-C", str(here), "describe", "--always", "--dirty=+", "--abbrev=12"],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return commit.stdout.strip() or None


@lru_cache(maxsize=1)
def sources_fingerprint() -> str:
    """16 hex digits over the source files of both packages, wherever they are installed."""
    digest = hashlib.sha256()
    for package in (tl_datasets, tl_detection):
        root = Path(package.__path__[0])
        for path in sorted(root.rglob("*"), key=lambda path: path.relative_to(root).as_posix()):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{package.__name__}/{path.relative_to(root).as_posix()}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
