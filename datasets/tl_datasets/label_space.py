"""`LabelSpace`: which classes a run learns, and what of the annotations is ignored or dropped.

Each annotation is looked up in this order: `drop`, `ignore`, `box_only`, then the classes, then `otherwise`. A rule is
a set of fields with the values that they may have; `null` is the value of a field that the source does not have. An
annotation that carries its own ignore flag becomes an ignore area of the class that it matches.

What `box_only` names has a box to learn from, and of its class only what its known fields leave open (in the literature
a partial label: Cour, Sapp and Taskar, "Learning from partial labels", JMLR 2011). To everything but training it is an
ignore area; training asks for its `candidates`.

Class ids are 0-based positions in `names`; torchvision's and COCO's offsets exist only at their doors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from itertools import product
from typing import Annotated, Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from tl_datasets.errors import DataError
from tl_datasets.taxonomy import (
    CATEGORIES,
    MIRRORED_FACING,
    MIRRORED_PICTOGRAM,
    TRAFFIC_LIGHT,
    Facing,
    Orientation,
    Pictogram,
    Relevance,
    State,
)

# What `assign` gives beside class ids. IGNORE_ANY is an ignore area for every class.
IGNORE_ANY = -1
DROP = -2


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple | set) else [value]


def _state_word(value: Any) -> Any:
    # YAML 1.1 reads an unquoted `off` as False.
    return ["off" if item is False else item for item in _listed(value)]


class Rule(BaseModel):
    """Field values that an annotation must have; a field that is not given may have any value."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    category: Annotated[list[Literal[CATEGORIES]], BeforeValidator(_listed)] = [TRAFFIC_LIGHT]  # type: ignore[valid-type]
    state: Annotated[list[State | None], BeforeValidator(_state_word)] | None = None
    pictogram: Annotated[list[Pictogram | None], BeforeValidator(_listed)] | None = None
    relevance: Annotated[list[Relevance | None], BeforeValidator(_listed)] | None = None
    facing: Annotated[list[Facing | None], BeforeValidator(_listed)] | None = None
    orientation: Annotated[list[Orientation | None], BeforeValidator(_listed)] | None = None
    occluded: Annotated[list[bool | None], BeforeValidator(_listed)] | None = None
    truncated: Annotated[list[bool | None], BeforeValidator(_listed)] | None = None
    reflection: Annotated[list[bool | None], BeforeValidator(_listed)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _null_is_a_value(cls, data: Any) -> Any:
        # "state: null" is a condition (the source has no such field); a field that is not given is none.
        if isinstance(data, dict):
            return {name: [None] if value is None else value for name, value in data.items()}
        return data

    @model_serializer(mode="wrap")
    def _only_conditions(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}

    def expression(self) -> pl.Expr:
        """The rule as a polars expression over the annotations table; true or false, never null."""
        parts = [pl.lit(True)]
        for name in type(self).model_fields:
            values = getattr(self, name)
            if values is None:
                continue
            present = [value for value in values if value is not None]
            part = pl.col(name).is_in(present).fill_null(False) if present else pl.lit(False)
            parts.append(part | pl.col(name).is_null() if None in values else part)
        return pl.all_horizontal(parts)


# The columns that rules ask for.
LAMP_SCHEMA: dict[str, Any] = {
    "category": pl.String,
    "state": pl.String,
    "pictogram": pl.String,
    "relevance": pl.String,
    "facing": pl.String,
    "orientation": pl.String,
    "occluded": pl.Boolean,
    "truncated": pl.Boolean,
    "reflection": pl.Boolean,
    "ignore": pl.Boolean,
}
EMPTY_LAMP: dict[str, Any] = {**dict.fromkeys(LAMP_SCHEMA), "ignore": False}


def _values(name: str, rules: Sequence[Rule]) -> list[Any]:
    """The values of a field that rules name, those of their mirror images, and null."""
    named = {value for rule in rules for value in getattr(rule, name) or ()}
    if name == "pictogram":
        named |= {MIRRORED_PICTOGRAM.get(value, value) for value in named}
    if name == "facing":
        named |= {MIRRORED_FACING.get(value, value) for value in named}
    if name == "category":
        return sorted(named)
    return [*sorted((value for value in named if value is not None), key=str), None]


def _may_be(rule: Rule, of_class: Rule) -> bool:
    """Whether an annotation that one rule names could be of a class, were all its fields known."""
    for name, values in of_class:
        own = getattr(rule, name)
        if values is not None and own is not None and not {None, "unknown", *values} & set(own):
            return False
    return True


def _short(rule: Rule) -> str:
    return json.dumps(rule.model_dump(mode="json", exclude_defaults=True)).replace('"', "")


def _missing(name: str) -> pl.Expr:
    """True where a field says nothing: the source has no such field, or nobody could tell."""
    column = pl.col(name)
    return (
        column.is_null() | (column == "unknown").fill_null(False)
        if LAMP_SCHEMA[name] == pl.String
        else column.is_null()
    )


def _filled_in(lamps: pl.DataFrame, rules: Sequence[Rule]) -> pl.DataFrame:
    """Each lamp once for every way to fill in its missing fields with values that rules name, or to leave them."""
    for name in LAMP_SCHEMA:
        kind = LAMP_SCHEMA[name]
        if name not in lamps.columns:
            lamps = lamps.with_columns(pl.lit(EMPTY_LAMP[name]).cast(kind).alias(name))
        elif name != "category":
            own = pl.col(name).cast(kind)
            named = [value for value in _values(name, rules) if value not in (None, "unknown")]
            others = pl.lit(pl.Series([named], dtype=pl.List(kind)))
            values = pl.when(_missing(name)).then(pl.concat_list(own, others)).otherwise(pl.concat_list(own))
            lamps = lamps.with_columns(values.alias(name)).explode(name)
    return lamps


def _mirrored(lamp: dict[str, Any]) -> dict[str, Any]:
    tables: dict[str, Any] = {"pictogram": MIRRORED_PICTOGRAM, "facing": MIRRORED_FACING}
    return {name: tables[name].get(value, value) if name in tables else value for name, value in lamp.items()}


class LabelSpace(BaseModel):
    """Ordered classes and the rules that lead annotations to them.

    Attributes:
        classes: Class name -> rule; the order is the class id.
        ignore: Annotations that neither reward nor punish.
        drop: Annotations that this run treats as background on purpose.
        box_only: Annotations that teach where an object is, and no more of its class than `candidates` says.
        otherwise: What happens to an annotation that no rule names; "error" lists them with their counts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    classes: dict[str, Rule] = Field(min_length=1)
    ignore: tuple[Rule, ...] = ()
    drop: tuple[Rule, ...] = ()
    box_only: tuple[Rule, ...] = ()
    otherwise: Literal["error", "ignore", "drop"] = "error"

    @model_validator(mode="before")
    @classmethod
    def _yaml_off(cls, data: Any) -> Any:
        # A class named off, unquoted, arrives as the boolean False.
        if isinstance(data, dict) and isinstance(data.get("classes"), dict):
            classes = {"off" if name is False else name: rule for name, rule in data["classes"].items()}
            return {**data, "classes": classes}
        return data

    @model_validator(mode="after")
    def _box_only_leads_somewhere(self) -> LabelSpace:
        for number, rule in enumerate(self.box_only):
            if not any(_may_be(rule, of_class) for of_class in self.classes.values()):
                raise ValueError(
                    f"box_only rule {number + 1} ({_short(rule)}) fits no class, so that nothing could be learned from "
                    "its boxes; add a class, or list it under ignore"
                )
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Without such rules a label space has the text, and so the fingerprint, that it had before there were any.
        return {name: value for name, value in handler(self).items() if name != "box_only" or value}

    @property
    def names(self) -> tuple[str, ...]:
        """Class names by id."""
        return tuple(self.classes)

    def __len__(self) -> int:
        return len(self.classes)

    def assign(self, annotations: pl.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Look up every annotation.

        Args:
            annotations: Rows with the columns of `catalog.ANNOTATION_SCHEMA`.

        Returns:
            (N,) class id, `IGNORE_ANY` or `DROP`; and (N,) true where the box is an ignore area, which what `box_only`
            names is as well.

        Raises:
            DataError: `otherwise` is "error" and a box is named by no rule.
        """
        unmatched = -3
        lookup = pl.when(pl.lit(False)).then(pl.lit(unmatched))
        for rule in self.drop:
            lookup = lookup.when(rule.expression()).then(pl.lit(DROP))
        for rule in (*self.ignore, *self.box_only):
            lookup = lookup.when(rule.expression()).then(pl.lit(IGNORE_ANY))
        for class_id, rule in enumerate(self.classes.values()):
            lookup = lookup.when(rule.expression()).then(pl.lit(class_id))
        fallback = {"error": unmatched, "ignore": IGNORE_ANY, "drop": DROP}[self.otherwise]
        table = annotations.select(
            lookup.otherwise(pl.lit(fallback)).cast(pl.Int64).alias("class_id"), pl.col("ignore").fill_null(False)
        )
        class_id = table["class_id"].to_numpy().copy()
        if (class_id == unmatched).any():
            raise DataError(self._unmatched_message(annotations.filter(pl.Series(class_id == unmatched))))
        ignored = (class_id == IGNORE_ANY) | ((class_id != DROP) & table["ignore"].to_numpy())
        return class_id, ignored

    def candidates(self, annotations: pl.DataFrame) -> NDArray[np.bool_]:
        """For each box that `box_only` names, the classes that it has with missing fields filled in.

        A field is missing where it is null or unknown. A box that may be no class stays an ignore area and no more, and
        so does one with an ignore flag of its own.

        Args:
            annotations: Rows with the columns of `catalog.ANNOTATION_SCHEMA`.

        Returns:
            (N, classes) true for candidates; rows of all other annotations are false.
        """
        found = np.zeros((len(annotations), len(self)), dtype=bool)
        if not self.box_only:
            return found
        earlier = [rule.expression() for rule in (*self.drop, *self.ignore)]
        is_named = pl.any_horizontal([rule.expression() for rule in self.box_only])
        is_open = is_named & ~pl.any_horizontal([*earlier, pl.col("ignore").fill_null(False)])
        rows = np.flatnonzero(annotations.select(is_open.alias("open"))["open"].to_numpy())
        rules = (*self.classes.values(), *self.ignore, *self.drop)
        fields = [name for name in Rule.model_fields if any(getattr(rule, name) is not None for rule in rules)]
        # There are few kinds of lamps among many boxes.
        lamps = annotations[rows].select(fields)
        kinds = lamps.unique(maintain_order=True).with_row_index("kind")
        kind_of_row = lamps.join(kinds, on=fields, how="left", nulls_equal=True, maintain_order="left")["kind"]
        filled = _filled_in(kinds, rules)
        class_id, _ = self.model_copy(update={"box_only": (), "otherwise": "ignore"}).assign(filled)
        by_kind = np.zeros((len(kinds), len(self)), dtype=bool)
        by_kind[filled["kind"].to_numpy()[class_id >= 0], class_id[class_id >= 0]] = True
        found[rows] = by_kind[kind_of_row.to_numpy()]
        return found

    def _unmatched_message(self, rows: pl.DataFrame) -> str:
        counts = rows.group_by("category", "state", "pictogram").len().sort("len", descending=True)
        listed = "; ".join(
            f"{row['len']} x category {row['category']}, state {row['state'] or 'null'}, "
            f"pictogram {row['pictogram'] or 'null'}"
            for row in counts.head(5).iter_rows(named=True)
        )
        return (
            f"label space: {len(rows)} boxes are named by no rule ({listed}); "
            "add a class, an ignore or a drop rule, or set otherwise: ignore"
        )

    @cached_property
    def states(self) -> tuple[State | None, ...]:
        """The state of each class where its rule allows exactly one, else None."""
        return tuple(
            rule.state[0] if rule.state is not None and len(rule.state) == 1 else None for rule in self.classes.values()
        )

    @cached_property
    def pictograms(self) -> tuple[Pictogram | None, ...]:
        """The pictogram of each class where its rule allows exactly one, else None."""
        return tuple(
            rule.pictogram[0] if rule.pictogram is not None and len(rule.pictogram) == 1 else None
            for rule in self.classes.values()
        )

    @cached_property
    def lights(self) -> tuple[bool, ...]:
        """For each class, whether signal heads are among its boxes."""
        return tuple(TRAFFIC_LIGHT in rule.category for rule in self.classes.values())

    @cached_property
    def groups(self) -> tuple[int, ...]:
        """For each class, the number of its group; classes of one group exclude each other: one lamp shows one of them.

        Two classes of lights are exclusive where their rules name states and agree in every other condition: `red` and
        `green`, or `red` and `green` of pedestrian heads. Everything else stays apart, because both may be true in one
        place: another category, a class of any state, another relevance or facing, and another pictogram (a head shows
        red and a green arrow at once). So `{state: red}` and `{state: green, pictogram: circle}` are not exclusive
        either, for the first may be an arrow: name the pictogram in both. Groups are numbered in order of their first
        class.
        """
        keys: list[Any] = []
        for class_id, rule in enumerate(self.classes.values()):
            if rule.state is None or set(rule.category) != {TRAFFIC_LIGHT}:
                keys.append(class_id)
                continue
            others = {name: values for name, values in rule if name != "state" and values is not None}
            keys.append(frozenset((name, frozenset(values)) for name, values in others.items()))
        numbers: dict[Any, int] = {}
        return tuple(numbers.setdefault(key, len(numbers)) for key in keys)

    @cached_property
    def mirrored(self) -> tuple[int | None, ...]:
        """The class that each class becomes in a mirror image; None where the partner class does not exist."""
        rules = list(self.classes.values())
        keys = [self._mirror_key(rule, mirrored=False) for rule in rules]
        return tuple(
            keys.index(wanted) if (wanted := self._mirror_key(rule, mirrored=True)) in keys else None for rule in rules
        )

    @cached_property
    def mirror_fault(self) -> str | None:
        """A lamp whose mirror image is learned as another class than `mirrored` says; None = there is none.

        The order of the rules, and rules that ignore or drop one side alone, can make it so.
        """
        rules = (*self.classes.values(), *self.ignore, *self.drop, *self.box_only)
        fields = [name for name in Rule.model_fields if any(getattr(rule, name) is not None for rule in rules)]
        if not {"pictogram", "facing"} & set(fields):
            return None
        lamps = [dict(zip(fields, each, strict=True)) for each in product(*(_values(name, rules) for name in fields))]
        lenient = self.model_copy(update={"otherwise": "ignore"})
        found, mirrored = (
            lenient.assign(pl.DataFrame([EMPTY_LAMP | lamp for lamp in each], schema=LAMP_SCHEMA))[0]
            for each in (lamps, [_mirrored(lamp) for lamp in lamps])
        )
        partners = np.array([DROP if partner is None else partner for partner in self.mirrored], dtype=np.int64)
        wanted = np.where(found >= 0, partners[np.maximum(found, 0)], found)
        for lamp, is_class, becomes, ought in zip(lamps, found, mirrored, wanted, strict=True):
            if becomes != ought:
                words = ", ".join(f"{name} {value or 'null'}" for name, value in lamp.items())
                return (
                    f"a lamp with {words} is {self._word(is_class)}, so its mirror image ought to be "
                    f"{self._word(ought)}, but is {self._word(becomes)}"
                )
        return None

    def _word(self, class_id: int) -> str:
        if class_id < 0:
            return "dropped" if class_id == DROP else "ignored"
        return f"'{self.names[class_id]}'"

    @staticmethod
    def _mirror_key(rule: Rule, *, mirrored: bool) -> str:
        fields = rule.model_dump(mode="json")
        if rule.pictogram is not None:
            words = [MIRRORED_PICTOGRAM.get(word, word) if mirrored and word else word for word in rule.pictogram]
            fields["pictogram"] = sorted(word or "" for word in words)
        if rule.facing is not None:
            sides = [MIRRORED_FACING.get(side, side) if mirrored and side else side for side in rule.facing]
            fields["facing"] = sorted(side or "" for side in sides)
        return json.dumps(fields, sort_keys=True)

    def to_json(self) -> str:
        """The label space as one line of JSON, for checkpoints and ONNX metadata."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str) -> LabelSpace:
        """The inverse of `to_json`."""
        return cls.model_validate_json(text)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change with any class, its order, or any rule."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]
