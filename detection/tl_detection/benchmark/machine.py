"""The machine that is measured on, in words, and which of its cores are used."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from tl_datasets.errors import UsageError

_PACKAGES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "torch", "ultralytics", "opencv-python", "numpy")
_CPUINFO = Path("/proc/cpuinfo")


def describe_machine() -> dict[str, object]:
    """Processor, cores, load, system and versions of the libraries."""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "versions": _versions(),
    }


def cpu_model() -> str:
    """What the processor calls itself."""
    try:
        for line in _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.lower().startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown"


def _versions() -> Mapping[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def choose_cores(first: int | None, threads: int) -> list[int] | None:
    """The cores that every contender is pinned to, as many as threads.

    Args:
        first: The first of them; None = the last ones of this process, since interrupts mostly go to the first core.
        threads: How many.

    Returns:
        Cores; None where the system has no such choice.

    Raises:
        UsageError: There is no such core, or there are fewer than threads.
    """
    if not hasattr(os, "sched_getaffinity"):
        if first is not None:
            raise UsageError(f"--pin {first}: this system cannot pin a process to a core; leave it out")
        return None
    usable = sorted(os.sched_getaffinity(0))
    if threads > len(usable):
        raise UsageError(f"--threads {threads}: this process may use {len(usable)} cores; choose fewer, or --no-pin")
    if first is None:
        return usable[-threads:]
    if first not in usable:
        raise UsageError(f"--pin {first}: no such core here; this process may use {', '.join(map(str, usable))}")
    chosen = [core for core in usable if core >= first][:threads]
    if len(chosen) < threads:
        raise UsageError(f"--pin {first}: {len(chosen)} cores from there on, --threads {threads} needs {threads}")
    return chosen
