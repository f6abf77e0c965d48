"""The command line of the commands that make exported files smaller."""

from __future__ import annotations

from pathlib import Path

from tl_detection.dataset_cli import add_command


def add_commands(commands) -> None:
    """Add the commands of `compression_commands` to a parser's sub-commands."""
    parser = add_command(
        commands,
        "quantise",
        "make an exported file smaller and faster (int8 or fp16), if it stays as good in every condition",
        "tl quantise lights.onnx --to int8 --catalog catalogs/bdd_split --split val --out lights_int8.onnx",
    )
    parser.description = f"{parser.description} Exit code 1, and no file, if it is refused."
    parser.add_argument("model", type=Path, help="float .onnx of tl export")
    parser.add_argument("--to", required=True, choices=("int8", "fp16"), help="precision of the network's layers")
    parser.add_argument("--catalog", type=Path, required=True, help="frames to calibrate and to judge on")
    parser.add_argument("--split", default="val", help="frames to judge on (default val)")
    parser.add_argument("--calibrate-split", default="train", metavar="SPLIT", help="to calibrate on (default train)")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.onnx")
    parser.add_argument(
        "--calibration-frames", type=int, default=64, metavar="N", help="balanced over conditions (default 64)"
    )
    parser.add_argument(
        "--by", default="weather,scene,time_of_day", help="conditions to judge by, beside the height of the lights"
    )
    parser.add_argument(
        "--max-drop", type=float, default=0.02, help="largest drop of AP50 in any slice, and of AP (default 0.02)"
    )
    parser.add_argument(
        "--max-red-as-green-rise",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="of the lights that mean stop, how many more may be called green (default 0)",
    )
    parser.add_argument(
        "--surely", action="store_true", help="judge by the whole 95 %% interval, not by the value on these frames"
    )
    parser.add_argument(
        "--max-disagreement",
        type=float,
        default=0.05,
        metavar="SHARE",
        help="with the float file on calibration frames; more blocks stay in float until then (default 0.05)",
    )
    parser.add_argument(
        "--keep-float",
        action="append",
        default=[],
        metavar="BLOCK",
        help="block, or module of blocks, that stays in float whatever is measured; may be repeated",
    )
    parser.add_argument("--report", type=Path, metavar="DIR", help="folder to make for quantisation.json, .md")
    parser.add_argument("--replicates", type=int, default=1000, help="of the intervals (default 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of frames and intervals (default 0)")
    parser.add_argument("--force", action="store_true", help="replace an existing file")
