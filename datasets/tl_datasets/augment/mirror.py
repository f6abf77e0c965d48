"""The mirror image: left and right classes change places with the pixels."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.augment.labelled import Labelled


def flip_lr(sample: Labelled, mirrored: tuple[int | None, ...]) -> Labelled:
    """Mirror a sample and exchange left and right classes. Twice is the identity.

    Args:
        sample: Image and boxes.
        mirrored: The class that each class becomes (`LabelSpace.mirrored`, or `mirrored_ids`).

    Raises:
        ValueError: A class of the sample has no mirror class.
    """
    width = sample.image.shape[1]
    table = np.array([-1 if partner is None else partner for partner in mirrored], dtype=np.int64)
    class_id = table[sample.class_id]
    if (class_id < 0).any():
        raise ValueError(f"class {int(sample.class_id[class_id < 0][0])} has no mirror class")
    return replace(
        sample,
        image=cv2.flip(sample.image, 1),
        xyxy=_mirrored(sample.xyxy, width),
        class_id=class_id,
        ignore_xyxy=_mirrored(sample.ignore_xyxy, width),
        views=tuple(replace(view, x1=width - view.x2, x2=width - view.x1) for view in sample.views),
    )


def mirrored_ids(mirrored: tuple[int | None, ...], candidates: NDArray[np.bool_]) -> tuple[int | None, ...]:
    """What each class becomes, and behind the classes what each set of candidates becomes; None = there is none.

    Args:
        mirrored: The class that each class becomes.
        candidates: (K, classes) the sets.
    """
    if not len(candidates) or None in mirrored:
        return (*mirrored, *(None for _ in candidates))
    # Twice is the identity: what comes to lie in a place is what goes from there.
    matches = (candidates[:, None] == candidates[None, :, list(mirrored)]).all(axis=2)  # type: ignore[arg-type]
    partners = (len(mirrored) + int(row.argmax()) if row.any() else None for row in matches)
    return (*mirrored, *partners)


def _mirrored(xyxy: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    result = xyxy.copy()
    result[:, [0, 2]] = width - xyxy[:, [2, 0]]
    return result
