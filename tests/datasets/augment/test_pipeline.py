"""What a plan says, and what of a sample does not depend on what."""

from __future__ import annotations

import albumentations
import numpy as np
import pytest

from tl_datasets.augment.labelled import Labelled
from tl_datasets.errors import ConfigError


def plain(value: int) -> Labelled:
    """A frame without anything in it, which looks the same in the mirror."""
    return Labelled(image=np.full((96, 192, 3), value, np.uint8), xyxy=np.zeros((0, 4)), class_id=np.zeros(0, np.int64))


@pytest.mark.parametrize(("crop", "kind"), [(0, "whole"), (1, "crop")])
def test_without_mosaics_there_is_no_mix_up_either(crop, kind, augmenter):
    tool = augmenter(mosaic=0.5, mix_up=1, crop=crop)
    last = [tool.plan(np.random.default_rng(seed), mosaic=False) for seed in range(20)]
    assert {(plan.kind, plan.mixed) for plan in last} == {(kind, False)}
    earlier = [tool.plan(np.random.default_rng(seed), mosaic=True) for seed in range(20)]
    assert {(plan.kind, plan.mixed) for plan in earlier} == {("mosaic", True), (kind, True)}


def test_the_steps_do_not_change_with_the_country(augmenter, sample_of):
    tool = augmenter(flip_lr=0.5, transforms=[{"name": "GaussNoise", "p": 0.5, "std_range": [0.05, 0.2]}])
    noisy = 0
    for seed in range(12):
        mirrored, as_it_is = (sample_of(tool, [plain(120)], seed, may_flip=may_flip) for may_flip in (True, False))
        assert np.array_equal(mirrored.image, as_it_is.image)
        noisy += bool(as_it_is.image.std() > 0)
    assert 0 < noisy < 12


def test_the_frame_that_leads_a_mosaic_lies_in_any_tile(augmenter, sample_of):
    tool = augmenter(mosaic=1)
    seen = set()
    for seed in range(40):
        made = sample_of(tool, [plain(250), plain(10), plain(20), plain(30)], seed)
        corners = made.image[[0, 0, -1, -1], [0, -1, 0, -1], 0]
        assert sorted(corners.tolist()) == [10, 20, 30, 250]
        seen.add(int(np.argmax(corners)))
    assert seen == {0, 1, 2, 3}


@pytest.mark.parametrize(
    "transform",
    [
        {"name": "Affine", "translate_px": {"x": 7, "y": 5}, "rotate": 0, "scale": 1, "shear": 0},
        {"name": "GaussNoise", "std_range": [0.05, 0.2]},
        {"name": "exposure", "severity": 5},
    ],
    ids=lambda item: item["name"],
)
def test_a_step_of_probability_0_does_nothing(transform, augmenter, sample_of, squares):
    frame = squares(192, 96)
    for seed in range(5):
        made = sample_of(augmenter(transforms=[{**transform, "p": 0}]), [frame], seed)
        assert np.array_equal(made.image, frame.image) and np.array_equal(made.xyxy, frame.xyxy)
        assert made.made == ()
    done = sample_of(augmenter(transforms=[{**transform, "p": 1}]), [frame])
    assert not np.array_equal(done.image, frame.image)


@pytest.mark.parametrize("version", ["2.0.7", "1.4.24", "3.0.0"])
def test_another_version_of_albumentations_is_refused(version, augmenter, monkeypatch):
    monkeypatch.setattr(albumentations, "__version__", version)
    with pytest.raises(ConfigError, match=rf"albumentations: version {version} is installed, expected 2\.0\.8; pip"):
        augmenter(transforms=[{"name": "RandomGamma"}])
    augmenter(transforms=[{"name": "fog"}])
