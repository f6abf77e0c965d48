"""The `tl` command: reads the command line, answers `--help` at once, and turns errors into one line and an exit code.

Exit codes: 0 done; 1 something in the data, configuration or model must be mended; 2 the command was used wrongly.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from tl_detection import benchmark_cli, compression_cli, dataset_cli, evaluation_cli
from tl_detection.dataset_cli import add_command

_EPILOG = """\
a first run, step by step:
  tl index photos/ --format yolo --out catalogs/photos --sequence '([a-z]+_\\d+)'
  tl split catalogs/photos --out catalogs/photos_split --val 0.2 --test 0.1
  tl train configs/dtld_yolo.yaml data.catalog=catalogs/photos_split
  tl evaluate runs/dtld_yolo/TIME --catalog catalogs/photos_split --split test --out scores/
  tl export runs/dtld_yolo/TIME --out lights.onnx

or everything at once on drawn scenes:
  tl demo
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Without the program name; None = those of the process.

    Returns:
        The exit code.
    """
    parser = build_parser()
    options, rest = parser.parse_known_args(arguments)
    # argparse takes key=value words before the options only: `train CONFIG --overfit 20 train.lr=0.1` leaves some over.
    if rest:
        if not hasattr(options, "overrides") or any("=" not in word or word.startswith("-") for word in rest):
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        options.overrides = [*options.overrides, *rest]
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr, force=True)
    for name in ("tl_datasets", "tl_detection"):
        logging.getLogger(name).setLevel(logging.WARNING if options.quiet else logging.INFO)
    # Nothing asks the network for anything; this must be set before albumentations is imported anywhere.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    # A damaged video gives thousands of lines of its decoder, and one of ours; set before OpenCV is imported.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

    # Ended from outside, a command leaves nothing half-written, as after Ctrl-C.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _end)

    from tl_datasets.errors import TlError, UsageError
    from tl_detection import (
        benchmark_commands,
        commands,
        compression_commands,
        dataset_commands,
        detect_commands,
        evaluation_commands,
    )

    name = f"run_{options.command}"
    try:
        files = (
            commands,
            dataset_commands,
            detect_commands,
            evaluation_commands,
            benchmark_commands,
            compression_commands,
        )
        run = next(vars(each)[name] for each in files if name in vars(each))
        return run(options)
    except UsageError as error:
        print(f"tl {options.command}: {error}", file=sys.stderr)
        return 2
    except TlError as error:
        if not getattr(error, "is_told", False):  # of several ranks the first tells what all refuse
            print(f"tl {options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"tl {options.command}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output (such as head) has gone; that is its right.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # What reads a user's file says what it expected there. What is left: no rights, no space, a file as a folder.
        place = f"{error.filename}: " if error.filename else ""
        print(
            f"tl {options.command}: {place}{error.strerror or error}; check its rights, or choose another place",
            file=sys.stderr,
        )
        return 1
    finally:
        # What is left to do is to end; an exception in the middle of that would be a traceback for nothing.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end(signal_number: int, frame: object) -> NoReturn:
    raise SystemExit(128 + signal_number)


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = argparse.ArgumentParser(
        prog="tl",
        description="Train traffic-light detectors, score them per condition, export them to ONNX.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quiet", action="store_true", help="say nothing but results, warnings and errors")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_demo(commands)
    dataset_cli.add_commands(commands)
    _add_plan(commands)
    _add_train(commands)
    _add_config(commands)
    _add_augment(commands)
    _add_lint(commands)
    evaluation_cli.add_commands(commands)
    _add_export(commands)
    compression_cli.add_commands(commands)
    _add_inspect(commands)
    _add_detect(commands)
    benchmark_cli.add_commands(commands)
    return parser


def _add_demo(commands) -> None:
    parser = add_command(
        commands, "demo", "the whole road on drawn scenes: draw, train, score, export, detect", "tl demo --out demo_out"
    )
    parser.add_argument("--out", type=Path, default=None, metavar="DIR", help="folder to make (default runs/demo-TIME)")
    parser.add_argument("--seed", type=int, default=0, help="seed of scenes and training (default 0)")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="change the demo's training configuration")


def _add_plan(commands) -> None:
    parser = add_command(
        commands,
        "plan",
        "say before training what a run can learn, what it costs, and what should be changed",
        "tl plan configs/dtld_yolo.yaml --out plan/\n  tl train plan/config.yaml",
    )
    parser.description = f"{parser.description} Exit code 1 if training would be senseless or impossible."
    parser.add_argument("config", type=Path, help="YAML configuration of the run")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings that differ from the file")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to make for plan.json, plan.md, config.yaml")
    parser.add_argument("--json", action="store_true", help="print plan.json instead of the report")
    steps = parser.add_mutually_exclusive_group()
    steps.add_argument("--steps", type=int, default=3, metavar="N", help="real steps to measure (default 3)")
    steps.add_argument("--no-steps", action="store_true", help="measure nothing: neither time nor memory nor samples")
    parser.add_argument("--no-lint", action="store_true", help="do not measure what augmentation does to the lamps")
    parser.add_argument("--strict", action="store_true", help="exit code 1 for what is to be looked at, too")


def _add_train(commands) -> None:
    parser = add_command(
        commands,
        "train",
        "train YOLO or Faster R-CNN",
        "tl train configs/dtld_yolo.yaml train.epochs=50 train.device=cuda",
    )
    parser.add_argument("config", type=Path, nargs="?", help="YAML configuration of the run")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings that differ from the file")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with an interrupted run folder instead")
    parser.add_argument(
        "--overfit", type=int, metavar="N", help="learn and score the same N frames: can the model learn?"
    )


def _add_config(commands) -> None:
    parser = add_command(
        commands,
        "config",
        "print the resolved configuration of a run",
        "tl config configs/dtld_yolo.yaml train.lr=0.005",
    )
    parser.add_argument("config", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="key=value")


def _add_augment(commands) -> None:
    parser = add_command(
        commands,
        "augment",
        "draw contact sheets of the training samples of a run: what the network sees and what it is told",
        "tl augment configs/dtld_yolo.yaml --frames 48 --out sheets/",
    )
    parser.add_argument("config", type=Path, help="YAML configuration of the run")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings that differ from the file")
    parser.add_argument("--frames", type=int, default=24, metavar="N", help="number of samples (default 24)")
    parser.add_argument("--epoch", type=int, default=0, help="epoch of the run, from 0; the last have no mosaic")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")


def _add_lint(commands) -> None:
    parser = add_command(
        commands,
        "lint",
        "measure on your own signal heads whether augmentation keeps the state that is their label",
        "tl lint configs/dtld_yolo.yaml --out lint/\n  tl lint --known-policies --catalog catalogs/dtld",
    )
    parser.description = f"{parser.description} Exit code 1 if the run's policy is refused."
    parser.add_argument("config", type=Path, nargs="?", help="YAML configuration of the run")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings that differ from the file")
    parser.add_argument(
        "--catalog", type=Path, metavar="CATALOG", help="frames to measure on (default: the run's training frames)"
    )
    parser.add_argument(
        "--known-policies", action="store_true", help="measure what other trainers ship instead of the run's policy"
    )
    parser.add_argument("--lamps", type=int, metavar="N", help="lamps of each state (default: augment.lint)")
    parser.add_argument("--draws", type=int, metavar="N", help="random draws per lamp (default: augment.lint)")
    parser.add_argument("--seed", type=int, help="of lamps and draws (default: train.seed, or 0)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to make for lint.json, lint.md, lint.html")


def _add_export(commands) -> None:
    parser = add_command(
        commands,
        "export",
        "write one ONNX file and prove that it detects, and scores, as the checkpoint does",
        "tl export runs/dtld_yolo/TIME --thresholds scores/thresholds.yaml --out lights.onnx",
    )
    parser.add_argument("model", type=Path, help="run folder or .pt")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.onnx", help="FILE.onnx.sha256 lies beside it")
    parser.add_argument(
        "--frame-size",
        metavar="WxH",
        help="frames that the file takes, such as 1280x720, or any (default: the one size of the frames compared on)",
    )
    parser.add_argument(
        "--colors", default="RGB", choices=("RGB", "BGR"), help="order of a pixel's bytes in these frames (default RGB)"
    )
    parser.add_argument("--batch", type=int, default=1, metavar="N", help="frames at once (default 1)")
    parser.add_argument("--raw", action="store_true", help="the network alone, for a runtime that does the rest itself")
    parser.add_argument(
        "--thresholds", type=Path, metavar="FILE", help="lowest score of each class, of tl evaluate; put into the file"
    )
    parser.add_argument(
        "--catalog", type=Path, help="frames to compare and to score on (default: the run's own validation frames)"
    )
    parser.add_argument("--where", metavar="FILTER", help="which of the catalog's frames, such as 'split == \"val\"'")
    parser.add_argument("--no-catalog", action="store_true", help="compare on drawn frames alone")
    parser.add_argument("--frames", type=int, default=16, help="number of real frames to compare (default 16)")
    parser.add_argument("--by", metavar="COLUMNS", help="slices of the evaluation (default: those of the run)")
    parser.add_argument(
        "--max-drop",
        type=float,
        default=0.005,
        metavar="AP50",
        help="what a slice may lose in the file (default 0.005)",
    )
    parser.add_argument("--no-evaluation", action="store_true", help="compare frames, and do not score")
    parser.add_argument("--force", action="store_true", help="replace an existing file")


def _add_inspect(commands) -> None:
    parser = add_command(
        commands,
        "inspect",
        "what an exported file says of itself, and whether it holds to it",
        "tl inspect lights.onnx",
    )
    parser.add_argument("file", type=Path, metavar="FILE.onnx")
    parser.add_argument("--json", action="store_true", help="everything as JSON")


def _add_detect(commands) -> None:
    parser = add_command(
        commands,
        "detect",
        "detect in images, folders, videos or cameras; draw and write JSON",
        "tl detect lights.onnx drive.mp4 --out seen/ --video --smooth\n"
        "  tl detect lights.onnx camera:0 --seconds 60 --out seen/",
    )
    parser.description = f"{parser.description} Ctrl-C ends a camera; what was seen until then is kept."
    parser.add_argument("model", type=Path, help="run folder, .pt or .onnx")
    parser.add_argument(
        "sources", nargs="+", help="images, folders, videos, or cameras by number (camera:0) or device (/dev/video0)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    lowest = parser.add_mutually_exclusive_group()
    lowest.add_argument(
        "--score", type=float, help="lowest score to show (default: those that the exported file carries, or 0.25)"
    )
    lowest.add_argument("--thresholds", type=Path, metavar="FILE", help="lowest score of each class, of tl evaluate")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="of a video or camera take every N-th frame")
    parser.add_argument("--frames", type=int, metavar="N", help="take at most N frames of each video or camera")
    parser.add_argument("--seconds", type=float, metavar="S", help="take the first S seconds of each video or camera")
    parser.add_argument(
        "--smooth", action="store_true", help="track the lights, and report green only when it was seen often enough"
    )
    parser.add_argument(
        "--green-after", type=int, metavar="N", help="frames in a row that must show green, with --smooth (default 3)"
    )
    parser.add_argument(
        "--pictures",
        action=argparse.BooleanOptionalAction,
        help="draw a picture of every frame (default: yes, but not of cameras)",
    )
    parser.add_argument("--video", action="store_true", help="draw a video (MPEG-4 in .mp4) of each sequence of frames")
    parser.add_argument("--fps", type=float, metavar="N", help="rate of that video (default: the source's own, or 10)")
    parser.add_argument(
        "--jsonl",
        action="store_true",
        help="write each frame at once as a line of detections.jsonl, instead of detections.json at the end (always so "
        "with a camera)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")


if __name__ == "__main__":
    sys.exit(main())
