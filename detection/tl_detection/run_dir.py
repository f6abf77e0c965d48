"""The folder of a run: `FOLDER/NAME/UTC-TIME/` with the configuration, environment, log, metrics and weights.

A run never writes into another run's folder. What is written whole is written under a temporary name and moved. At
every moment there is a whole checkpoint to resume from: the last one, and the one before it.
"""

from __future__ import annotations

import errno
import itertools
import json
import logging
import math
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

from tl_datasets.config import dump_config
from tl_datasets.errors import TrainingError, WeightsError
from tl_datasets.images import write_whole
from tl_detection.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tl_detection.config import RunConfig
from tl_detection.disk import explained
from tl_detection.environment import environment

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

logger = logging.getLogger(__name__)


class RunDir:
    """One run folder.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path):
        self.path = path
        self._last_is_whole = False

    @classmethod
    def create(cls, config: RunConfig, fingerprint: Mapping[str, Any] | None = None) -> RunDir:
        """Make a new folder, named by the time, and write the resolved configuration and the environment into it.

        Args:
            config: The run.
            fingerprint: What decides its result, see `RunFingerprint`; becomes a part of `environment.json`.

        Raises:
            TrainingError: The disk is full, say; nothing stays.
        """
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
        try:
            with explained(path, "free space, or set another folder, and start again"):
                run.weights.mkdir()
                write_whole(run.config_path, dump_config(config))
                about = {**environment(), "fingerprint": None if fingerprint is None else dict(fingerprint)}
                write_whole(path / "environment.json", json.dumps(about, indent=2) + "\n")
        except TrainingError:
            run.remove()
            raise
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
        """The newest state of the run, with everything that resuming needs."""
        return self.weights / "last.pt"

    @property
    def before_last(self) -> Path:
        """The state before `last`, in case that one is damaged."""
        return self.weights / "last.before.pt"

    @property
    def metrics_path(self) -> Path:
        """One JSON object per epoch."""
        return self.path / "metrics.jsonl"

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Nobody else trains in this folder while the block runs, as a job that is started again by mistake would.

        Raises:
            TrainingError: Another process does.
        """
        with self.config_path.open("r+b") as file:
            try:
                # Goes with the process, however it ends. Where there are no such locks (Windows), nothing is locked.
                if fcntl is not None:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
                raise TrainingError(
                    f"{self.path}: another process is training in this folder; wait for its end, or end it"
                ) from error
            yield

    def remove(self) -> None:
        """Take the folder away, and the folders above it that it leaves empty."""
        shutil.rmtree(self.path)
        for folder in (self.path.parent, self.path.parent.parent):
            try:
                folder.rmdir()
            except OSError:
                return

    def save_best(self, checkpoint: Checkpoint) -> None:
        """Write `best.pt`.

        Raises:
            TrainingError: The disk is full, say; the former file is still there.
        """
        save_checkpoint(self.best, checkpoint, remedy=self._remedy())

    def save_last(self, checkpoint: Checkpoint) -> None:
        """Write `last.pt`; the one that was there becomes `last.before.pt`. One of both is whole at every moment.

        Raises:
            TrainingError: The disk is full, say; the former files are still there.
        """
        # A damaged file must not take the place of the whole one before it.
        former = self.before_last if self._last_is_whole else None
        save_checkpoint(self.last, checkpoint, remedy=self._remedy(), former=former)
        self._last_is_whole = True

    def load_last(self, kind: str | None = None) -> Checkpoint:
        """The newest checkpoint that is whole; if that is not `last.pt`, a warning says why.

        Args:
            kind: The kind of model that is wanted.

        Raises:
            WeightsError: There is no checkpoint to resume from, or both are damaged, or of another kind.
        """
        if not self.last.exists() and not self.before_last.exists():
            raise WeightsError(
                f"{self.path}: no weights/last.pt, the run ended before its first checkpoint; "
                f"start it again with: tl train {self.config_path}"
            )
        try:
            checkpoint = load_checkpoint(self.last, kind=kind)
        except WeightsError as error:
            if not self.before_last.exists():
                raise
            checkpoint = load_checkpoint(self.before_last, kind=kind)
            logger.warning("%s; going on from the checkpoint before it, %s", error, self.before_last)
        else:
            self._last_is_whole = True
        return checkpoint

    def append_metrics(self, row: dict[str, Any]) -> None:
        """Add the measures of one epoch.

        Raises:
            TrainingError: The disk is full, say; the rows of before are as they were.
        """
        with explained(self.metrics_path, self._remedy()), self.metrics_path.open("ab", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            try:
                _write_all(file, (json.dumps(row) + "\n").encode())
                os.fsync(file.fileno())
            except BaseException:
                file.truncate(end)
                raise

    def keep_metrics_before(self, epoch: int) -> None:
        """Drop the rows of epochs that a resumed run does again, and rows that a kill or a power cut has broken."""
        if self.metrics_path.exists():
            rows = self.metrics_path.read_bytes().splitlines(keepends=True)
            kept = [row for row in rows if row.endswith(b"}\n") and _epoch_of(row) < epoch]
            with explained(self.metrics_path, self._remedy()):
                write_whole(self.metrics_path, b"".join(kept))

    def _remedy(self) -> str:
        kept = (self.last, self.before_last) if self._last_is_whole else (self.before_last, self.last)
        usable = next((path for path in kept if path.exists()), None)
        if usable is None:
            return "free space and start the run again"
        return f"{usable} is usable: free space, then go on with: tl train --resume {self.path}"

    def log_to_file(self) -> logging.Handler:
        """Send the program's log lines into the folder as well; the caller removes the handler."""
        handler = _LogFile(self.path / "log.txt", encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logging.getLogger("tl_detection").addHandler(handler)
        return handler


class _LogFile(logging.FileHandler):
    """On a full disk the next checkpoint ends the run, with one line; a log line does not, with a traceback."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def close(self) -> None:
        with suppress(OSError):
            super().close()


def _write_all(file: FileIO, data: bytes) -> None:
    """A file without a buffer may take a part only; with one, the rest would be tried again when it is closed."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _epoch_of(row: bytes) -> float:
    """The epoch of a row; infinite if the row is broken."""
    try:
        return json.loads(row)["epoch"]
    except (ValueError, KeyError, TypeError):
        return math.inf
