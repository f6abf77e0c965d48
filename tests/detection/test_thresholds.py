"""The thresholds file: written by an evaluation or by hand, refused in one line, used by detect and export."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from tl_datasets.errors import ConfigError
from tl_detection.detector import Detections
from tl_detection.thresholds import ClassThreshold, ThresholdsFile, read_thresholds, scores_for, write_thresholds

HAND = "thresholds_version: 1\nclasses:\n  red: {score: 0.31}\n  off: {score: 1}\n"


@pytest.fixture
def file_of(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "thresholds.yaml"
        path.write_text(text)
        return path

    return write


def test_a_file_written_by_hand_is_read(file_of):
    path = file_of(HAND)
    assert scores_for(path, ("off", "red"), {}) == (1.0, 0.31)
    assert read_thresholds(path).classes["red"].rule is None


def test_what_is_written_is_read_again(tmp_path):
    score = float(np.float32(0.1))
    written = ThresholdsFile(
        thresholds_version=1,
        classes={
            "red": ClassThreshold(score=score, score_interval=(0.05, 0.2), rule="max_f1", f1=0.5),
            "off": ClassThreshold(score=None, rule="max_f1", why_no_score="none of 3 objects is found, at any score"),
        },
        model={"engine": "onnx"},
    )
    write_thresholds(written, tmp_path / "t.yaml")
    assert read_thresholds(tmp_path / "t.yaml") == written, "every digit of a score stays"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes:": "classes:\n  blue: {score: 0.5}"}, "classes.blue: the model has no such class; it has red, off"),
        ({"  red: {score: 0.31}\n": ""}, "classes.red: is missing; give every class of the model a score"),
        ({"0.31": "1.2"}, "classes.red.score: .*less than or equal to 1 .found 1.2"),
        ({"0.31": "-0.1"}, "classes.red.score: .*greater than or equal to 0"),
        ({"0.31": ".nan"}, "classes.red.score"),
        ({"0.31": "true"}, "classes.red.score: .*a yes or no, expected a score from 0 to 1"),
        ({"0.31": "high"}, "classes.red.score: .*number"),
        ({"score: 0.31": "scores: 0.31"}, "classes.red.score: is required; classes.red.scores: no such setting"),
        ({"version: 1": "version: 2"}, "thresholds_version: 2, this tl reads 1; use the tl that wrote it"),
        ({"thresholds_version": "version"}, "no thresholds file; tl evaluate writes one"),
        ({"classes:": "classes: ["}, "not YAML"),
        ({"  off": "  red: {score: 1}\n  off"}, "twice|duplicate"),
        (
            {"0.31": "null, rule: recall>=0.9, why_no_score: recall is at most 0.8"},
            r"classes.red: no score, its rule recall>=0.9 could not be met \(recall is at most 0.8\); choose another",
        ),
        ({"0.31": "null"}, "classes.red: no score, none was chosen"),
    ],
)
def test_bad_file_is_refused_in_one_line(file_of, change, message):
    text = HAND
    for old, new in change.items():
        assert old in text
        text = text.replace(old, new)
    path = file_of(text)
    with pytest.raises(ConfigError, match=message) as caught:
        scores_for(path, ("red", "off"), {})
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_all_faults_are_told_at_once(file_of):
    with pytest.raises(ConfigError) as caught:
        scores_for(file_of(HAND), ("red", "green", "yellow"), {})
    assert [fault.split(":")[0] for fault in caught.value.faults] == ["classes.off", "classes.green", "classes.yellow"]


def test_missing_file(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: "):
        read_thresholds(tmp_path / "none.yaml")


def test_yaml_that_would_make_objects_is_refused(file_of, tmp_path):
    path = file_of(f"thresholds_version: !!python/object/apply:os.mkdir ['{tmp_path / 'made'}']\n")
    with pytest.raises(ConfigError, match="not YAML"):
        read_thresholds(path)
    assert not (tmp_path / "made").exists()


def test_scores_of_other_weights_give_a_warning(file_of, caplog):
    path = file_of(HAND + "model: {fingerprint: abc}\n")
    with caplog.at_level(logging.WARNING):
        for description in ({"fingerprint": "abc"}, {"checkpoint_fingerprint": "abc"}, {"engine": "drawn"}):
            scores_for(path, ("red", "off"), description)
        assert not caplog.records
        scores_for(path, ("red", "off"), {"checkpoint_fingerprint": "def"})
    assert "chosen with the weights abc, used with def" in caplog.text


def test_scores_of_classes_with_other_rules_give_a_warning(file_of, caplog):
    data = "data: {catalog_fingerprint: c, label_space_fingerprint: abc, frames: 3, sequences: 1}\n"
    names = ("red", "off")
    with caplog.at_level(logging.WARNING):
        for fingerprint in ("abc", None):
            assert scores_for(file_of(HAND + data), names, {}, label_space_fingerprint=fingerprint) == (0.31, 1.0)
        scores_for(file_of(HAND), names, {}, label_space_fingerprint="def")
        assert not caplog.records
        scores_for(file_of(HAND + data), names, {}, label_space_fingerprint="def")
    assert "chosen with the label space abc, used with def" in caplog.text


def test_detections_above_a_score_per_class():
    found = Detections(
        xyxy=np.zeros((4, 4)), score=np.array([0.7, 0.7, 0.31, 0.3], np.float32), class_id=np.array([0, 1, 0, 0])
    )
    assert found.above((0.31, 0.8)).score.tolist() == pytest.approx([0.7, 0.31])
    assert len(found.above(0.7)) == 2, "a score of 0.7 in single precision is not below 0.7"
    assert len(Detections.empty().above((0.5,))) == 0
