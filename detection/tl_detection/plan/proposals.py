"""What should be changed before the run is trained: another value for a setting, each with its reason."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tl_datasets.network_size import InputSize, network_sizes_px
from tl_detection.config import FasterRcnnConfig, YoloConfig
from tl_detection.plan.assignment import anchor_words
from tl_detection.plan.cost import TIGHT_SHARE
from tl_detection.plan.findings import Proposal
from tl_detection.plan.input_choice import InputChoice, choose_input
from tl_detection.plan.light_sizes import least_size_px
from tl_detection.plan.subject import Subject
from tl_detection.plan.trial import Trial
from tl_detection.training.anchors import DEFAULT_ANCHORS, anchor_coverage, fit_anchors, network_boxes

# From this share of lights under one cell of the finest level on, a finer level is worth its cost.
_FINER_FROM = 0.25
# A class, or a known time of day, that fewer frames show is rare.
_RARE_SHARE = 0.10
# The commonest class may have this many times the boxes of the rarest before losses are weighed.
_UNEVEN = 10
# Steps of a warm-up that suit most runs, in long runs, and its share of short ones.
_WARMUP_STEPS, _WARMUP_SHARE = 500, 0.05
# It is left as it is from an eighth of these on, up to this share of the run.
_SHORT, _LONG_SHARE = 8, 1 / 3


def propose(subject: Subject, strides: tuple[int, ...], trial: Trial | None) -> tuple[list[Proposal], dict[str, str]]:
    """Propose changes.

    Args:
        subject: The run.
        strides: Of its model, finest first.
        trial: What a few steps took; None = none were made.

    Returns:
        The proposals, and for some settings that stay, by dotted key, why.
    """
    if not subject.lights.any():
        return [], {}
    choice = choose_input(subject, least_size_px(strides))
    found = [*_input(subject, choice), *_architecture(subject, choice, strides), *_anchors(subject)]
    found += [*_balance(subject), *_class_weights(subject), *_micro_batch(subject, trial), *_warmup(subject)]
    return found, _remarks(subject, choice)


def _input(subject: Subject, choice: InputChoice) -> Iterator[Proposal]:
    size = subject.config.model.input
    if choice.reason is None:
        return
    for side, former, value in (
        ("width_px", size.width_px, choice.width_px),
        ("height_px", size.height_px, choice.height_px),
    ):
        if value != former:
            yield Proposal(key=f"model.input.{side}", value=value, former=former, reason=choice.reason)


def _architecture(subject: Subject, choice: InputChoice, strides: tuple[int, ...]) -> Iterator[Proposal]:
    model = subject.config.model
    if not isinstance(model, YoloConfig) or strides[0] <= 4 or model.weights is not None:
        return
    from tl_detection.detectors.yolo_architecture import architectures

    finer = f"{model.architecture}-p2"
    sizes = network_sizes_px(subject.train.catalog, InputSize(width_px=choice.width_px, height_px=choice.height_px))
    under = float((sizes[subject.lights].min(axis=1) < strides[0]).mean())
    if under >= _FINER_FROM and finer in architectures():
        reason = (
            f"{under:.0%} of the {subject.noun} are under one cell of the finest level ({strides[0]} px) at "
            f"{choice.width_px}x{choice.height_px}; this one has a level of 4 px"
        )
        yield Proposal(key="model.architecture", value=finer, former=model.architecture, reason=reason)


def _anchors(subject: Subject) -> Iterator[Proposal]:
    model = subject.config.model
    if not isinstance(model, FasterRcnnConfig) or model.anchors == "fit" or model.weights is not None:
        return
    boxes = network_boxes(subject.train, model.input.width_px, model.input.height_px)
    fitted = fit_anchors(boxes)
    before, after = (anchor_coverage(boxes, anchors)[0] for anchors in (DEFAULT_ANCHORS, fitted))
    if after > before:
        reason = (
            f"{before:.0%} of the boxes have an anchor of torchvision's that overlaps them by half, {after:.0%} one of "
            f"{anchor_words(fitted)}"
        )
        yield Proposal(key="model.anchors", value="fit", former="default", reason=reason)


def _balance(subject: Subject) -> Iterator[Proposal]:
    balance = subject.config.data.balance
    if balance.enabled or subject.config.data.overfit_frames is not None:
        return
    catalog, names = subject.train.catalog, subject.config.data.label_space.names
    frame = np.repeat(np.arange(len(catalog)), np.diff(catalog.offsets))
    with_box = np.unique(frame[subject.learned])
    if not len(with_box):
        return
    shown = {
        name: len(np.unique(frame[subject.learned & (subject.train.class_id == number)])) / len(catalog)
        for number, name in enumerate(names)
    }
    times = catalog.frames["time_of_day"][with_box.tolist()]
    known = times.filter(times.is_not_null() & (times != "undefined"))
    rare = [f"{name} ({share:.1%} of the frames)" for name, share in shown.items() if 0 < share < _RARE_SHARE]
    counts = known.value_counts() if len(known) >= len(with_box) / 2 else None
    if counts is not None:
        rare += [
            f"{word} ({count / len(known):.1%} of the frames with a box and a known time)"
            for word, count in sorted(counts.iter_rows())
            if count / len(known) < _RARE_SHARE
        ]
    if rare:
        reason = f"rare: {', '.join(rare)}; frames that show them come up to {balance.cap:g} times as often"
        yield Proposal(key="data.balance.enabled", value=True, former=False, reason=reason)


def _class_weights(subject: Subject) -> Iterator[Proposal]:
    if subject.config.train.class_weights is not None:
        return
    names = subject.config.data.label_space.names
    counts = np.bincount(subject.train.class_id[subject.learned], minlength=len(names))
    present = np.flatnonzero(counts)
    if len(present) < 2:
        return
    rarest, commonest = present[counts[present].argmin()], present[counts[present].argmax()]
    if counts[commonest] > _UNEVEN * counts[rarest]:
        reason = f"{names[commonest]} has {counts[commonest]} boxes, {names[rarest]} {counts[rarest]}"
        yield Proposal(key="train.class_weights", value="balanced", former=None, reason=reason)


def _micro_batch(subject: Subject, trial: Trial | None) -> Iterator[Proposal]:
    if trial is None:
        return
    settings, memory = subject.config.train, trial.memory
    at_once = min(settings.micro_batch or settings.batch_size, trial.frames)
    if trial.micro_batch < at_once:
        reason = f"{at_once} frames at a time do not fit into the memory of {trial.device}, {trial.micro_batch} do"
        fitting = trial.micro_batch
    elif memory.share is not None and memory.share > TIGHT_SHARE and at_once > 1:
        reason = f"{at_once} frames at a time take {memory.share:.0%} of the memory that is free"
        fitting = at_once // 2
    else:
        return
    reason += "; a step learns from as many frames as before"
    yield Proposal(key="train.micro_batch", value=fitting, former=settings.micro_batch, reason=reason)


def _warmup(subject: Subject) -> Iterator[Proposal]:
    settings = subject.config.train
    if settings.schedule == "one_cycle" or subject.data is None:
        return
    steps = -(-len(subject.data.dataset) // (settings.batch_size * settings.accumulate))
    total = steps * settings.epochs
    # Rounded as it is written.
    wanted = round(min(_WARMUP_STEPS, _WARMUP_SHARE * total) / steps, 2)
    now = settings.warmup_epochs
    if now * _SHORT < wanted or now > _LONG_SHARE * settings.epochs:
        reason = (
            f"{now:g} epochs are {now * steps:.0f} of {total} steps; {wanted * steps:.0f} suit a run of this length"
        )
        yield Proposal(key="train.warmup_epochs", value=wanted, former=now, reason=reason)


def _remarks(subject: Subject, choice: InputChoice) -> dict[str, str]:
    model = subject.config.model
    boxes = network_boxes(subject.train, choice.width_px, choice.height_px)
    remarks = {}
    if isinstance(model, FasterRcnnConfig):
        if model.anchors == "fit" and model.weights is None:
            remarks["model.anchors"] = f"fitted: {anchor_words(fit_anchors(boxes))}"
    elif model.weights is None:
        width, height = np.median(boxes, axis=0)
        remarks["model.architecture"] = f"fresh box branches start at the median box, {width:.1f} x {height:.1f} px"
    return remarks
