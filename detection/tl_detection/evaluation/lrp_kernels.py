"""The loop over records and replicates of `localisation_recall_precision`."""

from __future__ import annotations

import numpy as np

from tl_detection.evaluation.compiled import compiled_with_any_order_of_sums


@compiled_with_any_order_of_sums
def least_errors(weights, sequence, is_right, placement, ends_run, n_objects):
    """(blocks * lanes,) the least error of each replicate over all score thresholds; 1 where nothing is found.

    Args:
        weights: (blocks, S, lanes) how often each sequence was drawn in each replicate.
        sequence: (D,) sequence of each detection, by descending score.
        is_right: (D,) found an object; the others are wrong.
        placement: (D,) how badly a found object is placed, 0 to 1.
        ends_run: (D,) true for the last detection of each score.
        n_objects: (blocks * lanes,) objects to find.
    """
    n_lanes = weights.shape[2]
    least = np.ones(len(n_objects))
    right, wrong, placed = np.empty(n_lanes), np.empty(n_lanes), np.empty(n_lanes)
    for block in range(len(weights)):
        right[:], wrong[:], placed[:], any_right = 0.0, 0.0, 0.0, False
        for i in range(len(sequence)):
            row = np.uint32(sequence[i])
            if is_right[i]:
                any_right = True
                for lane in range(n_lanes):
                    right[lane] += weights[block, row, lane]
                    placed[lane] += weights[block, row, lane] * placement[i]
            else:
                for lane in range(n_lanes):
                    wrong[lane] += weights[block, row, lane]
            # The error falls only where something is found.
            if any_right and ends_run[i]:
                any_right = False
                for lane in range(n_lanes):
                    objects = max(n_objects[block * n_lanes + lane], 1.0)
                    error = (placed[lane] + wrong[lane] + objects - right[lane]) / (wrong[lane] + objects)
                    least[block * n_lanes + lane] = min(least[block * n_lanes + lane], error)
    return least
