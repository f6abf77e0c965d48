"""Before the first epoch: broken and lying augmentations are refused, what is allowed is recorded in the run."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml

from tl_datasets.errors import ConfigError, ImageError, WeightsError
from tl_datasets.label_space import DROP
from tl_detection.config import RunConfig
from tl_detection.training.augmentation import check_augmentation
from tl_detection.training.data import prepare_data, training_samples
from tl_detection.training.train import resume, train


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


def test_samples_without_a_box_to_learn_from_are_no_fault(tmp_path, lamp_run_config):
    """All frames that are tried may be negatives, show ignore areas or what the label space drops."""
    data = prepare_data(lamp_run_config(tmp_path))
    train, is_even = data.train, np.arange(len(data.train.class_id)) % 2 == 0
    nothing = replace(train, class_id=np.where(is_even, train.class_id, DROP), ignored=is_even)
    samples = training_samples(data.config, nothing)
    assert not any(len(samples[position]["xyxy"]) for position in range(len(samples)))
    check_augmentation(replace(data, dataset=samples))


def test_a_class_of_lights_and_signs_is_linted_too(tmp_path, lamp_run_config):
    config = lamp_run_config(tmp_path, augment={"transforms": [{"name": "ChannelShuffle", "p": 0.9}]})
    values = config.model_dump()
    values["data"]["label_space"]["classes"] = {
        name: {"category": ["traffic_light", "traffic_sign"], "state": name} for name in ("red", "green")
    }
    with pytest.raises(ConfigError, match="ChannelShuffle: "):
        train(RunConfig.model_validate(values))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("mosaic: 0.0", r"augment\.mosaic was 0\.5, is 0\.0"),
        ("transforms: [{name: ChannelShuffle, p: 1}]", r"augment\.transforms"),
    ],
)
def test_a_run_goes_on_with_the_augmentation_that_it_began_with(change, message, tmp_path, lamp_run_config):
    run = train(lamp_run_config(tmp_path, frames=4, augment={"mosaic": 0.5}, epochs=1, batch_size=2))
    key = change.partition(":")[0]
    values = yaml.safe_load(run.config_path.read_text())
    values["train"]["epochs"] = 2
    values["augment"][key] = yaml.safe_load(change)[key]
    run.config_path.write_text(yaml.safe_dump(values, sort_keys=False))
    with pytest.raises(WeightsError, match=message):
        resume(run.path)


def test_too_few_lamps_are_no_way_around_the_linter(tmp_path, lamp_run_config):
    with pytest.raises(ValueError, match="lamps_per_state"):
        lamp_run_config(tmp_path, augment={"lint": {"lamps_per_state": 9}})


def test_a_broken_image_is_no_reason_not_to_begin(tmp_path, lamp_run_config, caplog):
    config = lamp_run_config(tmp_path, frames=6, augment={"transforms": [{"name": "ISONoise", "p": 0.5}]})
    (tmp_path / "images" / "2.png").write_bytes(b"no picture")
    data = prepare_data(config)
    assert check_augmentation(data) is not None
    assert "no lamp is taken from an image that cannot be read" in caplog.text
    strict = config.data.model_copy(update={"broken_share": 0.0})
    with pytest.raises(ImageError, match=r"2\.png"):
        check_augmentation(prepare_data(config.model_copy(update={"data": strict})))
