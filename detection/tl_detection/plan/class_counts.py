"""Which classes and conditions there are to learn from and to score, and which are missing on one side."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tl_datasets.catalog import CONDITIONS
from tl_datasets.torch_dataset import LabelledFrames
from tl_detection.plan.findings import Finding, Section, look, ok, stop
from tl_detection.plan.subject import Subject

# From fewer boxes little can be learned, and a score says little.
LEAST_BOXES = 20
_UNKNOWN = "-"


def look_at_counts(subject: Subject) -> Section:
    """Boxes per class and condition in both parts."""
    names = subject.config.data.label_space.names
    parts = {"train": subject.train, "val": subject.val}
    by_class = {part: _by_class(frames, len(names)) for part, frames in parts.items()}
    by_condition = {
        part: {name: _by_condition(frames, name, names) for name in CONDITIONS} for part, frames in parts.items()
    }
    findings = [
        *_missing_classes(subject, names, by_class),
        *_conditions_of_one_side(by_condition),
        *_left_out(subject),
    ]
    if not findings:
        findings = [ok(f"every class has {LEAST_BOXES} boxes or more in both parts; no condition is met in val alone")]
    return Section(
        title="classes and conditions",
        findings=tuple(findings),
        table=tuple(_table(names, parts, by_class, by_condition)),
        values={
            "frames": {part: len(frames.catalog) for part, frames in parts.items()},
            "boxes": {part: dict(zip(names, counts.tolist(), strict=True)) for part, counts in by_class.items()},
            "by_condition": by_condition,
            "left_out": {part: frames.left_out for part, frames in parts.items()},
        },
    )


def _by_class(frames: LabelledFrames, n_classes: int) -> NDArray[np.int64]:
    return np.bincount(frames.class_id[(frames.class_id >= 0) & ~frames.ignored], minlength=n_classes)


def _by_condition(frames: LabelledFrames, condition: str, names: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Word -> its frames, and boxes of each class."""
    of_frame = frames.catalog.frames[condition].fill_null(_UNKNOWN).to_numpy()
    of_box = np.repeat(of_frame, np.diff(frames.catalog.offsets))
    learned = (frames.class_id >= 0) & ~frames.ignored
    found = {}
    for word in sorted(set(of_frame.tolist())):
        counts = np.bincount(frames.class_id[learned & (of_box == word)], minlength=len(names))
        found[word] = {"frames": int((of_frame == word).sum()), "boxes": dict(zip(names, counts.tolist(), strict=True))}
    return found


def _missing_classes(subject: Subject, names: tuple[str, ...], by_class: dict[str, NDArray[np.int64]]) -> list[Finding]:
    found = []
    for number, name in enumerate(names):
        train, val = int(by_class["train"][number]), int(by_class["val"][number])
        if not train:
            say = look if subject.config.data.allow_classes_without_boxes else stop
            scored = f" and {val} in val" if val else ""
            found.append(
                say(
                    f"class '{name}' has no box to learn from{scored}: remove it from data.label_space.classes, choose "
                    "other frames, or set data.allow_classes_without_boxes"
                )
            )
        elif train < LEAST_BOXES:
            found.append(look(f"class '{name}' has {train} boxes to learn from, expected {LEAST_BOXES} or more"))
        if train and not val:
            found.append(look(f"class '{name}' has no box in val: it will have no score"))
        elif train and val < LEAST_BOXES:
            found.append(look(f"class '{name}' has {val} boxes in val: its score will say little"))
    return found


def _conditions_of_one_side(by_condition: dict[str, dict[str, dict[str, Any]]]) -> list[Finding]:
    found = []
    for condition in CONDITIONS:
        train, val = (by_condition[part][condition] for part in ("train", "val"))
        known = {part: set(words) - {_UNKNOWN, "undefined"} for part, words in (("train", train), ("val", val))}
        if known["val"] and not known["train"]:
            found.append(
                look(f"{_words(condition)} is known of val and of no training frame: what was learned is not known")
            )
            continue
        unlearned = sorted(known["val"] - known["train"])
        if unlearned:
            frames = sum(val[word]["frames"] for word in unlearned)
            found.append(
                look(f"{_words(condition)} {', '.join(unlearned)}: {frames} frames in val, none to learn from")
            )
        unscored = sorted(known["train"] - known["val"])
        if unscored and known["val"]:
            found.append(
                look(f"{_words(condition)} {', '.join(unscored)}: learned and not scored, val has no such frame")
            )
    return found


def _left_out(subject: Subject) -> list[Finding]:
    return [
        look(f"{part}: {count} frames are left out because they are {reason}; an unlabelled frame is no negative")
        for part, frames in (("train", subject.train), ("val", subject.val))
        for reason, count in frames.left_out.items()
    ]


def _table(
    names: tuple[str, ...],
    parts: dict[str, LabelledFrames],
    by_class: dict[str, NDArray[np.int64]],
    by_condition: dict[str, dict[str, dict[str, Any]]],
) -> list[tuple[str, ...]]:
    def cell(train: object, val: object) -> str:
        return f"{train} / {val}"

    sizes = [len(frames.catalog) for frames in parts.values()]
    rows = [
        ("train / val", "frames", *names),
        ("all", cell(*sizes), *(cell(*pair) for pair in zip(by_class["train"], by_class["val"], strict=True))),
    ]
    for condition in CONDITIONS:
        train, val = (by_condition[part][condition] for part in ("train", "val"))
        words = sorted(train.keys() | val.keys())
        if words == [_UNKNOWN]:
            continue
        nothing = {"frames": 0, "boxes": dict.fromkeys(names, 0)}
        for word in words:
            one, other = train.get(word, nothing), val.get(word, nothing)
            cells = (cell(one["boxes"][name], other["boxes"][name]) for name in names)
            rows.append((f"{_words(condition)} {word}", cell(one["frames"], other["frames"]), *cells))
    return rows


def _words(condition: str) -> str:
    return condition.replace("_", " ")
