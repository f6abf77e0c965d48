"""`tl benchmark`: measure an exported file, beside other ways to run the same weights."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tl_datasets.errors import DataError, UsageError, WeightsError
from tl_detection.benchmark.beside import beside_contenders, file_contender, prepare_beside
from tl_detection.benchmark.children import ChildError
from tl_detection.benchmark.contender import Absent, Contender
from tl_detection.benchmark.frames import collect_frames
from tl_detection.benchmark.machine import choose_cores, describe_machine
from tl_detection.benchmark.providers import choose_providers
from tl_detection.benchmark.report import BenchmarkReport, absent_from
from tl_detection.benchmark.turns import Plan, take_turns
from tl_runtime.contract import Contract
from tl_runtime.errors import ModelError
from tl_runtime.session import Session

# What ultralytics' predict keeps when nobody says otherwise.
DEFAULT_SCORE = 0.25


def benchmark(
    path: Path,
    *,
    frame_size: tuple[int, int] | None = None,
    n_frames: int = 200,
    warm_up: int = 10,
    threads: int = 1,
    provider: str = "CPU",
    pin: bool = True,
    first_core: int | None = None,
    catalog: Path | None = None,
    images: Path | None = None,
    beside: Path | None = None,
    score: float = DEFAULT_SCORE,
    progress: Callable[[int, int], None] | None = None,
) -> BenchmarkReport:
    """Measure a file of `tl export`.

    Args:
        path: The file.
        frame_size: Width and height of the frames; None = what the file takes, or the frames have, or 1280x720.
        n_frames: Timed frames of each contender.
        warm_up: Untimed frames of each before.
        threads: Of each contender.
        provider: "CPU", "CUDA", "TensorRT", "OpenVINO", or "all" that are installed.
        pin: Pin each contender's process to cores, where the system can.
        first_core: The first of them; None = chosen.
        catalog: Catalog with the frames.
        images: Folder with the frames, instead.
        beside: Run folder or checkpoint of the same weights.
        score: The lowest score that the others keep; the file keeps to its own floor, which is more work.
        progress: Called with timed frames done and in all.

    Raises:
        UsageError: A number is out of range, there is no such provider or core, or frames and file do not fit.
        DataError: The frames cannot be read.
        WeightsError: The file or the weights cannot be used, or are not of each other.
    """
    _check_numbers(n_frames, warm_up, threads, score, catalog, images)
    providers = choose_providers(provider)
    cores = choose_cores(first_core, threads) if pin else None
    contract = describe_file(path)
    metadata, fixed = contract.metadata, contract.frame_size
    if fixed is not None and frame_size not in (None, fixed):
        raise UsageError(
            f"--frame-size {_text(frame_size)}: {path} takes frames of {_text(fixed)} alone; leave it out, "
            "or export for another size"
        )
    weights = None if beside is None else _weights_of(beside, path, metadata)
    frames = collect_frames(fixed or frame_size, catalog, images)
    machine = describe_machine()
    plan = Plan(n_frames=n_frames, warm_up=warm_up, threads=threads, cores=cores, score=score)
    with tempfile.TemporaryDirectory(prefix="tl-benchmark-") as folder:
        made = None if weights is None else prepare_beside(weights, Path(folder))
        contenders: list[Contender] = []
        for name in providers:
            contenders.append(
                file_contender(
                    path, name, contract.color_order, compared_with=contenders[0].name if contenders else None
                )
            )
        absent: list[Absent] = []
        for name in providers:
            others, missing = beside_contenders(made, name, score, contenders[0].name)
            contenders += others
            absent += missing
        try:
            outcome = take_turns(contenders, frames, plan, progress)
        except ChildError as error:
            raise WeightsError(f"{path}: {error}") from error
    return BenchmarkReport(
        path=path,
        machine=machine,
        frame_size=frames.size,
        frames_about=frames.about,
        plan=plan,
        outcome=absent_from(absent, outcome),
    )


def _check_numbers(
    n_frames: int, warm_up: int, threads: int, score: float, catalog: Path | None, images: Path | None
) -> None:
    if n_frames < 1:
        raise UsageError(f"--frames {n_frames}: expected 1 or more")
    if warm_up < 0:
        raise UsageError(f"--warm-up {warm_up}: expected 0 or more")
    if threads < 1:
        raise UsageError(f"--threads {threads}: expected 1 or more")
    if not 0 < score < 1:
        raise UsageError(f"--score {score}: expected a number between 0 and 1")
    if catalog is not None and images is not None:
        raise UsageError("--catalog and --images: expected one of the two")


def describe_file(path: Path) -> Contract:
    """What a file says of itself.

    Raises:
        WeightsError: It is missing, no file of `tl export`, or takes several frames at once.
    """
    try:
        contract = Session(path, threads=1).contract
    except ModelError as error:
        raise WeightsError(str(error)) from error
    if contract.batch != 1:
        raise WeightsError(
            f"{path}: takes {contract.batch} frames at once; the time of a frame is measured on a file of --batch 1"
        )
    return contract


def _weights_of(beside: Path, path: Path, metadata: Mapping[str, Any]) -> Path:
    """The checkpoint that the file was made from."""
    from tl_detection.checkpoint import file_fingerprint

    weights = beside / "weights" / "best.pt" if beside.is_dir() else beside
    if not weights.is_file():
        raise DataError(f"{weights}: no such file; --beside expects a run folder, or RUN/weights/best.pt")
    found, expected = file_fingerprint(weights), metadata.get("checkpoint_fingerprint")
    if found != expected:
        raise WeightsError(
            f"{weights}: checkpoint {found}, but {path} was made from {expected}; "
            "their times would not be those of the same weights: name the checkpoint that was exported"
        )
    return weights


def _text(size: tuple[int, int] | None) -> str:
    return "-" if size is None else f"{size[0]}x{size[1]}"
