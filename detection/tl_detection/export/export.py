"""`tl export`: a checkpoint becomes one ONNX file, which appears only if it detects what the checkpoint detects."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import onnx
import onnxruntime
from onnx import helper

from tl_datasets.catalog import CONDITIONS, Catalog
from tl_datasets.errors import DataError, UsageError
from tl_datasets.images import write_whole
from tl_detection.checkpoint import Checkpoint, file_fingerprint, load_checkpoint
from tl_detection.detector import Detector, Image
from tl_detection.detectors.load import load_detector
from tl_detection.detectors.onnx import OnnxDetector
from tl_detection.evaluation.ground_truth import ground_truth_from_catalog
from tl_detection.export.camera import Camera, ColorOrder
from tl_detection.export.frames import choose_frames, drawn_frames, of_size, open_frames, plain_frames, sizes_of
from tl_detection.export.graph import OPSET
from tl_detection.export.metadata import as_entries, describe
from tl_detection.export.model import build_model, build_raw_model
from tl_detection.export.parity import ParityReport
from tl_detection.export.proof import counted, prove_parity, prove_thresholds, require_same_scores
from tl_detection.export.same_scores import MAX_DROP, SameScores, score_both
from tl_detection.thresholds import scores_for
from tl_runtime.checksum import hash_file_of, hash_line, sha256_of

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
AnySize = Literal["any"]
# Real frames on which the thresholds inside the file are looked at.
_AT_THRESHOLDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What was written and how it compares.

    Attributes:
        path: The file; its hash file lies beside it.
        size_bytes: Its size.
        n_nodes: Nodes of its graph.
        sha256: Of the file, 64 hex digits.
        checkpoint_fingerprint: 16 hex digits of the SHA-256 of the checkpoint.
        camera: The frames that it takes.
        is_raw: Whether it holds the network alone.
        real_frames: How many of the compared frames came from a camera or catalog; the others are drawn.
        other_sizes: Frames of the catalog that it does not take, and that were left out.
        parity: The comparison with the checkpoint.
        scores: The evaluation of both; None where there were no labelled frames.
    """

    path: Path
    size_bytes: int
    n_nodes: int
    sha256: str
    checkpoint_fingerprint: str
    camera: Camera
    is_raw: bool
    real_frames: int
    other_sizes: int
    parity: ParityReport
    scores: SameScores | None

    @property
    def fingerprint(self) -> str:
        """16 hex digits of the SHA-256 of the file."""
        return self.sha256[:16]

    def lines(self) -> list[str]:
        """What a person wants to know."""
        size, batch = self.camera.frame_size, self.camera.batch
        takes = "frames of any size" if size is None else f"frames of {size[0]}x{size[1]}"
        what = "the network alone" if self.is_raw else f"takes {takes}, {self.camera.color_order}"
        lines = [
            f"{self.path}: {self.size_bytes / 1e6:.1f} MB, {self.n_nodes} nodes, opset {OPSET}, "
            f"fingerprint {self.fingerprint}, from checkpoint {self.checkpoint_fingerprint}",
            f"{what}{f', {batch} at once' if batch > 1 else ''}; its SHA-256 is in {hash_file_of(self.path).name}",
            f"compared with the checkpoint ({self.real_frames} real frames): {self.parity.line()}",
        ]
        if not self.real_frames:
            lines.append("no real frame was compared; give some with --catalog")
        if self.other_sizes:
            lines.append(f"{self.other_sizes} frames of the catalog have another size and were left out")
        return [*lines, *(["not scored: no labelled frame was given"] if self.scores is None else self.scores.lines())]


