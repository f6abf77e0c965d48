"""The rules of a check: what each is about, how bad its findings are, and what to do about them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """How bad a finding is, the worst first."""

    ERROR = "error"  # training or scoring with it gives wrong results
    WARNING = "warning"  # probably wrong, to be looked at
    INFO = "info"  # to be known


class Subject(StrEnum):
    """What a finding points at."""

    BOX = "box"
    FRAME = "frame"
    CATALOG = "catalog"


class Rule(StrEnum):
    """The name of a rule, as it stands in findings and policies."""

    # image files
    IMAGE_MISSING = "image_missing"
    IMAGE_UNREADABLE = "image_unreadable"
    IMAGE_TRUNCATED = "image_truncated"
    IMAGE_SIZE = "image_size"
    IMAGE_ONE_COLOUR = "image_one_colour"
    IMAGE_GREY = "image_grey"
    IMAGE_16_BIT = "image_16_bit"
    # boxes
    BOX_DEGENERATE = "box_degenerate"
    BOX_OUTSIDE = "box_outside"
    BOX_OVER_EDGE = "box_over_edge"
    BOX_DUPLICATE = "box_duplicate"
    BOX_NEAR_DUPLICATE = "box_near_duplicate"
    BOX_CONTRADICTION = "box_contradiction"
    BOX_WHOLE_IMAGE = "box_whole_image"
    BOX_SIZE = "box_size"
    BOX_ASPECT = "box_aspect"
    # states
    STATE_AGAINST_COLOUR = "state_against_colour"
    STATE_AGAINST_POSITION = "state_against_position"
    # conditions
    NIGHT_BUT_BRIGHT = "night_but_bright"
    DAY_BUT_DARK = "day_but_dark"
    CONDITION_VARIES = "condition_varies"
    CONDITION_MISSING = "condition_missing"
    # labels, sequences and parts
    FRAME_UNLABELLED = "frame_unlabelled"
    FRAME_IDENTICAL = "frame_identical"
    SEQUENCE_OF_ONE = "sequence_of_one"
    SEQUENCE_TORN = "sequence_torn"
    SPLIT_SHARED_IMAGE = "split_shared_image"
    SPLIT_MISSING = "split_missing"
    SPLIT_UNKNOWN = "split_unknown"
    SPLIT_AGAINST_PATH = "split_against_path"
    # balance
    CLASS_RARE = "class_rare"
    CLASS_NOT_IN_TRAIN = "class_not_in_train"
    CLASS_NOT_SCORED = "class_not_scored"
    CONDITION_RARE = "condition_rare"
    CONDITION_NOT_IN_TRAIN = "condition_not_in_train"


class RuleInfo(NamedTuple):
    """What a rule stands for.

    Attributes:
        subject: What its findings point at.
        severity: Of its findings, unless one says otherwise.
        what: In a few words, for headings.
        remedy: What to do about it.
    """

    subject: Subject
    severity: Severity
    what: str
    remedy: str


_ERROR, _WARNING, _INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
_BOX, _FRAME, _CATALOG = Subject.BOX, Subject.FRAME, Subject.CATALOG

RULES: Mapping[Rule, RuleInfo] = {
    Rule.IMAGE_MISSING: RuleInfo(_FRAME, _ERROR, "image file missing", "put the file back, or drop the frame"),
    Rule.IMAGE_UNREADABLE: RuleInfo(_FRAME, _ERROR, "image does not decode", "copy the file again, or drop the frame"),
    Rule.IMAGE_TRUNCATED: RuleInfo(_FRAME, _ERROR, "image cut off", "copy the file again, or drop the frame"),
    Rule.IMAGE_SIZE: RuleInfo(
        _FRAME, _ERROR, "image of another size than declared", "index again; was it resized or rotated after labelling?"
    ),
    Rule.IMAGE_ONE_COLOUR: RuleInfo(_FRAME, _WARNING, "image of one colour", "drop the frame: it shows nothing"),
    Rule.IMAGE_GREY: RuleInfo(
        _FRAME, _WARNING, "image without colour", "quarantine it: red and green cannot be told apart in it"
    ),
    Rule.IMAGE_16_BIT: RuleInfo(
        _FRAME, _WARNING, "image of 16 bits", "look at it; save it with 8 bits, or index it as raw frames"
    ),
    Rule.BOX_DEGENERATE: RuleInfo(_BOX, _ERROR, "box without area", "drop the box, or draw it again"),
    Rule.BOX_OUTSIDE: RuleInfo(_BOX, _ERROR, "box outside the image", "drop the box; is the declared size right?"),
    Rule.BOX_OVER_EDGE: RuleInfo(_BOX, _WARNING, "box over the edge of the image", "clip the box"),
    Rule.BOX_DUPLICATE: RuleInfo(_BOX, _WARNING, "box repeated exactly", "drop the repetition"),
    Rule.BOX_NEAR_DUPLICATE: RuleInfo(_BOX, _WARNING, "two boxes on one object", "look at both and drop the worse one"),
    Rule.BOX_CONTRADICTION: RuleInfo(
        _BOX, _ERROR, "two boxes on one object that contradict each other", "look at both; ignore them until mended"
    ),
    Rule.BOX_WHOLE_IMAGE: RuleInfo(
        _BOX, _ERROR, "light as large as the image", "drop the box: some tools write one to say 'no light in view'"
    ),
    Rule.BOX_SIZE: RuleInfo(_BOX, _WARNING, "implausible size of a light", "look at it; ignore it if too small to see"),
    Rule.BOX_ASPECT: RuleInfo(_BOX, _WARNING, "implausible shape of a light", "look at it; draw it again or ignore it"),
    Rule.STATE_AGAINST_COLOUR: RuleInfo(
        _BOX, _WARNING, "state against the colour of the lit lens", "look at it and correct the state"
    ),
    Rule.STATE_AGAINST_POSITION: RuleInfo(
        _BOX, _WARNING, "state against the place of the lit lens", "look at it and correct the state"
    ),
    Rule.NIGHT_BUT_BRIGHT: RuleInfo(_FRAME, _WARNING, "night, but bright", "look at it and correct the time of day"),
    Rule.DAY_BUT_DARK: RuleInfo(_FRAME, _WARNING, "daytime, but dark", "look at it and correct the time of day"),
    Rule.CONDITION_VARIES: RuleInfo(
        _FRAME, _WARNING, "condition changes within a sequence", "look at the sequence and make its conditions agree"
    ),
    Rule.CONDITION_MISSING: RuleInfo(
        _CATALOG, _INFO, "conditions not known", "scores by condition leave these frames out; annotate them"
    ),
    Rule.FRAME_UNLABELLED: RuleInfo(
        _FRAME, _INFO, "frame without labels", "label it or drop it; it is never used as a negative"
    ),
    Rule.FRAME_IDENTICAL: RuleInfo(
        _FRAME, _WARNING, "same image as an earlier frame", "keep one of them, with the better labels"
    ),
    Rule.SEQUENCE_OF_ONE: RuleInfo(
        _FRAME, _INFO, "sequence of one frame", "right for key frames; else check the --sequence expression"
    ),
    Rule.SEQUENCE_TORN: RuleInfo(
        _FRAME, _ERROR, "sequence in several parts", "split again: tl split keeps sequences whole"
    ),
    Rule.SPLIT_SHARED_IMAGE: RuleInfo(
        _FRAME, _ERROR, "same image in several parts", "split again, or drop the copies outside train"
    ),
    Rule.SPLIT_MISSING: RuleInfo(_FRAME, _WARNING, "frame in no part", "split again, or drop the frame"),
    Rule.SPLIT_UNKNOWN: RuleInfo(_FRAME, _WARNING, "unknown name of a part", "name parts train, val or test"),
    Rule.SPLIT_AGAINST_PATH: RuleInfo(
        _FRAME, _INFO, "part against the folder of the image", "right after a new split; else index again"
    ),
    Rule.CLASS_RARE: RuleInfo(
        _CATALOG, _INFO, "class with few boxes", "collect more, merge it with another, or leave it out of the classes"
    ),
    Rule.CLASS_NOT_IN_TRAIN: RuleInfo(
        _CATALOG, _WARNING, "class that train does not have", "split again, or leave the class out"
    ),
    Rule.CLASS_NOT_SCORED: RuleInfo(
        _CATALOG, _INFO, "class that a scored part does not have", "split again; without boxes there is no score"
    ),
    Rule.CONDITION_RARE: RuleInfo(
        _CATALOG, _INFO, "condition with few frames", "collect more; a score on so few frames says little"
    ),
    Rule.CONDITION_NOT_IN_TRAIN: RuleInfo(
        _CATALOG, _INFO, "condition that train does not have", "right for a transfer test; else split again"
    ),
}
