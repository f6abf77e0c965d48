"""The parent's side of a contender's process: start it, ask it, end it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tl_detection.benchmark.contender import Contender

# Read by OpenMP, MKL, OpenBLAS and numexpr when they are loaded, before anything could be set by a call.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def child_environment() -> dict[str, str]:
    """Variables of a process that finds the packages where this one has found them."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


class ChildError(Exception):
    """A contender cannot be run; the message is its reason in one line."""


class Child:
    """The process of one contender.

    Attributes:
        contender: Who.
    """

    def __init__(self, contender: Contender, frames: Path, threads: int, cores: Sequence[int] | None):
        """Start the process; it imports what the contender needs.

        Args:
            contender: What it runs.
            frames: `.npy` of (N, H, W, 3) uint8 RGB frames.
            threads: Threads that any library in it may use.
            cores: Cores that it may use; None = those of this process.

        Raises:
            ChildError: Something that it needs cannot be imported.
        """
        self.contender = contender
        self._stderr = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tl_detection.benchmark.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=child_environment() | dict.fromkeys(_THREAD_VARIABLES, str(threads)),
            encoding="utf-8",
        )
        order = {
            "engine": contender.engine,
            "settings": {**contender.settings, "threads": threads},
            "frames": str(frames),
            "cores": None if cores is None else list(cores),
        }
        try:
            self.started = self._ask(order)
        except BaseException:
            self.close()
            raise

    def ask(self, do: str, **order: Any) -> dict[str, Any]:
        """Have it do something and wait for the answer; `do` is a method of `child.Bench`.

        Raises:
            ChildError: It failed.
        """
        return self._ask({"do": do, **order})

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        process = self._process
        if process.stdin is None or process.stdout is None:
            raise ChildError("its process has no pipes")
        try:
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            raise ChildError(self._last_words())
        answer = json.loads(line)
        if "error" in answer:
            raise ChildError(answer["error"])
        return answer

    def _last_words(self) -> str:
        code = self._process.wait()
        self._stderr.seek(0)
        said = [line.strip() for line in self._stderr.read().splitlines() if line.strip()]
        return f"its process ended with code {code}" + (f" ({said[-1]})" if said else "")

    def close(self) -> None:
        """End the process."""
        process = self._process
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was still to be written to a process that is gone
                    pipe.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._stderr.close()
