"""Label maps: the words of a source -> our vocabulary, one YAML file per source.

    labels:      class or category word -> {category, state, pictogram, ...} | drop
    compose:     fields of a word that joins a state and a pictogram (`red_left`, `arrow_left_green`) or is a state
    states:      words of a separate state field (and of composed words) -> state
    pictograms:  words of composed words -> pictogram
    conditions:  weather, scene, time_of_day: word -> our word
    otherwise:   error | drop; what happens to a label that the map does not know
    class_names: order of the class ids, where the source fixes it
    extends:     a map whose entries come first and may be replaced
    format:      the reader of the source, which makes the map's name a format of its own
    options:     options of that reader, unless the caller gives others
    frames:      what is known of the frames besides (see `frame_rules`)

Words are compared without regard to case, and `-`, space and CamelCase count as `_`. A word outside the map is never
guessed: all unknown words of a reading are reported together, each with its count.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from tl_datasets.errors import AnnotationError, DataError, show
from tl_datasets.frame_rules import FrameRules
from tl_datasets.parsing import load_yaml
from tl_datasets.taxonomy import (
    CATEGORIES,
    Facing,
    Orientation,
    Pictogram,
    Relevance,
    Scene,
    State,
    TimeOfDay,
    Weather,
)

DROP = "drop"
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_JOINT = re.compile(r"[\s_-]+")


def normalise_word(word: object) -> str:
    """The form in which words are compared: `RedLeft`, `red-left` and `Red left` are all `red_left`."""
    return _normalised(str(word))


@lru_cache(maxsize=4096)  # a large set repeats a few dozen words millions of times
def _normalised(word: str) -> str:
    return _JOINT.sub("_", _CAMEL.sub("_", word.strip())).lower()


class LabelFields(BaseModel):
    """What one word says about an annotation; a field that is not given stays None."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    category: Literal[CATEGORIES] = "traffic_light"  # type: ignore[valid-type]
    state: State | None = None
    pictogram: Pictogram | None = None
    relevance: Relevance | None = None
    facing: Facing | None = None
    orientation: Orientation | None = None
    aspects: int | None = Field(default=None, ge=1, le=4)
    ignore: bool = False

    @cached_property
    def as_arguments(self) -> dict[str, Any]:
        """The fields as keyword arguments of `Annotation`."""
        return {name: getattr(self, name) for name in type(self).model_fields}


class Conditions(BaseModel):
    """Words for the conditions of a frame."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weather: dict[str, Weather | None] = {}
    scene: dict[str, Scene | None] = {}
    time_of_day: dict[str, TimeOfDay | None] = {}


class LabelMap(BaseModel):
    """A label map; see the module text for its keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    labels: dict[str, LabelFields | Literal["drop"]] = {}
    compose: LabelFields | None = None
    states: dict[str, State] = {}
    pictograms: dict[str, Pictogram] = {}
    conditions: Conditions = Conditions()
    otherwise: Literal["error", "drop"] = "error"
    class_names: tuple[str, ...] = ()
    format: str | None = None
    options: dict[str, str | bool] = {}
    frames: FrameRules = FrameRules()

    @model_validator(mode="before")
    @classmethod
    def _normalise(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data = dict(data)
        for key in ("labels", "states", "pictograms"):
            if isinstance(data.get(key), dict):
                data[key] = _with_normal_keys(data[key], key)
        if isinstance(data.get("conditions"), dict):
            data["conditions"] = {
                name: _with_normal_keys(words, name) if isinstance(words, dict) else words
                for name, words in data["conditions"].items()
            }
        return data

    @field_validator("labels", mode="before")
    @classmethod
    def _short_labels(cls, labels: Any) -> Any:
        # `car: car` is short for `car: {category: car}`.
        if not isinstance(labels, dict):
            return labels
        return {
            word: {"category": value} if isinstance(value, str) and value != DROP else value
            for word, value in labels.items()
        }

    @cached_property
    def composed(self) -> dict[str, LabelFields]:
        """Words that are a state, or a state and a pictogram in either order."""
        if self.compose is None:
            return {}
        words = {word: self.compose.model_copy(update={"state": state}) for word, state in self.states.items()}
        for state_word, state in self.states.items():
            for shape_word, shape in self.pictograms.items():
                fields = self.compose.model_copy(update={"state": state, "pictogram": shape})
                words[f"{state_word}_{shape_word}"] = words[f"{shape_word}_{state_word}"] = fields
        return words

    def label(self, word: str) -> LabelFields | Literal["drop"] | None:
        """What a class word means; "drop" by rule, None for a word that the map does not know."""
        key = normalise_word(word)
        found = self.labels.get(key) or self.composed.get(key)
        return found or (DROP if self.otherwise == "drop" else None)


def _with_normal_keys(words: Mapping[Any, Any], where: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for word, value in words.items():
        key = normalise_word(word)
        if key in result and result[key] != value:
            raise ValueError(f"{where}: '{word}' occurs twice with different meanings")
        result[key] = value
    return result


def available_maps() -> list[str]:
    """Names of the label maps that come with the package."""
    folder = resources.files("tl_datasets") / "maps"
    return sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))


