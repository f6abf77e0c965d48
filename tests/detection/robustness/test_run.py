"""What is measured, against the ordinary evaluation of the same images written to disk."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.corruptions.corruptions import corrupt
from tl_datasets.effects.scene import Effect
from tl_datasets.errors import DataError, UsageError
from tl_datasets.images import write_rgb
from tl_detection.detector import Detections
from tl_detection.evaluation.report import evaluate
from tl_detection.robustness.choice import Corruption, choose_corruptions
from tl_detection.robustness.results import Robustness, class_value, overall_value, summarise
from tl_detection.robustness.run import image_seed, measure_robustness, spread_rows


def measure(detector, catalog: Catalog, *words: str, severities: tuple[int, ...] = (1, 5), **options) -> Robustness:
    corruptions = choose_corruptions(words)
    return measure_robustness(detector, catalog, corruptions=corruptions, severities=severities, **options)


def test_the_scores_are_those_of_an_ordinary_evaluation(detector, lamps: Catalog, tmp_path: Path):
    result = measure(detector, lamps, "gaussian_noise", "contrast", severities=(3,), seed=7)
    assert result.clean.ap == evaluate(detector, lamps, detector.label_space).overall.ap
    for item in result.corruptions:
        folder = tmp_path / item.corruption.name
        folder.mkdir()
        for row, frame_id in enumerate(lamps.frames["frame_id"]):
            rng = np.random.default_rng(image_seed(7, item.corruption.key, 3, frame_id))
            write_rgb(folder / lamps.frames["path"][row], corrupt(lamps.read_rgb(row), item.corruption.name, 3, rng))
        written = Catalog(lamps.frames, lamps.annotations, {"drawn": folder})
        expected = evaluate(detector, written, detector.label_space).overall
        (found,) = item.overall.corrupted
        assert (found.ap, found.ap50, found.ar100) == (expected.ap, expected.ap50, expected.ar100)
        assert [part.ap for part in found.classes] == [part.ap for part in expected.classes]
    noise, contrast = (item.overall.corrupted[0].ap50 for item in result.corruptions)
    assert result.clean.ap50 > 0.9 > noise > 0
    assert contrast == 0  # all colours are pale


def test_threads_batches_and_other_corruptions_change_nothing(detector, lamps: Catalog):
    one = measure(detector, lamps, "impulse_noise", "standard.fog")
    other = measure(detector, lamps, "standard.fog", "standard.snow", "impulse_noise", workers=3, batch_size=5)
    assert max(detector.batches[-5:]) <= 5
    by_key = {item.corruption.key: item for item in other.corruptions}
    for item in one.corruptions:
        assert asdict(item.overall) == asdict(by_key[item.corruption.key].overall)
    reseeded = measure(detector, lamps, "impulse_noise", seed=1)
    assert asdict(reseeded.corruptions[0].overall) != asdict(one.corruptions[0].overall)
    assert asdict(reseeded.clean) == asdict(one.clean)


def test_each_frame_is_decoded_once_and_batches_are_bounded(detector, lamps: Catalog, monkeypatch: pytest.MonkeyPatch):
    read = []
    original = Catalog.read_rgb
    monkeypatch.setattr(Catalog, "read_rgb", lambda self, row: (read.append(row), original(self, row))[1])
    seen = []
    measure(detector, lamps, "brightness", "contrast", batch_size=4, progress=lambda *counts: seen.append(counts))
    assert read == list(range(6))
    assert set(detector.batches) <= {4, 2}
    assert seen[-1] == (30, 30)  # 6 frames, clean and twice two severities
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_red_that_is_said_to_be_green(detector, lamps: Catalog, own_effects: dict[str, Effect]):
    result = measure(detector, lamps, "swap", severities=(1, 3))
    assert result.clean.red_as_green.objects == 6
    (item,) = result.corruptions
    assert item.overall.clean.red_as_green.as_green == 0
    same, swapped = (scores.red_as_green for scores in item.overall.corrupted)
    assert (same.detected, same.as_green) == (6, 0)
    assert swapped.objects == 6
    assert swapped.as_green == swapped.detected >= 4
    # One threshold for all weather: that of the clean frames.
    assert [part.operating_score for part in item.overall.corrupted[1].classes] == list(result.operating_scores)


def test_frames_that_an_effect_does_not_fit_are_left_out_of_both_sides(
    detector, lamps: Catalog, own_effects: dict[str, Effect]
):
    result = measure(detector, lamps, "weather", by=["weather"])
    swap, dusk = result.corruptions
    assert (swap.frames_left_out, dusk.frames_left_out) == (0, 2)
    assert (swap.overall.clean.frames, dusk.overall.clean.frames) == (6, 4)
    dry = lamps.filter(pl.col("weather").is_null() | (pl.col("weather") != "snowy"))
    expected = measure(detector, dry, "weather.dusk").corruptions[0]
    assert dusk.overall.clean.ap == expected.overall.clean.ap
    assert [part.ap for part in dusk.overall.corrupted] == [part.ap for part in expected.overall.corrupted]
    assert result.slice_names == ("weather=clear", "weather=snowy", "weather=not annotated")
    assert dusk.slices["weather=snowy"].clean.ap is None
    snowy = summarise([item.slices["weather=snowy"] for item in result.corruptions], overall_value("ap"))
    assert (snowy.n_corruptions, snowy.n_without_value) == (1, 1)


def test_a_class_without_objects_has_no_value_and_is_in_no_mean(detector, lamps: Catalog):
    result = measure(detector, lamps, "brightness")
    measured = [item.overall for item in result.corruptions]
    off = summarise(measured, class_value("ap50", [2]))
    assert (off.clean, off.mpc, off.rpc) == (None, None, None)
    parts = [summarise(measured, class_value("ap50", [index])).mpc for index in (0, 1)]
    assert summarise(measured, overall_value("ap50")).mpc == pytest.approx(np.mean(parts))


def test_frames_are_evenly_spread():
    rows = np.arange(10, 110)
    assert spread_rows(rows, None, 0) is rows
    assert spread_rows(rows, 200, 0) is rows
    for n in (1, 3, 7, 50, 99):
        for seed in range(20):
            chosen = spread_rows(rows, n, seed)
            assert len(set(chosen.tolist())) == n
            assert set(np.diff(chosen)) <= {100 // n, -(-100 // n)}
    assert spread_rows(rows, 7, 3).tolist() == spread_rows(rows, 7, 3).tolist()
    assert len({tuple(spread_rows(rows, 7, seed)) for seed in range(20)}) > 5


def test_so_many_frames(detector, lamps: Catalog):
    result = measure(detector, lamps, "brightness", n_frames=3)
    assert (result.frames, result.frames_offered, result.clean.frames) == (3, 6, 3)


def test_bad_input(detector, lamps: Catalog):
    with pytest.raises(UsageError, match="--frames 0: expected 1 or more"):
        measure(detector, lamps, "brightness", n_frames=0)
    with pytest.raises(UsageError, match="--workers 0"):
        measure(detector, lamps, "brightness", workers=0)
    with pytest.raises(UsageError, match="no column 'mood'"):
        measure(detector, lamps, "brightness", by=["mood"])
    unlabelled = lamps.with_frames(lamps.frames.with_columns(pl.lit("unlabelled").alias("label_status")))
    with pytest.raises(DataError, match=r"none of the 6 frames can be scored \(6 unlabelled"):
        measure(detector, unlabelled, "brightness")
    empty = Catalog(lamps.frames, lamps.annotations.clear(), lamps.roots)
    with pytest.raises(DataError, match="6 frames hold no object of the classes red, green, off"):
        measure(detector, empty, "brightness")


def test_a_detector_or_an_effect_that_breaks_its_promise(detector, lamps: Catalog, monkeypatch: pytest.MonkeyPatch):
    smaller = Corruption(group="weather", name="crop", apply=lambda scene, severity, rng: scene.image[1:])
    with pytest.raises(DataError, match=r"corruption weather.crop: gave uint8 of shape \(95, 160, 3\)"):
        measure_robustness(detector, lamps, corruptions=[smaller], severities=[1])
    monkeypatch.setattr(detector, "detect", lambda images: [Detections.empty()])
    with pytest.raises(DataError, match="1 results for 8 images"):
        measure(detector, lamps, "brightness")


def test_summary_by_hand(detector, lamps: Catalog):
    (item,) = measure(detector, lamps, "brightness").corruptions
    clean, after = item.overall.clean, item.overall.corrupted[0]

    def measured(before: float | None, *values: float | None):
        return replace(
            item.overall,
            clean=replace(clean, ap=before),
            corrupted=tuple(replace(after, ap=value) for value in values),
        )

    value = overall_value("ap")
    two = summarise([measured(0.8, 0.6, 0.2), measured(0.6, 0.3, 0.3)], value)
    assert (two.clean, two.mpc, two.rpc) == pytest.approx((0.7, 0.35, 0.5))
    assert summarise([measured(0.8, 0.8)], value).rpc == 1
    gone = summarise([measured(0.8, 0.4), measured(None, None)], value)
    assert (gone.clean, gone.mpc, gone.n_without_value) == (0.8, 0.4, 1)
    nothing = summarise([measured(0.0, 0.0)], value)
    assert (nothing.clean, nothing.mpc, nothing.rpc) == (0.0, 0.0, None)
    assert summarise([], value).mpc is None
