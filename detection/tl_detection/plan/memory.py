"""How much memory a piece of work takes, of a CUDA device or of this process."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

import torch

_EVERY_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Memory in bytes.

    Attributes:
        peak: The most that the work took; None where the system does not say.
        available: What there was for it.
    """

    peak: int | None
    available: int | None

    @property
    def share(self) -> float | None:
        """Peak of what there was."""
        return self.peak / self.available if self.peak is not None and self.available else None


class MemoryWatch:
    """Watches memory from its beginning on; a context manager.

    Of a CUDA device it is what torch has reserved on it, of the CPU how much the process has grown beyond what it had.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self._over = threading.Event()
        self._before = self._peak = resident_bytes()
        self._available = available_bytes(device)
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> MemoryWatch:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def so_far(self) -> Memory:
        """The most that was taken until now."""
        if self.device.type == "cuda":
            return Memory(peak=torch.cuda.max_memory_reserved(self.device), available=self._available)
        if self._peak is None or self._before is None:
            return Memory(peak=None, available=self._available)
        return Memory(peak=self._peak - self._before, available=self._available)

    def _follow(self) -> None:
        while not self._over.wait(_EVERY_S):
            now = resident_bytes()
            if now is not None:
                self._peak = max(self._peak or 0, now)


def resident_bytes() -> int | None:
    """Memory of this process; None where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def available_bytes(device: torch.device) -> int | None:
    """Memory that a new piece of work can have: free, or already held by this process for such work."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)
    limits = [_of_machine(), _of_container()]
    return min((limit for limit in limits if limit is not None), default=None)


def _of_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None


def _of_container() -> int | None:
    folder = Path("/sys/fs/cgroup")
    try:
        limit, used = ((folder / name).read_text().strip() for name in ("memory.max", "memory.current"))
        return max(0, int(limit) - int(used))
    except (OSError, ValueError):  # no limit is the word max
        return None
