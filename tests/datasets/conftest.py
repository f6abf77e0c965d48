"""Images and catalogs made on the spot."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
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


class Pictures:
    """Pictures that differ as photos do, and what happens to copies of them."""

    @staticmethod
    def make(seed: int, width_px: int = 640, height_px: int = 360) -> np.ndarray:
        """Soft shapes with edges: noise of three sizes, (H, W, 3) uint8 RGB."""
        rng = np.random.default_rng(seed)
        layers = [
            cv2.resize(
                rng.random((size, size, 3), dtype=np.float32), (width_px, height_px), interpolation=cv2.INTER_CUBIC
            )
            for size in (3, 8, 24)
        ]
        mixed = 0.5 * layers[0] + 0.3 * layers[1] + 0.2 * layers[2]
        return (np.clip(mixed, 0, 1) * 255).astype(np.uint8)

    @staticmethod
    def as_jpeg(rgb: np.ndarray, quality: int) -> np.ndarray:
        _, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].copy()

    @staticmethod
    def resized(rgb: np.ndarray, scale: float) -> np.ndarray:
        interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        return cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=interpolation)

    @staticmethod
    def cropped(rgb: np.ndarray, share: float) -> np.ndarray:
        """Without a share of the width and height: two thirds of it cut at the left and top, the rest opposite."""
        height, width = rgb.shape[:2]
        x, y = round(width * share * 2 / 3), round(height * share * 2 / 3)
        return rgb[y : height - round(height * share / 3), x : width - round(width * share / 3)].copy()


@pytest.fixture
def pictures() -> type[Pictures]:
    """Functions that make and change pictures."""
    return Pictures
