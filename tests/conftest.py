"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real samples beside the checkout; they are research-only and never part of the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real samples beside the checkout ({SHARED_DATA.name}/ absent)")
    return SHARED_DATA
