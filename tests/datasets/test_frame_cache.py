"""A cache changes how long a frame takes, never what it is."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError, ImageError
from tl_datasets.frame import Frame
from tl_datasets.frame_cache import CacheStatistics, FrameCache, FrameCacheConfig
from tl_datasets.images import write_rgb
from tl_datasets.reduced_images import read_rgb_reduced

WIDTH, HEIGHT = 66, 50
WHOLE_BYTES, HALF_BYTES = 66 * 50 * 3, 33 * 25 * 3


def write_frame(path: Path, seed: int) -> None:
    tiles = np.random.default_rng(seed).integers(0, 255, (5, 6, 3), dtype=np.uint8)
    write_rgb(path, np.ascontiguousarray(tiles.repeat(10, axis=0).repeat(11, axis=1)))


def catalog_of(folder: Path, count: int = 6) -> Catalog:
    frames, hashes = [], {}
    for number in range(count):
        name = f"{number}.{'png' if number % 2 else 'jpg'}"
        if not (folder / name).exists():
            write_frame(folder / name, number)
        frames.append(Frame(frame_id=str(number), path=name, width_px=WIDTH, height_px=HEIGHT, annotations=()))
        hashes[str(number)] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    return Catalog.from_frames(frames, source="drawn", root=folder, content_hashes=hashes)


@pytest.fixture
def catalog(tmp_path):
    (tmp_path / "images").mkdir()
    return catalog_of(tmp_path / "images")


def disk_config(tmp_path, **fields):
    return FrameCacheConfig(**{"memory_mib": 0, "disk": tmp_path / "cache", **fields})


def stored(tmp_path):
    return sorted((tmp_path / "cache").rglob("*.raw"))


SETTINGS = {
    "nothing is kept": {"memory_mib": 0},
    "memory": {"memory_mib": 1},
    "disk": {"memory_mib": 0, "disk": "cache"},
    "a full disk part": {"memory_mib": 0, "disk": "cache", "disk_gib": 2.5 * WHOLE_BYTES / 2**30},
    "both": {"memory_mib": 1, "disk": "cache"},
}


@pytest.mark.parametrize("fields", SETTINGS.values(), ids=SETTINGS)
def test_frames_are_bit_equal_with_any_setting(catalog, tmp_path, fields):
    if "disk" in fields:
        fields = {**fields, "disk": tmp_path / fields["disk"]}
    order = np.random.default_rng(0).integers(0, len(catalog), 40).tolist()
    for _ in range(2):
        cache = FrameCache(catalog, FrameCacheConfig(**fields))
        for number, row in enumerate(order):
            factor = (1, 2, 8)[number % 3]
            found = cache.read_rgb(row, factor)
            np.testing.assert_array_equal(found, read_rgb_reduced(catalog.image_path(row), factor))
            assert found.dtype == np.uint8 and type(found) is np.ndarray
            with pytest.raises(ValueError, match="read-only"):
                found[0, 0] = 0


def test_frames_in_memory_are_not_decoded_again(catalog):
    cache = FrameCache(catalog, FrameCacheConfig(memory_mib=1))
    first = cache.read_rgb(0)
    assert cache.read_rgb(0) is first
    cache.read_rgb(0, 2)
    expected = CacheStatistics(memory_hits=1, misses=2, memory_bytes=WHOLE_BYTES + HALF_BYTES)
    assert cache.statistics == expected
    assert cache.statistics.hit_share == pytest.approx(1 / 3)
    assert FrameCache(catalog).statistics.hit_share is None


def test_the_frame_that_was_not_used_for_longest_makes_room(tmp_path):
    (tmp_path / "images").mkdir()
    big = np.zeros((400, 500, 3), np.uint8)  # 0.57 MiB
    frames = []
    for number in range(4):
        write_rgb(tmp_path / "images" / f"{number}.png", big)
        frames.append(Frame(frame_id=str(number), path=f"{number}.png", width_px=500, height_px=400, annotations=()))
    cache = FrameCache(
        Catalog.from_frames(frames, source="drawn", root=tmp_path / "images"), FrameCacheConfig(memory_mib=2)
    )
    for row in (0, 1, 2, 0, 3):  # 1 goes when 3 comes
        cache.read_rgb(row)
    assert cache.statistics.memory_bytes == 3 * big.nbytes <= 2 * 2**20
    before = cache.statistics
    cache.read_rgb(0)
    cache.read_rgb(1)
    assert cache.statistics.memory_hits == before.memory_hits + 1
    assert cache.statistics.misses == before.misses + 1


def test_a_frame_larger_than_the_memory_is_given_and_not_kept(tmp_path):
    write_rgb(tmp_path / "a.png", np.zeros((800, 800, 3), np.uint8))
    frame = Frame(frame_id="a", path="a.png", width_px=800, height_px=800, annotations=())
    cache = FrameCache(Catalog.from_frames([frame], source="drawn", root=tmp_path), FrameCacheConfig(memory_mib=1))
    assert cache.read_rgb(0).shape == (800, 800, 3)
    assert cache.statistics == CacheStatistics(misses=1)


def test_a_copy_in_another_process_begins_empty(catalog, tmp_path):
    cache = FrameCache(catalog, disk_config(tmp_path, memory_mib=1))
    cache.read_rgb(0)
    copy = pickle.loads(pickle.dumps(cache))
    assert copy.statistics == CacheStatistics()
    np.testing.assert_array_equal(copy.read_rgb(0), cache.read_rgb(0))
    assert (copy.statistics.disk_hits, cache.statistics.memory_hits) == (1, 1)


def test_another_run_reads_from_the_folder(catalog, tmp_path, monkeypatch):
    first = FrameCache(catalog, disk_config(tmp_path))
    expected = [first.read_rgb(row, 2) for row in range(6)]
    assert first.statistics.misses == 6 and len(stored(tmp_path)) == 6
    monkeypatch.setattr(Catalog, "read_rgb", lambda *_: pytest.fail("decoded again"))
    second = FrameCache(catalog, disk_config(tmp_path))
    for row in range(6):
        np.testing.assert_array_equal(second.read_rgb(row, 2), expected[row])
    assert second.statistics.disk_hits == 6


def test_the_folder_holds_no_more_than_its_limit_whoever_writes(catalog, tmp_path, caplog):
    config = disk_config(tmp_path, disk_gib=4.5 * WHOLE_BYTES / 2**30)
    with caplog.at_level("INFO"):
        for rows in ((0, 1, 2), (3, 4, 5)):
            cache = FrameCache(catalog, config)
            for row in rows:
                cache.read_rgb(row)
    assert sum(path.stat().st_size for path in stored(tmp_path)) == 4 * WHOLE_BYTES
    assert [record.message for record in caplog.records if "full" in record.message]


def _read_all(folder: Path, config: FrameCacheConfig) -> None:
    cache = FrameCache(catalog_of(folder), config)
    for row in range(6):
        cache.read_rgb(row)


def test_processes_share_one_limit_and_one_folder(catalog, tmp_path):
    config = disk_config(tmp_path, disk_gib=4.5 * WHOLE_BYTES / 2**30)
    other = multiprocessing.get_context("spawn").Process(target=_read_all, args=(tmp_path / "images", config))
    other.start()
    _read_all(tmp_path / "images", config)
    other.join(60)
    assert other.exitcode == 0
    # A frame that both met at once may be counted twice, never too little.
    assert 2 * WHOLE_BYTES <= sum(path.stat().st_size for path in stored(tmp_path)) <= 4 * WHOLE_BYTES


def test_a_lost_count_is_made_again(catalog, tmp_path):
    config = disk_config(tmp_path, disk_gib=4.5 * WHOLE_BYTES / 2**30)
    cache = FrameCache(catalog, config)
    for row in range(3):
        cache.read_rgb(row)
    (tmp_path / "cache" / "bytes.txt").write_text("")
    for row in range(3, 6):
        FrameCache(catalog, config).read_rgb(row)
    assert len(stored(tmp_path)) == 4


@pytest.mark.parametrize("indexed_again", [True, False])
def test_a_changed_image_is_never_served_stale(catalog, tmp_path, indexed_again):
    cache = FrameCache(catalog, disk_config(tmp_path))
    before = cache.read_rgb(1).copy()
    path = tmp_path / "images" / "1.png"
    write_frame(path, 99)
    later = stored(tmp_path)[0].stat().st_mtime_ns + 1_000_000_000
    os.utime(path, ns=(later, later))
    now = catalog_of(tmp_path / "images") if indexed_again else catalog
    for _ in range(2):
        cache = FrameCache(now, disk_config(tmp_path))
        found = cache.read_rgb(1)
        assert (found != before).any()
        np.testing.assert_array_equal(found, read_rgb_reduced(path, 1))
    # Under the old hash nothing new is stored.
    assert cache.statistics.disk_hits == (1 if indexed_again else 0)


def test_a_frame_whose_file_is_gone_is_an_error_as_without_a_cache(catalog, tmp_path):
    FrameCache(catalog, disk_config(tmp_path)).read_rgb(1)
    (tmp_path / "images" / "1.png").unlink()
    with pytest.raises(ImageError, match=r"1\.png: cannot be read"):
        FrameCache(catalog, disk_config(tmp_path)).read_rgb(1)


def test_an_image_of_another_size_is_refused(catalog, tmp_path):
    write_rgb(tmp_path / "images" / "1.png", np.zeros((90, 60, 3), np.uint8))
    with pytest.raises(ImageError, match=r"1\.png: about 60x90 pixels, the catalog says 66x50"):
        FrameCache(catalog).read_rgb(1, 2)


def test_a_cut_off_frame_on_disk_is_decoded_anew(catalog, tmp_path):
    FrameCache(catalog, disk_config(tmp_path)).read_rgb(1)
    path = stored(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:-1])
    cache = FrameCache(catalog, disk_config(tmp_path))
    np.testing.assert_array_equal(cache.read_rgb(1), read_rgb_reduced(catalog.image_path(1), 1))
    assert cache.statistics.misses == 1
    cache.read_rgb(1)
    assert cache.statistics.disk_hits == 1


def test_a_folder_that_is_removed_meanwhile_stops_nothing(catalog, tmp_path, caplog):
    cache = FrameCache(catalog, disk_config(tmp_path))
    cache.read_rgb(0)
    kept = cache.read_rgb(0)  # mapped from the disk
    shutil.rmtree(tmp_path / "cache")
    for row in range(6):
        np.testing.assert_array_equal(cache.read_rgb(row), read_rgb_reduced(catalog.image_path(row), 1))
    np.testing.assert_array_equal(kept, cache.read_rgb(0))
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1 and "cannot be written (No such file or directory)" in warnings[0]
    assert not (tmp_path / "cache").exists()


def test_a_disk_without_space_stops_nothing(catalog, tmp_path, monkeypatch, caplog):
    def no_space(*_):
        raise OSError(28, "No space left on device")

    cache = FrameCache(catalog, disk_config(tmp_path))
    monkeypatch.setattr("pathlib.Path.replace", no_space)
    np.testing.assert_array_equal(cache.read_rgb(0), read_rgb_reduced(catalog.image_path(0), 1))
    assert "No space left on device" in caplog.text
    left = {path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert left == {"frame_cache.json", "bytes.txt"}


def test_frames_without_a_hash_are_not_kept_on_disk(catalog, tmp_path):
    nameless = Catalog(catalog.frames.with_columns(content_hash=None), catalog.annotations, catalog.roots)
    FrameCache(nameless, disk_config(tmp_path)).read_rgb(0)
    assert not stored(tmp_path)


@pytest.mark.parametrize("name", ["holiday.jpg", "notes", ".git"])
def test_a_folder_of_something_else_is_refused_and_left_alone(catalog, tmp_path, name):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / name).write_text("mine")
    with pytest.raises(DataError, match=f"cache: holds '{name}', expected a folder of decoded frames alone"):
        FrameCache(catalog, disk_config(tmp_path))
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [name]


def test_a_folder_of_another_version_is_refused(catalog, tmp_path):
    FrameCache(catalog, disk_config(tmp_path))
    (tmp_path / "cache" / "frame_cache.json").write_text('{"frame_cache": 1, "opencv": "3.1"}\n')
    with pytest.raises(DataError, match=r"another version .*3\.1.*; remove the folder or choose another"):
        FrameCache(catalog, disk_config(tmp_path))


def test_a_file_in_place_of_the_folder_is_refused(catalog, tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(DataError, match="no folder for decoded frames"):
        FrameCache(catalog, disk_config(tmp_path))


@pytest.mark.parametrize(("field", "value"), [("memory_mib", -1), ("disk_gib", 0), ("ram", 1)])
def test_settings_are_checked(field, value):
    with pytest.raises(ValidationError, match=field):
        FrameCacheConfig(**{field: value})
