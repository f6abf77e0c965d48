"""Which states a label space tells apart: what a wrong colour would be wrong for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tl_datasets.label_space import LabelSpace
from tl_datasets.lamps.state import READABLE
from tl_datasets.taxonomy import TRAFFIC_LIGHT, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The readable states and their classes.

    Attributes:
        classes: State -> names of the classes that a head in this state may get; none = it is not learned.
    """

    classes: Mapping[State, frozenset[str]]

    @classmethod
    def of(cls, label_space: LabelSpace | None) -> Labels:
        """Those of a label space; without one, every state is a class of its own."""
        if label_space is None:
            return cls(classes={state: frozenset([str(state)]) for state in READABLE})
        return cls(
            classes={
                state: frozenset(
                    name
                    for name, rule in label_space.classes.items()
                    if TRAFFIC_LIGHT in rule.category and (rule.state is None or state in rule.state)
                )
                for state in READABLE
            }
        )

    @property
    def learned(self) -> tuple[State, ...]:
        """States that some class has."""
        return tuple(state for state in READABLE if self.classes[state])

    @property
    def carry_colour(self) -> bool:
        """Whether two states have different classes; else no colour can make a label wrong."""
        return len({self.classes[state] for state in READABLE}) > 1

    def same(self, one: State, other: State) -> bool:
        """Whether two states have the same classes."""
        return self.classes[one] == self.classes[other]
