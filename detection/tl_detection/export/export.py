"""`tl export`: a checkpoint becomes one ONNX file, which appears only if it detects what the checkpoint detects."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import onnx
import onnxruntime

from tl_datasets.errors import DataError, UsageError, WeightsError
from tl_detection.checkpoint import Checkpoint, file_fingerprint, load_checkpoint
from tl_detection.detector import Image
from tl_detection.detectors.load import load_detector
from tl_detection.detectors.onnx import OnnxDetector
from tl_detection.export.frames import choose_frames, drawn_frames, plain_frames
from tl_detection.export.graph import OPSET
from tl_detection.export.metadata import describe
from tl_detection.export.model import build_model
from tl_detection.export.parity import SCORE_FROM, ParityReport, compare_detectors
from tl_detection.thresholds import scores_for

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What was written and how it compares.

    Attributes:
        path: The file.
        size_bytes: Its size.
        n_nodes: Nodes of its graph.
        fingerprint: 16 hex digits of its SHA-256.
        checkpoint_fingerprint: The same of the checkpoint.
        real_frames: How many of the compared frames came from a camera or catalog; the others are drawn.
        parity: The comparison with the checkpoint.
    """

    path: Path
    size_bytes: int
    n_nodes: int
    fingerprint: str
    checkpoint_fingerprint: str
    real_frames: int
    parity: ParityReport

    def lines(self) -> list[str]:
        """What a person wants to know."""
        lines = [
            f"{self.path}: {self.size_bytes / 1e6:.1f} MB, {self.n_nodes} nodes, opset {OPSET}, "
            f"fingerprint {self.fingerprint}, from checkpoint {self.checkpoint_fingerprint}",
            f"compared with the checkpoint ({self.real_frames} real frames): {self.parity.line()}",
        ]
        if not self.real_frames:
            lines.append("no real frame was compared; give some with --catalog")
        return lines


def export(
    weights: Path | str,
    out: Path | str,
    *,
    frames: Sequence[Image] | None = None,
    catalog: Path | None = None,
    where: str | None = None,
    n_frames: int = 16,
    thresholds: Path | None = None,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ExportReport:
    """Export a checkpoint to one ONNX file and prove that the file detects what the checkpoint detects.

    Args:
        weights: A run folder, or a checkpoint.
        out: The file to make, ending in `.onnx`. It appears only if the comparison holds.
        frames: (H, W, 3) uint8 RGB images to compare on.
        catalog: Catalog folder to take frames from as well.
        where: Which of the catalog's frames, such as `split == "val"`.
        n_frames: Frames to take from the catalog, spread evenly over it.
        thresholds: Thresholds file whose scores the exported file is to carry; its runtime leaves out what is below.
        overwrite: Replace a file that exists.
        progress: Called with frames compared and frames in all.

    Raises:
        UsageError: `out` has another suffix, or `n_frames` is negative.
        DataError: `out` exists, or the catalog has no such frame.
        ConfigError: The thresholds file does not fit.
        WeightsError: The checkpoint cannot be used, or the file detects something else.
    """
    weights, out = Path(weights), Path(out)
    if weights.is_dir():
        weights = weights / "weights" / "best.pt"
    if out.suffix != ".onnx":
        raise UsageError(f"--out {out}: expected a name that ends in .onnx")
    if n_frames < 0:
        raise UsageError(f"--frames {n_frames}: expected 0 or more")
    if out.exists() and (out.is_dir() or not overwrite):
        raise DataError(f"{out}: exists already; choose another --out or replace it with --force")
    checkpoint = load_checkpoint(weights)
    space, description = checkpoint.label_space, {"fingerprint": file_fingerprint(weights)}
    scores = None
    if thresholds is not None:
        scores = scores_for(thresholds, space.names, description, label_space_fingerprint=space.fingerprint)
    chosen: Iterable[Image] = ()
    n_chosen = 0
    if catalog is not None and n_frames:
        source, rows = choose_frames(catalog, where, n_frames)
        chosen, n_chosen = map(source.read_rgb, rows), len(rows)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.partial.onnx")
    try:
        n_nodes = _write(weights, checkpoint, scores, partial)
        fingerprint = file_fingerprint(partial)

        size = int(checkpoint.model["width_px"]), int(checkpoint.model["height_px"])
        shown, drawn = list(frames or ()), drawn_frames(*size)
        total = len(shown) + n_chosen + len(drawn)

        def counted() -> Iterator[Image]:
            for done, frame in enumerate(chain(shown, chosen, drawn), start=1):
                yield frame
                if progress is not None:
                    progress(done, total)

        parity = _prove(weights, partial, counted(), plain_frames(*size))
        size_bytes = partial.stat().st_size
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    return ExportReport(
        path=out,
        size_bytes=size_bytes,
        n_nodes=n_nodes,
        fingerprint=fingerprint,
        checkpoint_fingerprint=file_fingerprint(weights),
        real_frames=len(frames or ()) + n_chosen,
        parity=parity,
    )


def _write(weights: Path, checkpoint: Checkpoint, operating_scores: Sequence[float] | None, path: Path) -> int:
    """Write the file, check it by the standard and by the runtime; give the number of nodes."""
    detector = load_detector(weights, "cpu")
    if checkpoint.kind == "yolo":
        from tl_detection.detectors.yolo import SCORE_THRESHOLD as SCORE_FLOOR
    else:
        from tl_detection.detectors.faster_rcnn import SCORE_THRESHOLD as SCORE_FLOOR
    entries = describe(
        checkpoint,
        file_fingerprint(weights),
        score_floor=SCORE_FLOOR,
        max_detections=int(checkpoint.model["max_detections"]),
        operating_scores=operating_scores,
    )
    model = build_model(detector, entries)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.strict_shape_type_inference", "1")
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return len(model.graph.node)


def _prove(weights: Path, path: Path, frames: Iterable[Image], plain: Iterable[Image]) -> ParityReport:
    """Compare on frames with something to see, and make sure that plain frames neither fail nor show lights."""
    expected, actual = load_detector(weights, "cpu"), OnnxDetector(path)
    if expected.label_space != actual.label_space or expected.label_space.names != actual.label_space.names:
        raise WeightsError(
            f"{weights}: the exported file has classes {list(actual.label_space.names)}, "
            f"expected {list(expected.label_space.names)}; nothing was written"
        )
    parity = compare_detectors(expected, actual, frames, actual.runtime.metadata["max_detections"])
    if not parity.is_equal:
        raise WeightsError(
            f"{weights}: the exported file detects something else: {parity.line()}; nothing was written, do not ship it"
        )
    for frame in plain:
        # A network that sees lights in a plain frame sees equal ones everywhere: which of them it reports is chance.
        found = actual.detect([frame])[0].above(2 * SCORE_FROM)
        if len(found) and not len(expected.detect([frame])[0].above(SCORE_FROM)):
            raise WeightsError(
                f"{weights}: the exported file sees {len(found)} lights in an empty frame, the checkpoint none; "
                "nothing was written, do not ship it"
            )
    if not parity.compared:
        logger.warning("%s: no detection in any compared frame; compare on frames with lights: --catalog", weights)
    return parity
