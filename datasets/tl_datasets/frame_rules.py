r"""What is known of the frames of a source besides its label files: from its documentation, or from its file names.

    frames:                                        # in a label map
      weather: clear                               # of all frames whose source says nothing
      time_of_day_from_path: {'(^|/)night': night} # the first expression that is found in the path
      split_from_path: {'(^|/)valid/': val}
      sequence_from_path: '([^/]+)\.rf\.'          # a group, or the whole match
      timestamp_from_path: {regex: '(\d+)-(\d{9})', unit: s_ns}
      sequence_gap_s: 5                            # a longer pause starts a new sequence ...
      sequence_block_s: 30                         # ... or each such block of time is one
      labelled_categories: [car, pedestrian]       # nothing else was looked for: the frames are no negatives for lights

A path is relative to the folder of the images. Where no expression of conditions or parts is found in it, the name of
that folder is put before it: who reads `DAWN/Fog` alone, or `valid` alone, is told the same as who reads all.

What a label file says of a frame itself is never replaced.
"""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from tl_datasets.catalog import CONDITIONS, Catalog
from tl_datasets.errors import DataError, show
from tl_datasets.taxonomy import CATEGORIES, ConditionSource, LabelStatus, Scene, TimeOfDay, Weather

_NS_PER_S = 1_000_000_000
_NS_PER_UNIT = {"s": _NS_PER_S, "ms": 1_000_000, "us": 1_000, "ns": 1}
_LARGEST_NS = 2**63 - 1
# A nanosecond, and 32 years: what whole nanoseconds can hold.
_SHORTEST_S, _LONGEST_S = 1e-9, 1e9


def _compiles(pattern: str) -> str:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{show(pattern)}: {error}; expected a regular expression") from error
    if compiled.groups > 2:
        raise ValueError(f"{show(pattern)}: {compiled.groups} groups, expected two at most; use (?:...)")
    return pattern


Pattern = Annotated[str, AfterValidator(_compiles)]


class TimestampRule(BaseModel):
    """Where the time of capture stands in a path.

    Attributes:
        regex: Its first group, or the whole match, is the time.
        unit: s, ms, us or ns since 1970; s_ns for two groups, seconds and nanoseconds; or a format of `strptime`
            (taken as UTC, no %z), where a second group holds the digits of the fraction of a second.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    regex: Pattern
    unit: str

    @model_validator(mode="after")
    def _check_unit(self) -> TimestampRule:
        if self.unit not in {*_NS_PER_UNIT, "s_ns"} and "%" not in self.unit:
            raise ValueError(f"unit {show(self.unit)}: expected s, ms, us, ns, s_ns or a format such as '%Y-%m-%d %H'")
        if "%z" in self.unit or "%Z" in self.unit:
            raise ValueError(f"unit {show(self.unit)}: a zone is not read, times are UTC; leave it out of the format")
        if self.unit == "s_ns" and re.compile(self.regex).groups != 2:
            raise ValueError(f"regex {show(self.regex)}: expected two groups for unit s_ns")
        return self

    def read(self, path: str) -> int | None:
        """Nanoseconds since 1970; None where the path does not match, or a group that is needed takes no part in it.

        Raises:
            ValueError: It matches, but is no time.
        """
        found = re.search(self.regex, path)
        if found is None:
            return None
        groups = list(found.groups() or (found[0],))
        if groups[0] is None or (self.unit == "s_ns" and groups[1] is None):
            return None
        if self.unit in _NS_PER_UNIT:
            whole, _, fraction = groups[0].partition(".")
            factor = _NS_PER_UNIT[self.unit]
            value = int(whole) * factor + int(int((fraction + "0" * 9)[:9]) * factor // _NS_PER_S)
        elif self.unit == "s_ns":
            value = int(groups[0]) * _NS_PER_S + int(groups[1])
        else:
            moment = datetime.datetime.strptime(groups[0], self.unit).replace(tzinfo=datetime.UTC)
            seconds = (moment - datetime.datetime.fromtimestamp(0, datetime.UTC)) // datetime.timedelta(seconds=1)
            digits = groups[1] if len(groups) > 1 and groups[1] else ""
            value = seconds * _NS_PER_S + int((digits + "0" * 9)[:9])
        if not 0 <= value <= _LARGEST_NS:
            raise ValueError(f"{value} ns since 1970")
        return value


class FrameRules(BaseModel):
    """Rules for the frames of a source; see the module text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weather: Weather | None = None
    scene: Scene | None = None
    time_of_day: TimeOfDay | None = None
    weather_from_path: dict[Pattern, Weather] = {}
    scene_from_path: dict[Pattern, Scene] = {}
    time_of_day_from_path: dict[Pattern, TimeOfDay] = {}
    split_from_path: dict[Pattern, Annotated[str, Field(min_length=1)]] = {}
    sequence_from_path: Pattern | None = None
    timestamp_from_path: TimestampRule | None = None
    sequence_gap_s: float | None = Field(default=None, ge=_SHORTEST_S, le=_LONGEST_S)
    sequence_block_s: float | None = Field(default=None, ge=_SHORTEST_S, le=_LONGEST_S)
    labelled_categories: tuple[Literal[CATEGORIES], ...] = ()  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _one_way_to_divide(self) -> FrameRules:
        if self.sequence_gap_s is not None and self.sequence_block_s is not None:
            raise ValueError("sequence_gap_s and sequence_block_s cannot be combined; choose one")
        return self


