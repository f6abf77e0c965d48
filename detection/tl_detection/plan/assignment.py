"""Whether lights can be learned at all: anchors that fit them, and what the first batches teach by size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tl_detection.config import FasterRcnnConfig
from tl_detection.plan.findings import Finding, Section, look, ok, stop
from tl_detection.plan.lost_lights import MOST_LOST
from tl_detection.plan.subject import Subject
from tl_detection.training.anchors import DEFAULT_ANCHORS, Anchors, anchor_coverage, fit_anchors, network_boxes
from tl_detection.training.start_check import HeadStart, StartCheck

# Of a set of anchors at least this share of the lights should have one that overlaps it by half.
_LEAST_COVERED = 0.8
# With fewer than this most lights only have the best of bad anchors.
_LEAST_LEARNABLE = 0.5
_FEW_LIGHTS = 30


def look_at_assignment(subject: Subject, starts: Sequence[StartCheck]) -> Section:
    """Anchors against boxes, and positives of the first batches.

    Args:
        subject: The run.
        starts: Of the batches of a trial; empty = none was made.
    """
    findings: list[Finding] = []
    notes: list[str] = []
    values: dict[str, Any] = {}
    model = subject.config.model
    boxes = network_boxes(subject.train, model.input.width_px, model.input.height_px)
    if not len(boxes):
        return Section(title="targets", notes=("no box among the training frames",))
    if isinstance(model, FasterRcnnConfig):
        findings.append(_judge_anchors(model, boxes, values))
    else:
        width, height = np.median(boxes, axis=0)
        values["median_box_px"] = [round(float(width), 2), round(float(height), 2)]
        if model.weights is None:
            notes.append(f"fresh box branches start at the median box, {width:.1f} x {height:.1f} px")
    heads = untaught_by_head(starts)
    findings += _judge_start(starts, heads)
    values["start"] = [start.to_dict() for start in starts]
    values["untaught"] = {name: {"boxes": boxes, "untaught": without} for name, (boxes, without) in heads.items()}
    table = _table(starts)
    return Section(title="targets", findings=tuple(findings), table=table, notes=tuple(notes), values=values)


def untaught_by_head(starts: Sequence[StartCheck]) -> dict[str, tuple[int, int]]:
    """Part of the network that has to teach from the first step -> boxes, and of these boxes without a target."""
    found: dict[str, tuple[int, int]] = {}
    for head in (head for start in starts for head in start.heads if head.can_fail):
        boxes, untaught = found.get(head.name, (0, 0))
        more = sum(size.lights for size in head.bins)
        found[head.name] = (boxes + more, untaught + more - sum(size.taught for size in head.bins))
    return found


def _judge_anchors(model: FasterRcnnConfig, boxes: NDArray[np.float64], values: dict[str, Any]) -> Finding:
    fitted = fit_anchors(boxes)
    coverage = {
        name: anchor_coverage(boxes, anchors) for name, anchors in (("fit", fitted), ("default", DEFAULT_ANCHORS))
    }
    values["anchors"] = {
        "fitted_sizes": [list(level) for level in fitted.sizes],
        "fitted_ratios": list(fitted.ratios),
        "covered": {name: {"iou_0.5": usable, "iou_0.7": good} for name, (usable, good) in coverage.items()},
    }
    usable, good = coverage[model.anchors]
    message = (
        f"anchors: {model.anchors}; {usable:.0%} of the boxes have one that overlaps them by half, {good:.0%} by 0.7 "
        f"(torchvision's: {coverage['default'][0]:.0%} and {coverage['default'][1]:.0%}); "
        f"fitted: {anchor_words(fitted)}"
    )
    if model.weights is not None:
        return look(f"{message}; a detector's own anchors come with model.weights and are not judged here")
    if usable >= _LEAST_COVERED:
        return ok(message)
    remedy = "enlarge model.input" if model.anchors == "fit" else "set model.anchors: fit"
    return (stop if usable < _LEAST_LEARNABLE else look)(f"{message}; {remedy}")


def anchor_words(anchors: Anchors) -> str:
    """Sizes and ratios, each once."""
    sizes = sorted({size for level in anchors.sizes for size in level})
    ratios = ", ".join(f"{ratio:g}" for ratio in anchors.ratios)
    return f"{', '.join(f'{size:g}' for size in sizes)} px, height over width {ratios}"


def _judge_start(starts: Sequence[StartCheck], heads: dict[str, tuple[int, int]]) -> list[Finding]:
    if not starts or not heads:
        return []
    shares = {name: untaught / lights for name, (lights, untaught) in heads.items() if lights}
    lights = max(count for count, _ in heads.values())
    if not shares or lights < _FEW_LIGHTS:
        return [
            look(f"the first batches hold {lights} boxes, too few to say what sizes have targets; take more --steps")
        ]
    worst, best = max(shares, key=shares.__getitem__), min(shares.values())
    message = f"{shares[worst]:.1%} of {lights} boxes have no target at the start ({worst})"
    # Several heads teach one network: what one of them cannot use, another may.
    if best > MOST_LOST:
        return [stop(f"{message}, expected at most {MOST_LOST:.0%}; {starts[0].remedy}")]
    if shares[worst] > MOST_LOST / 4:
        return [look(f"{message}; {starts[0].remedy}")]
    return [ok(message)]


def _table(starts: Sequence[StartCheck]) -> tuple[tuple[str, ...], ...]:
    """Per part of the network and size: boxes, with a positive, with a target, positives and target of each."""
    joined: dict[tuple[str, int], list[float]] = {}
    heads: dict[str, HeadStart] = {}
    for head in (head for start in starts for head in start.heads):
        heads.setdefault(head.name, head)
        for number, size in enumerate(head.bins):
            sums = joined.setdefault((head.name, number), [0.0] * 5)
            for at, value in enumerate((size.lights, size.with_positive, size.taught, size.positives, size.target)):
                sums[at] += value
    rows = [("height in the network", "boxes", "with a positive", "with a target", "positives each", "target each")]
    for name, head in heads.items():
        rows.append((name, "", "", "", "", ""))
        for number, size in enumerate(head.bins):
            boxes, positive, taught, positives, target = joined[name, number]
            if boxes:
                limits = f"from {size.from_px:g} px" if size.to_px is None else f"{size.from_px:g} to {size.to_px:g} px"
                counts = (f"{boxes:.0f}", f"{positive:.0f}", f"{taught:.0f}")
                rows.append((f"  {limits}", *counts, f"{positives / boxes:.1f}", f"{target / boxes:.2g}"))
    return tuple(rows) if len(rows) > 1 else ()
