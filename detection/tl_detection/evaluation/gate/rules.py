"""The rules that a report must keep to: limits on its numbers, as a YAML file says them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tl_datasets.config import load_config, validate_config
from tl_datasets.errors import UsageError
from tl_detection.evaluation.intervals import LEAST_SEQUENCES
from tl_detection.evaluation.measures import Measure
from tl_detection.evaluation.protocol import COCO

LimitKind = Literal["at_least", "at_most", "drop_at_most", "rise_at_most"]
LIMIT_KINDS: tuple[LimitKind, ...] = ("at_least", "at_most", "drop_at_most", "rise_at_most")
Limit = Annotated[float, Field(allow_inf_nan=False)]
Change = Annotated[float, Field(allow_inf_nan=False, ge=0)]
Count = Annotated[int, Field(ge=0)]


class TooSmall(StrEnum):
    """What becomes of a rule on a slice that is too small to be judged."""

    FAIL = "fail"
    WARN = "warn"
    PASS = "pass"  # noqa: S105 - a word of the rules file


class Rule(BaseModel):
    """One limit on one number.

    Attributes:
        measure: The number, see `measures`; or else `rate` is given.
        rate: A rate of the report's analyses by its dotted place, such as `lights.phantoms.overall.rate` or
            `lights.missed.by_size.8-12`; an entry of a list by its name.
        bound: Of a rate: the bound of its interval that is meant; None = the rate itself. A measure names its own.
        slice: Name of the slice as it stands in the report, for one that no measure's `@` names, such as an
            expression, or `new frames` of a report with `--previous`; None = as the measure says.
        name: What the rule is called in every summary; None = its own words.
        at_least: The number must not be less.
        at_most: The number must not be more.
        drop_at_most: It must not be less than in the baseline by more than this; where more is better.
        rise_at_most: It must not be more than in the baseline by more than this; where less is better.
        min_objects: Objects that the number must be measured on (of phantoms per 1,000 frames: frames); None = as for
            all rules.
        min_sequences: Sequences that must hold such objects; None = as for all rules.
        if_too_small: What happens otherwise; None = as for all rules.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    measure: str | None = None
    rate: str | None = Field(default=None, min_length=1)
    bound: Literal["lower", "upper"] | None = None
    slice: str | None = None
    name: str | None = Field(default=None, min_length=1)
    at_least: Limit | None = None
    at_most: Limit | None = None
    drop_at_most: Change | None = None
    rise_at_most: Change | None = None
    min_objects: Count | None = None
    min_sequences: Count | None = None
    if_too_small: TooSmall | None = None

    @field_validator("measure")
    @classmethod
    def _is_a_measure(cls, text: str | None) -> str | None:
        if text is None:
            raise ValueError("found nothing; expected a measure such as ap50")
        try:
            return str(Measure.parse(text))
        except UsageError as error:
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _has_one_limit_that_fits(self) -> Rule:
        given = [kind for kind in LIMIT_KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            found = ", ".join(given) or "none"
            raise ValueError(f"found {found}; expected exactly one of {', '.join(LIMIT_KINDS)}")
        if (self.measure is None) == (self.rate is None):
            raise ValueError(f"found {'both' if self.measure else 'none'} of measure and rate; expected one of them")
        if self.measure is None:
            return self
        measure = Measure.parse(self.measure)
        if measure.name != "phantoms_per_frame" and not 0 <= self.limit <= 1:
            raise ValueError(f"{given[0]}: found {self.limit:g}; {measure.name} lies between 0 and 1 (5 % is 0.05)")
        if self.bound is not None:
            raise ValueError(f"bound: is of a rate; of a measure write {measure.name}_{self.bound}")
        fitting = "drop_at_most" if measure.higher_is_better else "rise_at_most"
        if given[0] in ("drop_at_most", "rise_at_most") and given[0] != fitting:
            better = "more" if measure.higher_is_better else "less"
            raise ValueError(f"{given[0]}: of {measure.name} {better} is better; expected {fitting}")
        if self.slice is not None and (measure.where or measure.worst_over):
            raise ValueError(f"slice: {self.measure} names a slice already; give one of them")
        return self

    @property
    def limit_kind(self) -> LimitKind:
        """Which limit is given."""
        return next(kind for kind in LIMIT_KINDS if getattr(self, kind) is not None)

    @property
    def limit(self) -> float:
        """Its number."""
        return getattr(self, self.limit_kind)

    @property
    def needs_baseline(self) -> bool:
        """True for a limit against another report."""
        return self.limit_kind in ("drop_at_most", "rise_at_most")

    def __str__(self) -> str:
        place = "" if self.slice is None else f" in {self.slice}"
        number = self.measure or self.rate
        bound = "" if self.bound is None else f" ({self.bound} bound)"
        return f"{number}{bound}{place} {self.limit_kind.replace('_', ' ')} {self.limit:g}"


class GateRules(BaseModel):
    """All rules, and what holds for those that say nothing else.

    Attributes:
        rules: At least one.
        min_objects: Objects that a number must be measured on; of none at all nothing is judged.
        min_sequences: Sequences that must hold such objects.
        if_too_small: fail = an unproven number fails the rule; warn = it passes with a warning; pass = it passes, and
            is listed as not judged.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: tuple[Rule, ...]
    min_objects: Count = COCO.small_slice_objects
    min_sequences: Count = LEAST_SEQUENCES
    if_too_small: TooSmall = TooSmall.FAIL

    @field_validator("rules")
    @classmethod
    def _are_some(cls, rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        if not rules:
            raise ValueError("found none, expected at least 1 rule; a gate without rules would let everything pass")
        return rules


def load_rules(path: Path | str) -> GateRules:
    """Read a rules file.

    Raises:
        ConfigError: It is missing or broken, or has faults; lists every one with its dotted key.
    """
    return validate_config(GateRules, load_config(path), str(path))
