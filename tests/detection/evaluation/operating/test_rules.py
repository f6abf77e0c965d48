"""Rules of operating scores as they are written."""

from __future__ import annotations

import pytest

from tl_datasets.errors import UsageError
from tl_detection.evaluation.operating.rules import MAX_F1, Rule, parse_rule, rules_of_classes

NAMES, STOP, GO = ("red", "green", "off"), (True, False, False), (False, True, False)


@pytest.mark.parametrize(
    ("text", "rule", "written"),
    [
        ("max_f1", MAX_F1, "max_f1"),
        ("precision>=0.95", Rule(aim="recall", least_precision=0.95), "precision>=0.95"),
        ("recall >= 0.9", Rule(aim="precision", least_recall=0.9), "recall>=0.9"),
        ("red_as_green<=1/1000", Rule(aim="recall", most_red_as_green=0.001), "red_as_green<=0.001"),
        ("red_as_green<=1/3000", Rule(aim="recall", most_red_as_green=1 / 3000), f"red_as_green<={1 / 3000!r}"),
        ("precision>=0.9999999", Rule(aim="recall", least_precision=0.9999999), "precision>=0.9999999"),
        ("precision>=1", Rule(aim="recall", least_precision=1.0), "precision>=1"),
        ("red_as_green<=1/100000", Rule(aim="recall", most_red_as_green=1e-5), "red_as_green<=1e-05"),
        ("red_as_green <= 0", Rule(aim="recall", most_red_as_green=0), "red_as_green<=0"),
        (
            "precision>=.9 and recall>=.5",
            Rule(aim="f1", least_precision=0.9, least_recall=0.5),
            "precision>=0.9 and recall>=0.5",
        ),
        (
            "max_f1 & red_as_green<=1/1000",
            Rule(aim="f1", most_red_as_green=0.001),
            "max_f1 and red_as_green<=0.001",
        ),
    ],
)
def test_rule_is_read_and_written(text, rule, written):
    assert parse_rule(text) == rule
    assert str(rule) == written
    assert parse_rule(written) == rule


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("best", r"cannot read 'best'; expected max_f1, precision>=0.95"),
        ("", "cannot read ''"),
        ("precision<=0.9", "cannot read 'precision<=0.9'"),
        ("f1>=0.9", "cannot read 'f1>=0.9'"),
        ("precision>=95", "'95' is no share; expected a number from 0 to 1"),
        ("red_as_green<=1/0", "'1/0' is no share"),
        ("recall>=1e", "'1e' is no share"),
        ("recall>=0.5 and recall>=0.6", "recall is limited twice"),
    ],
)
def test_rule_that_cannot_be_read_is_refused(text, message):
    with pytest.raises(UsageError, match=message):
        parse_rule(text)


def test_each_class_has_its_rule():
    assert rules_of_classes([], NAMES, STOP, GO) == (MAX_F1,) * 3
    found = rules_of_classes(["recall>=0.9", "red=precision>=0.5"], NAMES, STOP, GO)
    assert [str(rule) for rule in found] == ["precision>=0.5", "recall>=0.9", "recall>=0.9"]


def test_limit_on_red_as_green_binds_the_classes_that_mean_go():
    found = rules_of_classes(["red_as_green<=1/1000"], NAMES, STOP, GO)
    assert [str(rule) for rule in found] == ["max_f1", "red_as_green<=0.001", "max_f1"]
    found = rules_of_classes(["recall>=0.9 and red_as_green<=1/1000"], NAMES, STOP, GO)
    assert [str(rule) for rule in found][:2] == ["recall>=0.9", "recall>=0.9 and red_as_green<=0.001"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["max_f1", "recall>=0.9"], "a second rule for all classes; write CLASS=RULE"),
        (["blue=max_f1"], "no class 'blue'; expected one of red, green, off"),
        (["red=max_f1", "red=recall>=0.9"], "class 'red' has a rule already"),
        (["red=red_as_green<=1/1000"], "red does not mean go"),
    ],
)
def test_rules_that_do_not_fit_the_classes_are_refused(words, message):
    with pytest.raises(UsageError, match=message):
        rules_of_classes(words, NAMES, STOP, GO)


def test_red_as_green_needs_classes_that_tell_them_apart():
    with pytest.raises(UsageError, match="the classes traffic_light do not tell red from green"):
        rules_of_classes(["red_as_green<=1/1000"], ["traffic_light"], [False], [False])
