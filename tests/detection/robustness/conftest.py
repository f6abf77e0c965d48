"""Drawn lamps, a detector that looks for their colours, and effects of the tests' own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.effects.scene import Effect, Scene
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_space import LabelSpace, Rule
from tl_datasets.taxonomy import State, TimeOfDay, Weather
from tl_detection.detector import Detections

CLASSES = LabelSpace(classes={name: Rule(state=[name]) for name in ("red", "green", "off")})
# Colour of the lamp, and its height in the housing.
LAMPS = {State.RED: ((230, 40, 40), 0.2), State.GREEN: ((40, 220, 160), 0.8)}
WEATHERS = (Weather.CLEAR, Weather.SNOWY, None)
N_FRAMES, WIDTH, HEIGHT = 6, 160, 96


class ColourDetector:
    """Finds spots of strong red or green and says where their housings are; the larger the spot, the surer.

    Attributes:
        batches: Number of images of each call.
    """

    def __init__(self, label_space: LabelSpace = CLASSES):
        self.label_space = label_space
        self.batches: list[int] = []

    @property
    def description(self) -> dict[str, str]:
        return {"engine": "colours"}

    def detect(self, images: Sequence[np.ndarray]) -> list[Detections]:
        self.batches.append(len(images))
        return [self._detect(image) for image in images]

    def _detect(self, image: np.ndarray) -> Detections:
        red, green, blue = (image[..., n].astype(int) for n in range(3))
        masks = (red - np.maximum(green, blue) > 70, (green - red > 70) & (green - blue > 20))
        boxes, scores, classes = [], [], []
        for class_id, (mask, (_, place)) in enumerate(zip(masks, LAMPS.values(), strict=True)):
            _, _, spots, centres = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
            for (_, _, spot_width, _, area), (x, y) in zip(spots[1:], centres[1:], strict=True):
                width = max(spot_width / 0.7, 2)
                top = y - 2 * width * place
                boxes.append((x - width / 2, top, x + width / 2, top + 2 * width))
                scores.append(area / (area + 50))
                classes.append(class_id)
        return Detections(xyxy=np.reshape(boxes, (-1, 4)), score=np.array(scores), class_id=np.array(classes))


@pytest.fixture
def detector() -> ColourDetector:
    return ColourDetector()


@pytest.fixture(scope="session")
def lamps(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Six frames of a red and a green signal head each: clear, snowy, not annotated, and so on."""
    folder = tmp_path_factory.mktemp("lamps")
    rng = np.random.default_rng(1)
    frames = []
    for number in range(N_FRAMES):
        image = cv2.GaussianBlur(rng.integers(60, 120, (HEIGHT, WIDTH, 3), dtype=np.uint8), (0, 0), 2)
        annotations = []
        for side, (state, (colour, place)) in enumerate(LAMPS.items()):
            width = int(rng.integers(12, 20))
            left, top = int(rng.integers(0, 55)) + side * 80, int(rng.integers(0, HEIGHT - 2 * width))
            cv2.rectangle(image, (left, top), (left + width - 1, top + 2 * width - 1), (22, 22, 24), -1)
            centre = (left + width // 2, top + round(2 * width * place))
            cv2.circle(image, centre, round(width * 0.35), colour, -1, cv2.LINE_AA)
            annotations.append(Annotation(xyxy=(left, top, left + width, top + 2 * width), state=state))
        cv2.imwrite(str(folder / f"{number}.png"), image[:, :, ::-1])
        frames.append(
            Frame(
                frame_id=f"frame{number}",
                path=f"{number}.png",
                width_px=WIDTH,
                height_px=HEIGHT,
                annotations=tuple(annotations),
                weather=WEATHERS[number % 3],
                split="val" if number < 4 else "test",
            )
        )
    return Catalog.from_frames(frames, source="drawn", root=folder)


@pytest.fixture
def own_effects(monkeypatch: pytest.MonkeyPatch) -> dict[str, Effect]:
    """A weather set of two: what swaps red and green, and a night that no snowy frame gets; lights are handed over."""
    effects = {"swap": Effect(apply=_swap), "dusk": Effect(apply=_dusk, **_DUSK)}
    monkeypatch.setattr("tl_detection.robustness.choice.EFFECTS", effects)
    return effects


_DUSK = {"time_of_day": TimeOfDay.NIGHT, "not_in_weather": frozenset({Weather.SNOWY})}


def _swap(scene: Scene, severity: float, rng: np.random.Generator) -> np.ndarray:
    """From severity 3 on, lamps change colour: red heads show green at the place of red."""
    made = scene.image.copy()
    for x1, y1, x2, y2 in scene.lights_xyxy.astype(int) if severity >= 3 else ():
        made[y1:y2, x1:x2] = made[y1:y2, x1:x2][::-1, :, [1, 0, 2]]
    return made


def _dusk(scene: Scene, severity: float, rng: np.random.Generator) -> np.ndarray:
    return (scene.image * (1 - 0.15 * severity)).astype(np.uint8)


@pytest.fixture
def catalog_folder(lamps: Catalog, tmp_path: Path) -> Path:
    return lamps.save(tmp_path / "catalog")
