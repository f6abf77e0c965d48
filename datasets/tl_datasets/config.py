"""YAML configurations: `extends`, `key=value` overrides, and every fault reported at once with its dotted key.

A configuration file is a mapping. Its key `extends` names one file or a list, relative to itself; later files and the
file itself win, mappings are merged key by key, everything else is replaced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tl_datasets.balance import BalanceConfig
from tl_datasets.errors import AnnotationError, ConfigError
from tl_datasets.frame_cache import FrameCacheConfig
from tl_datasets.label_space import LabelSpace
from tl_datasets.parsing import load_yaml

Section = TypeVar("Section", bound=BaseModel)
_REPLACE = frozenset({"data.label_space.classes"})  # classes are ordered: half of another file's would be a surprise


class DataConfig(BaseModel):
    """Which frames a run sees, and which classes it learns from them.

    Attributes:
        catalog: Catalog folder, relative to the working directory.
        train: Filter of the frames to learn from.
        val: Filter of the frames to score.
        duplicates: What `tl duplicates` wrote (its --out): refuse to train if any of these pairs sits in two parts.
        label_space: Classes and rules.
        balance: Whether frames of rare classes in rare conditions come more often.
        cache: How many decoded frames are kept in memory and on disk.
        overfit_frames: Learn and score the same few frames, to see that a model can learn at all.
        broken_share: Largest share of an epoch's frames whose images may turn out unreadable, at least one frame. Each
            is named and replaced by another; beyond that the run stops. 0 = stop at the first.
        allow_classes_without_boxes: Train although a class of the label space has no box to learn from.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    catalog: Path
    train: str = 'split == "train"'
    val: str = 'split == "val"'
    duplicates: Path | None = None
    label_space: LabelSpace
    balance: BalanceConfig = BalanceConfig()
    cache: FrameCacheConfig = FrameCacheConfig()
    overfit_frames: int | None = Field(default=None, gt=0)
    broken_share: float = Field(default=0.01, ge=0, le=1)
    allow_classes_without_boxes: bool = False


def load_config(path: Path | str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Read a configuration file with everything that it extends, and apply overrides.

    Args:
        path: YAML file.
        overrides: Texts `dotted.key=value`; the value is read as YAML.

    Raises:
        ConfigError: A file is missing, broken, no mapping, or extends itself; an override is malformed.
    """
    config = _read(Path(path), ())
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key or any(not part for part in key.split(".")):
            raise ConfigError(f"override '{text}'", ["expected key=value, such as train.epochs=20"])
        replaced = next((name for name in _REPLACE if key.startswith(f"{name}.")), None)
        if replaced is not None:
            raise ConfigError(f"override '{text}'", [f"{replaced} is replaced as a whole; give {replaced}={{...}}"])
        try:
            parsed = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"override '{text}'", [f"the value is not YAML ({_one_line(error)})"]) from error
        nested: Any = parsed
        for part in reversed(key.split(".")):
            nested = {part: nested}
        config = _merge(config, nested, "")
    return config


def validate_config(model: type[Section], values: Mapping[str, Any], where: str) -> Section:
    """Turn plain values into a checked configuration.

    Args:
        model: The pydantic model of the whole configuration or of a section.
        values: As `load_config` gives them.
        where: Named in the error, usually the file.

    Raises:
        ConfigError: Lists every fault with its dotted key.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(where, [_fault(item) for item in error.errors()]) from error


def dump_config(config: BaseModel) -> str:
    """The resolved configuration as YAML that can be run again."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)


def _read(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in seen:
        raise ConfigError(str(path), ["extends itself; remove the circle"])
    try:
        values = load_yaml(path)
    except AnnotationError as error:
        raise ConfigError(str(path), [str(error).removeprefix(f"{path}").strip(" :")]) from error
    if not isinstance(values, dict):
        raise ConfigError(str(path), [f"holds a {type(values).__name__}, expected a mapping of sections"])
    extends = values.pop("extends", [])
    if not isinstance(extends, str | list) or not all(isinstance(item, str) for item in extends):
        raise ConfigError(str(path), ["extends: expected a file name or a list of file names"])
    merged: dict[str, Any] = {}
    for parent in [extends] if isinstance(extends, str) else extends:
        merged = _merge(merged, _read(path.parent / parent, (*seen, path.resolve())), "")
    return _merge(merged, values, "")


def _merge(base: Any, over: Any, key: str) -> Any:
    if not (isinstance(base, Mapping) and isinstance(over, Mapping)) or key in _REPLACE:
        return over
    # Another kind of model has other settings: nothing of the former kind applies.
    if "kind" in over and "kind" in base and over["kind"] != base["kind"]:
        return dict(over)
    merged = dict(base)
    for name, value in over.items():
        dotted = f"{key}.{name}" if key else str(name)
        merged[name] = _merge(base[name], value, dotted) if name in base else value
    return merged


def _fault(item: Any) -> str:
    key = ".".join(str(part) for part in item["loc"])
    if item["type"] == "value_error":  # one of our own rules, which says what it found
        message = str(item["msg"]).removeprefix("Value error, ")
        return f"{key}: {message}" if key else message
    key = key or "(file)"
    if item["type"] == "extra_forbidden":
        return f"{key}: no such setting; check the spelling"
    if item["type"] == "missing":
        return f"{key}: is required"
    found = repr(item["input"])
    return f"{key}: {item['msg']} (found {found if len(found) < 60 else found[:57] + '...'})"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
