"""Training samples: which frames, what is ignored, and that nothing but (seed, epoch, frame) decides a sample."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from tl_datasets.augment.geometry import crop, mosaic_tiles
from tl_datasets.augment.labelled import Labelled
from tl_datasets.augment.pipeline import Augmenter, Plan
from tl_datasets.augment.settings import AugmentConfig
from tl_datasets.balance import BalanceConfig
from tl_datasets.catalog import Catalog
from tl_datasets.errors import ConfigError, DataError, ImageError
from tl_datasets.frame import Annotation, Frame
from tl_datasets.frame_cache import FrameCacheConfig
from tl_datasets.images import write_rgb
from tl_datasets.label_space import LabelSpace
from tl_datasets.letterbox import PAD_VALUE
from tl_datasets.taxonomy import State
from tl_datasets.torch_dataset import FrameDataset, labelled_frames, make_loader, sample_generator

SPACE = LabelSpace.model_validate(
    {
        "classes": {"red": {"state": "red"}, "green": {"state": "green"}},
        "ignore": [{"state": "unknown"}],
        "drop": [{"category": "car"}],
    }
)

KILLED_RUN = """
import multiprocessing, time, torch
from tl_datasets.torch_dataset import make_loader
nothing = torch.zeros(0)
sample = {"image": torch.zeros(3, 8, 8), "xyxy": nothing, "class_id": nothing, "frame_id": "f", "vanished": 0}
sample |= {"ignore_xyxy": nothing, "is_vanished": nothing, "weather": None, "time_of_day": None, "made": ()}
sample |= {"occurrence": 0, "box_only_xyxy": nothing, "box_only_candidates": nothing, "broken": ()}
batches = iter(make_loader([sample] * 100, 1, 1, 0, pin_memory=False))
next(batches)
print(multiprocessing.active_children()[0].pid, flush=True)
time.sleep(600)
"""


def drawn(folder: Path, frames: list[Frame]) -> Catalog:
    """Noise images, so that no two are alike, with the given annotations."""
    for number, frame in enumerate(frames):
        rng = np.random.default_rng(number)
        shape = (frame.height_px, frame.width_px, 3)
        write_rgb(folder / frame.path, rng.integers(150, 255, shape, dtype=np.uint8))
    return Catalog.from_frames(frames, source="drawn", root=folder)


def frame(name: str, *annotations: Annotation, **fields: Any) -> Frame:
    return Frame(
        **{"frame_id": name, "path": f"{name}.png", "width_px": 96, "height_px": 64, "annotations": annotations}
        | fields
    )


def box(x: float, y: float, state: State | None = State.RED, **fields: Any) -> Annotation:
    return Annotation(xyxy=(x, y, x + 10, y + 20), state=state, **fields)


@pytest.fixture
def dataset(tmp_path: Path) -> Callable[..., FrameDataset]:
    frames = [frame(f"f{i}", box(5 + 7 * i, 10), box(60, 30, State.GREEN)) for i in range(5)] + [frame("empty")]
    catalog = drawn(tmp_path, frames)

    def make(augment: dict[str, Any] | None = None, **settings: Any) -> FrameDataset:
        augmenter = None
        if augment is not None:
            augmenter = Augmenter(AugmentConfig.model_validate({"crop": 0, "transforms": []} | augment), SPACE, 96, 64)
        return FrameDataset(labelled_frames(catalog, SPACE), 96, 64, augmenter, **settings)

    return make


FULL = {"mosaic": 0.5, "mosaic_off_epochs": 0, "transforms": [{"name": "GaussNoise", "std_range": [0.02, 0.05]}]}


def same(first: Any, second: Any) -> bool:
    return first["frame_id"] == second["frame_id"] and all(
        torch.equal(first[key], second[key]) for key in ("image", "xyxy", "class_id", "ignore_xyxy")
    )


def at(data: FrameDataset, row: int) -> Any:
    """The sample of a row of the catalog in the epoch that is set."""
    return data[int(np.flatnonzero(data.order(int(data._epoch[0]))[0] == row)[0])]


# --- which frames


@pytest.mark.parametrize(
    ("what", "fields", "kept", "reason"),
    [
        ("labelled", {}, True, None),
        ("labelled, without a box: a negative", {"annotations": ()}, True, None),
        ("unlabelled is no negative", {"annotations": None}, False, "unlabelled"),
        ("partly labelled with what is learned", {"labelled_categories": ("traffic_light", "car")}, True, None),
        ("partly labelled without it", {"labelled_categories": ("car",), "annotations": ()}, False, "partly labelled"),
    ],
)
def test_what_can_be_learned_from(what, fields, kept, reason, tmp_path):
    catalog = Catalog.from_frames([frame("a", **({"annotations": (box(1, 1),)} | fields))], source="s", root=tmp_path)
    found = labelled_frames(catalog, SPACE)
    assert (len(found.catalog) == 1) == kept, what
    assert found.left_out == ({reason: 1} if reason else {})


def test_no_frame_is_an_error(tmp_path):
    empty = labelled_frames(Catalog.from_frames([], source="s", root=tmp_path), SPACE)
    with pytest.raises(DataError, match=r"none left after the filter; check data\.train"):
        FrameDataset(empty, 64, 64)


def test_a_box_without_a_rule_is_an_error(tmp_path):
    catalog = Catalog.from_frames([frame("a", box(1, 1, State.OFF))], source="s", root=tmp_path)
    with pytest.raises(DataError, match="1 boxes are named by no rule"):
        labelled_frames(catalog, SPACE)


# --- what a sample shows


@pytest.mark.parametrize("augment", [None, {"mosaic": 0, "scale": [1, 1], "translate": 0, "flip_lr": 0}])
def test_ignore_areas_are_given_and_dropped_boxes_are_background(augment, tmp_path):
    one = frame(
        "a",
        box(5, 5),
        box(30, 5, State.UNKNOWN),
        box(50, 5, State.GREEN, ignore=True),
        Annotation(xyxy=(70, 5, 90, 25), category="car"),
        weather="rainy",
        time_of_day="night",
    )
    augmenter = (
        None
        if augment is None
        else Augmenter(AugmentConfig.model_validate({"crop": 0, "transforms": []} | augment), SPACE, 96, 64)
    )
    catalog = drawn(tmp_path, [one])
    sample = FrameDataset(labelled_frames(catalog, SPACE), 96, 64, augmenter)[0]
    assert sample["xyxy"].tolist() == [[5, 5, 15, 25]] and sample["class_id"].tolist() == [0]
    assert sample["ignore_xyxy"].tolist() == [[30, 5, 40, 25], [50, 5, 60, 25]]
    assert sample["ignore_xyxy"].dtype == torch.float32 and sample["vanished"] == 0
    assert (sample["weather"], sample["time_of_day"], sample["made"]) == ("rainy", "night", ())
    # The pixels are those of the camera.
    assert np.array_equal(sample["image"].permute(1, 2, 0).numpy(), catalog.read_rgb(0))


def test_a_plain_sample_is_the_letterboxed_frame(tmp_path):
    wide = frame("a", box(40, 20), width_px=192, height_px=64)
    sample = FrameDataset(labelled_frames(drawn(tmp_path, [wide]), SPACE), 96, 64)[0]
    assert sample["image"].shape == (3, 64, 96) and sample["image"].dtype == torch.uint8
    assert sample["xyxy"].tolist() == [[20, 26, 25, 36]]
    assert (sample["image"][:, :16] == PAD_VALUE).all() and (sample["image"][:, 16:48] != PAD_VALUE).any()


def test_a_negative_has_no_boxes(dataset):
    for augment in (None, {"mosaic": 0}):
        sample = at(dataset(augment), 5)
        assert sample["frame_id"] == "empty"
        assert sample["xyxy"].shape == (0, 4) and sample["class_id"].shape == (0,)
        assert sample["xyxy"].dtype == torch.float32 and sample["class_id"].dtype == torch.int64


@pytest.mark.parametrize(
    ("what", "spoil", "message"),
    [
        ("gone", lambda path: path.unlink(), "cannot be read"),
        ("cut off", lambda path: path.write_bytes(path.read_bytes()[:40]), "do not decode"),
        (
            "another size",
            lambda path: write_rgb(path, np.zeros((30, 30, 3), np.uint8)),
            "30x30 pixels, the catalog says 96x64; .*index the source again",
        ),
    ],
)
def test_bad_images_are_named(what, spoil, message, dataset, tmp_path):
    data = dataset()
    spoil(tmp_path / "f2.png")
    with pytest.raises(ImageError, match=message) as caught:
        at(data, 2)
    assert "f2.png" in str(caught.value), what


# --- what decides a sample


def test_the_same_seed_epoch_and_frame_give_the_same_sample(dataset):
    first, second = dataset(FULL, seed=3, epochs=5), dataset(FULL, seed=3, epochs=5)
    first.set_epoch(1)
    first.set_epoch(2)
    second.set_epoch(2)
    assert all(same(first[index], second[index]) for index in (4, 0, 2))


@pytest.mark.parametrize(("what", "seed", "epoch"), [("another seed", 4, 2), ("another epoch", 3, 1)])
def test_another_seed_or_epoch_gives_another_sample(what, seed, epoch, dataset):
    first, second = dataset(FULL, seed=3, epochs=5), dataset(FULL, seed=seed, epochs=5)
    first.set_epoch(2)
    second.set_epoch(epoch)
    assert not torch.equal(first[0]["image"], second[0]["image"]), what


def test_generators_differ_by_each_part():
    draws = {
        sample_generator(seed, epoch, name, occurrence, purpose).integers(2**62)
        for seed in (0, 1)
        for epoch in (0, 1)
        for name in ("a", "b", "a/1", "plan/a")
        for occurrence in (0, 1)
        for purpose in ("sample", "plan")
    }
    assert len(draws) == 64


def test_any_number_of_workers_gives_the_same_batches(dataset):
    def epochs(workers: int) -> list[Any]:
        data = dataset(FULL, seed=1, epochs=4)
        loader = make_loader(data, 4, workers, 1, pin_memory=False)
        batches = []
        for epoch in (0, 1):
            data.set_epoch(epoch)
            batches.extend(loader)
        return batches

    alone = epochs(0)
    assert [len(batch["frame_ids"]) for batch in alone] == [4, 2, 4, 2]
    for workers in (1, 2):
        others = epochs(workers)
        for first, second in zip(alone, others, strict=True):
            assert first["frame_ids"] == second["frame_ids"]
            assert torch.equal(first["images"], second["images"]) and first["vanished"] == second["vanished"]
            for key in ("xyxy", "class_id"):
                assert all(torch.equal(a, b) for a, b in zip(first[key], second[key], strict=True))
    # Persistent workers must see the new epoch.
    by_id = [dict(zip(batch["frame_ids"], batch["images"], strict=True)) for batch in alone]
    assert not torch.equal((by_id[0] | by_id[1])["f0"], (by_id[2] | by_id[3])["f0"])


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_image_is_one_line_from_any_process(workers, dataset):
    data = dataset(FULL)
    data.frames.catalog.image_path(3).write_bytes(b"no image")
    loader = make_loader(data, 4, workers, 0, pin_memory=False)
    with pytest.raises(
        DataError, match=r"f3\.png: 8 bytes that do not decode as an image; replace or remove the file$"
    ):
        list(loader)


@pytest.mark.skipif(not Path("/proc").exists(), reason="reads /proc")
def test_workers_end_with_a_killed_run():
    """Also after SIGKILL, when the run itself can no longer stop them."""
    command = [sys.executable, "-c", textwrap.dedent(KILLED_RUN)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as run:
        assert run.stdout is not None
        worker = int(run.stdout.readline())
        assert _is_alive(worker)
        run.kill()
    end = time.monotonic() + 20
    while _is_alive(worker) and time.monotonic() < end:
        time.sleep(0.1)
    assert not _is_alive(worker)


def _is_alive(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_the_loader_leaves_the_global_random_state_alone(dataset):
    state = torch.get_rng_state()
    list(make_loader(dataset(FULL), 2, 0, 0, pin_memory=False))
    assert torch.equal(torch.get_rng_state(), state)


def test_mosaic_stops_before_the_end(dataset):
    data = dataset({"mosaic": 1, "mosaic_off_epochs": 2, "flip_lr": 0, "scale": [1, 1], "translate": 0}, epochs=5)
    plain = dataset()
    seen = []
    for epoch in range(5):
        data.set_epoch(epoch)
        seen.append(torch.equal(at(data, 0)["image"], at(plain, 0)["image"]))
    assert seen == [False, False, False, True, True]


def test_the_order_follows_from_seed_and_epoch(dataset):
    def order(seed: int, epoch: int) -> list[int]:
        return dataset(seed=seed).order(epoch)[0].tolist()

    assert order(0, 1) == order(0, 1)
    assert sorted(order(0, 1)) == list(range(6))
    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4


def test_a_frame_has_one_sample_wherever_it_stands_in_the_order(dataset):
    """Without partners, nothing but seed, epoch and frame decides."""
    data = dataset({"mosaic": 0, "transforms": [{"name": "GaussNoise"}]}, seed=5)
    data.set_epoch(1)
    by_id = {sample["frame_id"]: sample for sample in (data[position] for position in range(len(data)))}
    rng = sample_generator(5, 1, "f3")
    plan = data.augmenter.plan(sample_generator(5, 1, "f3", 0, "plan"), mosaic=False)
    row = data.frame_ids.index("f3")
    expected = data.augmenter.sample([(data.labelled(row), plan)], rng)
    assert np.array_equal(by_id["f3"]["image"].permute(1, 2, 0).numpy(), expected.image)


def test_partners_come_from_the_block_of_the_order(tmp_path):
    frames = [frame(f"f{number}", box(5, 10)) for number in range(24)]
    catalog = drawn(tmp_path, frames)
    augment = {"mosaic": 1, "mosaic_off_epochs": 0, "mosaic_block": 8, "mix_up": 1}
    augmenter = Augmenter(AugmentConfig.model_validate({"crop": 0, "transforms": []} | augment), SPACE, 96, 64)
    data = FrameDataset(labelled_frames(catalog, SPACE), 96, 64, augmenter)
    order = data.order(0)[0]
    read: list[int] = []
    data.labelled = lambda row, reduction=1, plain=data.labelled: read.append(row) or plain(row, reduction)  # type: ignore[method-assign]
    for position in range(24):
        read.clear()
        data[position]
        assert read[0] == order[position] and len(read) == 5
        block = position // 8 * 8
        assert set(read) <= set(order[block : block + 8].tolist())
        assert len(set(read[:5])) == 5


def test_a_single_frame_is_its_own_partner(tmp_path):
    augmenter = Augmenter(
        AugmentConfig.model_validate({"mosaic": 1, "mosaic_off_epochs": 0, "transforms": []}), SPACE, 96, 64
    )
    data = FrameDataset(labelled_frames(drawn(tmp_path, [frame("a", box(5, 5))]), SPACE), 96, 64, augmenter)
    assert len(data[0]["xyxy"]) + data[0]["vanished"] == 4


@pytest.mark.parametrize("cache", [{"memory_mib": 0}, {"memory_mib": 64}])
def test_the_cache_changes_nothing(cache, dataset):
    plain, cached = dataset(FULL, seed=2, epochs=4), dataset(FULL, seed=2, epochs=4, cache=FrameCacheConfig(**cache))
    for epoch in (0, 1):
        plain.set_epoch(epoch)
        cached.set_epoch(epoch)
        assert all(same(plain[position], cached[position]) for position in range(6))


def test_large_frames_are_decoded_at_the_size_that_is_needed(tmp_path):
    """Half of the pixels, and the boxes where they belong."""
    large = frame("a", box(100, 60), width_px=384, height_px=256)
    augment = {"mosaic": 0, "scale": [1, 1], "translate": 0, "flip_lr": 0}
    augmenter = Augmenter(AugmentConfig.model_validate({"crop": 0, "transforms": []} | augment), SPACE, 96, 64)
    data = FrameDataset(labelled_frames(drawn(tmp_path, [large]), SPACE), 96, 64, augmenter)
    read: list[int] = []
    data.labelled = lambda row, reduction=1, plain=data.labelled: read.append(reduction) or plain(row, reduction)  # type: ignore[method-assign]
    assert data[0]["xyxy"].tolist() == [[25, 15, 27.5, 20]] and read == [4]


# --- countries

FLIPPED = {"mosaic": 0, "scale": [1, 1], "translate": 0, "flip_lr": 1}


@pytest.mark.parametrize(
    ("countries", "flipped"),
    [({"drawn": "DE"}, True), ({"drawn": "GB"}, False), ({"drawn": "DE", "other": "GB"}, True)],
)
def test_a_country_is_not_mirrored(countries, flipped, dataset):
    data = dataset(FLIPPED | {"no_flip_countries": ["GB", "JP"], "countries": countries})
    plain = dataset()
    assert all(
        torch.equal(data[position]["image"], plain[position]["image"].flip(2)) == flipped for position in range(6)
    )


def test_a_source_of_no_country_is_an_error(dataset):
    with pytest.raises(ConfigError, match=r"augment.countries: source 'drawn' has no country.*add drawn: "):
        dataset(FLIPPED | {"no_flip_countries": ["GB"]})
    dataset(FLIPPED | {"no_flip_countries": ["GB"], "flip_lr": 0})


def test_vanished_boxes_are_counted_in_the_batch(tmp_path):
    catalog = drawn(tmp_path, [frame("a", box(43, 20)), frame("b", box(1, 20))])
    augmenter = Augmenter(
        AugmentConfig.model_validate(
            {
                "mosaic": 0,
                "crop": 0,
                "scale": [2, 2],
                "translate": 0,
                "flip_lr": 0,
                "min_size_px": 100,
                "transforms": [],
            }
        ),
        SPACE,
        96,
        64,
    )
    loader = make_loader(FrameDataset(labelled_frames(catalog, SPACE), 96, 64, augmenter), 2, 0, 0, pin_memory=False)
    batch = next(iter(loader))
    assert sorted(batch["vanished"]) == [0, 1]  # the other one lies wholly outside
    assert [len(xyxy) for xyxy in batch["xyxy"]] == [0, 0]
    assert sorted(len(xyxy) for xyxy in batch["ignore_xyxy"]) == [0, 1]


# --- frames that come twice


class Pasting:
    """In the place of `CopyPaste`: writes down what it is given."""

    def __init__(self):
        self.drawn: list[float] = []
        self.reductions: list[tuple[int, int]] = []

    def paste(self, frame: Labelled, row: int, read: Any, rng: np.random.Generator, reduction: int = 1) -> Labelled:
        """The frame as it is."""
        self.drawn.append(rng.random())
        self.reductions.append((frame.image.shape[1], reduction))
        return frame


def twice(tmp_path: Path, augment: dict[str, Any]) -> tuple[FrameDataset, list[list[int]]]:
    """A dataset in which the only frame with a green lamp comes twice, and the positions of the repeated frames."""
    frames = [frame(f"f{number}", box(5, 10, State.RED if number else State.GREEN)) for number in range(6)]
    augmenter = Augmenter(AugmentConfig.model_validate({"crop": 0, "transforms": []} | augment), SPACE, 96, 64)
    balance = BalanceConfig(enabled=True, threshold=1, by=(), cap=2)
    data = FrameDataset(labelled_frames(drawn(tmp_path, frames), SPACE), 96, 64, augmenter, balance=balance)
    rows = data.order(0)[0]
    return data, [np.flatnonzero(rows == row).tolist() for row in np.flatnonzero(np.bincount(rows) > 1)]


STILL = {"mosaic": 0, "scale": [1, 1], "translate": 0, "flip_lr": 0}


@pytest.mark.parametrize(
    ("what", "augment"),
    [
        ("the steps", STILL | {"transforms": [{"name": "GaussNoise", "p": 1, "std_range": [0.02, 0.05]}]}),
        ("the shift", STILL | {"translate": 0.3}),
        ("the scale", STILL | {"scale": [0.5, 1.5]}),
        ("the mosaic", STILL | {"mosaic": 1, "mosaic_off_epochs": 0}),
    ],
)
def test_a_frame_that_comes_again_gives_another_sample(what, augment, tmp_path):
    data, repeated = twice(tmp_path, augment)
    assert repeated
    for first, second in repeated:
        samples = [data[first], data[second]]
        assert samples[0]["frame_id"] == samples[1]["frame_id"]
        assert [sample["occurrence"] for sample in samples] == [0, 1]
        assert not torch.equal(samples[0]["image"], samples[1]["image"]), what
        assert same(samples[1], data[second]), what


def test_a_frame_that_comes_again_gets_other_heads(tmp_path):
    data, repeated = twice(tmp_path, STILL | {"copy_paste": {"p": 1}})
    assert data.copy_paste is not None and repeated
    for positions in repeated:
        data.copy_paste = pasting = Pasting()  # type: ignore[assignment]
        for position in (*positions, *positions):
            data[position]
        assert pasting.drawn[:2] == pasting.drawn[2:] and pasting.drawn[0] != pasting.drawn[1]


def test_heads_are_pasted_into_frames_of_the_size_at_which_they_were_decoded(tmp_path):
    frames = [frame("large", box(100, 60), width_px=384, height_px=256), frame("small", box(5, 10))]
    config = AugmentConfig.model_validate({"crop": 0, "transforms": [], "copy_paste": {"p": 1}} | STILL)
    data = FrameDataset(labelled_frames(drawn(tmp_path, frames), SPACE), 96, 64, Augmenter(config, SPACE, 96, 64))
    data.copy_paste = pasting = Pasting()  # type: ignore[assignment]
    at(data, 0)
    at(data, 1)
    assert pasting.reductions == [(96, 4), (96, 1)]


# --- mosaics of two countries


@pytest.mark.parametrize(
    ("what", "excluded", "flipped"), [("one is not mirrored", ["GB"], False), ("all are", ["JP"], True)]
)
def test_a_mosaic_is_mirrored_if_all_its_frames_may_be(what, excluded, flipped, tmp_path):
    parts = []
    for source, names in (("home", ("a", "b", "c")), ("abroad", ("d",))):
        (tmp_path / source).mkdir()
        catalog = drawn(tmp_path / source, [frame(name, box(5, 10)) for name in names])
        parts.append(Catalog.from_frames(catalog.iter_frames(), source=source, root=tmp_path / source))
    catalog = Catalog(
        pl.concat([part.frames for part in parts]),
        pl.concat([part.annotations for part in parts]),
        {source: root for part in parts for source, root in part.roots.items()},
    )

    def samples(flip_lr: float) -> list[Any]:
        augment = {"mosaic": 1, "mosaic_off_epochs": 0, "crop": 0, "flip_lr": flip_lr, "transforms": []}
        augment |= {"no_flip_countries": excluded, "countries": {"home": "DE", "abroad": "GB"}}
        config = AugmentConfig.model_validate(augment)
        data = FrameDataset(labelled_frames(catalog, SPACE), 96, 64, Augmenter(config, SPACE, 96, 64))
        return [data[position] for position in range(4)]

    # Four frames: each leads once, and all are in each mosaic.
    mirrored, as_it_is = samples(1), samples(0)
    assert sorted(sample["frame_id"] for sample in mirrored) == ["a", "b", "c", "d"]
    for first, second in zip(mirrored, as_it_is, strict=True):
        assert torch.equal(first["image"], second["image"].flip(2) if flipped else second["image"]), what


@pytest.mark.parametrize(("width_px", "height_px"), [(1280, 720), (1920, 1080), (720, 1280), (2048, 1024), (333, 777)])
@pytest.mark.parametrize("canvas", [(640, 640), (640, 384), (1280, 736)])
def test_reduced_decoding_keeps_what_is_shown(canvas, width_px, height_px):
    """No pixel that is shown is lost, but where a tile must be filled; there it is stretched by a quarter at most."""
    config = {"mosaic": 0.5, "crop": 0.3, "scale": [0.25, 1.5], "transforms": []}
    augmenter = Augmenter(AugmentConfig.model_validate(config), SPACE, *canvas)
    image = np.zeros((height_px, width_px, 3), np.uint8)
    reduced = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        plan = augmenter.plan(rng, mosaic=True)
        reduction = augmenter.reduction(width_px, height_px, plan)
        reduced += reduction > 1
        frame = Labelled(image=image, xyxy=np.zeros((0, 4)), class_id=np.zeros(0, int))
        letterbox = min(canvas[0] / width_px, canvas[1] / height_px)
        tiles = mosaic_tiles(canvas, rng) if plan.kind != "crop" else [(0, 0, *canvas)]
        for tile in tiles:
            scale = crop(frame, plan.factor, tile, canvas, augmenter.is_light, rng).scale
            assert reduction == 1 or scale * reduction <= (1.26 if scale > letterbox * plan.factor + 1e-9 else 1.001)
    assert reduced or width_px == 333 or canvas[0] * canvas[1] > width_px * height_px / 3


def test_streams_of_different_names_do_not_meet():
    draws = [
        sample_generator(0, 0, "a/plan").integers(2**62),
        sample_generator(0, 0, "a", 0, "plan").integers(2**62),
        sample_generator(0, 0, "a/1").integers(2**62),
        sample_generator(0, 0, "a", 1).integers(2**62),
        sample_generator(0, 0, "1/a").integers(2**62),
    ]
    assert len(set(draws)) == len(draws)


def test_a_larger_stretch_decodes_less():
    def reduction(stretch: float, factor: float) -> int:
        config = AugmentConfig.model_validate({"max_stretch": stretch, "transforms": []})
        plan = Plan(kind="whole", factor=factor, mixed=False)
        return Augmenter(config, SPACE, 640, 384).reduction(1280, 720, plan)

    # The letterbox scale is a half. A quarter of the size would not fill a tile of a mosaic.
    assert [reduction(1.0, factor) for factor in (0.5, 1.0, 1.5)] == [2, 2, 1]
    assert [reduction(1.5, factor) for factor in (1.0, 1.5)] == [2, 2]


# --- boxes of which the class is not known


OPEN = LabelSpace.model_validate(
    {
        "classes": {
            "red": {"state": "red", "pictogram": ["circle", None]},
            "green_left": {"state": "green", "pictogram": "arrow_left"},
            "green_right": {"state": "green", "pictogram": "arrow_right"},
        },
        "box_only": [{"state": ["unknown", None]}],
        "otherwise": "drop",
    }
)
LEFT = {"state": None, "pictogram": "arrow_left"}


def open_frames(folder: Path) -> Any:
    frames = [
        frame("a", box(5, 5), box(30, 30, **LEFT), box(60, 5, State.UNKNOWN)),
        frame("b", box(30, 5), box(55, 30, State.UNKNOWN, ignore=True)),
    ]
    return labelled_frames(drawn(folder, frames), OPEN)


def told(sample: Any) -> list[tuple[list[float], str]]:
    """Boxes and what is told of each, in order of their left edge."""
    known = [
        ([round(v, 3) for v in xyxy], OPEN.names[c])
        for xyxy, c in zip(sample["xyxy"].tolist(), sample["class_id"], strict=True)
    ]
    may_be = [
        ([round(v, 3) for v in xyxy], "|".join(name for name, may in zip(OPEN.names, row, strict=True) if may))
        for xyxy, row in zip(sample["box_only_xyxy"].tolist(), sample["box_only_candidates"].tolist(), strict=True)
    ]
    return sorted(known + may_be)


ANY = "red|green_left|green_right"


@pytest.mark.parametrize(
    ("what", "augment", "expected"),
    [
        ("plain", None, [([5, 5, 15, 25], "red"), ([30, 30, 40, 50], "green_left"), ([60, 5, 70, 25], ANY)]),
        (
            "mirrored",
            {"flip_lr": 1},
            [([26, 5, 36, 25], ANY), ([56, 30, 66, 50], "green_right"), ([81, 5, 91, 25], "red")],
        ),
        # Of the last box less than half is shown, of the first nothing.
        ("enlarged", {"scale": [2, 2], "flip_lr": 0}, [([12, 28, 32, 64], "green_left"), ([72, 0, 92, 18], ANY)]),
    ],
)
def test_boxes_without_a_class_follow_the_pixels(what, augment, expected, tmp_path):
    frames = open_frames(tmp_path)
    nothing = {"mosaic": 0, "crop": 0, "scale": [1, 1], "translate": 0, "transforms": [], "min_visible": 0.3}
    augmenter = None
    if augment is not None:
        config = AugmentConfig.model_validate(nothing | augment)
        augmenter = Augmenter(config, OPEN, 96, 64, frames.candidates)
    sample = at(FrameDataset(frames, 96, 64, augmenter), 0)
    assert told(sample) == expected, what
    assert sample["box_only_candidates"].dtype == torch.bool and sample["box_only_xyxy"].dtype == torch.float32


def test_a_box_without_a_class_that_is_cut_becomes_an_ignore_area(tmp_path):
    frames = open_frames(tmp_path)
    config = {
        "mosaic": 0,
        "crop": 0,
        "scale": [2, 2],
        "translate": 0,
        "flip_lr": 0,
        "transforms": [],
        "min_visible": 0.95,
    }
    augmenter = Augmenter(AugmentConfig.model_validate(config), OPEN, 96, 64, frames.candidates)
    sample = at(FrameDataset(frames, 96, 64, augmenter), 0)
    assert told(sample) == []
    assert sorted(sample["ignore_xyxy"].tolist()) == [[12, 28, 32, 64], [72, 0, 92, 18]] and sample["vanished"] == 2


def test_a_box_without_a_class_that_its_source_ignores_teaches_nothing(tmp_path):
    sample = at(FrameDataset(open_frames(tmp_path), 96, 64), 1)
    assert told(sample) == [([30, 5, 40, 25], "red")] and sample["ignore_xyxy"].tolist() == [[55, 30, 65, 50]]


@pytest.mark.parametrize("workers", [0, 1])
def test_boxes_without_a_class_of_a_mosaic_arrive_in_the_batch(workers, tmp_path):
    frames = open_frames(tmp_path)
    config = AugmentConfig.model_validate({"mosaic": 1, "mosaic_off_epochs": 0, "crop": 0, "transforms": []})
    data = FrameDataset(frames, 96, 64, Augmenter(config, OPEN, 96, 64, frames.candidates), seed=3)
    batch: Any = next(iter(make_loader(data, 2, workers, 0, pin_memory=False)))
    samples: list[Any] = [data[0], data[1]]
    assert sum(len(sample["box_only_xyxy"]) for sample in samples) > 2
    for name in ("box_only_xyxy", "box_only_candidates"):
        assert all(torch.equal(one, sample[name]) for one, sample in zip(batch[name], samples, strict=True))
