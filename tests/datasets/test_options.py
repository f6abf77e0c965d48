"""Options of readers and writers: what a command line gives, as what a function takes."""

from __future__ import annotations

from typing import Literal

import pytest

from tl_datasets.errors import UsageError
from tl_datasets.options import checked_options, parse_options


def reader(
    source: str,
    *,
    strict: bool = False,
    number: int | None = None,
    share: float = 0.5,
    missing: Literal["error", "keep"] = "error",
    label_map: str | None = None,
) -> None:
    """Options of every kind."""


def checked(**options):
    return checked_options(reader, "some", options, given={"source"})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("strict", "True", True),
        ("strict", False, False),
        ("number", "12", 12),
        ("number", None, None),
        ("share", "0.25", 0.25),
        ("missing", "keep", "keep"),
        ("label_map", "5", "5"),
    ],
)
def test_texts_become_what_the_argument_is(name, text, value):
    found = checked(**{name: text})[name]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"source": "x"},
            "option 'source': unknown to format some; expected label_map, missing, number, share, strict",
        ),
        ({"strict": "yes"}, "option strict=yes: expected true or false"),
        ({"number": "1.5"}, "option number=1.5: expected a whole number"),
        ({"share": "half"}, "option share=half: expected a number"),
        ({"share": "nan"}, "option share=nan: expected a number"),
        ({"share": "inf"}, "option share=inf: expected a number"),
        ({"missing": "drop"}, "option missing=drop: expected error or keep"),
    ],
)
def test_what_does_not_fit(options, message):
    with pytest.raises(UsageError, match=message):
        checked(**options)


def test_a_function_without_options():
    with pytest.raises(UsageError, match="option 'a': unknown to format some; it has none"):
        checked_options(lambda catalog: None, "some", {"a": "1"}, given={"catalog"})


def test_a_value_may_hold_the_sign():
    assert parse_options(["labels=a=b", "empty="], {}) == {"labels": "a=b", "empty": ""}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["labels"], "--option labels: expected key=value"),
        (["images=x"], "--option images=x: is an option of its own; give --images x"),
        (["source=x"], "--option source=x: no option of a format; leave it out"),
        (["a=1", "b=1", "a=2"], "--option a=2: a is given twice; expected each option once"),
    ],
)
def test_wrong_texts(texts, message):
    with pytest.raises(UsageError, match=message):
        parse_options(texts, {"images": "--images", "source": ""})
