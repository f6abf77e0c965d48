"""The command line of the commands about annotated frames, and how a command is added."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_commands(commands) -> None:
    """Add the commands of `dataset_commands` to a parser's sub-commands."""
    _add_draw(commands)
    _add_index(commands)
    _add_convert(commands)
    _add_merge(commands)
    _add_summary(commands)
    _add_browse(commands)
    _add_duplicates(commands)
    _add_split(commands)
    _add_check(commands)
    _add_clean(commands)


def add_command(commands, name: str, summary: str, example: str) -> argparse.ArgumentParser:
    """Add one command whose help ends with a worked example."""
    return commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_draw(commands) -> None:
    parser = add_command(
        commands,
        "draw",
        "draw road scenes with signal heads, as images and COCO annotations",
        "tl draw --sequences 30 --frames 10 --seed 1 --out drawn/",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--sequences", type=int, default=30, help="drives; any 15 hold every weather and time of day")
    parser.add_argument("--frames", type=int, default=10, help="frames per drive (default 10)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--width", type=int, default=1280, help="pixels (default 1280)")
    parser.add_argument("--height", type=int, default=720, help="pixels (default 720)")
    parser.add_argument(
        "--head-density", type=float, default=1.0, help="signal heads per street, 0 to 3 times the ordinary (default 1)"
    )


def _add_index(commands) -> None:
    parser = add_command(
        commands,
        "index",
        "read annotated frames of any format into a catalog",
        "tl index data/bdd100k/labels/bdd100k_labels_images_val.json --format bdd100k --split val \\\n"
        "    --images data/bdd100k/images/100k/val --out catalogs/bdd_val",
    )
    parser.add_argument("source", type=Path, help="annotation file, folder or data.yaml")
    parser.add_argument("--format", required=True, help="a format or a described source; a wrong word lists all")
    parser.add_argument("--out", type=Path, required=True, metavar="CATALOG", help="catalog folder to make")
    parser.add_argument("--name", help="name of the source, kept with each frame (default: the folder's name)")
    parser.add_argument("--split", help="name the part that all frames belong to (default: what the source says)")
    parser.add_argument(
        "--sequence", metavar="REGEX", help="find the sequence in the image path; a group, or the whole match"
    )
    parser.add_argument("--images", type=Path, metavar="DIR", help="image folder, if it is not beside the annotations")
    parser.add_argument(
        "--unpack",
        type=Path,
        metavar="DIR",
        help="new folder for a source that is a zip or tar file, or lies in one: set.zip, set.zip/labels/train.json",
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="key=value",
        help="an option of the format, such as labels=DIR, label_map=FILE, states=DIR; may be repeated",
    )


def _add_convert(commands) -> None:
    parser = add_command(
        commands,
        "convert",
        "write a catalog in another format, images included",
        "tl convert catalogs/photos --to yolo --out photos_yolo/",
    )
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--to", required=True, metavar="FORMAT", help="bdd100k, bstld, coco, cvat, dtld, kitti, ...")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to make")
    parser.add_argument(
        "--images",
        choices=("copy", "link", "none"),
        default="copy",
        help="copy the image files (default), make hard links to them, or write annotation files alone",
    )
    parser.add_argument(
        "--option", action="append", default=[], metavar="key=value", help="an option of the format; may be repeated"
    )


def _add_merge(commands) -> None:
    parser = add_command(
        commands,
        "merge",
        "join catalogs of several sources into one",
        "tl merge catalogs/dtld catalogs/bdd --out catalogs/both",
    )
    parser.add_argument("catalogs", type=Path, nargs="+", metavar="CATALOG")
    parser.add_argument("--out", type=Path, required=True, metavar="CATALOG", help="catalog folder to make")


def _add_summary(commands) -> None:
    parser = add_command(commands, "summary", "count what a catalog holds", "tl summary catalogs/photos")
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--json", action="store_true", help="print JSON")
    _add_input_size(parser)


def _add_input_size(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--input-size",
        default="1280x736",
        metavar="WIDTHxHEIGHT",
        help="network input at which the sizes of lights are told (default 1280x736)",
    )


