"""A policy for cleaning: which action follows from a finding of which rule. Written as YAML, see configs/clean/.

    rules:
      box_over_edge: clip
      state_against_colour: {action: quarantine, severity: [error, warning]}

A rule that is not named is kept. Dropping a box says that there is no object; where one is there but badly labelled,
`ignore_box` is right: it is neither rewarded nor punished.
"""

from __future__ import annotations

import difflib
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tl_datasets.checks.rules import RULES, Rule, Severity, Subject
from tl_datasets.config import load_config, validate_config


class Action(StrEnum):
    """What happens to a box or frame, the weakest first."""

    KEEP = "keep"  # nothing
    CLIP = "clip"  # the box ends at the image; without area it is dropped
    IGNORE_BOX = "ignore_box"  # the box stays, and neither rewards nor punishes a detection
    DROP_BOX = "drop_box"
    QUARANTINE = "quarantine"  # the frame goes into a catalog of its own, to be looked at
    DROP_FRAME = "drop_frame"


_ALLOWED: dict[Subject, frozenset[Action]] = {
    Subject.BOX: frozenset(Action),
    Subject.FRAME: frozenset({Action.KEEP, Action.QUARANTINE, Action.DROP_FRAME}),
    Subject.CATALOG: frozenset({Action.KEEP}),
}


class RuleAction(BaseModel):
    """The action for one rule.

    Attributes:
        rule: The rule; filled in from the key of the policy.
        action: What to do.
        severity: Only for findings of these severities; None = for all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: Rule = Field(exclude=True, repr=False)
    action: Action
    severity: tuple[Severity, ...] | None = Field(default=None, min_length=1)

    @field_validator("rule", mode="before")
    @classmethod
    def _known(cls, name: Any) -> Any:
        if name in set(Rule):
            return name
        near = difflib.get_close_matches(str(name), list(Rule), n=1)
        hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(Rule)}"
        raise ValueError(f"no such rule; {hint}")

    @model_validator(mode="after")
    def _fits(self) -> RuleAction:
        subject = RULES[self.rule].subject
        if self.action not in _ALLOWED[subject]:
            allowed = ", ".join(action for action in Action if action in _ALLOWED[subject])
            raise ValueError(f"{self.action} cannot follow a finding about a {subject}; expected {allowed}")
        if self.action is Action.CLIP and self.rule is not Rule.BOX_OVER_EDGE:
            raise ValueError(f"clip mends {Rule.BOX_OVER_EDGE} alone; expected ignore_box or drop_box")
        return self


class CleanPolicy(BaseModel):
    """What to do about findings.

    Attributes:
        rules: Action by rule; a rule that is not named is kept.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: dict[str, RuleAction]

    @field_validator("rules", mode="before")
    @classmethod
    def _with_names(cls, rules: Any) -> Any:
        # `box_over_edge: clip` is short for `box_over_edge: {action: clip}`.
        if not isinstance(rules, dict):
            return rules
        for name, value in rules.items():
            if isinstance(value, dict) and "rule" in value:
                raise ValueError(f"{name} has the key rule; the key names the rule, leave it out")
        return {
            str(name): {**value, "rule": name} if isinstance(value, dict) else {"action": value, "rule": name}
            for name, value in rules.items()
        }

    def action(self, rule: str, severity: str) -> Action:
        """What follows from a finding."""
        found = self.rules.get(rule)
        if found is None or (found.severity is not None and severity not in found.severity):
            return Action.KEEP
        return found.action


def load_policy(path: Path | str) -> CleanPolicy:
    """Read a policy file.

    Raises:
        ConfigError: Lists every fault: unknown rules and actions, and actions that do not fit their rule.
    """
    return validate_config(CleanPolicy, load_config(path), str(path))