def source_maps() -> dict[str, LabelMap]:
    """The maps that come with the package and describe a whole source, with its reader, by name."""
    maps = {name: load_label_map(name) for name in available_maps()}
    return {name: label_map for name, label_map in maps.items() if label_map.format is not None}


def load_label_map(name_or_path: str | Path | LabelMap) -> LabelMap:
    """Load a label map by the name of one that comes with the package, or from a file.

    Raises:
        DataError: There is no such map.
        AnnotationError: The file is no label map.
    """
    return name_or_path if isinstance(name_or_path, LabelMap) else _load(name_or_path, ())


def _load(name_or_path: str | Path, parents: tuple[Path, ...]) -> LabelMap:
    path = _find(name_or_path, parents[-1].parent if parents else Path())
    if path in parents:
        raise AnnotationError(path, "extends itself; expected a chain of maps that ends")
    data = load_yaml(path)
    if not isinstance(data, dict):
        raise AnnotationError(path, "expected a mapping with labels, states or conditions")
    parent = data.pop("extends", None)
    try:
        if parent is None:
            return LabelMap.model_validate({"name": path.stem, **data})
        base = _load(parent, (*parents, path)).model_dump(exclude={"name"}, exclude_unset=True)
        # The child is checked alone first, so that its words are in normal form when they replace those of the parent.
        own = LabelMap.model_validate({"name": path.stem, **data}).model_dump(exclude_unset=True)
        return LabelMap.model_validate(_merged(base, own))
    except ValidationError as error:
        faults = [
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']} (found {show(fault['input'])})"
            for fault in error.errors()
        ]
        raise AnnotationError(path, "; ".join(faults)) from error


def _find(name_or_path: str | Path, folder: Path) -> Path:
    text = str(name_or_path)
    if text in available_maps():
        return Path(str(resources.files("tl_datasets") / "maps" / f"{text}.yaml"))
    path = folder / text
    if not path.is_file():
        raise DataError(
            f"label map '{text}': no such file, and none of the maps that come along ({', '.join(available_maps())})"
        )
    return path.resolve()


def _merged(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Own entries replace those of the base, word by word."""
    result = {**base, **own}
    for key in ("labels", "states", "pictograms", "options", "frames"):
        result[key] = {**base.get(key, {}), **own.get(key, {})}
    conditions, own_conditions = base.get("conditions", {}), own.get("conditions", {})
    result["conditions"] = {
        name: {**conditions.get(name, {}), **own_conditions.get(name, {})} for name in {**conditions, **own_conditions}
    }
    return result


class Translator:
    """Looks up the words of one reading and collects the unknown ones, so that all are reported at once."""

    def __init__(self, label_map: LabelMap, where: Path | str):
        """Take a map and the file to name in the report."""
        self.label_map = label_map
        self.where = where
        self.unknown: Counter[tuple[str, str]] = Counter()

    def label(self, word: str) -> LabelFields | Literal["drop"] | None:
        """What a class word means; None for an unknown one, which is counted."""
        found = self.label_map.label(word)
        if found is None:
            self.unknown["label", word] += 1
        return found

    def state(self, word: object) -> State | None:
        """A word of a separate state field; None for an unknown one, which is counted."""
        found = self.label_map.states.get(normalise_word(word))
        if found is None:
            self.unknown["state", str(word)] += 1
        return found

    def condition(self, name: Literal["weather", "scene", "time_of_day"], word: object) -> Any:
        """A condition word; None stays None, an unknown word is counted."""
        if word is None:
            return None
        words = getattr(self.label_map.conditions, name)
        key = normalise_word(word)
        if key not in words:
            self.unknown[name, str(word)] += 1
            return None
        return words[key]

    def check(self) -> None:
        """Raise if a word was unknown.

        Raises:
            AnnotationError: Names every unknown word with its count.
        """
        if not self.unknown:
            return
        listed = ", ".join(f"{kind} {show(word)} ({number})" for (kind, word), number in self.unknown.most_common())
        name = self.label_map.name
        remedy = (
            f"write a map with 'extends: {name}' that gives each a meaning or 'drop', and pass it as label_map=FILE"
            if name in available_maps()
            else "give each a meaning or 'drop' in that map"
        )
        raise AnnotationError(self.where, f"words that the label map '{name}' does not know: {listed}; {remedy}")
