"""How much memory this process holds, as Linux counts it; other systems do not tell it without a library."""

from __future__ import annotations

from pathlib import Path

_STATUS = Path("/proc/self/status")


def resident_bytes() -> int | None:
    """Memory that this process holds now; None where the system does not tell."""
    return _kilobytes("VmRSS:")


def most_resident_bytes() -> int | None:
    """The most that it ever held; None where the system does not tell."""
    return _kilobytes("VmHWM:")


def _kilobytes(key: str) -> int | None:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    found = [line.split() for line in lines if line.startswith(key)]
    return int(found[0][1]) * 1024 if found else None
