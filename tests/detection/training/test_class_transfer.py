"""Which class of a file each class of a run starts with."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tl_datasets.errors import ConfigError
from tl_detection.training.class_transfer import log_classes, match_classes

FILE = Path("yolo26n.pt")
FORMER = ("person", "traffic light", "N/A", "stop sign")


@pytest.mark.parametrize(
    ("own", "classes_from", "expected"),
    [
        (("person", "red"), {}, {"person": "person"}),
        (
            ("red", "green"),
            {"red": "traffic light", "green": "traffic light"},
            dict.fromkeys(("red", "green"), FORMER[1]),
        ),
        (("person",), {"person": "stop sign"}, {"person": "stop sign"}),
        (("traffic_light",), {}, {"traffic_light": "traffic light"}),
        (("red", "person"), {"red": "traffic light"}, {"red": "traffic light", "person": "person"}),
        (("red",), {}, {}),
        (("N/A",), {}, {}),
    ],
    ids=["one name", "two of one", "told beats own name", "underscores", "told and own name", "none", "no class"],
)
def test_classes(own: tuple[str, ...], classes_from: dict[str, str], expected: dict[str, str]):
    found = match_classes(own, FORMER, classes_from, FILE)
    assert found == expected
    assert list(found) == [name for name in own if name in expected]


@pytest.mark.parametrize(
    ("classes_from", "message"),
    [
        ({"blue": "person"}, r"model\.classes_from: 'blue' is no class of this run; there are red, green$"),
        ({"red": "lamp"}, r"'lamp' is no class of yolo26n\.pt; there are person, traffic light, stop sign$"),
        ({"red": "N/A"}, "'N/A' is no class of"),
        ({"red": "Traffic light"}, "'Traffic light' is no class of"),
    ],
)
def test_names_that_are_not_there(classes_from: dict[str, str], message: str):
    with pytest.raises(ConfigError, match=message):
        match_classes(("red", "green"), FORMER, classes_from, FILE)


def test_all_faults_are_told_at_once():
    with pytest.raises(ConfigError) as caught:
        match_classes(("red", "green"), FORMER, {"red": "lamp", "green": "lamp", "blue": "bulb"}, FILE)
    assert len(caught.value.faults) == 3


def test_the_log_says_what_became_of_each(caplog):
    caplog.set_level(logging.INFO)
    log_classes(("person", "red", "off"), {"person": "person", "red": "traffic light"}, FILE)
    log_classes(("off",), {}, FILE)
    assert "yolo26n.pt: classes kept: person, red (from traffic light); classes that start anew: off" in caplog.text
    assert "classes kept: none; classes that start anew: off" in caplog.text