def apply_frame_rules(catalog: Catalog, rules: FrameRules) -> Catalog:
    """Fill in what the rules say of frames of which the label files say nothing.

    Raises:
        DataError: A path holds no time where the rules need one, or one that is none.
    """
    frames = catalog.frames
    paths = frames["path"].to_list()
    ways = [(path, f"{catalog.roots[name].name}/{path}") for path, name in zip(paths, frames["source"], strict=True)]
    columns: dict[str, pl.Series] = {}
    for name in CONDITIONS:
        columns[name] = _filled(frames[name], _first_match(getattr(rules, f"{name}_from_path"), ways))
    from_folder = _changed(frames, columns)
    for name in CONDITIONS:
        columns[name] = _filled(columns[name], [getattr(rules, name)] * len(paths))
    from_text = _changed(frames, columns)
    said = frames["condition_source"]
    origin = [
        ConditionSource.FOLDER if folder else ConditionSource.TEXT if text else None
        for folder, text in zip(from_folder, from_text, strict=True)
    ]
    columns["condition_source"] = _filled(said, origin)
    columns["split"] = _filled(frames["split"], _first_match(rules.split_from_path, ways))
    if rules.sequence_from_path is not None:
        columns["sequence"] = _filled(frames["sequence"], [_group(rules.sequence_from_path, path) for path in paths])
    if rules.timestamp_from_path is not None:
        columns["timestamp_ns"] = _filled(frames["timestamp_ns"], _times(rules.timestamp_from_path, paths))
    filled = frames.with_columns(**columns)
    if rules.labelled_categories:
        is_whole = pl.col("label_status") == LabelStatus.LABELLED
        named = pl.lit(list(rules.labelled_categories), dtype=frames.schema["labelled_categories"])
        filled = filled.with_columns(
            label_status=pl.when(is_whole).then(pl.lit(str(LabelStatus.PARTIAL))).otherwise("label_status"),
            labelled_categories=pl.when(is_whole).then(named).otherwise("labelled_categories"),
        )
    if rules.sequence_gap_s is not None or rules.sequence_block_s is not None:
        filled = filled.with_columns(sequence=_divided(filled, rules))
    return catalog.with_frames(filled)


def _filled(column: pl.Series, values: list[Any]) -> pl.Series:
    """The column, and where it is null the values."""
    return column.fill_null(pl.Series(column.name, values, dtype=column.dtype))


def _changed(frames: pl.DataFrame, columns: dict[str, pl.Series]) -> pl.Series:
    """Which frames got a condition that they did not have."""
    flags = [frames[name].is_null() & columns[name].is_not_null() for name in CONDITIONS]
    return flags[0] | flags[1] | flags[2]


def _first_match(rules: dict[str, Any], ways: list[tuple[str, str]]) -> list[Any]:
    """For each frame the value of the first expression that is found in the first of its paths, else in the second."""
    compiled = [(re.compile(pattern), value) for pattern, value in rules.items()]
    return [
        next((value for path in paths for pattern, value in compiled if pattern.search(path)), None) for paths in ways
    ]


def _group(pattern: str, path: str) -> str | None:
    found = re.search(pattern, path)
    if found is None:
        return None
    return (found[1] if found.re.groups else found[0]) or None


def _times(rule: TimestampRule, paths: list[str]) -> list[int | None]:
    times = []
    for path in paths:
        try:
            times.append(rule.read(path))
        except (ValueError, OverflowError) as error:
            raise DataError(f"frame {show(path)}: {error}; expected a time in its name, {rule.unit}") from error
    return times


def _divided(frames: pl.DataFrame, rules: FrameRules) -> pl.Series:
    """Sequences cut at pauses, or into blocks of time, within what is one sequence (else one folder) so far.

    Blocks count from 1970, so that several cameras of one moment share their block.
    """
    missing = frames.filter(pl.col("timestamp_ns").is_null())
    if len(missing):
        raise DataError(
            f"frame {show(missing['path'][0])} (and {len(missing) - 1} more): no time of capture, by which sequences "
            "are divided; expected it in the file name: rename the file, or index with a map of yours that extends "
            "this one and says frames: {sequence_gap_s: null, sequence_block_s: null}"
        )
    base = frames.select(
        pl.coalesce(
            "sequence",
            # Cameras of one vehicle see the same moment, so a block of time is not divided by folder.
            pl.lit("") if rules.sequence_block_s is not None else pl.col("path").str.extract(r"^(.*)/[^/]*$"),
        )
        .fill_null("")
        .alias("base")
    )["base"]
    table = frames.select("timestamp_ns").with_columns(base=base).with_row_index("row").sort("base", "timestamp_ns")
    if rules.sequence_block_s is not None:
        number = table["timestamp_ns"] // round(rules.sequence_block_s * _NS_PER_S)
    else:
        gap = round((rules.sequence_gap_s or 0) * _NS_PER_S)
        starts = table.select(
            (pl.col("timestamp_ns").diff() > gap).fill_null(True) | (pl.col("base") != pl.col("base").shift(1))
        ).to_series()
        # Named by its first moment: a sequence keeps its name when frames of other times are added.
        first = pl.when(starts).then(table["timestamp_ns"]).forward_fill()
        number = table.select(first.alias("first"))["first"]
    named = table.with_columns(
        name=pl.concat_str(pl.col("base"), pl.lit("@"), number.cast(pl.String)).str.strip_prefix("@")
    )
    return named.sort("row")["name"]
