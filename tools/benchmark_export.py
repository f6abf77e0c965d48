"""Whether exported files are as quick as they shall be: the four bars, of one fresh network, in one run.

    python tools/benchmark_export.py --out speed/
    python tools/benchmark_export.py --architecture yolo26n --frames 200
    python tools/benchmark_export.py --weights runs/dtld_yolo/TIME

One thread, 1280x720 frames. Bars, of the median of a frame: (1) the file with square input takes at most 0.9 of
ultralytics' predict with its own ONNX file of the same weights and input; (2) the file with input of the camera's
aspect at most 0.6 of that; (3) each file at most 1.1 of the network alone with OpenCV's letterbox and suppression;
(4) the 99th percentile of each file is at most 1.3 of its median. The first three are ratios from the same turns, which
a busy machine changes little; the fourth is judged only if the core was idle. Exit code 1 if a bar is missed.

The network has five classes and start values, its last layers set so that it has some more candidates than a trained
one: 40 over a score of 0.25 in the first frame, and some hundred over the file's floor of 0.001. (A YOLO11n trained on
drawn scenes has 6 and 150.)
"""

from __future__ import annotations

import argparse
import inspect
import json
import math
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tl_datasets.errors import WeightsError
from tl_datasets.label_space import LabelSpace
from tl_datasets.letterbox import Placement, letterbox
from tl_datasets.new_folder import new_folder
from tl_detection.benchmark.beside import (
    PLAIN,
    ULTRALYTICS_ONNX,
    beside_contenders,
    file_contender,
    prepare_beside,
)
from tl_detection.benchmark.contender import Contender, Measurement
from tl_detection.benchmark.figures import percentile, samples_needed, spread_of_ratios
from tl_detection.benchmark.frames import BenchFrames, collect_frames
from tl_detection.benchmark.machine import choose_cores, describe_machine
from tl_detection.benchmark.report import BenchmarkReport, write_report
from tl_detection.benchmark.turns import Plan, take_turns
from tl_detection.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tl_detection.detectors.yolo import RawPrediction, build_yolo
from tl_detection.export.export import export

