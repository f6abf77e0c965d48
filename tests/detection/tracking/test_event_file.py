"""Event files, read back with TensorBoard's own reader."""

from __future__ import annotations

import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

from tl_detection.tracking.event_file import EventFile
from tl_detection.tracking.jpeg import encode_jpeg
from tl_detection.tracking.score_curves import ScoreCurve


def write(folder: Path, epoch: int, **values: float) -> Path:
    events = EventFile(epoch)
    for tag, value in values.items():
        events.scalar(tag, value)
    return events.write(folder)


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(item.step, round(item.value, 6)) for item in EventAccumulator(str(folder)).Reload().Scalars(tag)]


def test_numbers_of_many_epochs(tmp_path):
    for epoch in range(12):
        write(tmp_path, epoch, loss=epoch / 2)
    assert scalars(tmp_path, "loss") == [(epoch, epoch / 2) for epoch in range(12)]


def test_an_epoch_done_again_takes_back_itself_and_those_behind_it(tmp_path):
    for epoch, rate in ((0, 1.0), (1, 2.0), (2, 3.0), (1, 20.0)):
        write(tmp_path, epoch, lr=rate)
    assert scalars(tmp_path, "lr") == [(0, 1.0), (1, 20.0)]


def test_a_picture_comes_back_as_it_was_encoded(tmp_path):
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, 30:] = (255, 40, 40)
    jpeg = encode_jpeg(image)
    events = EventFile(3)
    events.jpeg("predictions", jpeg.data, jpeg.width_px, jpeg.height_px)
    events.write(tmp_path)
    (read,) = EventAccumulator(str(tmp_path)).Reload().Images("predictions")
    assert (read.step, read.width, read.height) == (3, 60, 40)
    assert read.encoded_image_string == jpeg.data
    decoded = cv2.imdecode(np.frombuffer(read.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
    # Red is red, and stays so up to the edge: no colour subsampling.
    assert decoded is not None and np.abs(decoded[20, 31].astype(int) - (40, 40, 255)).max() < 12


def test_a_curve_reaches_tensorboards_panel(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a library inside TensorBoard's server
        from tensorboard.plugins.pr_curve.pr_curves_plugin import PrCurvesPlugin
    curve = ScoreCurve(right=np.array([4, 2, 0]), wrong=np.array([4, 0, 0]), missed=np.array([1, 3, 5]))
    events = EventFile(2)
    events.score_curve("all frames/red", curve, "red: 5 objects")
    events.write(tmp_path)
    accumulator = EventAccumulator(str(tmp_path)).Reload()
    (read,) = accumulator.Tensors("all frames/red")
    metadata = accumulator.SummaryMetadata("all frames/red")
    assert (metadata.plugin_data.plugin_name, metadata.summary_description) == ("pr_curves", "red: 5 objects")
    table = tensor_util.make_ndarray(read.tensor_proto)
    entry = PrCurvesPlugin._make_pr_entry(None, read.step, 0, table)  # type: ignore[arg-type]
    assert entry["precision"] == [0.5, 1.0] and entry["recall"] == pytest.approx([0.8, 0.4])
    assert (entry["thresholds"], entry["false_negatives"]) == ([0.0, 0.5], [1, 3])


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "tensorboard").write_text("a file")
    with pytest.raises(FileExistsError):
        write(tmp_path / "tensorboard", 0, loss=1.0)
    assert [path.name for path in tmp_path.iterdir()] == ["tensorboard"]
