from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.duplicates.find import Duplicates, find_duplicates
from tl_datasets.duplicates.pair_files import format_pairs, read_pairs, summarise_pairs, write_pairs
from tl_datasets.duplicates.pair_sheets import write_pair_sheets
from tl_datasets.errors import DataError, UsageError
from tl_datasets.frame import Frame
from tl_datasets.images import read_rgb, write_rgb
from tl_datasets.index import index

StorePictures = Callable[..., Catalog]


@pytest.fixture
def store(tmp_path) -> StorePictures:
    """A catalog of pictures: path -> (picture, split)."""

    def make(pictures: dict[str, tuple[np.ndarray, str | None]], root: Path = tmp_path / "images") -> Catalog:
        frames, hashes = [], {}
        for path, (rgb, split) in pictures.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            write_rgb(root / path, rgb)
            height, width = rgb.shape[:2]
            frames.append(
                Frame(frame_id=path, path=path, width_px=width, height_px=height, annotations=None, split=split)
            )
            hashes[path] = hashlib.sha256((root / path).read_bytes()).hexdigest()
        return Catalog.from_frames(frames, source="drawn", root=root, content_hashes=hashes)

    return make


def kinds(found: Duplicates) -> dict[tuple[str, str], tuple[str, bool]]:
    return {
        (row["frame_a"], row["frame_b"]): (row["kind"], row["is_leak"]) for row in found.pairs.iter_rows(named=True)
    }


def moved_on(rgb: np.ndarray, car_x: int) -> np.ndarray:
    """The same street with a car at some place."""
    drawn = rgb.copy()
    drawn[240:262, car_x : car_x + 30] = (15, 15, 20)
    return drawn


def test_the_three_kinds_and_their_leaks(store, pictures):
    street, other, third = (pictures.make(seed) for seed in range(3))
    catalog = store(
        {
            "a_01.png": (street, "train"),
            "b.png": (street, "val"),
            "c.jpg": (pictures.as_jpeg(other, 40), "train"),
            # Its hash is that of c: it is compared with others through c.
            "d.png": (pictures.resized(other, 0.5), "train"),
            "e.png": (pictures.cropped(other, 0.03), "test"),
            "f_1.png": (moved_on(third, 100), "train"),
            "f_2.png": (moved_on(third, 180), None),
            "f_3.png": (moved_on(third, 260), "val"),
            "f_90.png": (pictures.make(7), "val"),
        }
    )
    found = find_duplicates(catalog)
    assert kinds(found) == {
        ("a_01.png", "b.png"): ("identical", True),
        ("c.jpg", "d.png"): ("near_identical", False),
        ("c.jpg", "e.png"): ("near_identical", True),
        ("f_1.png", "f_2.png"): ("time_neighbour", False),
        ("f_2.png", "f_3.png"): ("time_neighbour", False),
        ("f_1.png", "f_3.png"): ("time_neighbour", True),
    }
    assert (found.unreadable, found.blank, found.frames) == ((), (), 9)
    assert find_duplicates(catalog, frames=1).pairs.filter(kind="time_neighbour").height == 2


def test_a_copy_with_the_next_number_is_still_a_copy(store, pictures):
    street = moved_on(pictures.make(0), 100)
    catalog = store({"x_1.png": (street, None), "x_2.jpg": (pictures.as_jpeg(street, 60), None)})
    assert kinds(find_duplicates(catalog)) == {("x_1.png", "x_2.jpg"): ("near_identical", False)}


def test_next_numbers_of_different_places_are_no_pair(store, pictures):
    catalog = store({f"x_{number}.png": (pictures.make(number), None) for number in range(6)})
    assert not kinds(find_duplicates(catalog))


def test_neighbours_of_a_twin_are_neighbours_of_the_frame(store, pictures):
    """Twins count as one frame: their neighbours are found once, from the first of them."""
    street = pictures.make(0)
    first, second = moved_on(street, 100), moved_on(street, 180)
    catalog = store({"a/x.png": (first, None), "b/y_1.png": (first, None), "b/y_2.png": (second, None)})
    assert kinds(find_duplicates(catalog)) == {
        ("a/x.png", "b/y_1.png"): ("identical", False),
        ("a/x.png", "b/y_2.png"): ("time_neighbour", False),
    }


