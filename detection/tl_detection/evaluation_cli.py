"""The command line of the commands about scores."""

from __future__ import annotations

import argparse
from pathlib import Path

from tl_detection.dataset_cli import add_command


def add_commands(commands) -> None:
    """Add the commands of `evaluation_commands` to a parser's sub-commands."""
    _add_evaluate(commands)
    _add_compare(commands)
    _add_gate(commands)
    _add_robustness(commands)


def _add_evaluate(commands) -> None:
    parser = add_command(
        commands,
        "evaluate",
        "score a detector, or predictions in COCO form, overall and per condition",
        "tl evaluate model.onnx --catalog catalogs/bdd --split val --by weather,scene,time_of_day --out scores/",
    )
    parser.add_argument("model", type=Path, help="run folder, .pt, .onnx, or predictions .json or .parquet")
    parser.add_argument("--catalog", type=Path, required=True)
    parser.add_argument("--split", help="score this part only, such as val")
    parser.add_argument("--where", metavar="FILTER", help="score these frames only, such as 'weather == \"rainy\"'")
    parser.add_argument(
        "--by",
        default="weather,scene,time_of_day,weather*time_of_day",
        help="columns of frames or objects, such as weather,state,height_px; products as weather*time_of_day",
    )
    parser.add_argument(
        "--slice",
        action="append",
        default=[],
        dest="slices",
        metavar="EXPR",
        help="one more slice, such as 'night & rainy & width_px < 12' or 'NAME: EXPR'; may be repeated",
    )
    parser.add_argument(
        "--input-size",
        metavar="WxH",
        help="of the network, for network_width_px and network_height_px (default: what the detector says)",
    )
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument(
        "--operating",
        action="append",
        default=[],
        dest="rules",
        metavar="RULE",
        help="score from which a class counts: max_f1 (default), 'precision>=0.95', 'red_as_green<=1/1000' "
        "(of the lights that mean stop, in every frame), 'CLASS=RULE'; may be repeated",
    )
    chosen.add_argument(
        "--thresholds", type=Path, metavar="FILE", help="scores chosen before, such as scores_val/thresholds.yaml"
    )
    parser.add_argument(
        "--frame-rate", type=float, metavar="HZ", help="of sequences without capture times, for drives in seconds"
    )
    parser.add_argument(
        "--second-catalog", type=Path, metavar="CATALOG", help="another annotation of the frames: how far both agree"
    )
    parser.add_argument("--replicates", type=int, default=1000, metavar="N", help="of the bootstrap (default 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default 0)")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder for report.html, .json, .md, .csv, model card, predictions"
    )
    parser.add_argument("--intended-use", metavar="TEXT", help="for the model card: what the detector is made for")
    parser.add_argument(
        "--backend",
        choices=("own", "pycocotools"),
        default="own",
        help="pycocotools: score all frames and every slice of frames with it, too, and say how far both differ",
    )
    parser.add_argument("--no-html", action="store_false", dest="html", help="without report.html")
    parser.add_argument(
        "--gallery", type=int, default=40, metavar="N", help="worst cases of each kind with pictures (default 40)"
    )
    parser.add_argument(
        "--label-space",
        type=Path,
        metavar="FILE",
        help="for predictions: YAML with the classes, or a run configuration",
    )
    parser.add_argument(
        "--coco", type=Path, metavar="FILE", help="for predictions: the COCO file that defines their ids"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument(
        "--previous",
        type=Path,
        metavar="DIR",
        help="evaluation before: say what the catalog has got since, and score old and new frames apart",
    )
    _add_allow(parser)


def _add_compare(commands) -> None:
    parser = add_command(
        commands,
        "compare",
        "compare evaluations of the same frames: differences, how sure they are, frames gained and lost",
        "tl compare scores_old/ scores_new/ --out compared/",
    )
    parser.description = f"{parser.description} The first is what each of the others is compared with."
    parser.add_argument("evaluations", type=Path, nargs="+", help="folders of tl evaluate; the baseline first")
    parser.add_argument("--catalog", type=Path, help="the frames (default: the catalog that the first report names)")
    parser.add_argument("--by", help="columns, products as weather*time_of_day (default: as in the first report)")
    parser.add_argument(
        "--slice",
        action="append",
        default=[],
        dest="slices",
        metavar="EXPR",
        help="one more slice, such as 'night & width_px < 12' or 'NAME: EXPR'; may be repeated",
    )
    parser.add_argument(
        "--input-size", metavar="WxH", help="for sizes in network pixels (default: what the first detector says)"
    )
    parser.add_argument("--replicates", type=int, default=1000, metavar="N", help="data sets drawn (default 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default 0)")
    parser.add_argument(
        "--pictures", type=int, default=12, metavar="N", help="worst and best frames to draw (default 12, 0 = none)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder for compare.json, compare.md, changed_frames.csv, pictures"
    )
    _add_allow(parser)


def _add_gate(commands) -> None:
    parser = add_command(
        commands,
        "gate",
        "judge a report by limits on its numbers, for continuous integration",
        "tl gate scores/ --rules configs/gate/lights.yaml --baseline scores_before/ --out gate/",
    )
    parser.description = (
        f"{parser.description} Exit code 0: passed, 1: failed, or a report cannot be used, 2: the rules are wrong."
    )
    parser.add_argument("report", type=Path, help="folder of tl evaluate, or its report.json")
    parser.add_argument("--rules", type=Path, required=True, metavar="FILE", help="YAML file of limits")
    parser.add_argument("--baseline", type=Path, metavar="DIR", help="evaluation before, for limits on a drop or rise")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for gate.xml (JUnit), gate.md, gate.html")
    _add_allow(parser)


def _add_allow(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--allow-different-protocol",
        action="store_true",
        help="go on although the evaluations were not scored alike, and say in what they differ",
    )


def _add_robustness(commands) -> None:
    parser = add_command(
        commands,
        "robustness",
        "score a detector on corrupted frames: what noise, blur, weather and night leave of its score",
        "tl robustness runs/dtld_yolo/TIME --catalog catalogs/dtld --split val --severities 1,3,5 --out robust/",
    )
    parser.add_argument("model", type=Path, help="run folder, .pt or .onnx")
    parser.add_argument("--catalog", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for robustness.json, .md, .svg")
    parser.add_argument("--split", help="score this part only, such as val")
    parser.add_argument("--where", metavar="FILTER", help="score these frames only, such as 'weather == \"clear\"'")
    parser.add_argument(
        "--corruptions",
        default="standard,weather",
        metavar="NAMES",
        help="sets or names, such as standard, glass_blur or weather.fog (default standard,weather)",
    )
    parser.add_argument("--severities", default="1,2,3,4,5", help="of 1 to 5 (default 1,2,3,4,5)")
    parser.add_argument("--frames", type=int, metavar="N", help="N frames, evenly spread (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of frames and corruptions (default 0)")
    parser.add_argument("--by", default="", help="conditions, such as weather,time_of_day (default none)")
    parser.add_argument("--workers", type=int, metavar="N", help="threads that make images (default: one per core)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
