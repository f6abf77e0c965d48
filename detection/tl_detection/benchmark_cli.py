"""The command line of `tl benchmark`."""

from __future__ import annotations

from pathlib import Path

from tl_detection.dataset_cli import add_command


def add_commands(commands) -> None:
    """Add `benchmark` to a parser's sub-commands."""
    parser = add_command(
        commands,
        "benchmark",
        "measure how long a frame takes in an exported file, beside other ways to run the same weights",
        "tl benchmark lights.onnx --beside runs/dtld_yolo/TIME --frames 1000 --out speed/",
    )
    parser.add_argument("file", type=Path, metavar="FILE.onnx")
    parser.add_argument(
        "--frame-size", metavar="WxH", help="of the camera (default: the file's or the frames', 1280x720)"
    )
    parser.add_argument("--frames", type=int, default=200, metavar="N", help="timed frames of each (default 200)")
    parser.add_argument("--warm-up", type=int, default=10, metavar="N", help="untimed frames before (default 10)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of each contender (default 1)")
    parser.add_argument(
        "--provider",
        default="CPU",
        choices=("CPU", "CUDA", "TensorRT", "OpenVINO", "all"),
        help="of onnxruntime; all = each of these that is installed (default CPU)",
    )
    pinning = parser.add_mutually_exclusive_group()
    pinning.add_argument(
        "--pin", type=int, metavar="CORE", help="pin each process from this core on (default: the last)"
    )
    pinning.add_argument("--no-pin", action="store_true", help="let the system move the processes")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--catalog", type=Path, help="take real frames from a catalog (default: drawn ones)")
    source.add_argument("--images", type=Path, metavar="DIR", help="take real frames from a folder")
    parser.add_argument(
        "--beside",
        type=Path,
        metavar="RUN|WEIGHTS",
        help="the weights that the file was made from: runs ultralytics' predict, or torchvision, and the network "
        "alone with OpenCV, in turns with the file",
    )
    parser.add_argument(
        "--score", type=float, default=0.25, help="lowest score that those beside it keep (default 0.25, ultralytics')"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to make for benchmark.json and benchmark.md")
