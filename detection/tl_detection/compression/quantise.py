"""`tl quantise`: an exported float file becomes a smaller one, which appears only if it is as good in every condition.

The same evaluation that judged the checkpoint judges the file, on frames that had no part in making it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import onnx

from tl_datasets.catalog import CONDITIONS, Catalog
from tl_datasets.errors import DataError, UsageError, WeightsError
from tl_datasets.images import write_whole
from tl_datasets.new_folder import new_folder, refuse_full
from tl_detection.compression.block_choice import SELECTION_SHARE, Show, choose_blocks, evaluate_file
from tl_detection.compression.blocks import find_blocks
from tl_detection.compression.frame_sets import frame_sets, known_columns
from tl_detection.compression.judge import Limits, compare_evaluations, judge
from tl_detection.compression.latency import median_latencies_ms
from tl_detection.compression.ranges import measure_ranges
from tl_detection.compression.region import find_region
from tl_detection.compression.report import FileFacts, QuantisationReport
from tl_detection.compression.table import format_markdown
from tl_detection.compression.trials import Precision, Trials, opened, require_sound
from tl_detection.compression.written_file import describe, write_file
from tl_detection.detectors.onnx import OnnxDetector
from tl_detection.evaluation.all_intervals import with_intervals
from tl_detection.evaluation.conditions import check_columns
from tl_detection.evaluation.report import Evaluation
from tl_detection.export.same_scores import summarise

CALIBRATION_FRAMES = 64
# Each block runs these once.
_SENSITIVITY_FRAMES = 16
_SOUND_FRAMES = 4


@contextmanager
def _silent(task: str, unit: str = "frames") -> Iterator[Callable[..., None]]:
    def show(*_: object) -> None:
        pass

    yield show


def quantise(
    path: Path | str,
    out: Path | str,
    *,
    to: Precision,
    catalog: Path | str,
    split: str = "val",
    calibrate_split: str = "train",
    calibration_frames: int = CALIBRATION_FRAMES,
    by: Sequence[str] = CONDITIONS,
    limits: Limits | None = None,
    keep_float: Sequence[str] = (),
    report_folder: Path | None = None,
    overwrite: bool = False,
    replicates: int = 1000,
    seed: int = 0,
    show: Show = _silent,
) -> QuantisationReport:
    """Make a smaller file of an exported one, and judge it against that per condition.

    Args:
        path: A float file of `tl export`.
        out: The file to make, ending in `.onnx`. It is written only if it is accepted.
        to: The precision.
        catalog: Catalog folder with both splits.
        split: Frames to judge on.
        calibrate_split: Frames to calibrate on, and to choose on which blocks stay in float.
        calibration_frames: How many to calibrate on, balanced over conditions and states.
        by: Conditions to judge by, beside the height of the lights.
        limits: How much worse it may be; None = `Limits()`.
        keep_float: Blocks that stay in float whatever is measured, or modules of such, such as "model.23".
        report_folder: Folder to make for quantisation.json and quantisation.md, refused or not.
        overwrite: Replace a file that exists.
        replicates: Of the intervals.
        seed: Of the choice of frames, and of the intervals.
        show: Told of progress.

    Raises:
        UsageError: An option contradicts another, or is out of range.
        DataError: `out` exists, or the catalog has no such frames.
        WeightsError: The file is no float file of `tl export`, or the smaller one would be unsound.
    """
    path, out, limits = Path(path), Path(out), limits or Limits()
    _check_options(path, out, to, split, calibrate_split, calibration_frames, limits, overwrite)
    check_columns(by)
    if report_folder is not None:
        refuse_full(report_folder)
    detector = OnnxDetector(path)
    model, data = onnx.load(path), path.read_bytes()
    region = find_region(model, path)
    blocks = find_blocks(region)
    always = _blocks_named(keep_float, [block.name for block in blocks])
    sets = frame_sets(Catalog.open(catalog), str(catalog), split, calibrate_split, detector, calibration_frames, seed)
    judged, calibration, selection = sets.judged, sets.calibration, sets.selection
    by = known_columns(by, judged)

    with show("calibrate") as told:
        frames = ((calibration.frames["frame_id"][row], calibration.read_rgb(row)) for row in range(len(calibration)))
        ranges = measure_ranges(model, region, frames, lambda done: told(done, len(calibration)))
    trials = Trials(model, region, blocks, ranges, to)
    few = [selection.read_rgb(row) for row in range(min(_SENSITIVITY_FRAMES, len(selection)))]
    require_sound(trials.write(always), region, few[:_SOUND_FRAMES], f"{to} file of {path.name}")
    steps, sensitivities = choose_blocks(trials, always, selection, few, by, limits, seed, show)
    kept = steps[-1].kept
    if len(kept) == len(blocks):
        raise WeightsError(
            f"{path}: every block would have to stay in float to lose less than "
            f"{limits.max_drop * SELECTION_SHARE:g} (half of --max-drop) and disagree by less than "
            f"{limits.max_disagreement:g} on frames of split {calibrate_split}; choose a larger --max-drop or "
            "--max-disagreement, or ship the float file"
        )
    smaller_model = trials.write(kept)
    onnx.checker.check_model(smaller_model, full_check=True)
    require_sound(smaller_model, region, few, f"{to} file of {path.name}")

    scores = detector.operating_scores
    before = evaluate_file(detector, judged, by, scores, show, "judge the float file")
    with opened(smaller_model) as smaller_detector:
        scores = before.report.overall.operating_scores
        after = evaluate_file(smaller_detector, judged, by, scores, show, f"judge the {to} file")
    differences = compare_evaluations(before, after, replicates=replicates, seed=seed)
    files = {"float": data, to: smaller_model.SerializeToString(deterministic=True)}
    latencies = median_latencies_ms(files, few[0])
    facts = {
        name: FileFacts(size_bytes=len(file), latency_ms=latencies[name], sha256=hashlib.sha256(file).hexdigest())
        for name, file in files.items()
    }
    report = QuantisationReport(
        out=out,
        precision=to,
        float_file=facts["float"],
        smaller=facts[to],
        judged=judge(before, differences, limits),
        limits=limits,
        split=split,
        frames=before.report.overall.frames,
        catalog_fingerprint=judged.fingerprint,
        calibration_frames=len(calibration),
        selection_frames=len(selection),
        calibration_split=calibrate_split,
        calibration_fingerprint=calibration.fingerprint,
        blocks=len(blocks),
        kept_float=tuple(dict.fromkeys((*kept, *trials.forced()))),
        sensitivities=sensitivities,
        steps=steps,
        finds_nothing=_found(before, scores) > 0 and not _found(after, scores),
        replicates=replicates,
        seed=seed,
    )
    if report.is_accepted:
        scored = summarise(with_intervals(after, replicates=replicates, seed=seed))
        described = describe(smaller_model, to, report.summary(), scored)
        write_file(out, described.SerializeToString(deterministic=True))
    if report_folder is not None:
        write_quantisation_report(report, report_folder)
    return report


def write_quantisation_report(report: QuantisationReport, folder: Path) -> None:
    """Write quantisation.json and quantisation.md into a new folder."""
    with new_folder(folder) as inside:
        write_whole(inside / "quantisation.json", json.dumps(report.to_dict(), indent=1, allow_nan=False) + "\n")
        write_whole(inside / "quantisation.md", format_markdown(report))


def _check_options(
    path: Path,
    out: Path,
    to: str,
    split: str,
    calibrate_split: str,
    calibration_frames: int,
    limits: Limits,
    overwrite: bool,
) -> None:
    if to not in get_args(Precision):
        raise UsageError(f"--to {to}: expected {' or '.join(get_args(Precision))}")
    if out.suffix != ".onnx":
        raise UsageError(f"--out {out}: expected a name that ends in .onnx")
    if out.resolve() == path.resolve():
        raise UsageError(f"--out {out}: is the float file itself; choose another name")
    if split == calibrate_split:
        raise UsageError(
            f"--split and --calibrate-split are both '{split}'; a file must not be judged on the frames that made it"
        )
    if calibration_frames < 1:
        raise UsageError(f"--calibration-frames {calibration_frames}: expected 1 or more")
    if not 0 <= limits.max_drop < 1 or not 0 <= limits.max_red_as_green_rise < 1:
        raise UsageError("--max-drop and --max-red-as-green-rise: expected numbers from 0 to below 1")
    if not 0 < limits.max_disagreement <= 1:
        raise UsageError(f"--max-disagreement {limits.max_disagreement:g}: expected more than 0, and at most 1")
    if out.exists() and (out.is_dir() or not overwrite):
        raise DataError(f"{out}: exists already; choose another --out or replace it with --force")


def _blocks_named(words: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """The blocks of these names, and those inside modules of these names."""

    def is_meant(name: str, word: str) -> bool:
        return name == word or name.startswith(f"{word}.")

    unknown = [word for word in words if not any(is_meant(name, word) for name in names)]
    if unknown:
        raise UsageError(f"--keep-float {unknown[0]}: no such block; the file has {', '.join(names)}")
    return tuple(name for name in names if any(is_meant(name, word) for word in words))


def _found(evaluation: Evaluation, scores: Sequence[float]) -> int:
    return sum(len(found.above(scores)) for found in evaluation.detections)
