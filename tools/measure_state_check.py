"""Measures precision and recall of the checks of states against pixels, on seeded errors.

    python tools/measure_state_check.py catalogs/dtld --where 'sequence == "Berlin"'
    python tools/measure_state_check.py catalogs/bstld catalogs/udacity --share 0.1

In each round the label of a random share of the lamps becomes another of the five states, and the rules run. A finding
on such a lamp is right, a finding on any other lamp is wrong, even where the label was wrong from the start: those
findings are listed, to be looked at. A lamp that cannot be read, is too small or is occluded counts as not found.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from tl_datasets.catalog import Catalog
from tl_datasets.checks.settings import CheckSettings
from tl_datasets.checks.state_rules import check_lamp, readable_lamps
from tl_datasets.lamps.state import READABLE
from tl_datasets.taxonomy import TRAFFIC_LIGHT, State

LABELS = [str(state) for state in (*READABLE, State.OFF)]
SIZES = ((0, 12), (12, 16), (16, 24), (24, 40), (40, 10_000))


class Lamp(NamedTuple):
    """A lamp and what the rules would say of it under each label."""

    place: str
    label: str
    height_px: float
    rules: dict[str, tuple[str, ...]]  # label -> rules that fire


def main() -> None:
    """Read the options, the lamps, and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalogs", type=Path, nargs="+")
    parser.add_argument("--where", metavar="FILTER", help="these frames only")
    parser.add_argument("--share", type=float, default=0.05, help="share of the labels that are changed (default 0.05)")
    parser.add_argument("--rounds", type=int, default=200, help="random choices of them (default 200)")
    parser.add_argument("--margin", type=float, help="state_margin other than the default")
    options = parser.parse_args()
    settings = CheckSettings() if options.margin is None else CheckSettings(state_margin=options.margin)
    lamps: list[Lamp] = []
    for folder in options.catalogs:
        catalog = Catalog.open(folder)
        lamps += read_lamps(catalog if options.where is None else catalog.filter(options.where), settings)
    report(lamps, options.share, options.rounds)


def read_lamps(catalog: Catalog, settings: CheckSettings) -> list[Lamp]:
    """Every light with one of the five states, with the rules that fire under each label."""
    readable = {lamp["row"]: lamp for lamp in readable_lamps(catalog, settings).iter_rows(named=True)}
    lamps = []
    for index in range(len(catalog)):
        first, stop = int(catalog.offsets[index]), int(catalog.offsets[index + 1])
        rows = catalog.annotations.slice(first, stop - first).with_row_index("box")
        rows = rows.filter((pl.col("category") == TRAFFIC_LIGHT) & pl.col("state").is_in(LABELS))
        if not len(rows):
            continue
        image = catalog.read_rgb(index)
        for row in rows.iter_rows(named=True):
            rules = {}
            lamp = readable.get(first + row["box"])
            for label in LABELS if lamp is not None else ():
                found = check_lamp(image, {**lamp, "state": label}, settings)  # type: ignore[dict-item]
                rules[label] = tuple(str(rule) for rule, _, _ in found)
            place = f"{catalog.frames['frame_id'][index]} box {row['box']}"
            lamps.append(Lamp(place, row["state"], row["y2"] - row["y1"], rules))
    return lamps


def report(lamps: list[Lamp], share: float, rounds: int) -> None:
    """Print findings on the labels as they are, then precision and recall by rule, size and state."""
    natural = [lamp for lamp in lamps if lamp.rules.get(lamp.label)]
    read = [lamp for lamp in lamps if lamp.rules]
    print(f"{len(lamps)} lamps, {len(read)} of them looked at; {len(natural)} findings on the labels as they are")
    for lamp in natural:
        print(
            f"  {lamp.place}: labelled {lamp.label}, {lamp.height_px:.0f} px high: {', '.join(lamp.rules[lamp.label])}"
        )
    print(f"\n{share:.0%} of the labels changed, {rounds} rounds; mean (5 % to 95 % of the rounds)\n")
    print(f"{'lamps':<22}{'number':>7}  {'precision':<22}{'recall':<22}")
    print_row("all", lamps, share, rounds)
    for rule in ("state_against_colour", "state_against_position"):
        print_row(rule, lamps, share, rounds, rule)
    at_least_12 = [lamp for lamp in lamps if lamp.height_px >= 12]
    print_row("12 px high and more", at_least_12, share, rounds)
    for low, high in SIZES:
        part = [lamp for lamp in lamps if low <= lamp.height_px < high]
        print_row(f"{low} to {high} px" if high < 10_000 else f"{low} px and more", part, share, rounds)
    for label in LABELS:
        print_row(f"truly {label}", [lamp for lamp in lamps if lamp.label == label], share, rounds)
    print("\nfound, by true state (rows) and changed label (columns), every lamp counted once per pair")
    print(f"{'':<12}" + "".join(f"{label:>12}" for label in LABELS))
    for true in LABELS:
        of_state = [lamp for lamp in lamps if lamp.label == true]
        cells = [
            "-"
            if label == true or not of_state
            else f"{np.mean([bool(lamp.rules.get(label)) for lamp in of_state]):.2f}"
            for label in LABELS
        ]
        print(f"{true:<12}" + "".join(f"{cell:>12}" for cell in cells))


def print_row(name: str, lamps: list[Lamp], share: float, rounds: int, rule: str | None = None) -> None:
    """Print precision and recall of some lamps; `rule` = of that rule alone."""
    if not lamps:
        return
    rng = np.random.default_rng(0)
    precisions, recalls = [], []
    for _ in range(rounds):
        changed = rng.random(len(lamps)) < share
        right = wrong = 0
        for lamp, is_changed in zip(lamps, changed, strict=True):
            label = rng.choice([other for other in LABELS if other != lamp.label]) if is_changed else lamp.label
            rules = lamp.rules.get(str(label), ())
            if rules and (rule is None or rule in rules):
                right, wrong = right + is_changed, wrong + (not is_changed)
        if right + wrong:
            precisions.append(right / (right + wrong))
        if changed.any():
            recalls.append(right / changed.sum())
    print(f"{name:<22}{len(lamps):>7}  {spread(precisions):<22}{spread(recalls):<22}")


def spread(values: Iterable[float]) -> str:
    """Mean, and the range of nine rounds in ten."""
    values = list(values)
    if not values:
        return "-"
    low, high = np.quantile(values, (0.05, 0.95))
    return f"{np.mean(values):.3f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
