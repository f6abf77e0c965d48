"""`PageData`: all that the page shows, as plain values; a section whose data are missing is not shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Point = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One number with everything that it must stand beside.

    Attributes:
        value: None = there is none.
        low: Lower bound of its interval; None of too few sequences.
        high: Upper bound.
        objects: What it is measured on: objects, or of a rate the things among which are counted.
        sequences: Sequences that hold any of these.
        part: Of a rate, how many of them; None of another measure.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    objects: int
    sequences: int
    part: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A measure that the page offers.

    Attributes:
        key: Under which `SliceRow.values` holds it.
        label: A few words.
        what: A sentence.
        less_is_better: True for counts of mistakes.
        largest: Upper end of its scale; None = open.
        counted: What `Value.objects` counts.
        is_headline: It has a card in the summary.
    """

    key: str
    label: str
    what: str
    less_is_better: bool = False
    largest: float | None = 1.0
    counted: str = "objects"
    is_headline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRow:
    """The numbers of one slice; the first row of a page is the slice of all frames.

    Attributes:
        name: Such as "weather=rainy"; "overall" of all frames.
        column: Such as "weather"; empty of all frames.
        value: Such as "rainy"; of a cross the values joined by "*".
        is_small: Too few objects, or sequences that hold them, to conclude from; as in the report.
        frames: Frames.
        objects: Objects that can be found or missed.
        sequences: Sequences that the frames come from.
        classes_present: Classes that have objects.
        values: By quantity, of all classes together.
        classes: By class name, then by quantity.
    """

    name: str
    column: str
    value: str
    is_small: bool
    frames: int
    objects: int
    sequences: int
    classes_present: int
    values: Mapping[str, Value]
    classes: Mapping[str, Mapping[str, Value]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCurves:
    """Curves of one class in one slice, at IoU 0.5.

    Attributes:
        objects: Objects that can be found.
        over_score: (score from which detections count, precision, recall, F1), by descending score.
        operating: The same at the class's operating score; empty without an object or without a detection there.
        calibration: (mean score, share that is right, detections) of detections in equal steps of score.
    """

    objects: int
    over_score: tuple[Point, ...]
    operating: Point
    calibration: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """What was said of the objects of one slice.

    Attributes:
        labels: What objects are, and what is said of them.
        rows: Per label, the share of its objects of which each label is said, and last of which nothing is said.
        nothing_there: Per label, how often it is said where nothing is, per 1,000 frames.
    """

    labels: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    nothing_there: tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """A quantity along an ordered scale, such as recall by height.

    Attributes:
        title: What is shown.
        scale: What the steps are of, with the unit.
        steps: (name of the step, value) in order.
        is_ordered: The steps lie along a scale, so a line may join them.
        is_count: The values are counts, not shares.
    """

    title: str
    scale: str
    steps: tuple[tuple[str, Value], ...]
    is_ordered: bool = False
    is_count: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A titled list of words, or a table of them.

    Attributes:
        title: Heading.
        short: The same in a word or two.
        header: Names of the columns; empty of a list of name and value.
        rows: Words.
        notes: Sentences below.
    """

    title: str
    short: str
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnBox:
    """A box in pixels of the frame.

    Attributes:
        xyxy: (4,) half-open.
        name: Its class.
        state: The state that the class stands for, for its colour; empty = none.
        score: Of a detection; None = annotated.
        is_subject: The case is about it.
    """

    xyxy: tuple[float, float, float, float]
    name: str
    state: str = ""
    score: float | None = None
    is_subject: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One of the worst mistakes.

    Attributes:
        kind: Such as "red as green".
        frame_id: Of its frame.
        sequence: Of its frame, None = not known.
        source: Of its frame.
        title: What happened, in a few words.
        true_class: What it is; empty = nothing is there.
        said_class: What was said; empty = nothing was.
        score: Of what was said; None = nothing was.
        height_px: Height of the object, or of what was said where there is none.
        conditions: (column, value) of its frame.
        boxes: Everything annotated, and what was detected from the operating scores, near it.
        crop: Its surroundings as a data URI; None = no picture.
        crop_xyxy: (4,) the part of the frame that the crop shows.
        frame_size_px: (width, height) of the frame.
    """

    kind: str
    frame_id: str
    sequence: str | None
    source: str
    title: str
    true_class: str
    said_class: str
    score: float | None
    height_px: float
    conditions: tuple[tuple[str, str], ...]
    boxes: tuple[DrawnBox, ...]
    crop: str | None
    crop_xyxy: tuple[float, float, float, float] | None
    frame_size_px: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """The worst cases.

    Attributes:
        cases: By kind, the worst first.
        found: By kind, how many there are in all.
        frames: By frame id, the whole frame made small, as a data URI.
        notes: Sentences, such as why pictures are missing.
    """

    cases: tuple[Case, ...]
    found: Mapping[str, int]
    frames: Mapping[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PageData:
    """What the page shows.

    Attributes:
        title: Heading.
        least_sequences: A value of fewer sequences has no interval, and nothing should be concluded from it.
        headline: One sentence with the main numbers.
        quantities: Measures that the page offers, the first of them first.
        rows: All frames first, then the slices.
        class_names: By id.
        class_states: By class id, the state that the class stands for; empty = none or several.
        curves: By slice name, then by class name.
        matrices: By slice name, what was said of which object.
        sizes: By slice name, quantities along the size of the object, and along other properties of it.
        errors: By slice name, mistakes by kind.
        tables: Further tables, each a section of its own.
        gallery: The worst cases; None = not asked for.
        facts: What was compared with what, and the protocol.
        notes: How to read the numbers.
    """

    title: str
    least_sequences: int
    headline: str
    quantities: tuple[Quantity, ...]
    rows: tuple[SliceRow, ...]
    class_names: tuple[str, ...]
    class_states: tuple[str, ...]
    curves: Mapping[str, Mapping[str, ClassCurves]]
    matrices: Mapping[str, Matrix]
    sizes: Mapping[str, tuple[Steps, ...]]
    errors: Mapping[str, tuple[Steps, ...]]
    tables: tuple[Facts, ...]
    gallery: Gallery | None
    facts: tuple[Facts, ...]
    notes: tuple[str, ...]
