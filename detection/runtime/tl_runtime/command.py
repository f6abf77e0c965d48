"""`tl-runtime FILE`: does this file run on this computer, what is in it, and how long does a frame take?

What a technician starts on the vehicle's computer before the first drive. The frames are drawn, noise with a moving
light, so that times and memory are known; how well the file detects is what its evaluation says.
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from tl_runtime.contract import Contract
from tl_runtime.detector import Detector, Result
from tl_runtime.errors import TlRuntimeError
from tl_runtime.memory import most_resident_bytes, resident_bytes
from tl_runtime.watch import Health

_EXAMPLE = "example: tl-runtime lights.onnx --budget 50 --frames 500"
# How far the drawn light goes before it begins again, in pixels of both directions.
_PATH_PX = 64
_WORST_SHOWN = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0 where the file is the proven one and every frame went well and in time, else 1 after one line that says what
        is wrong.
    """
    # A terminal without UTF-8 shows the names of classes as it can.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        detector, opened_ms = _open(options)
    except TlRuntimeError as error:
        print(f"tl-runtime: {error}", file=sys.stderr)
        return 1
    for line in (*contract_lines(detector.contract), *_running_lines(detector, options.threads, opened_ms)):
        print(line)
    results = [detector.detect(frame) for frame in drawn_frames(detector.contract, options.frames)]
    for line in _result_lines(results):
        print(line)
    bad = [result for result in results if result.health is not Health.OK]
    late = sum(result.is_late for result in results)
    if bad:
        first = f"{bad[0].health}: {bad[0].reason}"
        print(
            f"tl-runtime: {options.file}: {len(bad)} of {len(results)} frames gave no result ({first})", file=sys.stderr
        )
        return 1
    if late:
        slowest = max(result.latency_ms for result in results)
        print(
            f"tl-runtime: {options.file}: {late} of {len(results)} frames took longer than {options.budget:g} ms, the "
            f"slowest {slowest:.1f} ms",
            file=sys.stderr,
        )
        return 1
    print(f"{options.file}: runs here")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tl-runtime",
        description="Open a file of tl export, make sure that it is the proven one, and run drawn frames.",
        epilog=_EXAMPLE,
    )
    parser.add_argument("file", help="the file; its hash file FILE.sha256 lies beside it")
    parser.add_argument("--sha256", metavar="HEX", help="what its SHA-256 must be, instead of the hash file")
    parser.add_argument("--provider", metavar="NAME", help="onnxruntime provider (default: CPUExecutionProvider)")
    parser.add_argument("--threads", metavar="N", type=_positive(int), default=1, help="threads (default: 1)")
    parser.add_argument("--budget", metavar="MS", type=_positive(float), help="fail where a frame takes longer")
    parser.add_argument("--frames", metavar="N", type=_positive(int), default=100, help="frames (default: 100)")
    return parser


def _positive(kind: type) -> Any:
    def read(text: str) -> Any:
        value = kind(text)
        if not 0 < value < float("inf"):
            raise ValueError
        return value

    read.__name__ = "number above 0"  # argparse names it: "invalid number above 0 value"
    return read


def _open(options: argparse.Namespace) -> tuple[Detector, float]:
    start = time.perf_counter()
    detector = Detector(
        options.file,
        sha256=options.sha256,
        providers=options.provider,
        threads=options.threads,
        budget_ms=options.budget,
    )
    opened_ms = (time.perf_counter() - start) * 1e3
    print(f"{options.file}: SHA-256 as {'given' if options.sha256 else 'in its hash file'}")
    return detector, opened_ms


def contract_lines(contract: Contract) -> list[str]:
    """What a file says of itself, for a person."""
    metadata = contract.metadata
    size = "of any size" if contract.frame_size is None else f"{contract.frame_size[0]}x{contract.frame_size[1]}"
    names = (f"{item.name} {item.threshold:g}" for item in contract.classes)
    chosen = "" if contract.has_thresholds else " (nobody chose any: tl export --thresholds)"
    return [
        f"contract {metadata['contract']}, {metadata.get('kind')} {metadata.get('architecture')}, "
        f"{metadata.get('precision')}, run {metadata.get('run')}, checkpoint {metadata.get('checkpoint_fingerprint')}",
        f"takes {contract.color_order} frames {size}, gives at most {contract.max_detections} lights; the network sees "
        f"{contract.network_size[0]}x{contract.network_size[1]}",
        f"classes with their lowest scores{chosen}: {', '.join(names)}",
        _evaluation_line(metadata.get("evaluation")),
    ]


def _evaluation_line(evaluation: Any) -> str:
    """The worst conditions of a file's evaluation: where not to trust it."""
    try:
        overall = evaluation["overall"]
        slices = [(name, item) for name, item in evaluation["slices"].items() if item["ap50"] is not None]
        slices.sort(key=lambda item: item[1]["ap50"])
        worst = ", ".join(_scored(name, item) for name, item in slices[:_WORST_SHOWN])
        return f"AP50 {_scored('overall', overall)}{f'; worst: {worst}' if worst else ''}"
    except (AttributeError, KeyError, TypeError, ValueError):
        return "without an evaluation: how well it detects is not known"


def _scored(name: str, item: Mapping[str, Any]) -> str:
    few = ", few" if item.get("is_small") else ""
    return f"{name} {item['ap50']:.3f} ({item['frames']} frames, {item['objects']} lights{few})"


def _running_lines(detector: Detector, threads: int, opened_ms: float) -> list[str]:
    return [
        f"onnxruntime {onnxruntime.__version__}, numpy {np.__version__}, {', '.join(detector.providers)}, threads "
        f"{threads}",
        f"opened in {opened_ms:.0f} ms, with its first frame, which took {detector.first_frame_ms:.1f} ms",
    ]


def drawn_frames(contract: Contract, n: int) -> Iterator[NDArray[np.uint8]]:
    """`n` frames of noise, the same ones each time, over which a light of a twentieth of the width moves."""
    width, height = contract.frame_size or contract.network_size
    rng = np.random.default_rng(0)
    noise = rng.integers(40, 160, (height + _PATH_PX, width + _PATH_PX, 3), dtype=np.uint8)
    side = max(1, width // 20)
    for number in range(n):
        at = number % _PATH_PX
        frame = noise[at : at + height, at : at + width].copy()
        frame[height // 3 : height // 3 + side, at : at + side] = (235, 40, 40)
        yield frame


def _result_lines(results: Sequence[Result]) -> list[str]:
    times = [result.latency_ms for result in results]
    p50, p99 = np.percentile(times, [50, 99])
    health = Counter(str(result.health) for result in results)
    held = (("now", resident_bytes()), ("at most", most_resident_bytes()))
    return [
        f"{len(times)} drawn frames: p50 {p50:.1f} ms, p99 {p99:.1f} ms, slowest {max(times):.1f} ms",
        f"health: {', '.join(f'{name} {count}' for name, count in health.most_common())}",
        f"memory: {', '.join(f'{name} {value / 1e6:.0f} MB' for name, value in held if value is not None) or '-'}",
    ]