def export(
    weights: Path | str,
    out: Path | str,
    *,
    frames: Sequence[Image] | None = None,
    catalog: Path | None = None,
    where: str | None = None,
    n_frames: int = 16,
    frame_size: tuple[int, int] | AnySize | None = None,
    color_order: ColorOrder = "RGB",
    batch: int = 1,
    raw: bool = False,
    thresholds: Path | None = None,
    by: Sequence[str] = CONDITIONS,
    max_drop: float = MAX_DROP,
    evaluate: bool = True,
    overwrite: bool = False,
    progress: Callable[[str], Progress] | None = None,
) -> ExportReport:
    """Export a checkpoint to one ONNX file and prove that the file detects what the checkpoint detects.

    Args:
        weights: A run folder, or a checkpoint.
        out: The file to make, ending in `.onnx`. It appears, with `FILE.onnx.sha256`, only if the comparison holds.
        frames: (H, W, 3) uint8 RGB images to compare on.
        catalog: Catalog folder to take frames from as well, and to score on.
        where: Which of the catalog's frames, such as `split == "val"`.
        n_frames: Frames to take from the catalog for the comparison, spread evenly over it.
        frame_size: Width and height of the frames that the file is to take, "any" for all; None = the one size that
            the frames given have.
        color_order: Of these frames.
        batch: Frames at once.
        raw: Write the network alone.
        thresholds: Thresholds file; what scores lower is left out inside the file.
        by: Columns to slice the evaluation by.
        max_drop: AP50 that a slice may lose against the checkpoint.
        evaluate: Score both on the catalog's frames.
        overwrite: Replace a file that exists.
        progress: Given a word for what begins, gives what is called with frames done and frames in all.

    Raises:
        UsageError: `out` has another suffix, a number is out of range, the frames have several sizes and none was asked
            for, or `raw` goes with what only a whole file has.
        DataError: `out` exists, or the catalog has no such frame.
        ConfigError: The thresholds file does not fit.
        WeightsError: The checkpoint cannot be used, or the file detects something else or scores lower.
    """
    weights, out = Path(weights), Path(out)
    if weights.is_dir():
        weights = weights / "weights" / "best.pt"
    if out.suffix != ".onnx":
        raise UsageError(f"--out {out}: expected a name that ends in .onnx")
    if n_frames < 0:
        raise UsageError(f"--frames {n_frames}: expected 0 or more")
    if not 0 <= max_drop <= 1:
        raise UsageError(f"--max-drop {max_drop}: expected a difference of AP50 from 0 to 1")
    if raw and (thresholds is not None or color_order != "RGB" or frame_size is not None):
        raise UsageError("--raw: the network alone has no thresholds, colour order or frame size; leave these out")
    if out.exists() and (out.is_dir() or not overwrite):
        raise DataError(f"{out}: exists already; choose another --out or replace it with --force")
    checkpoint = load_checkpoint(weights)
    space, described = checkpoint.label_space, {"fingerprint": file_fingerprint(weights)}
    chosen = None
    if thresholds is not None:
        chosen = scores_for(thresholds, space.names, described, label_space_fingerprint=space.fingerprint)
    shown = list(frames or ())
    source = None if catalog is None else open_frames(catalog, where)
    size = None if raw or frame_size == "any" else frame_size or _only_size(shown, source)
    camera = Camera(frame_size=size, color_order=color_order, batch=batch)
    n_all = 0 if source is None else len(source)
    if source is not None and size is not None:
        source = of_size(source, size)
        if not len(source):
            raise DataError(
                f"{catalog}: no frame of {size[0]}x{size[1]} px to compare on; give frames of that camera with "
                "--catalog, or compare on drawn ones alone with --no-catalog"
            )
    expected = load_detector(weights, "cpu")
    metadata = describe(
        checkpoint,
        file_fingerprint(weights),
        camera=camera,
        score_floor=_score_floor(checkpoint),
        max_detections=int(checkpoint.model["max_detections"]),
        operating_scores=chosen,
        variant="raw" if raw else "detector",
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.partial.onnx")
    try:
        model = _build(expected, metadata, camera, raw=raw)
        _write(model, partial)
        actual = _open(partial, expected, camera, raw=raw)
        parity, n_real = _prove(weights, expected, actual, shown, source, n_frames, metadata, camera, progress)
        scores = None
        if source is not None and evaluate and len(ground_truth_from_catalog(source, space)):
            show = None if progress is None else progress("score")
            scores = score_both(expected, actual, source, by=by, max_drop=max_drop, progress=show)
            require_same_scores(weights, scores)
            metadata["evaluation"] = scores.summary
            helper.set_model_props(model, as_entries(metadata))
            _write(model, partial)
        data = partial.read_bytes()
        digest = sha256_of(data)
        # First the hash: a file without its own is refused, never run by mistake.
        write_whole(hash_file_of(out), hash_line(out, digest))
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    return ExportReport(
        path=out,
        size_bytes=len(data),
        n_nodes=len(model.graph.node),
        sha256=digest,
        checkpoint_fingerprint=file_fingerprint(weights),
        camera=camera,
        is_raw=raw,
        real_frames=n_real,
        other_sizes=n_all - (0 if source is None else len(source)),
        parity=parity,
        scores=scores,
    )


def _only_size(frames: Sequence[Image], catalog: Catalog | None) -> tuple[int, int]:
    """The size that all frames have.

    Raises:
        UsageError: There is none, or several.
    """
    sizes = dict(Counter((frame.shape[1], frame.shape[0]) for frame in frames))
    for size, n in ({} if catalog is None else sizes_of(catalog)).items():
        sizes[size] = sizes.get(size, 0) + n
    if len(sizes) == 1:
        return next(iter(sizes))
    listed = ", ".join(f"{width}x{height} ({n})" for (width, height), n in list(sizes.items())[:4])
    found = f"frames of {len(sizes)} sizes ({listed})" if sizes else "no frame to see the camera's size from"
    raise UsageError(f"{found}; give that of the camera with --frame-size 1280x720, or --frame-size any (slower)")


def _build(detector: Detector, metadata: dict[str, Any], camera: Camera, *, raw: bool) -> onnx.ModelProto:
    entries = as_entries(metadata)
    if raw:
        return build_raw_model(detector, entries, camera.batch)
    return build_model(detector, entries, camera, _thresholds(metadata))


def _thresholds(metadata: dict[str, Any]) -> list[float]:
    """The lowest score of each class, by id."""
    scores = metadata["operating_scores"]
    return [metadata["score_floor"]] * len(metadata["classes"]) if scores is None else list(scores.values())


def _write(model: onnx.ModelProto, path: Path) -> None:
    """Write a file, checked by the standard and by onnxruntime at its strictest."""
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.strict_shape_type_inference", "1")
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _open(path: Path, checkpoint: Detector, camera: Camera, *, raw: bool) -> Detector:
    if not raw:
        return OnnxDetector(path)
    from tl_detection.export.raw import RawDetector

    return RawDetector(path, checkpoint, camera.batch)  # type: ignore[arg-type]  # build_raw_model refused others


def _prove(
    weights: Path,
    expected: Detector,
    actual: Detector,
    frames: Sequence[Image],
    catalog: Catalog | None,
    n_frames: int,
    metadata: dict[str, Any],
    camera: Camera,
    progress: Callable[[str], Progress] | None,
) -> tuple[ParityReport, int]:
    """Compare on all frames; gives the number of real ones, too."""
    rows = [] if catalog is None or not n_frames else choose_frames(catalog, n_frames)
    size = metadata["input"]["width_px"], metadata["input"]["height_px"]
    drawn = drawn_frames(*size, camera.frame_size)

    def real(rows: Sequence[int]) -> Iterator[Image]:
        yield from frames
        if catalog is not None:
            yield from map(catalog.read_rgb, rows)

    n_real = len(frames) + len(rows)
    show = None if progress is None else progress("compare")
    parity = prove_parity(
        weights,
        expected,
        actual,
        counted(chain(real(rows), drawn), n_real + len(drawn), show),
        plain_frames(*size, camera.frame_size),
        max_detections=metadata["max_detections"],
        batch=camera.batch,
    )
    if isinstance(actual, OnnxDetector):
        prove_thresholds(weights, actual, chain(real(rows[:_AT_THRESHOLDS]), drawn), _thresholds(metadata))
    return parity, n_real


def _score_floor(checkpoint: Checkpoint) -> float:
    if checkpoint.kind == "yolo":
        from tl_detection.detectors.yolo import SCORE_THRESHOLD

        return SCORE_THRESHOLD
    from tl_detection.detectors.faster_rcnn import SCORE_THRESHOLD

    return SCORE_THRESHOLD
