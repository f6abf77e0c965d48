"""Real lamps of a catalog, filled up with drawn ones where there are too few."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tl_datasets.catalog import Catalog
from tl_datasets.effects.scene import HORIZON
from tl_datasets.errors import DataError
from tl_datasets.label_space import LabelSpace
from tl_datasets.lamps.state import READABLE
from tl_datasets.lint.drawn_lamps import draw_lamps
from tl_datasets.lint.labels import Labels
from tl_datasets.lint.lamps import Lamps, collect_lamps
from tl_datasets.lint.settings import LintConfig
from tl_datasets.taxonomy import TRAFFIC_LIGHT


def lamps_for(
    catalog: Catalog,
    config: LintConfig,
    *,
    label_space: LabelSpace | None = None,
    input_size: tuple[int, int] | None = None,
    horizon: float = HORIZON,
    seed: int = 0,
    skip_broken: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Lamps:
    """The lamps to measure on: of each learned state the user's own, and drawn ones up to the least number.

    Args:
        catalog: The user's frames.
        config: How many, and from which size on.
        label_space: Whose boxes count; None = every labelled light counts.
        input_size: Width and height of the network's input; None = frames as they are.
        horizon: Row of the horizon as a share of a frame's height.
        seed: Decides which.
        skip_broken: Do without frames whose image cannot be read.
        progress: Called with the number of frames read, and how many there are to read.

    Raises:
        DataError: The catalog has no traffic light at all.
        ImageError: An image cannot be read, and none shall be skipped.
    """
    if not (catalog.annotations["category"] == TRAFFIC_LIGHT).any():
        raise DataError(
            f"catalog: no traffic light among the {len(catalog.annotations)} boxes of {len(catalog)} frames, so there "
            "is nothing to measure augmentation on; check the filter of the frames, or the label map of the source"
        )
    class_ids = None
    if label_space is not None:
        class_ids, ignored = label_space.assign(catalog.annotations)
        class_ids = np.where(ignored, -1, class_ids)
    found = collect_lamps(
        catalog,
        per_state=config.lamps_per_state,
        min_height_px=config.min_height_px,
        seed=seed,
        class_ids=class_ids,
        input_size=input_size,
        horizon=horizon,
        skip_broken=skip_broken,
        progress=progress,
    )
    lamps = list(found.lamps)
    labels = Labels.of(label_space)
    for state in labels.learned or READABLE:
        missing = min(config.least_lamps, config.lamps_per_state) - found.count(state, drawn=False)
        if missing <= 0:
            continue
        names = sorted(labels.classes[state])
        class_id = 0 if label_space is None or not names else label_space.names.index(names[0])
        lamps += draw_lamps(
            state,
            missing,
            seed,
            red_yellow_deg=found.red_yellow_deg,
            min_height_px=config.min_height_px,
            class_id=class_id,
        )
    lamps.sort(key=lambda lamp: READABLE.index(lamp.head.state))
    return replace(found, lamps=tuple(lamps))
