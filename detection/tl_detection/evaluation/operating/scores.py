"""Operating scores by rules, and everything about how they were chosen."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from tl_detection.evaluation.matching import Matched
from tl_detection.evaluation.operating.choice import OperatingPoint, choose_operating_points
from tl_detection.evaluation.operating.rules import rules_of_classes
from tl_detection.evaluation.overlaps import Overlaps, measure_overlaps
from tl_detection.evaluation.replicates import Replicates, draw_replicates, sequence_numbers
from tl_detection.evaluation.scores import score
from tl_detection.evaluation.selection import Selection

logger = logging.getLogger(__name__)


def scores_by_rules(matched: Matched, rules: Sequence[str]) -> tuple[float, ...]:
    """The score of every class that its rule chooses on all frames.

    A class whose rule no score meets is judged as without a rule (see `scores.score`), and named in a warning.

    Args:
        matched: Records of all frames.
        rules: As a command line gives them; see `rules_of_classes`.

    Raises:
        UsageError: A rule cannot be read, or does not fit the classes.
    """
    # The choice itself needs no replicate; its intervals are asked for later.
    drawn = draw_replicates(sequence_numbers(matched.ground_truth), replicates=1)
    points = points_by_rules(matched, measure_overlaps(matched), drawn, rules)
    best = score(matched).operating_scores
    for point, instead in zip(points, best, strict=True):
        if point.score is None:
            logger.warning(
                "%s: %s cannot be met (%s); judged from %.3f, as without a rule",
                point.name,
                point.rule,
                point.why,
                instead,
            )
    return tuple(instead if point.score is None else point.score for point, instead in zip(points, best, strict=True))


def points_by_rules(
    matched: Matched, overlaps: Overlaps, replicates: Replicates, rules: Sequence[str]
) -> tuple[OperatingPoint, ...]:
    """What the rules choose on all frames, with intervals.

    Args:
        matched: Records of all frames.
        overlaps: Of these records.
        replicates: Drawn from all frames.
        rules: As a command line gives them; empty = where F1 is best.

    Raises:
        UsageError: A rule cannot be read, or does not fit the classes.
    """
    truth = matched.ground_truth
    selection = Selection.of_frames(matched, np.ones(len(truth), np.bool_))
    of_classes = rules_of_classes(rules, truth.names, truth.means_stop, truth.means_go)
    return choose_operating_points(matched, overlaps, selection, replicates, of_classes)
