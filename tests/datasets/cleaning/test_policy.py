"""Policies: what they say, and how they say no."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tl_datasets.checks.rules import RULES, Rule, Subject
from tl_datasets.cleaning.policy import Action, CleanPolicy, load_policy
from tl_datasets.errors import ConfigError

POLICIES = sorted((Path(__file__).resolve().parents[3] / "configs" / "clean").glob("*.yaml"))


def policy_of(**rules) -> CleanPolicy:
    return CleanPolicy(rules=rules)


def test_there_are_policies_to_check():
    assert [path.name for path in POLICIES] == ["default.yaml"]


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_every_policy_of_the_repository_loads(path):
    policy = load_policy(path)
    assert len(policy.rules) >= 10
    assert path.read_text(encoding="utf-8").startswith("# What `tl clean CATALOG --policy configs/clean/")


def test_a_rule_that_is_not_named_is_kept():
    policy = policy_of(box_over_edge="clip")
    assert policy.action("box_over_edge", "warning") is Action.CLIP
    assert policy.action("box_size", "warning") is Action.KEEP


def test_an_action_for_some_severities():
    policy = policy_of(frame_unlabelled={"action": "drop_frame", "severity": ["warning"]})
    assert policy.action("frame_unlabelled", "warning") is Action.DROP_FRAME
    assert policy.action("frame_unlabelled", "info") is Action.KEEP


def test_policies_extend_each_other(tmp_path):
    (tmp_path / "base.yaml").write_text("rules: {box_size: ignore_box, box_aspect: ignore_box}")
    (tmp_path / "own.yaml").write_text("extends: base.yaml\nrules: {box_size: drop_box}")
    policy = load_policy(tmp_path / "own.yaml")
    assert policy.action("box_size", "warning") is Action.DROP_BOX
    assert policy.action("box_aspect", "warning") is Action.IGNORE_BOX


def test_all_faults_at_once(tmp_path):
    (tmp_path / "p.yaml").write_text(
        """
rules:
  box_sise: drop_box
  box_aspect: remove
  image_size: clip
  class_rare: drop_frame
  box_outside: clip
  box_size: {action: drop_box, severity: [bad]}
  box_duplicate: {acton: drop_box}
  moon: keep
other: 1
"""
    )
    with pytest.raises(ConfigError) as caught:
        load_policy(tmp_path / "p.yaml")
    text = "\n".join(caught.value.faults)
    for part in (
        "box_sise.rule: no such rule; did you mean box_size?",
        "box_aspect.action: Input should be",
        "image_size: clip cannot follow a finding about a frame; expected keep, quarantine, drop_frame",
        "class_rare: drop_frame cannot follow a finding about a catalog; expected keep",
        "box_outside: clip mends box_over_edge alone",
        "box_size.severity.0: Input should be 'error', 'warning' or 'info'",
        "box_duplicate.acton: no such setting; check the spelling",
        "box_duplicate.action: is required",
        "moon.rule: no such rule; expected one of image_missing",
        "other: no such setting; check the spelling",
    ):
        assert part in text, text
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["rules: 3", "rules: [box_size]", "{}", "- 1"])
def test_no_policy(text, tmp_path):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"p\.yaml"):
        load_policy(tmp_path / "p.yaml")


@pytest.mark.parametrize("rule", list(Rule))
def test_what_is_allowed(rule):
    allowed = set()
    for action in Action:
        try:
            policy_of(**{rule: action})
        except ValueError:
            continue
        allowed.add(action)
    subject = RULES[rule].subject
    expected = {Action.KEEP}
    if subject is not Subject.CATALOG:
        expected |= {Action.QUARANTINE, Action.DROP_FRAME}
    if subject is Subject.BOX:
        expected |= {Action.DROP_BOX, Action.IGNORE_BOX}
    if rule is Rule.BOX_OVER_EDGE:
        expected |= {Action.CLIP}
    assert allowed == expected


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"action": "drop_box", "severity": []}, "rules.box_size.severity: Tuple should have at least 1 item"),
        ({"action": "drop_box", "rule": "box_aspect"}, "rules: .*box_size has the key rule; the key names the rule"),
    ],
)
def test_what_would_silently_do_nothing_is_refused(entry, message, tmp_path):
    (tmp_path / "p.yaml").write_text(json.dumps({"rules": {"box_size": entry}}))
    with pytest.raises(ConfigError, match=message):
        load_policy(tmp_path / "p.yaml")
