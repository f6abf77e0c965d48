"""Drives with drawn lights, and predictions of detectors that see them more or less well."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.frame import Annotation, Frame
from tl_datasets.images import write_rgb
from tl_datasets.taxonomy import State, TimeOfDay, Weather
from tl_detection.cli import main

COLOURS = {State.RED: (230, 30, 30), State.GREEN: (30, 220, 60)}
LABEL_SPACE = """
classes:
  red: {state: red}
  green: {state: green}
otherwise: error
"""


@dataclass
class Drives:
    """A folder with a catalog of drives, in which commands are run."""

    folder: Path
    catalog: Path
    frames: list[Frame]
    n_catalogs: int = field(default=1)

    def predictions(
        self,
        name: str,
        *,
        missed: Collection[str] = (),
        as_green: Collection[str] = (),
        phantoms: Collection[str] = (),
        frames: Collection[Frame] | None = None,
    ) -> Path:
        """A detector that finds every light but those of some frames, or says green there, or sees one more."""
        found = []
        for frame in self.frames if frames is None else frames:
            for number, box in enumerate(frame.annotations or ()):
                x1, y1, x2, y2 = box.xyxy
                word = "green" if frame.frame_id in as_green else str(box.state)
                if frame.frame_id not in missed:
                    score = 0.9 - 0.02 * number
                    found.append(_prediction(frame.frame_id, word, (x1, y1, x2 - x1, y2 - y1), score))
            if frame.frame_id in phantoms:
                found.append(_prediction(frame.frame_id, "green", (100, 70, 8, 20), 0.95))
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(found))
        return path

    def save(self, frames: list[Frame]) -> Path:
        """Another catalog of frames, whose images are those of the first."""
        self.n_catalogs += 1
        hashes = {frame.frame_id: "0" * 64 for frame in frames}
        catalog = Catalog.from_frames(frames, source="drawn", root=self.folder / "images", content_hashes=hashes)
        return catalog.save(self.folder / f"catalog{self.n_catalogs}")

    def evaluate(self, name: str, *more: str, code: int = 0, catalog: Path | None = None, **wrong) -> Path:
        """Run `tl evaluate` on predictions; gives its folder."""
        out = self.folder / f"evaluation_{name}"
        predictions = self.predictions(name, **wrong)
        words = ["evaluate", str(predictions), "--catalog", str(catalog or self.catalog), "--out", str(out)]
        assert main([*words, "--label-space", str(self.folder / "lights.yaml"), *more]) == code
        return out


def _prediction(frame_id: str, word: str, bbox: tuple[float, ...], score: float) -> dict:
    return {"image_id": frame_id, "category_id": word, "bbox": list(bbox), "score": score}


def drawn_frames(n_sequences: int, n_frames: int, first: int = 0) -> list[Frame]:
    """Drives in which every frame shows a red and a green light, half of the drives by night."""
    frames = []
    for sequence in range(first, first + n_sequences):
        for index in range(n_frames):
            boxes = [(20.0 + 3 * index, 30.0, 30.0 + 3 * index, 54.0), (60.0, 30.0 + 2 * index, 70.0, 54.0 + 2 * index)]
            name = f"drive{sequence:02d}_{index}"
            frames.append(
                Frame(
                    frame_id=name,
                    path=f"{name}.png",
                    width_px=160,
                    height_px=120,
                    annotations=tuple(
                        Annotation(xyxy=box, state=state)
                        for box, state in zip(boxes, (State.RED, State.GREEN), strict=True)
                    ),
                    sequence=f"drive{sequence:02d}",
                    weather=Weather.RAINY if sequence % 3 == 0 else Weather.CLEAR,
                    time_of_day=TimeOfDay.NIGHT if sequence % 2 else TimeOfDay.DAYTIME,
                )
            )
    return frames


@pytest.fixture
def drives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drives:
    """14 drives of 3 frames, with images."""
    monkeypatch.chdir(tmp_path)
    return _drives(tmp_path)


@pytest.fixture(scope="module")
def shared_drives(tmp_path_factory: pytest.TempPathFactory) -> Drives:
    """The same for tests that only read."""
    return _drives(tmp_path_factory.mktemp("drives"))


def _drives(folder: Path) -> Drives:
    frames = drawn_frames(14, 3)
    (folder / "images").mkdir()
    for frame in frames:
        image = np.full((120, 160, 3), (40, 44, 52), np.uint8)
        for box in frame.annotations or ():
            x1, y1, x2, y2 = (int(value) for value in box.xyxy)
            image[y1:y2, x1:x2] = COLOURS[box.state]  # type: ignore[index]
        write_rgb(folder / "images" / frame.path, image)
    (folder / "lights.yaml").write_text(LABEL_SPACE)
    made = Drives(folder=folder, catalog=folder / "catalog1", frames=frames, n_catalogs=0)
    made.save(frames)
    return made


@pytest.fixture(scope="session")
def drive_frames() -> Callable[..., list[Frame]]:
    """More drives, without images."""
    return drawn_frames


@pytest.fixture
def changed() -> Callable[..., Frame]:
    """A frame with other fields."""
    return lambda frame, **values: replace(frame, **values)
