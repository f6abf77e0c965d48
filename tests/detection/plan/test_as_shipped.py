"""Labels that ultralytics' own augmentation loses: predicted, against its own mosaic and box filter."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.index import index
from tl_datasets.label_space import LabelSpace
from tl_datasets.torch_dataset import LabelledFrames, labelled_frames
from tl_detection import ultralytics_door
from tl_detection.plan.as_shipped import predict_lost_as_shipped
from tl_detection.plan.counted_loss import share_interval

LIGHTS = LabelSpace.model_validate({"classes": {"light": {"category": "traffic_light"}}, "otherwise": "drop"})


def count_lost_as_shipped(frames: LabelledFrames, input_px: int, epochs: int) -> list[tuple[int, int]]:
    """Lost and shown lights of each sample, by ultralytics' classes with their defaults."""
    assert ultralytics_door.DetectionModel, "the door is opened first: it closes ultralytics' network access"
    from ultralytics.cfg import DEFAULT_CFG
    from ultralytics.data.augment import Mosaic, RandomPerspective
    from ultralytics.utils.instance import Instances

    defaults: Any = DEFAULT_CFG
    assert (defaults.mosaic, defaults.scale, defaults.translate, defaults.degrees) == (1.0, 0.5, 0.1, 0.0)
    pairs: list[tuple[int, int]] = []

    class Counting(RandomPerspective):
        def apply_image(self, labels, params=None):
            return labels  # pixels decide nothing

        def box_candidates(self, box1, box2, **limits):  # type: ignore[override]
            kept = RandomPerspective.box_candidates(box1, box2, **limits)
            before, after = ((box[2] - box[0]) * (box[3] - box[1]) for box in (box1, box2))
            shown = after >= 0.5 * before
            pairs.append((int((shown & ~kept).sum()), int(shown.sum())))
            return kept

    class Frames:
        cache = None

        def __init__(self) -> None:
            catalog = frames.catalog
            learned = (frames.class_id >= 0) & ~frames.ignored
            self.rows = []
            for row, size in enumerate(catalog.frames.select("width_px", "height_px").rows()):
                shrink = input_px / max(size)
                inside = slice(catalog.offsets[row], catalog.offsets[row + 1])
                boxes = (catalog.xyxy[inside][learned[inside]] * shrink).astype(np.float32)
                self.rows.append((*(min(input_px, int(np.ceil(side * shrink))) for side in size), boxes))
            self.buffer = list(range(len(self.rows)))

        def __len__(self) -> int:
            return len(self.rows)

        def get_image_and_label(self, row: int) -> dict[str, Any]:
            width, height, boxes = self.rows[row]
            return {
                "img": np.zeros((height, width, 3), np.uint8),
                "resized_shape": (height, width),
                "ori_shape": (height, width),
                "im_file": "",
                "cls": np.zeros((len(boxes), 1), np.float32),
                "instances": Instances(boxes.copy(), np.zeros((0, 1000, 2), np.float32), None, "xyxy", False),
            }

    random.seed(0)
    dataset: Any = Frames()
    mosaic = Mosaic(dataset, input_px, p=defaults.mosaic)
    affine = Counting(translate=defaults.translate, scale=defaults.scale, size=(input_px, input_px))
    for _ in range(epochs):
        for row in range(len(dataset)):
            affine(mosaic(dataset.get_image_and_label(row)))
    return pairs


def agree(predicted: float | None, pairs: list[tuple[int, int]]) -> bool:
    """Within the interval of what was counted, widened by half its length to either side."""
    low, high = share_interval(pairs)
    assert predicted is not None
    return low - (high - low) / 2 <= predicted <= high + (high - low) / 2


@pytest.fixture(scope="module")
def bdd(shared_data) -> LabelledFrames:
    """Its boxes as the files have them: the first and last pixel's coordinates taken as edges."""
    catalog, _ = index(shared_data / "bdd100k", "bdd100k", box_convention="continuous")
    return labelled_frames(catalog, LIGHTS)


def test_lights_of_bdd_at_640(bdd):
    lights = (bdd.class_id >= 0) & ~bdd.ignored
    assert lights.sum() == 505
    predicted = predict_lost_as_shipped(bdd, lights, 640)
    pairs = count_lost_as_shipped(bdd, 640, epochs=6)
    assert predicted == pytest.approx(0.035, abs=0.006)
    assert agree(predicted, pairs), (predicted, share_interval(pairs))
    assert predict_lost_as_shipped(bdd, lights, 960) == pytest.approx(0.005, abs=0.002)
    assert predict_lost_as_shipped(bdd, lights, 1280) == pytest.approx(0.001, abs=0.001)


def test_an_inclusive_last_pixel_halves_it(shared_data, bdd):
    """As BDD100K documents its corners, each light is a pixel wider: that matters at these sizes."""
    catalog, _ = index(shared_data / "bdd100k", "bdd100k")
    frames = labelled_frames(catalog, LIGHTS)
    lights = (frames.class_id >= 0) & ~frames.ignored
    assert predict_lost_as_shipped(frames, lights, 640) == pytest.approx(0.015, abs=0.003)


@pytest.mark.parametrize(("width_px", "expected"), [(4, 1.0), (8, 0.53), (10, 0.26), (16, 0.0)])
def test_by_native_width(width_px, expected, tmp_path, run_over):
    """On 2048x1024 at 640: a table that was counted with ultralytics itself, lights spread over the frame."""
    rng = np.random.default_rng(0)
    corners = rng.uniform((0, 0), (2000, 980), (200, 2)).tolist()
    config = run_over([[(x, y, x + width_px, y + 2 * width_px)] for x, y in corners], size=(2048, 1024))
    frames = labelled_frames(Catalog.open(config.data.catalog), LIGHTS)
    predicted = predict_lost_as_shipped(frames, np.ones(200, dtype=bool), 640)
    assert predicted == pytest.approx(expected, abs=0.08)
    if width_px == 8:
        assert agree(predicted, count_lost_as_shipped(frames, 640, epochs=4))


def test_no_light(run_over):
    config = run_over([[], []])
    frames = labelled_frames(Catalog.open(config.data.catalog), LIGHTS)
    assert predict_lost_as_shipped(frames, np.zeros(0, dtype=bool), 640) is None
