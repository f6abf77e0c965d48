"""A drawn evaluation with every kind of mistake, and the images that its gallery shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.frame import Annotation, Frame
from tl_datasets.images import write_rgb
from tl_datasets.label_space import LabelSpace
from tl_datasets.taxonomy import Scene, State, TimeOfDay, Weather
from tl_detection.detector import Detections
from tl_detection.evaluation.all_intervals import with_intervals
from tl_detection.evaluation.report import Evaluation, evaluate_whole

STATES = (State.RED, State.YELLOW, State.GREEN, State.OFF)
SIZE = (320, 180)


@pytest.fixture(scope="session")
def draw_evaluation(lights: LabelSpace) -> Callable[..., tuple[Evaluation, Catalog]]:
    """Lights of which some are missed, some have the wrong state, with phantoms between them."""

    def draw(
        n_frames: int,
        root: Path | None = None,
        *,
        seed: int = 0,
        per_drive: int = 6,
        words: str = "frame",
        size: tuple[int, int] = SIZE,
        by: tuple[str, ...] = ("weather", "scene", "time_of_day", "weather*time_of_day"),
        replicates: int = 40,
    ) -> tuple[Evaluation, Catalog]:
        rng = np.random.default_rng(seed)
        frames, detections = [], []
        for index in range(n_frames):
            path = f"{index:05d}.jpg"
            if root is not None:
                write_rgb(root / path, rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8))
            n = int(rng.integers(0, 5))
            corner = rng.uniform((0, 0), (size[0] - 40, size[1] - 60), (n, 2))
            xyxy = np.concatenate([corner, corner + rng.uniform((5, 8), (30, 50), (n, 2))], axis=1).round(1)
            state = rng.integers(0, len(STATES), n)
            frames.append(
                Frame(
                    frame_id=f"{words} {index}",
                    path=path,
                    width_px=size[0],
                    height_px=size[1],
                    annotations=tuple(
                        Annotation(xyxy=tuple(box), state=STATES[word])
                        for box, word in zip(xyxy.tolist(), state, strict=True)
                    ),
                    weather=rng.choice([Weather.CLEAR, Weather.RAINY, Weather.SNOWY, None]),
                    scene=rng.choice(list(Scene)[:2]),
                    time_of_day=rng.choice([TimeOfDay.DAYTIME, TimeOfDay.NIGHT]),
                    sequence=f"{'' if words == 'frame' else words}drive {index // per_drive}",
                )
            )
            is_found = rng.random(n) < 0.8
            said = np.where(rng.random(n) < 0.8, state, rng.integers(0, len(STATES), n))
            n_phantoms = int(rng.integers(0, 2))
            phantom = rng.uniform((0, 0), (size[0] - 40, size[1] - 40), (n_phantoms, 2))
            boxes = np.concatenate([xyxy[is_found] + rng.normal(0, 0.4, (is_found.sum(), 4)), np.tile(phantom, 2)])
            boxes[is_found.sum() :, 2:] += 12
            class_id = np.concatenate([said[is_found], rng.integers(0, len(STATES), n_phantoms)])
            score = np.concatenate([rng.uniform(0.3, 1, is_found.sum()), rng.uniform(0.05, 0.8, n_phantoms)])
            detections.append(Detections(xyxy=boxes, score=score, class_id=class_id.astype(int)))
        catalog = Catalog.from_frames(frames, source="drawn", root=root or Path("/nowhere"))
        evaluation = evaluate_whole(detections, catalog, lights, by=by, model={"engine": "drawn"})
        return replace(evaluation, report=with_intervals(evaluation, replicates=replicates)), catalog

    return draw


@pytest.fixture(scope="session")
def drawn(
    draw_evaluation: Callable[..., tuple[Evaluation, Catalog]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Evaluation, Catalog]:
    """Eighty frames of fourteen drives, with images."""
    return draw_evaluation(80, tmp_path_factory.mktemp("frames"))
