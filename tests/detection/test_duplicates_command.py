"""`tl duplicates`, and `tl split` with what it leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.frame import Frame
from tl_detection.cli import main


def street(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    layers = [cv2.resize(rng.random((size, size, 3)), (320, 180), interpolation=cv2.INTER_CUBIC) for size in (3, 12)]
    return (np.clip(0.7 * layers[0] + 0.3 * layers[1], 0, 1) * 255).astype(np.uint8)


@pytest.fixture
def catalog(tmp_path: Path) -> Callable[..., Path]:
    """`make(name, streets)`: streets, in the parts by turns; the last is the first again, at half its size."""

    def make(name: str, streets: int, split: bool = True) -> Path:
        root = tmp_path / "images"
        root.mkdir(exist_ok=True)
        pictures = [street(seed) for seed in range(streets)]
        frames = []
        for number, image in enumerate([*pictures, cv2.resize(pictures[0], (160, 90), interpolation=cv2.INTER_AREA)]):
            path = f"{number}.png" if number < streets else "again.png"
            cv2.imwrite(str(root / path), image)
            part = ("train", "val", "test")[number % 3] if split else None
            size = {"width_px": image.shape[1], "height_px": image.shape[0]}
            frames.append(Frame(frame_id=path[:-4], path=path, annotations=(), split=part, **size))
        return Catalog.from_frames(frames, source="streets", root=root).save(tmp_path / name)

    return make


def test_duplicates_and_a_split_without_leaks(catalog, tmp_path, capsys):
    folder, out = catalog("all", 10), tmp_path / "found"
    assert main(["duplicates", str(folder), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "11 frames, 1 pairs, 1 across parts" in printed
    assert "near_identical: 1\n  train and val: 1\n    0  again  (" in printed
    assert sorted(path.name for path in out.iterdir()) == ["pairs.json", "pairs.parquet", "pairs_01.png"]
    assert json.loads((out / "pairs.json").read_text())["leaks"] == 1
    for seed in range(3):
        target = tmp_path / f"split{seed}"
        options = ["--together", str(out), "--seed", str(seed), "--out", str(target)]
        assert main(["split", str(folder), *options]) == 0
        part = dict(Catalog.open(target).frames.select("frame_id", "split").iter_rows())
        assert part["0"] == part["again"]


def test_a_grown_catalog_is_split_like_the_former(catalog, tmp_path):
    assert main(["split", str(catalog("old", 12)), "--val", "0.3", "--out", str(tmp_path / "former")]) == 0
    options = ["--like", str(tmp_path / "former"), "--seed", "9", "--out", str(tmp_path / "new")]
    assert main(["split", str(catalog("grown", 20)), *options]) == 0
    former, new = (Catalog.open(tmp_path / name).frames for name in ("former", "new"))
    joined = former.join(new, on="frame_id")
    assert joined.height == 13
    assert (joined["split"] == joined["split_right"]).all()
    assert new.filter(pl.col("split") == "val").height == round(0.3 * 21)


def test_without_out_nothing_is_written(catalog, tmp_path, capsys):
    folder = catalog("all", 4, split=False)
    before = sorted(tmp_path.rglob("*"))
    assert main(["duplicates", str(folder), "--seconds", "0", "--frames", "0"]) == 0
    assert "5 frames, 1 pairs, 0 across parts" in capsys.readouterr().out
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["duplicates", "CATALOG", "--frames", "-1"], 2, "expected 0 or more"),
        (["duplicates", "CATALOG", "--sheets", "-1"], 2, "--sheets -1"),
        (["duplicates", "absent"], 1, "not a catalog"),
        (["split", "CATALOG", "--out", "OUT", "--together", "absent"], 1, "tl duplicates CATALOG --out"),
        (["split", "CATALOG", "--out", "OUT", "--like", "absent"], 1, "not a catalog"),
        (["split", "CATALOG", "--out", "OUT", "--assign", "val=x", "--val", "0.3"], 2, "leave them out"),
    ],
)
def test_wrong_use(catalog, tmp_path, capsys, arguments, code, words):
    places = {"CATALOG": str(catalog("all", 4)), "OUT": str(tmp_path / "out")}
    assert main([places.get(word, word) for word in arguments]) == code
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
