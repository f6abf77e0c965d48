"""Numbers and names in words."""

from __future__ import annotations

import pytest

from tl_detection.evaluation.value_text import interval_text, markdown_text, value_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0.000"),
        (1, "1.000"),
        (0.5124, "0.512"),
        (0.0005, "0.000500"),
        (1 / 5000, "0.000200"),
        (4999 / 5000, "0.999800"),
        (1 - 1e-9, "1.000"),
        (-0.0, "0.000"),
        (130.75, "130.750"),
    ],
)
def test_what_is_nearly_nothing_or_all_is_not_shown_as_that(value, text):
    assert value_text(value) == text


def test_digits_and_signs():
    assert value_text(0.04, digits=1) == "0.040000"
    assert value_text(130.75, digits=1) == "130.8"
    assert [value_text(value, signed=True) for value in (0.1, -0.1, 0.0, -0.0002)] == [
        *("+0.100", "-0.100", "0.000"),
        "-0.000200",
    ]
    assert interval_text(0, 0.9999) == "0.000 to 0.999900"
    assert interval_text(None, 1) == "-"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("weather=rainy, time_of_day=night", "weather=rainy, time_of_day=night"),
        ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
        ("&lt;b>", "&amp;lt;b>"),
        ("night & x <= 1 <5", "night & x <= 1 <5"),
        ("<!--", "&lt;!--"),
        ("a|b", "a\\|b"),
        ("a\\|b", "a\\\\\\|b"),
        ("`c` [d](javascript:e) *f*", "\\`c\\` \\[d\\](javascript:e) \\*f\\*"),
        ("_g_ h_i", "\\_g\\_ h_i"),
        ("j\nk\r\nl\u2028m", "j k l m"),
        ("ünï ⚑", "ünï ⚑"),
    ],
)
def test_names_are_no_markup(words, text):
    assert markdown_text(words) == text
