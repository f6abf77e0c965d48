"""The folder of a run: `FOLDER/NAME/UTC-TIME/` with the configuration, environment, log, metrics and weights.

A run never writes into another run's folder. What is written whole is written under a temporary name and moved.
"""

from __future__ import annotations

import itertools
import json
import logging
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from tl_datasets.config import dump_config
from tl_datasets.images import write_whole
from tl_detection.config import RunConfig

_PACKAGES = ("torch", "torchvision", "ultralytics", "albumentations", "opencv-python", "numpy", "polars", "onnxruntime")


class RunDir:
    """One run folder.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path):
        self.path = path

    @classmethod
    def create(cls, config: RunConfig) -> RunDir:
        """Make a new folder, named by the time, and write the resolved configuration and the environment into it."""
        parent = config.folder / config.name
        parent.mkdir(parents=True, exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        path = parent / stamp
        for attempt in itertools.count(1):
            try:
                path.mkdir()
                break
            except FileExistsError:
                path = parent / f"{stamp}-{attempt}"
        run = cls(path)
        run.weights.mkdir()
        write_whole(run.config_path, dump_config(config))
        write_whole(path / "environment.json", json.dumps(environment(), indent=2) + "\n")
        return run

    @property
    def config_path(self) -> Path:
        """The resolved configuration; `tl train` runs it again."""
        return self.path / "config.yaml"

    @property
    def weights(self) -> Path:
        """Folder of `best.pt` (to use) and `last.pt` (to resume from)."""
        return self.path / "weights"

    @property
    def best(self) -> Path:
        """The weights that scored best."""
        return self.weights / "best.pt"

    @property
    def last(self) -> Path:
        """The state after the last finished epoch, with everything that resuming needs."""
        return self.weights / "last.pt"

    @property
    def metrics_path(self) -> Path:
        """One JSON object per epoch."""
        return self.path / "metrics.jsonl"

    def remove(self) -> None:
        """Take the folder away, and the folders above it that it leaves empty."""
        shutil.rmtree(self.path)
        for folder in (self.path.parent, self.path.parent.parent):
            try:
                folder.rmdir()
            except OSError:
                return

    def append_metrics(self, row: dict[str, Any]) -> None:
        """Add the measures of one epoch."""
        with self.metrics_path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def keep_metrics_before(self, epoch: int) -> None:
        """Drop the rows of epochs that a resumed run does again, and a row that was cut off when the run was killed."""
        if self.metrics_path.exists():
            rows = self.metrics_path.read_text(encoding="utf-8").splitlines(keepends=True)
            whole = [row for row in rows if row.endswith("}\n")]
            write_whole(self.metrics_path, "".join(row for row in whole if json.loads(row)["epoch"] < epoch))

    def log_to_file(self) -> logging.Handler:
        """Send the program's log lines into the folder as well; the caller removes the handler."""
        handler = logging.FileHandler(self.path / "log.txt", encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logging.getLogger("tl_detection").addHandler(handler)
        return handler


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
