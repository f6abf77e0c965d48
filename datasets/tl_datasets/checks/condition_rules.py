"""Rules about the conditions of frames: against the brightness of the image, within a sequence, and where unknown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

import polars as pl

from tl_datasets.catalog import CONDITIONS, Catalog
from tl_datasets.checks.findings import Finding
from tl_datasets.checks.rules import Rule
from tl_datasets.checks.settings import CheckSettings
from tl_datasets.taxonomy import TimeOfDay

_UNDEFINED = "undefined"
# A drive leaves one kind of road for another and comes back; weather and time of day do not do that in minutes.
_STEADY = ("weather", "time_of_day")


def check_luminance(frame: Mapping[str, object], luminance: float, settings: CheckSettings) -> Iterator[Finding]:
    """Compare the time of day of a frame with the brightness of its image.

    Args:
        frame: `frame_id`, `time_of_day` and `pixel_format` of the frame.
        luminance: Mean grey level, 0 to 255.
        settings: Thresholds.
    """
    if frame["pixel_format"] is not None:  # how bright a raw frame turns out is a matter of its decoding
        return
    frame_id = str(frame["frame_id"])
    if frame["time_of_day"] == TimeOfDay.NIGHT and luminance > settings.night_max_luminance:
        message = f"mean grey level {luminance:.0f}, night frames stay below {settings.night_max_luminance:.0f}"
        yield Finding(Rule.NIGHT_BUT_BRIGHT, message, frame_id)
    if frame["time_of_day"] == TimeOfDay.DAYTIME and luminance < settings.day_min_luminance:
        message = f"mean grey level {luminance:.0f}, daytime frames stay above {settings.day_min_luminance:.0f}"
        yield Finding(Rule.DAY_BUT_DARK, message, frame_id)


def check_conditions(catalog: Catalog) -> Iterator[Finding]:
    """Findings that need no image: conditions that are not known, and such as change within a sequence."""
    for name in CONDITIONS:
        yield from _missing(catalog.frames, name)
    for name in _STEADY:
        yield from _varying(catalog.frames, name)


def _missing(frames: pl.DataFrame, name: str) -> Iterator[Finding]:
    counted = frames.group_by("source", maintain_order=True).agg(
        pl.len().alias("frames"),
        pl.col(name).is_null().sum().alias("missing"),
        (pl.col(name) == _UNDEFINED).sum().alias("undefined"),
    )
    for source, total, missing, undefined in counted.iter_rows():
        if missing + undefined:
            parts = [f"{missing} without"] * bool(missing) + [f"{undefined} undefined"] * bool(undefined)
            yield Finding(Rule.CONDITION_MISSING, f"{name} of {source}: {', '.join(parts)}, of {total} frames")


def _varying(frames: pl.DataFrame, name: str) -> Iterator[Finding]:
    """Frames whose condition is enclosed by another: A A B A A.

    The runs of A are two frames or more, and no shorter than that of B: in A B A nobody knows which is noise.
    """
    known = frames.filter(
        pl.col("sequence").is_not_null() & pl.col(name).is_not_null() & (pl.col(name) != _UNDEFINED)
    ).sort("source", "sequence", "timestamp_ns", "frame_id", nulls_last=True)
    grouped = known.group_by("source", "sequence", maintain_order=True).agg("frame_id", name)
    for _, sequence, frame_ids, values in grouped.iter_rows():
        runs = [(value, len(list(run))) for value, run in groupby(values)]
        start = 0
        for place, (value, length) in enumerate(runs):
            if 0 < place < len(runs) - 1:
                (before, n_before), (after, n_after) = runs[place - 1], runs[place + 1]
                if before == after and max(2, length) <= min(n_before, n_after):
                    message = f"{name} {value} between {n_before + n_after} frames of {before} in sequence '{sequence}'"
                    for frame_id in frame_ids[start : start + length]:
                        yield Finding(Rule.CONDITION_VARIES, message, frame_id)
            start += length
