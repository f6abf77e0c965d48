"""Images and catalogs made on the spot."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.frame import Annotation, Frame
from tl_datasets.images import write_rgb
from tl_datasets.taxonomy import State

DrawImage = Callable[..., Path]


@pytest.fixture
def draw_image() -> DrawImage:
    """Write a small image whose content depends on its path and give the path back."""

    def draw(path: Path, width_px: int = 64, height_px: int = 48) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        tiles = np.random.default_rng(zlib.crc32(str(path).encode())).integers(0, 255, (4, 4, 3), dtype=np.uint8)
        repeated = tiles.repeat(-(-height_px // 4), axis=0).repeat(-(-width_px // 4), axis=1)
        write_rgb(path, np.ascontiguousarray(repeated[:height_px, :width_px]))
        return path

    return draw


@pytest.fixture
def make_frame() -> Callable[..., Frame]:
    """A frame of 100x80 pixels with one light per given state."""

    def make(frame_id: str, states: tuple[State | None, ...] = (State.RED,), **fields) -> Frame:
        annotations = tuple(
            Annotation(xyxy=(10.0 * i, 5.0, 10.0 * i + 6, 20.0), state=state) for i, state in enumerate(states)
        )
        defaults = {"path": f"{frame_id}.png", "width_px": 100, "height_px": 80, "annotations": annotations}
        return Frame(frame_id=frame_id, **{**defaults, **fields})

    return make


@pytest.fixture
def make_catalog(tmp_path: Path) -> Callable[..., Catalog]:
    """A catalog of given frames; content hashes by frame id, else each image is its own."""

    def make(*frames: Frame, hashes: dict[str, str] | None = None, root: Path = tmp_path) -> Catalog:
        known = {frame.frame_id: f"hash of {frame.frame_id}" for frame in frames} | (hashes or {})
        return Catalog.from_frames(frames, source="drawn", root=root, content_hashes=known)

    return make
