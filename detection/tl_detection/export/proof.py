"""The proof that an exported file does what its checkpoint does, before it may appear.

First both see the same frames, real and drawn, and every detection must have its partner (`parity`). Then plain frames
must show nothing that the checkpoint does not see. Then the thresholds inside the file must leave out just what they
say. Last, both are scored on the same labelled frames, condition by condition (`same_scores`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from tl_datasets.errors import WeightsError
from tl_detection.detector import Detector, Image
from tl_detection.detectors.onnx import OnnxDetector
from tl_detection.export.parity import SCORE_FROM, ParityReport, compare_detectors
from tl_detection.export.same_scores import SameScores

logger = logging.getLogger(__name__)

NOTHING_WRITTEN = "nothing was written, do not ship it"


def prove_parity(
    weights: Path,
    expected: Detector,
    actual: Detector,
    frames: Iterable[Image],
    plain: Iterable[Image],
    *,
    max_detections: int,
    batch: int,
) -> ParityReport:
    """Compare on frames with something to see, and make sure that plain frames neither fail nor show lights.

    Raises:
        WeightsError: The two have other classes, or detect something else.
    """
    if expected.label_space != actual.label_space or expected.label_space.names != actual.label_space.names:
        raise WeightsError(
            f"{weights}: the exported file has classes {list(actual.label_space.names)}, "
            f"expected {list(expected.label_space.names)}; nothing was written"
        )
    parity = compare_detectors(expected, actual, frames, max_detections, batch)
    if not parity.is_equal:
        raise WeightsError(f"{weights}: the exported file detects something else: {parity.line()}; {NOTHING_WRITTEN}")
    for frame in plain:
        # A network that sees lights in a plain frame sees equal ones everywhere: which of them it reports is chance.
        found = actual.detect([frame])[0].above(2 * SCORE_FROM)
        if len(found) and not len(expected.detect([frame])[0].above(SCORE_FROM)):
            raise WeightsError(
                f"{weights}: the exported file sees {len(found)} lights in an empty frame, the checkpoint none; "
                f"{NOTHING_WRITTEN}"
            )
    if not parity.compared:
        logger.warning("%s: no detection in any compared frame; compare on frames with lights: --catalog", weights)
    return parity


def prove_thresholds(weights: Path, file: OnnxDetector, frames: Iterable[Image], scores: Sequence[float]) -> None:
    """Run the file as a vehicle does: it must leave out what is below its thresholds, and nothing else.

    Raises:
        WeightsError: It gives other detections.
    """
    contract = file.session.contract
    for frame in frames:
        shown = frame if contract.color_order == "RGB" else frame[..., ::-1]
        filled = np.ascontiguousarray(np.broadcast_to(shown, (contract.batch, *shown.shape)))
        wanted = file.detect([frame])[0].above(scores)
        for found in file.session.run(filled):
            same = len(found) == len(wanted) and np.array_equal(found.labels, wanted.class_id)
            if not same or not np.array_equal(found.scores, wanted.score):
                raise WeightsError(
                    f"{weights}: the exported file gives {len(found)} detections at its thresholds, expected "
                    f"{len(wanted)}; {NOTHING_WRITTEN}"
                )


def require_same_scores(weights: Path, scores: SameScores) -> None:
    """Refuse a file whose AP50 fell too far in a slice.

    Raises:
        WeightsError: It did; names the slices.
    """
    if scores.fallen:
        named = ", ".join(
            f"{item.name} {item.before:.4f} -> {item.after:.4f} ({item.objects} lights)" for item in scores.fallen[:5]
        )
        raise WeightsError(
            f"{weights}: the exported file scores lower: AP50 of {named}; {len(scores.fallen)} of {len(scores.slices)} "
            f"slices fell by more than {scores.max_drop:g}; {NOTHING_WRITTEN}"
        )


def counted(frames: Iterable[Image], total: int, progress: Callable[[int, int], None] | None) -> Iterable[Image]:
    """The frames, each told to `progress` when it is taken."""
    for done, frame in enumerate(frames, start=1):
        yield frame
        if progress is not None:
            progress(done, total)
