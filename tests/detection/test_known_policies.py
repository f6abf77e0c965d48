"""The augmentation of other trainers, measured on drawn and on real lamps."""

from __future__ import annotations

import numpy as np
import pytest

from tl_datasets.augment.labelled import Labelled
from tl_datasets.catalog import Catalog
from tl_datasets.index import index
from tl_datasets.lint.settings import LintConfig
from tl_detection.known_policies import known_policies, ultralytics_hsv, yolox_hsv
from tl_detection.lint_run import format_known_policies, lint_known_policies

# Shares in percent of red, yellow and green DTLD lamps that keep their state, and that show another one, as they were
# measured with a cruder reading (the hue of the whole box) on 560 lamps, before this linter existed.
PUBLISHED = {
    "ultralytics default": ((91, 89, 91), (1, 4, 0)),
    "ultralytics tune(), upper hue": ((76, 72, 89), (15, 23, 1)),
    "ultralytics tune(), upper hue, bgr .5": ((45, 34, 46), (46, 58, 44)),
    "YOLOX hsv": ((98, 95, 99), (1, 5, 0.6)),
    "torchvision RandomPhotometricDistort (D-FINE, TAO)": ((64, 55, 69), (35, 43, 29)),
    "the same without channel permutation": ((89, 85, 95), (7, 11, 0.5)),
    "albumentations HueSaturationValue, p .5": ((87, 89, 99), (12, 11, 0.7)),
    "albumentations ColorJitter, p .5": ((61, 62, 77), (39, 38, 23)),
    "albumentations ChannelShuffle, p .5": ((66, 65, 73), (34, 35, 27)),
    "albumentations ToGray, p .5": ((51, 46, 52), (0, 0, 0)),
    "albumentations RGBShift, p .5": ((77, 73, 86), (23, 27, 14)),
    "albumentations PlanckianJitter, p .5": ((64, 72, 82), (36, 28, 18)),
    "albumentations RandomBrightnessContrast, p .5": ((99, 97, 99), (0.4, 2.6, 0.4)),
}
HARMLESS = "albumentations RandomBrightnessContrast, p .5"


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def dtld(shared_data) -> Catalog:
    catalog, _ = index(
        shared_data / "dtld_fridtjofs" / "raw_dataset",
        "yolo",
        sequence_regex=r"([A-Za-z]+)_\d+",
        labels="annotations",
        names="traffic_light",
        states="../sd_train_data",
    )
    return catalog


def test_all_policies_that_were_measured_are_known():
    assert set(known_policies()) == set(PUBLISHED)


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_a_policy_gives_an_image_and_repeats_itself(name, picture):
    sample = Labelled(image=picture, xyxy=np.zeros((0, 4)), class_id=np.zeros(0, np.int64))
    before = picture.copy()
    step = known_policies()[name]
    made = [step.always(sample, np.random.default_rng([7, draw])).image for draw in range(8)]
    again = [step.always(sample, np.random.default_rng([7, draw])).image for draw in range(8)]
    assert all(image.shape == picture.shape and image.dtype == np.uint8 for image in made)
    assert all((one == other).all() for one, other in zip(made, again, strict=True))
    assert any((image != picture).any() for image in made)
    assert (picture == before).all()


@pytest.mark.parametrize("gains", [(0.015, 0.7, 0.4), (0.1, 0.9, 0.9), (0.0, 0.0, 0.0)])
def test_hsv_is_that_of_ultralytics(gains, picture, monkeypatch):
    """Its code takes BGR, and its numbers from numpy's global generator."""
    from tl_detection import ultralytics_door  # noqa: F401  closes the network before the import below

    from ultralytics.data.augment import RandomHSV  # isort: skip

    for seed in range(5):
        drawn = np.random.default_rng(seed).uniform(-1, 1, 3)
        monkeypatch.setattr(np.random, "uniform", lambda *_, drawn=drawn: drawn)
        theirs = {"img": np.ascontiguousarray(picture[:, :, ::-1])}
        transform = RandomHSV(*gains)
        transform.apply_image(theirs)
        ours = ultralytics_hsv(picture, np.random.default_rng(seed), gains)
        difference = np.abs(ours.astype(int) - theirs["img"][:, :, ::-1].astype(int))
        # Without any gain ultralytics leaves the image alone; by way of HSV and back it is rounded.
        assert difference.max() <= (8 if not any(gains) else 0)


def test_yolox_changes_each_part_in_half_of_the_images(picture):
    grey = np.full((4, 4, 3), 128, np.uint8)
    values = {int(yolox_hsv(grey, np.random.default_rng(seed)).max()) for seed in range(60)}
    assert min(values) >= 98 and max(values) <= 158 and 128 in values and len(values) > 10


def test_torch_keeps_its_random_state(picture):
    import torch

    torch.manual_seed(3)
    before, threads = torch.get_rng_state().clone(), torch.get_num_threads()
    sample = Labelled(image=picture, xyxy=np.zeros((0, 4)), class_id=np.zeros(0, np.int64))
    known_policies()["the same without channel permutation"].always(sample, np.random.default_rng(0))
    assert torch.equal(torch.get_rng_state(), before) and torch.get_num_threads() == threads


def ranks(values: list[float]) -> np.ndarray:
    """Ranks with the mean for ties."""
    array = np.asarray(values)
    return np.array([(array < value).sum() + ((array == value).sum() - 1) / 2 for value in array])


def rank_correlation(one: list[float], other: list[float]) -> float:
    return float(np.corrcoef(ranks(one), ranks(other))[0, 1])


def compared(catalog: Catalog, config: LintConfig) -> tuple[float, float, set[str]]:
    """Rank correlations with the published shares, of those kept and of those with another state; who is refused."""
    report = lint_known_policies(None, catalog, config)
    assert not set(report.overrides())
    table = {(row["step"], row["state"]): row for row in report.survival().iter_rows(named=True)}
    found: dict[str, list[float]] = {
        column: [
            float(np.mean([table[name, state][column] for state in ("red", "yellow", "green")])) for name in PUBLISHED
        ]
        for column in ("kept", "other")
    }
    kept = [float(np.mean(shares)) for shares, _ in PUBLISHED.values()]
    other = [float(np.mean(shares)) for _, shares in PUBLISHED.values()]
    refused = {fault.step for fault in report.judged}
    lines = format_known_policies(report).splitlines()
    assert len(lines) == 1 + len(PUBLISHED) and lines[1].startswith(HARMLESS)
    return rank_correlation(kept, found["kept"]), rank_correlation(other, found["other"]), refused


def test_the_published_ranking_on_real_lamps(dtld):
    kept, other, refused = compared(dtld, LintConfig(lamps_per_state=40, draws=2))
    assert kept >= 0.85 and other >= 0.85
    assert refused == set(PUBLISHED) - {HARMLESS}


@pytest.mark.slow
def test_the_published_ranking_on_all_real_lamps(dtld):
    kept, other, refused = compared(dtld, LintConfig(lamps_per_state=400, draws=4))
    assert kept >= 0.85 and other >= 0.95
    assert refused == set(PUBLISHED) - {HARMLESS}


def test_ranks():
    assert ranks([3, 1, 3, 9]).tolist() == [1.5, 0, 1.5, 3]
    assert rank_correlation([1, 2, 3], [10, 20, 90]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
