"""`Measure`: one number of an evaluation, named by a word, such as the one that picks the best epoch.

What it is in an evaluation is found in `readings`. The word:

    NAME[_lower|_upper][:CLASS][@WHERE]

NAME    ap, ap50, ap75, ap_small, ap_medium, ap_large, ar100; precision, recall, f1 (IoU 0.5, at the operating scores);
        phantoms_per_frame and red_as_green (share of the objects that mean stop), of which less is better.
_lower  The bound of the 95 % bootstrap interval over sequences instead of the value; `_upper` is the other one.
CLASS   One class; else the mean over the classes that have a value.
WHERE   `weather=rainy`, or several joined: `weather=rainy*time_of_day=night`; the frames for which all hold.
        `worst(weather, time_of_day)`: the worst value over all slices of these columns with enough objects; a column
        may be a cross, `worst(weather*time_of_day)`.

Examples: `ap50`, `recall:red@time_of_day=night`, `ap50_lower@worst(weather, time_of_day)`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, cast, get_args

from tl_datasets.errors import UsageError, show
from tl_datasets.taxonomy import Scene, TimeOfDay, Weather
from tl_detection.evaluation.conditions import NOT_ANNOTATED, check_columns
from tl_detection.evaluation.ground_truth import SLICE_COLUMNS
from tl_detection.evaluation.intervals import LESS_IS_BETTER, ScoreName

NAMES: tuple[ScoreName, ...] = get_args(ScoreName)
_PATTERN = re.compile(r"(?P<name>[^:@]+?)(?:_(?P<bound>lower|upper))?(?::(?P<class>[^@]*))?(?:@(?P<where>.*))?")
_WORST = re.compile(r"worst\((.*)\)")
_SHOWN = 20
_WORDS: dict[str, tuple[str, ...]] = {"weather": (*Weather,), "scene": (*Scene,), "time_of_day": (*TimeOfDay,)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One number of an evaluation; `str` gives the word that it is named by.

    Attributes:
        name: The score.
        bound: The bound of its interval that is meant; None = the score itself.
        class_name: The class; None = all.
        where: (column, value) pairs that the frames must have.
        worst_over: Columns, or crosses of them, over whose slices the worst is taken; empty = not asked for.
    """

    name: ScoreName
    bound: Literal["lower", "upper"] | None = None
    class_name: str | None = None
    where: tuple[tuple[str, str], ...] = ()
    worst_over: tuple[str, ...] = ()

    @staticmethod
    def parse(text: str) -> Measure:
        """Read a measure as it is written in a configuration.

        Raises:
            UsageError: A word is unknown; names the near one.
        """
        found = _PATTERN.fullmatch(text.strip())
        if found is None:
            raise UsageError(f"measure {show(text)}: expected NAME, NAME:CLASS or NAME@WHERE, such as ap50 or ap50:red")
        name = found["name"].strip()
        if name not in NAMES:
            raise no_such(text, "measure", name, NAMES)
        class_name = None if found["class"] is None else found["class"].strip()
        if class_name == "":
            raise UsageError(f"measure {show(text)}: no class after the colon; write {name}:CLASS, or {name} for all")
        if class_name is not None and name == "red_as_green":
            raise UsageError(f"measure {show(text)}: red_as_green is of all classes that mean stop; leave :CLASS out")
        where, worst_over = _parse_where(text, found["where"])
        bound = cast(Literal["lower", "upper"] | None, found["bound"])
        return Measure(
            name=cast(ScoreName, name), bound=bound, class_name=class_name, where=where, worst_over=worst_over
        )

    def __str__(self) -> str:
        text = self.name if self.bound is None else f"{self.name}_{self.bound}"
        text += "" if self.class_name is None else f":{self.class_name}"
        if self.worst_over:
            return f"{text}@worst({','.join(self.worst_over)})"
        return text + ("@" + "*".join(f"{column}={value}" for column, value in self.where) if self.where else "")

    @property
    def higher_is_better(self) -> bool:
        """False for counts of mistakes."""
        return self.name not in LESS_IS_BETTER

    def is_better(self, new: float | None, old: float | None) -> bool:
        """True if a value beats another; any value beats none."""
        if new is None or old is None:
            return new is not None
        return new > old if self.higher_is_better else new < old

    def class_id(self, class_names: Collection[str]) -> int | None:
        """The id of the class; None = all.

        Raises:
            UsageError: There is no such class.
        """
        if self.class_name is None:
            return None
        names = list(class_names)
        if self.class_name not in names:
            raise no_such(str(self), "class", self.class_name, names)
        return names.index(self.class_name)


def no_such(text: str, what: str, word: str, known: Collection[str]) -> UsageError:
    """The error about a word of a measure that is not among the known ones; names the near one."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    meant = f"; did you mean '{near[0]}'?" if near else ""
    listed = ", ".join([*list(known)[:_SHOWN], *(["..."] if len(known) > _SHOWN else [])])
    return UsageError(f"measure {show(text)}: no {what} {show(word)}{meant} (known: {listed})")


def _parse_where(text: str, where: str | None) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Frames that are asked for: pairs of column and value, and columns of `worst`."""
    if where is None:
        return (), ()
    worst = _WORST.fullmatch(where.strip())
    if worst is not None:
        crosses = [[part.strip() for part in item.split("*")] for item in worst[1].split(",")]
        _check_columns(text, [part for cross in crosses for part in cross])
        over = tuple("*".join(cross) for cross in crosses)
        if len(set(over)) < len(over) or any(len(set(cross)) < len(cross) for cross in crosses):
            raise UsageError(f"measure {show(text)}: a column is named twice; name each once")
        check_columns(over)
        return (), over
    # A star parts two conditions only before another column; the name of a sequence may hold one.
    parts = [part.partition("=") for part in re.split(r"\*(?=\s*\w+\s*=)", where)]
    if not all(sign for _, sign, _ in parts):
        raise UsageError(
            f"measure {show(text)}: after @ stands {show(where)}; expected column=value, "
            "column=value*column=value, or worst(column, column)"
        )
    pairs = tuple((column.strip(), value.strip()) for column, _, value in parts)
    _check_columns(text, [column for column, _ in pairs])
    if len({column for column, _ in pairs}) < len(pairs):
        raise UsageError(f"measure {show(text)}: a column is named twice; no frame has two values of one column")
    for column, value in pairs:
        words = (*_WORDS.get(column, (value,)), NOT_ANNOTATED)
        if value not in words:
            raise no_such(text, column, value, words)
    return pairs, ()


def _check_columns(text: str, columns: Collection[str]) -> None:
    for column in columns:
        if column not in SLICE_COLUMNS:
            raise no_such(text, "column", column, SLICE_COLUMNS)
