"""`Report`: what was scored, by which rules, and the scores. Plain data; `report` makes it, `render` shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tl_detection.evaluation.analyses import Analyses
from tl_detection.evaluation.drives.drive_scores import DriveScores
from tl_detection.evaluation.intervals import Interval
from tl_detection.evaluation.label_noise.label_agreement import LabelAgreement
from tl_detection.evaluation.operating.choice import OperatingPoint
from tl_detection.evaluation.protocol import CocoProtocol
from tl_detection.evaluation.scores import Scores
from tl_detection.evaluation.size_curve import SizeCurve

REPORT_VERSION = 2
# Names of the files that a later comparison needs, beside each other in the folder of an evaluation.
REPORT_FILE = "report.json"
PREDICTIONS_FILE = "predictions.json"
FRAMES_FILE = "frames.parquet"
THRESHOLDS_FILE = "thresholds.yaml"
# How operating scores come about where nothing else is asked for.
BEST_F1 = "where F1 is best on these frames"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogPart:
    """Which frames were given to be scored.

    Attributes:
        path: The catalog's folder as it was given.
        split: The part that was asked for; None = all.
        where: The filter that was asked for; None = none.
    """

    path: str
    split: str | None
    where: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalMethod:
    """How the intervals of a report came about.

    Attributes:
        replicates: Data sets drawn.
        seed: Of the draw.
        level: How often such an interval holds the true value, by its name.
        least_sequences: Of fewer sequences there is no interval.
        kind: Of the bootstrap; its bounds come no nearer to perfect than `exact_bounds` says.
        unit: What is drawn, with replacement, as many as there are.
    """

    replicates: int
    seed: int
    level: float
    least_sequences: int
    kind: str = "expanded percentile bootstrap"
    unit: str = "sequence"


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceScores:
    """Scores of the frames that share a condition.

    Attributes:
        name: Such as "weather=rainy".
        column: Such as "weather".
        value: Such as "rainy", or "not annotated".
        is_small: Nothing should be concluded from the scores, see `slices.SliceCounts.too_small`.
        sequences: Sequences that its frames are of; a frame without one is one of its own.
        scores: Of its frames.
        intervals: Measure without its slice, such as "ap50" or "recall:red" -> interval; a measure that has none is not
            there. Measured by `tl evaluate`.
        analyses: What average precision does not say; None where it was not measured, as during training.
    """

    name: str
    column: str
    value: str
    is_small: bool
    sequences: int
    scores: Scores
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    analyses: Analyses | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogChanges:
    """What a catalog holds now and did not hold when it was scored before, with scores of either part.

    An object is known by its box: one whose box has moved was removed and another one added.

    Attributes:
        previous: The folder of the evaluation before, as it was given.
        previous_fingerprint: Of its catalog.
        frames_same: Frames with the same conditions and objects, and no other image as far as is known.
        frames_added: Frames that were not scored before.
        frames_removed: Frames that were scored before.
        frames_relabelled: Frames with other objects or other conditions.
        frames_with_other_image: Frames whose image has changed, as far as both catalogs know its content.
        sequences_added: Sequences of which no frame was scored before.
        sequences_removed: Sequences of which no frame is scored now.
        objects_added: Objects and ignore areas, in frames old and new.
        objects_removed: Objects and ignore areas, in frames that are still scored or are not.
        objects_relabelled: The same box with another class, state or attribute.
        old: Scores of the frames that were scored before, as they are now; None where there is none.
        new: Scores of the frames added; None where there is none.
        differences: In what both evaluations were not scored alike, in words; boxes may have been added or removed for
            that reason alone.
    """

    previous: str
    previous_fingerprint: str
    frames_same: int
    frames_added: int
    frames_removed: int
    frames_relabelled: int
    frames_with_other_image: int
    sequences_added: int
    sequences_removed: int
    objects_added: int
    objects_removed: int
    objects_relabelled: int
    old: SliceScores | None
    new: SliceScores | None
    differences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Scores with everything that is needed to read them.

    Attributes:
        overall: Scores of all frames. It is not the mean of the slices.
        is_small: As that of a slice, of all frames.
        sequences: Sequences that the frames are of.
        intervals: As those of a slice, of all frames.
        interval_method: How the intervals came about; None where none was measured.
        slices: Scores per condition value, in the order of `by`.
        by: The columns or crosses that the frames were sliced by.
        protocol: The rules.
        class_names: Class names by id.
        label_space: Its rules, from which it can be made again.
        label_space_fingerprint: Of the label space.
        catalog_fingerprint: Of the frames that were given to be scored, and their labels.
        catalog: Where they are; None where nobody said.
        input_size: Of the network, such as "1280x736", that sizes in its pixels are meant for; None = not known.
        model: What made the detections, as the detector describes itself.
        frames_unlabelled: Frames left out because nobody labelled them.
        frames_partial: Frames left out because a category of the label space was not labelled in them.
        software: Versions of what computed this.
        analyses: As those of a slice, of all frames.
        operating_from: How the scores came about from which detections count.
        operating_points: What the rule of each class chose on these frames; empty where the scores were given, or
            nothing but scores was measured.
        size_curves: Scores over the size of the lights: in the image and, where its size is known, in the network.
        drives: What drives show of the lights; None where it was not measured.
        agreement: How far a second annotation of the frames agrees; None where there is none.
        changes: What has changed since another evaluation; None where none was named.
    """

    overall: Scores
    is_small: bool
    sequences: int
    slices: tuple[SliceScores, ...]
    by: tuple[str, ...]
    protocol: CocoProtocol
    class_names: tuple[str, ...]
    label_space: Mapping[str, Any]
    label_space_fingerprint: str
    catalog_fingerprint: str
    model: Mapping[str, str]
    frames_unlabelled: int
    frames_partial: int
    software: Mapping[str, str]
    catalog: CatalogPart | None = None
    input_size: str | None = None
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    interval_method: IntervalMethod | None = None
    analyses: Analyses | None = None
    operating_from: str = BEST_F1
    operating_points: tuple[OperatingPoint, ...] = ()
    size_curves: tuple[SizeCurve, ...] = ()
    drives: DriveScores | None = None
    agreement: LabelAgreement | None = None
    changes: CatalogChanges | None = None

    def to_dict(self) -> dict[str, Any]:
        """The report as plain values, ready for JSON; no value is None."""
        return {"report_version": REPORT_VERSION, **asdict(self), "protocol": self.protocol.to_dict()}
