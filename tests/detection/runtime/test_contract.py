"""What a file says of itself is read whole, or refused in one line."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest

from tl_runtime.contract import CONTRACT_VERSION, Contract, read_contract
from tl_runtime.errors import ModelError


def read(metadata: Any) -> Contract:
    return read_contract({"tl": json.dumps(metadata)}, "file.onnx")


def test_everything_is_read(file_metadata):
    scores = {"light": 0.25, "red": 0.5}
    frame = {"width_px": 1280, "height_px": 720, "batch": 2}
    contract = read(file_metadata | {"operating_scores": scores, "frame": frame, "color_order": "BGR"})
    assert [(item.name, item.state, item.pictogram, item.group) for item in contract.classes] == [
        ("red", "red", None, 0),
        ("light", None, "circle", 1),
    ]
    assert [item.threshold for item in contract.classes] == [0.5, 0.25], "by name, not by place"
    assert (contract.frame_size, contract.batch, contract.network_size) == ((1280, 720), 2, (64, 32))
    assert (contract.color_order, contract.variant, contract.max_detections) == ("BGR", "detector", 3)
    assert contract.has_thresholds
    assert contract.metadata["run"] == "r"


def test_without_thresholds_the_floor_of_the_trainer_counts(file_metadata):
    contract = read(file_metadata)
    assert not contract.has_thresholds
    assert {item.threshold for item in contract.classes} == {0.001}
    assert contract.frame_size is None


def ids(*numbers: Any):
    return lambda data: [item | {"id": number} for item, number in zip(data["classes"], numbers, strict=True)]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("contract", True, "contract version True, expected 2"),
        ("contract", 2.0, "contract version 2.0, expected 2"),
        ("contract", "2", "contract version '2', expected 2"),
        ("contract", None, "contract version None"),
        ("classes", ids(1, 0), "ids that count from 0"),
        ("classes", ids(0, 0), "ids that count from 0"),
        ("classes", ids(0, "1"), "id: '1'"),
        ("classes", lambda data: [data["classes"][0]] * 2, "each with a name of its own"),
        ("classes", ["red", "light"], "damaged"),
        ("classes", [{}], "'name' is missing"),
        ("frame", [64, 32, 1], r"frame: \[64, 32, 1\], expected an object"),
        ("input", None, "input: None, expected an object"),
        ("score_floor", float("nan"), "score_floor: nan"),
        ("score_floor", -0.1, "score_floor: -0.1"),
        ("operating_scores", [0.5, 0.5], "operating_scores"),
        ("max_detections", 0, "max_detections: 0"),
        ("max_detections", 3.5, "max_detections: 3.5"),
        ("variant", "both", "variant: 'both', expected detector or raw"),
        ("color_order", None, "color_order: None"),
    ],
)
def test_what_it_must_not_say(key, value, message, file_metadata):
    with pytest.raises(ModelError, match=message) as caught:
        read(file_metadata | {key: value(file_metadata) if callable(value) else value})
    assert str(caught.value).startswith("file.onnx: ")
    assert "tl export" in str(caught.value)


@pytest.mark.parametrize("text", ["x" * 1_000_000, json.loads("[" * 900 + "]" * 900)], ids=["long", "deep"])
@pytest.mark.parametrize("key", ["contract", "score_floor", "classes", "frame", "variant"])
def test_a_message_stays_a_line(key, text, file_metadata):
    with pytest.raises(ModelError) as caught:
        read(file_metadata | {key: text})
    assert len(str(caught.value)) < 600


def test_a_class_with_an_endless_name_is_told_shortly(file_metadata):
    name = "x" * 100_000
    classes = [file_metadata["classes"][0] | {"name": name}]
    with pytest.raises(ModelError) as caught:
        read(file_metadata | {"classes": classes, "operating_scores": {name: 2}})
    assert len(str(caught.value)) < 600


WRONG: list[Any] = [None, True, -1, 0, 1.5, "", "red", [], {}, [[]], {"a": 1}, 10**40, float("inf")]


def test_any_change_of_any_part_is_read_or_refused(file_metadata):
    """Each value of the metadata, at any depth, becomes each of the wrong ones, or vanishes."""
    outcomes = {True: 0, False: 0}
    for path in list(paths(file_metadata)):
        for value in [*WRONG, KeyError]:
            changed = copy.deepcopy(file_metadata)
            holder = changed
            for step in path[:-1]:
                holder = holder[step]
            if value is KeyError:
                del holder[path[-1]]
            else:
                holder[path[-1]] = value
            outcomes[is_read(json.dumps(changed))] += 1
    assert min(outcomes.values()) > 50, outcomes


def test_damaged_text_is_read_or_refused(file_metadata):
    chance, text = random.Random(0), json.dumps(file_metadata)
    outcomes = {True: 0, False: 0}
    for _ in range(2000):
        at, n = chance.randrange(len(text)), chance.randrange(1, 4)
        noise = "".join(chance.choice('{}[]",:0eE-.\\\x00aé\ud800') for _ in range(chance.randrange(4)))
        outcomes[is_read(text[:at] + noise + text[at + n :])] += 1
    assert min(outcomes.values()) > 50, outcomes


def paths(value: Any, path: tuple = ()):
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths(item, (*path, key))


def is_read(text: str) -> bool:
    """Whether it is; what is read keeps its promises, and nothing but ModelError is raised."""
    try:
        contract = read_contract({"tl": text}, "f")
    except ModelError:
        return False
    assert contract.metadata["contract"] == CONTRACT_VERSION
    assert contract.classes and all(0 <= item.threshold <= 1 and item.group >= 0 for item in contract.classes)
    assert contract.batch >= 1 and contract.max_detections >= 1 and min(contract.network_size) >= 1
    assert contract.color_order in ("RGB", "BGR") and contract.variant in ("detector", "raw")
    return True
