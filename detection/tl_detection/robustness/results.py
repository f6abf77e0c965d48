"""`Robustness`: the scores of one set of frames, clean and corrupted, and what is left of them.

The measures of Michaelis et al. 2019 (arXiv 1907.07484). P is a score, here AP (COCO's, over IoU 0.5 to 0.95) and AP50.
mPC, the mean performance under corruption, is the mean of P over corruptions and severities; rPC, the relative one, is
mPC as a share of P on the clean frames. Where an effect leaves frames out, its clean score is that of the frames it
keeps; a set's clean score is the mean of those of its corruptions, which is P of the clean frames if none is left out.

Empty cases: without an object of a class there is no P, so nothing of that class; a corruption without P (all its
frames were left out) is left out of mPC and counted. A clean score of 0 has no rPC.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tl_datasets.label_space import LabelSpace
from tl_detection.evaluation.protocol import CocoProtocol
from tl_detection.evaluation.scores import Scores
from tl_detection.robustness.choice import Corruption, Group

Value = Callable[[Scores], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Scores of the same frames without and with one corruption.

    Attributes:
        clean: Without it.
        corrupted: With it, by severity.
    """

    clean: Scores
    corrupted: tuple[Scores, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CorruptionScores:
    """What one corruption does.

    Attributes:
        corruption: The corruption.
        frames_left_out: Frames whose conditions it does not fit.
        overall: All other frames.
        slices: Slice name (such as "weather=clear") -> its frames.
    """

    corruption: Corruption
    frames_left_out: int
    overall: Measured
    slices: Mapping[str, Measured]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One score over a set of corruptions.

    Attributes:
        clean: P of the clean frames.
        mpc: Mean of P over corruptions and severities.
        rpc: mPC / clean; None where clean is None or 0.
        n_corruptions: Corruptions that have a value.
        n_without_value: Corruptions that have none, and are in no mean.
    """

    clean: float | None
    mpc: float | None
    rpc: float | None
    n_corruptions: int
    n_without_value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Robustness:
    """Everything that was measured, and how.

    Attributes:
        clean: Scores of all chosen frames as they are.
        corruptions: In the order in which they were chosen.
        severities: Ascending.
        slice_names: In the order of `by`.
        label_space: The detector's.
        protocol: The rules of every score.
        operating_scores: Per class the score from which a detection counts, where F1 is best on the clean frames: a
            vehicle has one threshold for all weather.
        seed: Of the choice of frames and of everything random in a corruption.
        frames: Frames chosen.
        frames_offered: Frames that could have been chosen.
        frames_unlabelled: Frames that could not, because nobody labelled them.
        frames_partial: Nor these, because a category of the label space was not labelled in them.
        catalog_fingerprint: Of the catalog as it was given.
        model: What made the detections, as the detector describes itself.
    """

    clean: Scores
    corruptions: tuple[CorruptionScores, ...]
    severities: tuple[int, ...]
    slice_names: tuple[str, ...]
    label_space: LabelSpace
    protocol: CocoProtocol
    operating_scores: tuple[float, ...]
    seed: int
    frames: int
    frames_offered: int
    frames_unlabelled: int
    frames_partial: int
    catalog_fingerprint: str
    model: Mapping[str, str]

    @property
    def groups(self) -> tuple[Group, ...]:
        """The sets that were measured, wholly or in part."""
        return tuple(dict.fromkeys(item.corruption.group for item in self.corruptions))

    def of_group(self, group: Group) -> list[CorruptionScores]:
        """The corruptions of one set."""
        return [item for item in self.corruptions if item.corruption.group == group]

    @property
    def states(self) -> dict[str, tuple[int, ...]]:
        """What the lights of a class show, such as "red" or "red or red_yellow" -> its class ids."""
        found: dict[str, tuple[int, ...]] = {}
        for class_id, rule in enumerate(self.label_space.classes.values()):
            if rule.state:
                word = " or ".join("not annotated" if state is None else state for state in rule.state)
                found[word] = (*found.get(word, ()), class_id)
        return found


def summarise(measured: Sequence[Measured], value: Value) -> Summary:
    """Give mPC and rPC of one score over corruptions.

    Args:
        measured: One per corruption.
        value: Takes the score out of `Scores`.
    """
    clean, corrupted = [], []
    for item in measured:
        before = value(item.clean)
        after = [value(scores) for scores in item.corrupted]
        known = [number for number in after if number is not None]
        if before is not None and len(known) == len(after):
            clean.append(before)
            corrupted.append(float(np.mean(known)))
    mean_clean = float(np.mean(clean)) if clean else None
    mpc = float(np.mean(corrupted)) if corrupted else None
    return Summary(
        clean=mean_clean,
        mpc=mpc,
        rpc=mpc / mean_clean if mpc is not None and mean_clean else None,
        n_corruptions=len(clean),
        n_without_value=len(measured) - len(clean),
    )


def overall_value(metric: str) -> Value:
    """Takes "ap" or "ap50" over all classes."""
    return lambda scores: getattr(scores, metric)


def class_value(metric: str, class_ids: Sequence[int]) -> Value:
    """Takes "ap" or "ap50", as a mean over those of the classes that have objects."""

    def value(scores: Scores) -> float | None:
        known = [number for index in class_ids if (number := getattr(scores.classes[index], metric)) is not None]
        return float(np.mean(known)) if known else None

    return value