def test_black_and_unreadable_images_are_reported(store, pictures, tmp_path):
    black = np.zeros((90, 160, 3), np.uint8)
    catalog = store(
        {
            "a.png": (pictures.make(0), None),
            "black.png": (black, None),
            "black_too.png": (black, None),
            "gone.png": (pictures.make(1), None),
            "dim.png": (black + np.uint8(9), None),
        }
    )
    (tmp_path / "images" / "gone.png").write_bytes(b"no image")
    calls: list[tuple[int, int]] = []
    found = find_duplicates(catalog, progress=lambda done, total: calls.append((done, total)))
    assert kinds(found) == {("black.png", "black_too.png"): ("identical", False)}
    assert sorted(found.blank) == ["black.png", "dim.png"]
    assert [message.partition(":")[0].endswith("gone.png") for message in found.unreadable] == [True]
    assert calls == [(done, 4) for done in range(1, 5)]
    assert "unreadable: 1, such as" in format_pairs(found)


def test_many_copies_are_linked_through_the_first(store, pictures):
    """Twelve equal pictures in other files are eleven pairs, which reach all."""
    street = pictures.make(0)
    images = {f"{chr(97 + number)}.png": (street, None) for number in range(12)}
    catalog = store(images)
    assert find_duplicates(catalog).pairs.height == 11
    catalog = catalog.with_frames(catalog.frames.with_columns(content_hash=pl.lit(None, dtype=pl.String)))
    pairs = find_duplicates(catalog).pairs
    assert set(pairs["kind"]) == {"near_identical"}
    assert sorted(pairs["frame_b"]) == sorted(images)[1:]
    assert set(pairs["frame_a"]) == {"a.png"}


def test_a_copy_whose_hash_equals_that_of_another_moment(monkeypatch, store, pictures):
    """The copy of the second moment hashes like the first moment; still it is found to be a copy of the second."""
    street = pictures.make(0)
    first, second = moved_on(street, 100), moved_on(street, 180)
    copy = pictures.as_jpeg(second, 60)
    known = {first.tobytes(): 0, second.tobytes(): 1, copy.tobytes(): 0}
    monkeypatch.setattr(
        "tl_datasets.duplicates.find.hash_image", lambda rgb: np.array([known[rgb.tobytes()], 0, 0, 0], np.uint64)
    )
    catalog = store({"a.png": (first, None), "b.png": (second, None), "c.png": (copy, None)})
    assert kinds(find_duplicates(catalog)) == {
        ("a.png", "b.png"): ("time_neighbour", False),
        ("a.png", "c.png"): ("time_neighbour", False),
        ("b.png", "c.png"): ("near_identical", False),
    }


def test_no_frames_and_wrong_windows(make_catalog):
    assert find_duplicates(make_catalog()).pairs.is_empty()
    with pytest.raises(UsageError, match="expected 0 or more"):
        find_duplicates(make_catalog(), seconds=-1)


def test_files_for_people_and_programs(store, pictures, tmp_path):
    street = pictures.make(0)
    catalog = store(
        {
            "a.png": (street, "train"),
            "b.jpg": (pictures.as_jpeg(street, 50), "val"),
            "c.png": (pictures.resized(street, 0.5), "train"),
        }
    )
    found = find_duplicates(catalog)
    path = write_pairs(found, tmp_path)
    assert read_pairs(path).equals(found.pairs)
    assert read_pairs(tmp_path).equals(found.pairs)
    summary = summarise_pairs(found)
    assert summary["pairs"] == {"identical": 0, "near_identical": 2, "time_neighbour": 0}
    assert summary["pairs_by_parts"] == [
        {"kind": "near_identical", "parts": ["train", "train"], "pairs": 1},
        {"kind": "near_identical", "parts": ["train", "val"], "pairs": 1},
    ]
    assert (summary["leaks"], len(summary["first_leaks"])) == (1, 1)
    text = format_pairs(found)
    assert "3 frames, 2 pairs, 1 across parts" in text
    assert text.count("LEAK") == 1
    pages = write_pair_sheets(catalog, found.pairs, tmp_path)
    assert [page.name for page in pages] == ["pairs_01.png"]
    page = read_rgb(pages[0])
    # The first picture, below two captions, shows the street.
    assert np.abs(page[52:367, :560].astype(float).mean(axis=(0, 1)) - street.mean(axis=(0, 1))).max() < 2
    assert write_pair_sheets(catalog, found.pairs, tmp_path, limit=0) == []