FRAME_SIZE = (1280, 720)
SQUARE, ASPECT = (640, 640), (640, 384)
CLASSES = ("red", "red_yellow", "yellow", "green", "off")
SCORE = 0.25
# Seeds that are tried: two boxes of a fresh network may have scores that differ in their last digits only, and which of
# them stays is chance, so that export finds a difference.
SEEDS = 20
# How far the logits of the classes spread. A wider spread has scores that are 1 in floating point, and which of equal
# scores stays is chance.
LOGIT_SPREAD = 2.0
CANDIDATES = 40
# Of a core that nobody else wants; what is left is the clock and the pipe.
IDLE_CPU_SHARE = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A limit and what was measured.

    Attributes:
        about: What is limited.
        limit: Of the figure.
        figure: None = it cannot be judged.
        remark: How far the figure can be trusted, or why there is none.
    """

    about: str
    limit: float
    figure: float | None
    remark: str

    @property
    def verdict(self) -> str:
        """In a word."""
        return "not judged" if self.figure is None else "held" if self.figure <= self.limit else "MISSED"

    def line(self) -> str:
        """In a line."""
        figure = "-" if self.figure is None else f"{self.figure:.3f}"
        return f"{self.verdict:<10} {figure:>6}, at most {self.limit:g}: {self.about} ({self.remark})"


def set_spread(layer: nn.Module, run: Callable[[], object], mean: float, spread: float) -> None:
    """Rescale a convolution so that its outputs have this mean and deviation per channel."""
    seen: list[torch.Tensor] = []
    hook = layer.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()))
    run()
    hook.remove()
    factor = spread / (seen[0].std((0, 2, 3)) + 1e-9)
    weights: Any = layer
    weights.weight.data *= factor.view(-1, 1, 1, 1)
    weights.bias.data = (weights.bias.data - seen[0].mean((0, 2, 3))) * factor + mean


def scores_inside(raw: torch.Tensor, placement: Placement, end_to_end: bool) -> torch.Tensor:
    """The scores of boxes whose centre lies in the frame; those in the padding are no detections."""
    centre = (raw[:, :2] + raw[:, 2:4]) / 2 if end_to_end else raw[:2].T
    centre = centre - torch.tensor([placement.left, placement.top])
    inside = ((centre > 0) & (centre < torch.tensor([placement.width_px, placement.height_px]))).all(dim=1)
    return (raw[inside, 4] if end_to_end else raw[4:, inside].flatten()).double()


def fresh_network(architecture: str, frame: NDArray[np.uint8], seed: int) -> tuple[nn.Module, dict[str, Any]]:
    """Build a network with start values that answers to what it sees about as often as a trained one."""
    torch.manual_seed(seed)
    model = {"architecture": architecture, "width_px": SQUARE[0], "height_px": SQUARE[1], "max_detections": 300}
    module = build_yolo(model, len(CLASSES))
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight)
    canvas, placement = letterbox(frame, *SQUARE)
    image = torch.from_numpy(canvas.transpose(2, 0, 1)[None].copy()).float() / 255
    head = module.model[-1]
    with torch.no_grad():
        module.train()
        for _ in range(15):  # running means of the batch norms
            module(torch.cat([image, image.flip(3)]))
        module.eval()
        for boxes, classes, end_to_end in (("cv2", "cv3", False), ("one2one_cv2", "one2one_cv3", True)):
            if getattr(head, boxes, None) is None:
                continue
            module.end2end = end_to_end
            for branch in getattr(head, classes):
                set_spread(branch[-1], lambda: module(image), -6.0, LOGIT_SPREAD)
            for branch in getattr(head, boxes):
                set_spread(branch[-1], lambda: module(image), 2.0, 1.0)
            scores = scores_inside(RawPrediction(module)(image)[0], placement, end_to_end)
            shift = math.log(SCORE / (1 - SCORE)) - torch.logit(scores.topk(min(CANDIDATES, len(scores)))[0][-1])
            for branch in getattr(head, classes):
                branch[-1].bias += shift
    return module, model


def export_file(
    folder: Path, module: nn.Module, model: dict[str, Any], space: LabelSpace, size: tuple[int, int]
) -> tuple[Path, Path]:
    """Save the network with an input size and export it; gives the checkpoint and the file."""
    name = f"{size[0]}x{size[1]}"
    weights = folder / f"{name}.pt"
    model = {**model, "width_px": size[0], "height_px": size[1]}
    save_checkpoint(
        weights, Checkpoint(kind="yolo", model=model, label_space=space, state=module.state_dict(), meta={"run": name})
    )
    # A file for one camera has its letterbox computed beforehand, where the exporter knows how.
    fixed: dict[str, Any] = {"frame_size": FRAME_SIZE} if "frame_size" in inspect.signature(export).parameters else {}
    export(weights, folder / f"{name}.onnx", **fixed)
    return weights, folder / f"{name}.onnx"


def trained_network(weights: Path) -> tuple[nn.Module, dict[str, Any], LabelSpace]:
    """The network of a YOLO checkpoint; its layers take any input size."""
    checkpoint = load_checkpoint(weights / "weights" / "best.pt" if weights.is_dir() else weights, kind="yolo")
    module = build_yolo(checkpoint.model, len(checkpoint.label_space))
    module.load_state_dict(checkpoint.state)
    return module, checkpoint.model, checkpoint.label_space


def exported_sizes(
    folder: Path, architecture: str, weights: Path | None, frames: BenchFrames
) -> list[tuple[tuple[int, int], Path, Path]]:
    """Of both input sizes the checkpoint and the file."""
    if weights is not None:
        module, model, space = trained_network(weights)
        return [(size, *export_file(folder, module, model, space, size)) for size in (SQUARE, ASPECT)]
    space = LabelSpace.model_validate({"classes": {name: {"state": name} for name in CLASSES}})
    for seed in range(SEEDS):
        module, model = fresh_network(architecture, frames.images[0], seed)
        tried = folder / str(seed)
        tried.mkdir()
        try:
            return [(size, *export_file(tried, module, model, space, size)) for size in (SQUARE, ASPECT)]
        except WeightsError as error:
            print(f"seed {seed}: {error}", file=sys.stderr)
    raise SystemExit(f"{architecture}: no seed below {SEEDS} gives a network that can be exported; try --weights")


def contenders_of(folder: Path, architecture: str, weights: Path | None, frames: BenchFrames) -> list[Contender]:
    """Both files, and what stands beside them; the square file first."""
    files, others = [], []
    for size, checkpoint, file in exported_sizes(folder, architecture, weights, frames):
        label = f", {size[0]}x{size[1]}"
        files.append(file_contender(file, "CPU", name=f"file{label}"))
        made = prepare_beside(checkpoint, folder / label.strip(", "))
        found, absent = beside_contenders(made, "CPU", SCORE, files[-1].name, label)
        if absent:
            raise RuntimeError(f"{absent[0].name}: {absent[0].reason}")
        # ultralytics' predict at the other size is in no bar.
        others += [each for each in found if size == SQUARE or each.name.startswith(PLAIN)]
    return files + others


def judge(measurements: list[Measurement]) -> list[Bar]:
    """The four bars."""
    by_name = {each.contender.name: each for each in measurements}
    square, aspect = (f", {width}x{height}" for width, height in (SQUARE, ASPECT))
    pairs = (
        (f"file{square}", f"{ULTRALYTICS_ONNX}{square}", 0.9),
        (f"file{aspect}", f"{ULTRALYTICS_ONNX}{square}", 0.6),
        (f"file{square}", f"{PLAIN}{square}", 1.1),
        (f"file{aspect}", f"{PLAIN}{aspect}", 1.1),
    )
    bars = []
    for own, other, limit in pairs:
        if own not in by_name or other not in by_name:
            bars.append(Bar(about=f"{own} / {other}", limit=limit, figure=None, remark="one of the two was not run"))
            continue
        ratio = spread_of_ratios(by_name[own].turns_ms, by_name[other].turns_ms)
        remark = f"{ratio.lowest:.3f}..{ratio.highest:.3f} in {ratio.turns} turns"
        bars.append(Bar(about=f"{own} / {other}", limit=limit, figure=ratio.median, remark=remark))
    for size in (square, aspect):
        file = by_name[f"file{size}"]
        p99, p50 = percentile(file.samples_ms, 99), percentile(file.samples_ms, 50)
        remark = f"its core was its own {file.cpu_share:.1%} of the time"
        figure = None
        if p99 is None or p50 is None:
            remark = f"needs {samples_needed(99)} frames"
        elif file.cpu_share >= IDLE_CPU_SHARE:
            figure = p99 / p50
        bars.append(Bar(about=f"p99 / p50 of file{size}", limit=1.3, figure=figure, remark=remark))
    return bars


def main() -> int:
    """Build, export, measure, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="yolo11n", help="yolo11n, or yolo26n with its end-to-end head")
    parser.add_argument(
        "--weights", type=Path, help="run folder or checkpoint of a trained YOLO, instead of a fresh one"
    )
    parser.add_argument("--frames", type=int, default=300, help="timed frames of each (default 300)")
    parser.add_argument("--warm-up", type=int, default=10)
    parser.add_argument("--pin", type=int, help="core (default: the last)")
    parser.add_argument("--out", type=Path, help="folder to make for benchmark.json, benchmark.md and bars.json")
    options = parser.parse_args()
    machine = describe_machine()
    frames = collect_frames(FRAME_SIZE, None, None)
    plan = Plan(
        n_frames=options.frames, warm_up=options.warm_up, threads=1, cores=choose_cores(options.pin, 1), score=SCORE
    )
    with tempfile.TemporaryDirectory(prefix="tl-benchmark-") as folder:
        contenders = contenders_of(Path(folder), options.architecture, options.weights, frames)
        outcome = take_turns(contenders, frames, plan)
    report = BenchmarkReport(
        path=options.weights or Path(f"{options.architecture}.onnx"),
        machine=machine,
        frame_size=frames.size,
        frames_about=frames.about,
        plan=plan,
        outcome=outcome,
    )
    bars = judge(outcome.measurements)
    for line in (*report.lines(), "", *(bar.line() for bar in bars)):
        print(line)
    if options.out is not None:
        with new_folder(options.out) as target:
            write_report(report, target)
            found = [
                {"about": bar.about, "limit": bar.limit, "figure": bar.figure, "verdict": bar.verdict} for bar in bars
            ]
            (target / "bars.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 1 if any(bar.verdict == "MISSED" for bar in bars) else 0


if __name__ == "__main__":
    sys.exit(main())
