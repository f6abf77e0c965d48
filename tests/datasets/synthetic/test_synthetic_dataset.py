"""Writing a drawn data set: what lies on disk, what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tl_datasets.errors import DataError
from tl_datasets.synthetic import plan_sequences, render_sequence, write_dataset

SPECS = plan_sequences(2, 2, seed=0, width_px=320, height_px=180)


def test_written_images_are_the_drawn_ones(tmp_path):
    """Pillow, another library than the one that wrote, reads the same RGB."""
    calls = []
    frames = write_dataset(SPECS, tmp_path / "drawn", progress=lambda done, total: calls.append((done, total)))
    drawn = [pair for spec in SPECS for pair in render_sequence(spec)]
    assert frames == [frame for frame, _ in drawn]
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]
    for frame, image in drawn:
        with Image.open(tmp_path / "drawn" / frame.path) as stored:
            assert stored.mode == "RGB" and stored.size == (320, 180)
            difference = np.abs(np.asarray(stored).astype(int) - image)
        assert difference.mean() < 6
        assert np.abs(np.asarray(image, dtype=int)[..., ::-1] - image).mean() > difference.mean() or image.std() < 20


def test_only_whole_images_are_left(tmp_path):
    frames = write_dataset(SPECS, tmp_path / "drawn")
    files = {path.relative_to(tmp_path / "drawn").as_posix() for path in (tmp_path / "drawn").rglob("*.*")}
    assert files == {frame.path for frame in frames}


def test_an_empty_folder_is_taken(tmp_path):
    assert len(write_dataset(SPECS[:1], tmp_path)) == 2


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "precious.txt").write_text("keep")
    with pytest.raises(DataError, match="not an empty folder") as caught:
        write_dataset(SPECS, tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="not an empty folder"):
        write_dataset(SPECS, tmp_path / "file")


def test_repeated_names_and_bad_quality_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(DataError, match="used twice"):
        write_dataset([SPECS[0], replace(SPECS[0], seed=9)], tmp_path / "drawn")
    with pytest.raises(DataError, match="quality 0"):
        write_dataset(SPECS, tmp_path / "drawn", quality=0)
    assert not (tmp_path / "drawn").exists()


@pytest.mark.parametrize("exists", [True, False])
def test_an_interrupted_drawing_leaves_nothing_and_can_be_repeated(tmp_path, exists):
    folder = tmp_path / "drawn"
    if exists:
        folder.mkdir()

    def interrupt(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(SPECS, folder, progress=interrupt)
    assert list(tmp_path.rglob("*")) == ([folder] if exists else [])
    assert len(write_dataset(SPECS, folder)) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["drawn"]


def test_a_folder_above_that_is_absent_is_made(tmp_path):
    frames = write_dataset(SPECS[:1], tmp_path / "a" / "b")
    assert all((tmp_path / "a" / "b" / frame.path).is_file() for frame in frames)
