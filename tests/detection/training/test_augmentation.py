"""Before the first epoch: broken and lying augmentations are refused, what is allowed is recorded in the run."""

from __future__ import annotations

import json

import pytest

from tl_datasets.errors import ConfigError
from tl_detection.training.augmentation import check_augmentation
from tl_detection.training.data import prepare_data
from tl_detection.training.train import train


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        (
            {"transforms": [{"name": "ToFloat", "p": 0.001}]},
            r"augment\.transforms\.ToFloat: gives an image of float32.*met at frame 'frame\d'",
        ),
        ({"min_size_px": 1000}, r"augment\.scale: none of the \d+ boxes .* min_size_px"),
        (
            {"transforms": [{"name": "ToGray", "p": 0.5}]},
            r"augment: ToGray: only \d.* of 30 red lamps are still read as red.*allow_unsafe: \[ToGray\]",
        ),
        (
            {"transforms": [{"name": "one_of", "p": 0.9, "of": [{"name": "ChannelShuffle"}, {"name": "RandomGamma"}]}]},
            r"ChannelShuffle: .*another state",
        ),
    ],
)
def test_a_bad_augmentation_stops_the_run(augment, message, tmp_path, lamp_run_config):
    config = lamp_run_config(tmp_path, augment=augment)
    with pytest.raises(ConfigError, match=message):
        train(config)
    assert not (tmp_path / "runs").exists()


def test_a_good_one_is_measured(tmp_path, lamp_run_config):
    config = lamp_run_config(tmp_path, augment={"transforms": [{"name": "RandomGamma"}], "flip_lr": 0.5})
    report = check_augmentation(prepare_data(config))
    assert report is not None and set(report.survival()["step"]) >= {"RandomGamma"}


def test_an_override_is_recorded_in_the_run(tmp_path, lamp_run_config, caplog):
    augment = {"transforms": [{"name": "ToGray", "p": 0.5}], "allow_unsafe": ["ToGray"]}
    run = train(lamp_run_config(tmp_path, frames=4, augment=augment, epochs=1, batch_size=2))
    assert "allowed by augment.allow_unsafe: ToGray: " in caplog.text
    recorded = (run.path / "lint" / "lint.json").read_text()
    assert json.loads(recorded) and "ToGray" in recorded
    assert "ToGray" in (run.path / "config.yaml").read_text()
    assert (run.path / "lint" / "lint.html").exists()
