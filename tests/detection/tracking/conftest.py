"""Frames with drawn lamps, what is said of them, and the evaluation of that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_space import LabelSpace, Rule
from tl_datasets.taxonomy import State, TimeOfDay, Weather
from tl_detection.config import RunConfig
from tl_detection.detector import Detections
from tl_detection.evaluation.report import Evaluation, evaluate_whole

LIGHTS = LabelSpace(
    classes={name: Rule(state=[name]) for name in ("red", "yellow", "green")},
    ignore=(Rule(state=["unknown"]),),
)
RED, YELLOW, GREEN = (LIGHTS.names.index(name) for name in ("red", "yellow", "green"))


@dataclass
class Scene:
    """Frames, and a way to score what is said of them: frame id -> rows (x1, y1, x2, y2, score, class id)."""

    catalog: Catalog
    label_space: LabelSpace
    said: dict[str, list[tuple[float, ...]]]

    def evaluation(self, by: tuple[str, ...] = ("weather", "time_of_day")) -> Evaluation:
        rows = [self.said.get(frame_id, []) for frame_id in self.catalog.frames["frame_id"]]
        tables = [np.asarray(each, dtype=np.float64).reshape(-1, 6) for each in rows]
        detections = [
            Detections(xyxy=table[:, :4], score=table[:, 4], class_id=table[:, 5].astype(int)) for table in tables
        ]
        return evaluate_whole(detections, self.catalog, self.label_space, by=by)


def light(state: State, left: float, top: float = 40) -> Annotation:
    return Annotation(xyxy=(left, top, left + 10, top + 24), state=state)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Four frames of 320x160: all found; a red missed and a red called green; nothing there; an ignored light."""
    folder = tmp_path / "images"
    folder.mkdir()
    contents = {
        "found": ((light(State.RED, 40), light(State.GREEN, 200)), Weather.CLEAR, TimeOfDay.DAYTIME),
        "confused": ((light(State.RED, 40), light(State.RED, 120), light(State.YELLOW, 220)), Weather.RAINY, None),
        "empty": ((), Weather.RAINY, TimeOfDay.NIGHT),
        "ignored": ((light(State.UNKNOWN, 100), light(State.GREEN, 250)), Weather.CLEAR, TimeOfDay.NIGHT),
    }
    frames = []
    for number, (name, (lights, weather, time_of_day)) in enumerate(contents.items()):
        image = np.full((160, 320, 3), 60 + number, np.uint8)
        for annotation in lights:
            x1, y1, x2, y2 = (int(value) for value in annotation.xyxy)
            image[y1:y2, x1:x2] = 20
        cv2.imwrite(str(folder / f"{name}.png"), image)
        frames.append(
            Frame(
                frame_id=name,
                path=f"{name}.png",
                width_px=320,
                height_px=160,
                annotations=lights,
                weather=weather,
                time_of_day=time_of_day,
                sequence=f"drive {number}",
            )
        )
    said = {
        "found": [(40, 40, 50, 64, 0.9, RED), (200, 41, 210, 65, 0.8, GREEN)],
        "confused": [(120, 40, 130, 64, 0.95, GREEN), (220, 40, 230, 64, 0.7, YELLOW)],
        "empty": [(10, 10, 20, 30, 0.85, GREEN)],
        "ignored": [(100, 40, 110, 64, 0.9, RED), (250, 40, 260, 64, 0.9, GREEN)],
    }
    return Scene(Catalog.from_frames(frames, source="drawn", root=folder), LIGHTS, said)


@pytest.fixture
def run_config(tmp_path: Path) -> Callable[..., RunConfig]:
    """`make(**track)`: a run over these classes; its catalog does not exist."""

    def make(**track: object) -> RunConfig:
        return RunConfig.model_validate(
            {
                "name": "lamps",
                "folder": tmp_path / "runs",
                "data": {"catalog": tmp_path / "catalog", "label_space": LIGHTS.model_dump()},
                "model": {"kind": "yolo", "input": {"width_px": 320, "height_px": 160}},
                "track": track,
            }
        )

    return make


@pytest.fixture
def random_scene() -> Iterator[Callable[[int], Scene]]:
    """`make(seed)`: many boxes on a grid with equal overlaps and scores, ignore areas, and guesses near and far."""

    def make(seed: int) -> Scene:
        rng = np.random.default_rng(seed)
        states = [State.RED, State.YELLOW, State.GREEN]

        def boxes(n: int) -> np.ndarray:
            corner = rng.integers(0, 30, (n, 2)) * 8
            return np.concatenate([corner, corner + rng.integers(1, 8, (n, 2)) * 8], axis=1).astype(float)

        frames, said = [], {}
        for number in range(30):
            truth = boxes(int(rng.choice([0, 1, 5, 12])))
            names = [State.UNKNOWN if rng.random() < 0.1 else states[rng.integers(3)] for _ in truth]
            annotations = tuple(
                Annotation(xyxy=tuple(box), state=name, ignore=bool(rng.random() < 0.1))
                for box, name in zip(truth.tolist(), names, strict=True)
            )
            near = np.repeat(truth, rng.integers(0, 4, len(truth)), axis=0)
            near = near + rng.integers(-1, 2, near.shape) * 4.0
            near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 4)
            table = np.concatenate([truth[rng.random(len(truth)) < 0.7], near, boxes(int(rng.choice([0, 4, 20])))])
            score = np.round(rng.random(len(table)) * 10) / 10
            said[f"frame{number}"] = np.column_stack([table, score, rng.integers(0, 3, len(table))]).tolist()
            frames.append(
                Frame(
                    frame_id=f"frame{number}",
                    path=f"frame{number}.png",
                    width_px=400,
                    height_px=400,
                    annotations=annotations,
                    weather=rng.choice([Weather.CLEAR, Weather.RAINY, Weather.FOGGY]),
                    time_of_day=rng.choice([TimeOfDay.DAYTIME, TimeOfDay.NIGHT]),
                    sequence=f"drive{number % 7}",
                )
            )
        return Scene(Catalog.from_frames(frames, source="drawn", root=Path("/nowhere")), LIGHTS, said)

    return make
