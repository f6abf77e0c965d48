"""The command line of the commands about annotated frames, and how a command is added."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_commands(commands) -> None:
    """Add the commands of `dataset_commands` to a parser's sub-commands."""
    _add_draw(commands)
    _add_index(commands)
    _add_summary(commands)
    _add_split(commands)


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
    parser.add_argument("--format", required=True, help="bdd100k, yolo or coco")
    parser.add_argument("--out", type=Path, required=True, metavar="CATALOG", help="catalog folder to make")
    parser.add_argument("--name", help="name of the source, kept with each frame (default: the folder's name)")
    parser.add_argument("--split", help="name the part that all frames belong to (default: what the source says)")
    parser.add_argument(
        "--sequence", metavar="REGEX", help="find the sequence in the image path; a group, or the whole match"
    )
    parser.add_argument("--images", type=Path, metavar="DIR", help="image folder, if it is not beside the annotations")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="key=value",
        help="an option of the format, such as labels=DIR, label_map=FILE, states=DIR; may be repeated",
    )


def _add_summary(commands) -> None:
    parser = add_command(commands, "summary", "count what a catalog holds", "tl summary catalogs/photos")
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add_split(commands) -> None:
    parser = add_command(
        commands,
        "split",
        "divide a catalog into train, val and test by whole sequences",
        "tl split catalogs/photos --out catalogs/photos_split --val 0.2 --test 0.1 --seed 0",
    )
    parser.add_argument("catalog", type=Path)
    parser.add_argument("--out", type=Path, required=True, metavar="CATALOG", help="catalog folder to make")
    parser.add_argument("--val", type=float, default=0.2, help="share of frames (default 0.2)")
    parser.add_argument("--test", type=float, default=0.2, help="share of frames (default 0.2)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--assign",
        action="append",
        default=[],
        metavar="PART=SEQUENCE[,SEQUENCE]",
        help="put named sequences into a part instead; the rest is train; may be repeated",
    )
