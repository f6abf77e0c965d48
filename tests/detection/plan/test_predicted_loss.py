"""What augmentation leaves of boxes: predicted from the boxes, against real samples of the same run."""

from __future__ import annotations

import numpy as np
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.index import index
from tl_datasets.torch_dataset import labelled_frames
from tl_detection.config import RunConfig
from tl_detection.plan.counted_loss import CountedLoss, count_loss
from tl_detection.plan.predicted_loss import PredictedLoss, predict_loss
from tl_detection.training.data import training_samples

NOTHING = {"mosaic": 0, "crop": 0, "flip_lr": 0, "scale": [1, 1], "translate": 0, "transforms": []}


def both(config: RunConfig, black_frames, train: str | None = None) -> tuple[PredictedLoss, CountedLoss]:
    frames = labelled_frames(
        Catalog.open(config.data.catalog).filter(train or config.data.train), config.data.label_space
    )
    counted = count_loss(black_frames(training_samples(config, frames)), 10_000)
    return predict_loss(config, frames), counted


@pytest.mark.parametrize(
    "augment",
    [
        {"scale": [0.3, 0.9]},
        {"scale": [0.8, 2.0], "translate": 0.3},
        {"crop": 1.0, "crop_scale": [1.0, 3.0]},
        {"mosaic": 1.0, "scale": [0.5, 1.5]},
        {"mosaic": 0.6, "crop": 0.5, "mix_up": 0.3, "scale": [0.5, 1.5], "translate": 0.2, "min_size_px": 4.0},
    ],
    ids=["small", "cut", "crops", "mosaics", "everything"],
)
def test_predicted_is_counted(augment, lights, run_over, black_frames):
    config = run_over(lights * 4, augment={**NOTHING, **augment}, train={"device": "cpu", "epochs": 100})
    predicted, counted = both(config, black_frames)
    assert counted.share is not None and counted.share > 0.02
    assert not counted.contradicts(predicted.share() or 0.0), (predicted.share(), counted)
    # The prediction tells how many boxes are shown, too.
    assert predicted.shown.sum() / 300 == pytest.approx(counted.boxes / counted.samples, rel=0.1)


def test_what_is_predicted_exactly(run_over):
    """Whole frames at scales from 0.5 to 1.5: a light of 4 px is under 3 px for a quarter of them."""
    config = run_over([[(300, 150, 304, 162)]] * 3, augment={**NOTHING, "scale": [0.5, 1.5], "min_size_px": 3.0})
    predicted = predict_loss(config, _frames(config))
    assert predicted.share(of="small") == pytest.approx(0.25, abs=0.01)
    assert predicted.share(of="cut") == 0
    assert predicted.share_under(4.0, np.ones(3, dtype=bool)) == pytest.approx(0.5, abs=0.02)


def test_nothing_is_lost_without_augmentation(lights, run_over, black_frames):
    config = run_over(lights, augment={**NOTHING, "min_size_px": 0})
    predicted, counted = both(config, black_frames)
    assert predicted.share() == 0 and counted.vanished == 0
    assert counted.boxes == int(predicted.shown.sum())


def test_last_epochs_have_no_mosaic(lights, run_over):
    config = run_over(lights, augment={**NOTHING, "mosaic": 1.0})
    assert predict_loss(config, _frames(config), mosaic=False).share() == 0
    assert (predict_loss(config, _frames(config)).share() or 0) > 0


def test_frames_without_a_box(run_over):
    config = run_over([[], [], []])
    predicted = predict_loss(config, _frames(config))
    assert predicted.share() is None and predicted.share_under(4.0, np.zeros(0, dtype=bool)) is None


@pytest.mark.parametrize(
    ("sample", "options", "classes"),
    [
        ("bdd100k", {}, {"traffic_light": {"category": "traffic_light"}}),
        ("bdd100k", {}, {"car": {"category": "car"}, "traffic_light": {"category": "traffic_light"}}),
    ],
    ids=["lights", "lights and cars"],
)
def test_real_boxes(sample, options, classes, shared_data, tmp_path, black_frames):
    catalog, _ = index(shared_data / sample, sample, **options)
    catalog.save(tmp_path / "catalog")
    config = RunConfig.model_validate(
        {
            "name": "real",
            "data": {
                "catalog": tmp_path / "catalog",
                "train": "width_px > 0",
                "label_space": {"classes": classes, "otherwise": "drop"},
            },
            "model": {"kind": "yolo", "input": {"width_px": 640, "height_px": 352}},
        }
    )
    predicted, counted = both(config, black_frames)
    assert counted.boxes > 800
    assert not counted.contradicts(predicted.share() or 0.0), (predicted.share(), counted)
    assert 0.02 < (predicted.share() or 0.0) < 0.08


def _frames(config: RunConfig):
    return labelled_frames(Catalog.open(config.data.catalog), config.data.label_space)