def test_pages_are_made_although_an_image_is_gone(store, pictures, tmp_path):
    catalog = store({f"{number}a.png": (pictures.make(0), None) for number in range(7)})
    found = find_duplicates(catalog)
    (tmp_path / "images" / "3a.png").unlink()
    assert len(write_pair_sheets(catalog, found.pairs, tmp_path)) == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, r"no pairs of frames .*make them with: tl duplicates"),
        (lambda path: path.write_bytes(b"PAR1"), "no pairs of frames"),
        (lambda path: pl.DataFrame({"frame_a": ["x"]}).write_parquet(path), "no pairs of frames"),
        (
            lambda path: pl.DataFrame(
                {
                    "frame_a": ["x"],
                    "frame_b": ["y"],
                    "kind": ["twin"],
                    "distance": [0],
                    "split_a": [None],
                    "split_b": [None],
                    "is_leak": [False],
                }
            ).write_parquet(path),
            "kind 'twin', expected identical, near_identical, time_neighbour",
        ),
    ],
)
def test_no_pairs_in_the_file(tmp_path, make, message):
    make(tmp_path / "pairs.parquet")
    with pytest.raises(DataError, match=message):
        read_pairs(tmp_path)


@pytest.fixture(scope="module")
def dtld(shared_data) -> Catalog:
    catalog, _ = index(
        shared_data / "dtld_fridtjofs" / "raw_dataset",
        "yolo",
        labels="annotations",
        names="traffic_light",
        sequence_regex=r"^([A-Za-z]+)_",
    )
    return catalog


def test_real_twins_and_no_false_pair(dtld):
    """16 of 16 twins; neighbours in time apart from them; nothing across cities but the twins."""
    found = find_duplicates(dtld)
    pairs = found.pairs
    twins = pairs.filter(kind="identical")
    assert twins.height == 16
    for one, other in twins.select("frame_a", "frame_b").iter_rows():
        assert (one.split("_")[0], other.split("_")[0]) == ("Dortmund", "Duesseldorf")
        assert one.split("_")[1] == other.split("_")[1]
    assert pairs.filter(kind="near_identical").is_empty()
    neighbours = pairs.filter(kind="time_neighbour")
    assert neighbours.height > 250
    for one, other in neighbours.select("frame_a", "frame_b").iter_rows():
        assert one.split("_")[0] == other.split("_")[0]
        assert abs(int(one.split("_")[1]) - int(other.split("_")[1])) <= 5
    assert found.unreadable == ()


@pytest.mark.parametrize(
    ("change", "most_missed"),
    [
        (lambda of, image: of.as_jpeg(image, 40), 0),
        (lambda of, image: of.as_jpeg(of.resized(image, 0.5), 75), 0),
        (lambda of, image: of.cropped(image, 0.02), 0),
        (lambda of, image: of.as_jpeg(of.cropped(image, 0.03), 60), 1),
    ],
    ids=["quality 40", "half size", "2 % cropped", "3 % cropped, quality 60"],
)
def test_real_twins_encoded_again(dtld, pictures, tmp_path, change, most_missed):
    """One frame of each twin pair is changed: still found, now as near-identical, and nothing else across cities."""
    frames = dtld.frames.filter(pl.col("sequence").is_in(["Dortmund", "Duesseldorf"]))
    root = tmp_path / "images"
    root.mkdir()
    sizes = {}
    for row, (frame_id, path) in enumerate(dtld.frames.select("frame_id", "path").iter_rows()):
        if frame_id.startswith(("Dortmund", "Duesseldorf")):
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if frame_id.startswith("Dortmund"):
                target.symlink_to(dtld.image_path(row))
                sizes[frame_id] = dtld.frames["width_px"][row], dtld.frames["height_px"][row]
            else:
                changed = change(pictures, dtld.read_rgb(row))
                write_rgb(target, changed)
                sizes[frame_id] = changed.shape[1], changed.shape[0]
    frames = frames.with_columns(
        pl.col("frame_id").replace_strict({key: size[0] for key, size in sizes.items()}).alias("width_px"),
        pl.col("frame_id").replace_strict({key: size[1] for key, size in sizes.items()}).alias("height_px"),
        content_hash=pl.col("frame_id"),
    )
    catalog = Linked(frames, dtld.annotations.clear(), {frames["source"][0]: root})
    pairs = find_duplicates(catalog).pairs
    near = pairs.filter(kind="near_identical").select("frame_a", "frame_b").rows()
    assert all(one.replace("Dortmund", "Duesseldorf") == other for one, other in near)
    assert 16 - most_missed <= len(near) <= 16
    assert pairs.filter(kind="identical").is_empty()


class Linked(Catalog):
    """A catalog whose images may be links to elsewhere, which an ordinary one refuses."""

    def image_path(self, index: int) -> Path:
        return self.roots[self.frames["source"][index]] / self.frames["path"][index]


def test_no_false_pair_among_recordings(shared_data):
    catalog, _ = index(shared_data / "bdd100k", "bdd100k")
    found = find_duplicates(catalog)
    assert found.frames == 202
    assert found.pairs.is_empty()
    assert found.blank == ()
