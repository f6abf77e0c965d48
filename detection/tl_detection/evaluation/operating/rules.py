"""`Rule`: how the operating score of a class is chosen.

As it is written:

    max_f1                          where F1 is best
    precision>=0.95                 of the scores with at least this precision, the one with the highest recall
    recall>=0.9                     of the scores with at least this recall, the one with the highest precision
    red_as_green<=1/1000            of the scores at which at most so many of the lamps that mean stop are said to be
                                    green, the one with the highest recall: as low as is allowed. Lamps are annotated
                                    lights: one that is seen in ten frames is ten, and each missed one counts as not
                                    green
    A and B                         limits joined; with max_f1 the best F1 within them; precision and recall together
                                    the best F1, too

All at IoU 0.5. Of equally good scores the higher one, unless a lower one of equal precision has more recall. A limit on
red_as_green binds the classes that mean go; the others, for which it says nothing, take max_f1. `CLASS=RULE` is of one
class, a rule alone of all others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tl_datasets.errors import UsageError, show

_RULE_OF_CLASS = re.compile(r"(?P<name>[^=<>]+)=(?P<rule>.+)")
_LIMIT = re.compile(r"(?P<what>\w+)\s*(?P<sign>>=|<=)\s*(?P<part>[\d.eE+-]+?)\s*(?:/\s*(?P<whole>[\d.eE+-]+))?")
_SIGNS = {"precision": ">=", "recall": ">=", "red_as_green": "<="}
_EXPECTED = "expected max_f1, precision>=0.95, recall>=0.9, red_as_green<=1/1000, or several joined by 'and'"

Aim = Literal["f1", "recall", "precision"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How a score is chosen.

    Attributes:
        aim: What is highest at the score, within the limits.
        least_precision: In (0, 1]; None = no limit.
        least_recall: In (0, 1]; None = no limit.
        most_red_as_green: Share of the lamps that mean stop, in [0, 1]; None = no limit.
    """

    aim: Aim = "f1"
    least_precision: float | None = None
    least_recall: float | None = None
    most_red_as_green: float | None = None

    def __str__(self) -> str:
        """The rule as it is written."""
        limits = [
            f"{name}{sign}{repr(value).removesuffix('.0')}"
            for (name, sign), value in zip(_SIGNS.items(), self._limits, strict=True)
            if value is not None
        ]
        is_said = bool(limits) and self.aim == _aim_of(self)
        return " and ".join(limits if is_said else ["max_f1", *limits])

    @property
    def _limits(self) -> tuple[float | None, ...]:
        return (self.least_precision, self.least_recall, self.most_red_as_green)


MAX_F1 = Rule()


def parse_rule(text: str) -> Rule:
    """Read one rule.

    Raises:
        UsageError: A word is unknown, a number is out of range, or a limit is named twice.
    """
    limits: dict[str, float] = {}
    parts = [part.strip() for part in re.split(r"\band\b|&", text)]
    for part in parts:
        if part == "max_f1":
            continue
        found = _LIMIT.fullmatch(part)
        if found is None or found["sign"] != _SIGNS.get(found["what"]):
            raise UsageError(f"rule {show(text)}: cannot read {show(part)}; {_EXPECTED}")
        if found["what"] in limits:
            raise UsageError(f"rule {show(text)}: {found['what']} is limited twice; name each limit once")
        limits[found["what"]] = _share(text, found["part"], found["whole"])
    rule = Rule(
        least_precision=limits.get("precision"),
        least_recall=limits.get("recall"),
        most_red_as_green=limits.get("red_as_green"),
    )
    return rule if "max_f1" in parts else replace(rule, aim=_aim_of(rule))


def rules_of_classes(
    words: Sequence[str], names: Sequence[str], means_stop: Sequence[bool], means_go: Sequence[bool]
) -> tuple[Rule, ...]:
    """The rule of each class.

    Args:
        words: `RULE`, at most once, and `CLASS=RULE`; without the former it is max_f1.
        names: Class names by id.
        means_stop: Per class.
        means_go: Per class.

    Raises:
        UsageError: A rule cannot be read, a class is unknown or named twice, or red as green cannot be limited here.
    """
    of_class: dict[str, Rule] = {}
    of_all: Rule | None = None
    for word in words:
        found = _RULE_OF_CLASS.fullmatch(word.strip())
        if found is None:
            if of_all is not None:
                raise UsageError(f"rule {show(word)}: a second rule for all classes; write CLASS=RULE for one of them")
            of_all = parse_rule(word)
            continue
        name = found["name"].strip()
        if name not in names:
            raise UsageError(f"rule {show(word)}: no class {show(name)}; expected one of {', '.join(names)}")
        if name in of_class:
            raise UsageError(f"rule {show(word)}: class {show(name)} has a rule already; give it one")
        of_class[name] = parse_rule(found["rule"])
        if of_class[name].most_red_as_green is not None and not means_go[names.index(name)]:
            raise UsageError(
                f"rule {show(word)}: {name} does not mean go, so its score cannot turn red into green; "
                "limit red_as_green for a class that stands for green alone"
            )
    limited = [rule for rule in (of_all, *of_class.values()) if rule and rule.most_red_as_green is not None]
    if limited and not (any(means_stop) and any(means_go)):
        raise UsageError(
            f"rule {str(limited[0])!r}: the classes {', '.join(names)} do not tell red from green; "
            "choose a rule without red_as_green"
        )
    rules = []
    for name, is_go in zip(names, means_go, strict=True):
        rule = of_class.get(name, of_all or MAX_F1)
        if rule.most_red_as_green is not None and not is_go:
            rule = replace(rule, most_red_as_green=None)
            rule = rule if rule.least_precision or rule.least_recall else MAX_F1
        rules.append(rule)
    return tuple(rules)


def _aim_of(rule: Rule) -> Aim:
    """What limits alone aim at: the best of what they do not limit."""
    if rule.least_recall is None:
        return "f1" if rule.least_precision is None and rule.most_red_as_green is None else "recall"
    return "precision" if rule.least_precision is None else "f1"


def _share(text: str, part: str, whole: str | None) -> float:
    try:
        value = float(part) / (1.0 if whole is None else float(whole))
    except (ValueError, ZeroDivisionError):
        value = -1.0
    if not 0 <= value <= 1:
        written = part if whole is None else f"{part}/{whole}"
        raise UsageError(f"rule {show(text)}: {show(written)} is no share; expected a number from 0 to 1, or 1/1000")
    return value
