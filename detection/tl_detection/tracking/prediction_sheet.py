"""The contact sheet of an epoch: the same validation frames as in the other epochs, with what was detected in them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tl_datasets.catalog import CONDITIONS, Catalog
from tl_datasets.label_space import LabelSpace
from tl_detection.augment_sheets import join_tiles
from tl_detection.evaluation.report import Evaluation
from tl_detection.tracking.outcomes import frame_outcome
from tl_detection.tracking.prediction_tile import draw_tile, write_band

_LEGEND = (
    "thin white: labelled, grey: ignored; colour of the state: detected, with score; "
    "magenta: missed, or taken for another class"
)
# Characters of a frame id that a tile has room for.
_ID_CHARS = 48


def draw_prediction_sheet(
    evaluation: Evaluation, catalog: Catalog, label_space: LabelSpace, frames: Sequence[int], title: str
) -> NDArray[np.uint8]:
    """Draw frames beside each other, with a title, the legend and the operating scores above.

    Args:
        evaluation: Of the catalog.
        catalog: Where the images are.
        label_space: Its classes.
        frames: Positions in the evaluation's ground truth, at least one.
        title: Such as the epoch and its score.

    Raises:
        ImageError: An image cannot be read.
    """
    truth = evaluation.matched.ground_truth
    tiles = []
    for frame in frames:
        words = [truth.conditions[column][frame] for column in CONDITIONS]
        caption = "  |  ".join([truth.frame_ids[frame][-_ID_CHARS:], *(word for word in words if word)])
        image = catalog.read_rgb(int(truth.rows[frame]))
        tiles.append(draw_tile(image, frame_outcome(evaluation, frame), label_space, caption))
    sheet = join_tiles(tiles, columns=min(len(tiles), 2 if len(tiles) <= 8 else 3 if len(tiles) <= 24 else 4))
    scores = evaluation.report.overall.operating_scores
    shown = ", ".join(f"{name} {score:.2f}" for name, score in zip(label_space.names, scores, strict=True))
    lines = (title, _LEGEND, f"shown from these scores on: {shown}")
    return np.vstack([*(write_band(line, sheet.shape[1]) for line in lines), sheet])
