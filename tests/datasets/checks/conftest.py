"""Drawn signal heads in frames, for the checks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tl_datasets.catalog import Catalog
from tl_datasets.frame import Annotation, Frame
from tl_datasets.images import write_rgb
from tl_datasets.taxonomy import Facing, State

LIT_RGB = {State.RED: (235, 45, 40), State.YELLOW: (240, 190, 40), State.GREEN: (40, 220, 150)}
CELLS = {State.RED: (0,), State.RED_YELLOW: (0, 1), State.YELLOW: (1,), State.GREEN: (2,), State.OFF: ()}
ORDER = (State.RED, State.YELLOW, State.GREEN)


def draw_head(
    image: NDArray[np.uint8],
    left: int,
    top: int,
    width: int,
    state: State,
    rgb: tuple[int, int, int] | None = None,
) -> tuple[float, float, float, float]:
    """Draw an upright head of three lenses and give its box.

    Args:
        image: Drawn into.
        left: Pixels.
        top: Pixels.
        width: Of the housing; it is three times as high.
        state: Which lenses are lit.
        rgb: Colour of the lit lenses; None = the right ones.
    """
    cv2.rectangle(image, (left, top), (left + width - 1, top + 3 * width - 1), (24, 26, 25), -1)
    for cell, name in enumerate(ORDER):
        colour = (rgb or LIT_RGB[name]) if cell in CELLS[state] else (38, 40, 38)
        cv2.circle(image, (left + width // 2, top + cell * width + width // 2), round(0.38 * width), colour, -1)
    return (float(left), float(top), float(left + width), float(top + 3 * width))


@pytest.fixture
def street() -> Callable[..., NDArray[np.uint8]]:
    """A picture with texture and colour, such as no rule complains of."""

    def make(seed: int = 0, width_px: int = 200, height_px: int = 120, level: int = 110) -> NDArray[np.uint8]:
        rng = np.random.default_rng(seed)
        tiles = rng.integers(-40, 40, (6, 10, 3)) + level
        image = cv2.resize(np.clip(tiles, 0, 255).astype(np.uint8), (width_px, height_px))
        noise = rng.integers(-3, 4, image.shape)
        return np.clip(image + noise, 0, 255).astype(np.uint8)

    return make


@pytest.fixture
def write_frame(tmp_path: Path, street) -> Callable[..., Frame]:
    """A frame on disk with one upright head per (drawn state, labelled state) pair."""

    def make(
        frame_id: str,
        heads: tuple[tuple[State, State | None], ...] = ((State.RED, State.RED),),
        *,
        head_px: int = 14,
        rgb: tuple[int, int, int] | None = None,
        image: NDArray[np.uint8] | None = None,
        facing: Facing | None = None,
        suffix: str = ".png",
        **fields,
    ) -> Frame:
        picture = street(len(frame_id)) if image is None else image
        annotations = []
        for number, (drawn, label) in enumerate(heads):
            xyxy = draw_head(picture, 10 + number * 3 * head_px, 12, head_px, drawn, rgb)
            annotations.append(Annotation(xyxy=xyxy, state=label, facing=facing))
        path = tmp_path / f"{frame_id}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_rgb(path, picture)
        defaults = {
            "path": f"{frame_id}{suffix}",
            "width_px": picture.shape[1],
            "height_px": picture.shape[0],
            "annotations": tuple(annotations),
        }
        return Frame(frame_id=frame_id, **{**defaults, **fields})

    return make


@pytest.fixture
def rules_of() -> Callable[..., dict[str, list[tuple[str | None, int | None]]]]:
    """Frame and box of the findings by rule, without what is only to be known."""

    def collect(findings, *, with_info: bool = False) -> dict[str, list[tuple[str | None, int | None]]]:
        result: dict[str, list[tuple[str | None, int | None]]] = {}
        for row in findings.table.iter_rows(named=True):
            if with_info or row["severity"] != "info":
                result.setdefault(row["rule"], []).append((row["frame_id"], row["box"]))
        return result

    return collect


def edited(catalog: Catalog, **columns) -> Catalog:
    """The catalog with other annotation columns, as other code may make one."""
    return Catalog(catalog.frames, catalog.annotations.with_columns(**columns), catalog.roots)