def _add_browse(commands) -> None:
    parser = add_command(
        commands,
        "browse",
        "make a page to look at a catalog in a browser: counts, frames with filters, crops of lights",
        "tl browse catalogs/photos --out look/ --input-size 1280x736    (then open look/index.html)",
    )
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to make; it holds index.html")
    _add_input_size(parser)
    parser.add_argument("--findings", type=Path, metavar="DIR", help="folder of tl check, to filter by finding")
    parser.add_argument("--limit", type=int, metavar="N", help="show N frames, at even distances in the catalog")


def _add_duplicates(commands) -> None:
    parser = add_command(
        commands,
        "duplicates",
        "find identical, near-identical and time-neighbour frames, and which of them sit in two parts",
        "tl duplicates catalogs/photos --out duplicates/photos\n"
        "  tl split catalogs/photos --together duplicates/photos --out catalogs/photos_split",
    )
    parser.add_argument("catalog", type=Path)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write pairs.parquet, pairs.json and pages with the pairs side by side"
    )
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="time neighbours by timestamp are at most this far apart (default 1)"
    )
    parser.add_argument(
        "--frames", type=int, default=5, help="time neighbours by number in the name: at most so far apart (default 5)"
    )
    parser.add_argument("--sheets", type=int, default=40, metavar="N", help="pairs to show on pages (default 40)")


def _add_split(commands) -> None:
    parser = add_command(
        commands,
        "split",
        "divide a catalog into train, val and test by whole sequences",
        "tl split catalogs/photos --out catalogs/photos_split --val 0.2 --test 0.1 --seed 0",
    )
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--out", type=Path, required=True, metavar="CATALOG", help="catalog folder to make")
    parser.add_argument("--val", type=float, help="share of frames (default 0.2, or that of --like)")
    parser.add_argument("--test", type=float, help="share of frames (default 0.2, or that of --like)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--like", type=Path, metavar="CATALOG", help="a catalog split before: its frames and sequences keep their part"
    )
    parser.add_argument(
        "--together", type=Path, metavar="PAIRS", help="pairs of tl duplicates (its --out) whose frames stay together"
    )
    parser.add_argument(
        "--assign",
        action="append",
        default=[],
        metavar="PART=SEQUENCE[,SEQUENCE]",
        help="put named sequences into a part instead; the rest is train; may be repeated",
    )


def _add_check(commands) -> None:
    parser = add_command(
        commands,
        "check",
        "look for faults in a catalog: images, boxes, states, conditions, balance, parts",
        "tl check catalogs/photos --out checks/photos",
    )
    exit_codes = "Exit code 1 with findings of severity error, with --strict also with warnings; else 0."
    parser.description = f"{parser.description} {exit_codes}"
    parser.add_argument("catalog", type=Path)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder to make for findings.parquet, check.json and findings.html"
    )
    parser.add_argument(
        "--images",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="read the image files, which states and brightness are compared with (default yes)",
    )
    parser.add_argument("--strict", action="store_true", help="exit code 1 with warnings too")
    parser.add_argument(
        "--threshold",
        action="append",
        default=[],
        metavar="key=value",
        help="a threshold other than the default, such as height_min_px=6; may be repeated",
    )


def _add_clean(commands) -> None:
    parser = add_command(
        commands,
        "clean",
        "apply a policy to the findings of a check, in a new catalog that can be undone",
        "tl clean catalogs/photos --policy configs/clean/default.yaml --out catalogs/photos_clean\n"
        "  tl clean --undo catalogs/photos_clean --out catalogs/photos_again",
    )
    parser.add_argument("catalog", type=Path, nargs="?", help="catalog to clean; it is not changed")
    parser.add_argument("--out", type=Path, required=True, metavar="CATALOG2", help="catalog folder to make")
    parser.add_argument("--policy", type=Path, metavar="FILE", help="YAML with an action for each rule")
    parser.add_argument(
        "--findings",
        type=Path,
        metavar="DIR",
        help="what tl check --out DIR wrote for this catalog (default: check now)",
    )
    parser.add_argument(
        "--images",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="read the image files when checking (default yes)",
    )
    parser.add_argument(
        "--quarantine",
        type=Path,
        metavar="DIR",
        help="catalog folder to make for frames that are set aside (default: CATALOG2/quarantine)",
    )
    parser.add_argument("--undo", type=Path, metavar="CATALOG2", help="give back the catalog that this one was made of")
