"""The loop that chooses a score in every replicate; `choice` says by which rule."""

from __future__ import annotations

import numpy as np

from tl_detection.evaluation.compiled import compiled


@compiled
def choose_scores(score, is_right, sequence, times, n_objects, wrong_score, wrong_sequence, n_stop, limits, aim):
    """The score that a rule chooses in each replicate.

    Only scores at which another object is found are looked at: any other has the recall of such a one, and less
    precision.

    Args:
        score: (D,) scores of the detections that count, descending.
        is_right: (D,) found an object.
        sequence: (D,) the sequence of each.
        times: (S, R) how often each sequence is there.
        n_objects: (R,) objects to find.
        wrong_score: (W,) from which score down each lamp is red as green, descending.
        wrong_sequence: (W,) the sequence of each lamp.
        n_stop: (R,) lamps that mean stop.
        limits: (3,) least precision, least recall, most red as green.
        aim: 0 = F1, 1 = recall, 2 = precision.

    Returns:
        (R,) scores; NaN where no score meets the limits, and where there is no lamp to limit red as green on.
    """
    n_replicates = times.shape[1]
    right, counted, wrong = np.zeros(n_replicates), np.zeros(n_replicates), np.zeros(n_replicates)
    best, second = np.full(n_replicates, -1.0), np.full(n_replicates, -1.0)
    chosen = np.full(n_replicates, np.nan)
    is_limited = limits[2] < np.inf
    first, lamp = 0, 0
    while first < len(score):
        last, finds = first, False
        while last < len(score) and score[last] == score[first]:
            of_sequence = times[sequence[last]]
            for r in range(n_replicates):
                counted[r] += of_sequence[r]
            if is_right[last]:
                finds = True
                for r in range(n_replicates):
                    right[r] += of_sequence[r]
            last += 1
        while lamp < len(wrong_score) and wrong_score[lamp] >= score[first]:
            of_sequence = times[wrong_sequence[lamp]]
            for r in range(n_replicates):
                wrong[r] += of_sequence[r]
            lamp += 1
        if finds:
            for r in range(n_replicates):
                # Without a lamp that means stop, nobody can say whether a limit on red as green is met.
                if right[r] == 0 or (is_limited and n_stop[r] == 0):
                    continue
                precision, recall = right[r] / counted[r], right[r] / n_objects[r]
                # The allowance is a whole number of lamps more often than division gives one.
                if precision < limits[0] or recall < limits[1] or wrong[r] > limits[2] * n_stop[r] + 1e-9:
                    continue
                value, other = 2 * right[r] / (counted[r] + n_objects[r]), 0.0
                if aim == 1:
                    value, other = recall, precision
                elif aim == 2:
                    value, other = precision, recall
                if value > best[r] or (value == best[r] and other > second[r]):
                    best[r], second[r], chosen[r] = value, other, score[first]
        first = last
    return chosen
