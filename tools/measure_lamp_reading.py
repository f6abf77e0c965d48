"""Measures how many labelled lamps are read as their labels say: by place and hue, and by hue alone.

    python tools/measure_lamp_reading.py catalogs/dtld catalogs/bstld --by sequence

"place and hue" is `lamps.state.read_state`. "hue alone" is the rule that augmentation studies use: the hue of the tenth
of the box's pixels with the most colour, the border of red and yellow fitted to the same lamps. It knows no red and
yellow together. "clear" are the lamps on which the linter measures: read rightly, and the colour of the lit lens alone,
looked for where it was found to be lit, is that of the label too.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from tl_datasets.catalog import BOX_COLUMNS, Catalog
from tl_datasets.checks.settings import CheckSettings
from tl_datasets.checks.state_rules import readable_lamps
from tl_datasets.lamps.state import READABLE
from tl_datasets.lint.head_reading import HeadBuild, Unreadable, lens_hues, locate_lenses, what_is_unclear
from tl_datasets.lint.lamps import head_crop
from tl_datasets.lint.lens_colour import colour_of, fit_red_yellow, hue_and_chroma
from tl_datasets.taxonomy import Orientation, State

SIZES = ((6, 12), (12, 16), (16, 24), (24, 40), (40, 10_000))


class Read(NamedTuple):
    """A lamp and how it is read."""

    label: State
    length_px: float
    group: str
    by_place: State | Unreadable  # the label, or why not
    hues: list[tuple[float, float]]  # of the lit lenses; empty if not found
    whole_hue: tuple[float, float]  # of the whole box


def main() -> None:
    """Read the options, the lamps, and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalogs", type=Path, nargs="+")
    parser.add_argument("--by", metavar="COLUMN", help="a column of the frames, such as time_of_day or sequence")
    parser.add_argument("--min-height", type=float, default=12.0, help="of a housing, in pixels (default 12)")
    options = parser.parse_args()
    for folder in options.catalogs:
        lamps = read_lamps(Catalog.open(folder), options.by, options.min_height)
        if lamps:
            report(folder.name, lamps)
        else:
            print(f"{folder.name}: no lamp with a readable state of that size")


def read_lamps(catalog: Catalog, by: str | None, min_height_px: float) -> list[Read]:
    """Every lamp of a catalog whose state can be read."""
    rows = readable_lamps(catalog, CheckSettings(lamp_min_height_px=min_height_px))
    rows = rows.filter(pl.col("state").is_in(list(READABLE)))
    frame_of_box = np.repeat(np.arange(len(catalog)), np.diff(catalog.offsets))
    rows = rows.with_columns(frame=pl.Series(frame_of_box[rows["row"].to_numpy()], dtype=pl.Int64))
    found = []
    for group in rows.partition_by("frame", maintain_order=True):
        image = catalog.read_rgb(group["frame"][0])
        name = "all" if by is None else str(catalog.frames[by][group["frame"][0]])
        for row in group.iter_rows(named=True):
            xyxy = np.array([row[column] for column in BOX_COLUMNS])
            crop = head_crop(image, xyxy)
            if not crop.size:
                continue
            label = State(row["state"])
            orientation = None if row["orientation"] is None else Orientation(row["orientation"])
            build = HeadBuild(orientation=orientation, n_lenses=row["lenses"], with_red_yellow=row["with_red_yellow"])
            head = locate_lenses(crop, label, build)
            hues = [] if isinstance(head, Unreadable) else lens_hues(crop, head)
            by_place = head if isinstance(head, Unreadable) else label
            length = float(max(xyxy[2] - xyxy[0], xyxy[3] - xyxy[1]))
            found.append(Read(label, length, name, by_place, hues, hue_and_chroma(crop)))
    return found


def report(name: str, lamps: list[Read]) -> None:
    """Print the shares by state, size and group."""
    whole = {state: [lamp.whole_hue[0] for lamp in lamps if lamp.label is state] for state in READABLE}
    crude_border = fit_red_yellow(whole[State.RED], whole[State.YELLOW])
    lens = {state: [lamp.hues[0][0] for lamp in lamps if lamp.label is state and lamp.hues] for state in READABLE}
    border = fit_red_yellow(lens[State.RED], lens[State.YELLOW])
    rules: dict[str, Callable[[Read], bool]] = {
        "place and hue": lambda lamp: lamp.by_place is lamp.label,
        "hue alone": lambda lamp: colour_of(*lamp.whole_hue, crude_border) is lamp.label,
        "clear": lambda lamp: bool(lamp.hues) and what_is_unclear(lamp.hues, lamp.label, border) is None,
    }
    print(
        f"\n{name}: {len(lamps)} lamps, borders of red and yellow {crude_border:g} (box) and {border:g} (lens) degrees"
    )
    print(f"{'':<24}{'lamps':>6}" + "".join(f"{rule:>16}" for rule in rules))
    plain = [lamp for lamp in lamps if lamp.label is not State.RED_YELLOW]
    print_row("red, yellow and green", plain, rules)
    for state in READABLE:
        print_row(str(state), [lamp for lamp in lamps if lamp.label is state], rules)
    for low, high in SIZES:
        of_size = [lamp for lamp in plain if low <= lamp.length_px < high]
        print_row(f"{low} to {high} px" if high < 10_000 else f"{low} px and more", of_size, rules)
    groups = sorted({lamp.group for lamp in lamps})
    for group in groups if len(groups) > 1 else ():
        for state in READABLE:
            print_row(f"{group} {state}", [lamp for lamp in lamps if (lamp.group, lamp.label) == (group, state)], rules)


def print_row(name: str, lamps: list[Read], rules: dict[str, Callable[[Read], bool]]) -> None:
    """Print the share of some lamps that each rule reads rightly."""
    if lamps:
        shares = [np.mean([rule(lamp) for lamp in lamps]) for rule in rules.values()]
        print(f"{name:<24}{len(lamps):>6}" + "".join(f"{100 * share:>14.1f} %" for share in shares))


if __name__ == "__main__":
    main()
