"""`Trait`: a property of objects by which rates are told apart, such as their size or relevance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tl_datasets.network_size import box_sizes_px
from tl_datasets.taxonomy import Relevance, State, TimeOfDay
from tl_detection.evaluation.conditions import NOT_ANNOTATED
from tl_detection.evaluation.ground_truth import GroundTruth
from tl_detection.evaluation.pairs import BoolArray, FloatArray, IntArray
from tl_detection.evaluation.size_bins import LIGHT_EDGES_PX, SizeBins


@dataclass(frozen=True, slots=True, kw_only=True)
class Trait:
    """A value for each object.

    Attributes:
        values: The values that occur in the ground truth, in the order of their vocabulary; of sizes all bins.
        code: (N,) position of each object's value.
    """

    values: tuple[str, ...]
    code: IntArray

    def masks(self, objects: IntArray) -> list[tuple[str, BoolArray]]:
        """Per value its name, and which of some objects have it."""
        code = self.code[objects]
        return [(value, code == index) for index, value in enumerate(self.values)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What is known of each object beside its class.

    Attributes:
        size: Height of its box in pixels of the original image, in bins such as "8-12"; the last one is "48-".
        state: What its label says that it shows, finer than the class where the class stands for several states.
        relevance: Whether it governs the lane of the camera vehicle.
        occlusion: "visible" or "occluded".
        time_of_day: Of its frame.
    """

    size: Trait
    state: Trait
    relevance: Trait
    occlusion: Trait
    time_of_day: Trait


def read_traits(truth: GroundTruth, height_edges_px: Sequence[float] = LIGHT_EDGES_PX) -> Traits:
    """Read the traits of all objects and ignore areas.

    Args:
        truth: N objects and ignore areas.
        height_edges_px: Ascending edges of the size bins; a box that is as high as an edge belongs to the bin above.

    Raises:
        ValueError: The edges do not ascend, or one is not positive.
    """
    if not height_edges_px or height_edges_px[0] <= 0 or (np.diff(height_edges_px) <= 0).any():
        raise ValueError(f"size edges {tuple(height_edges_px)}: expected positive heights in px, each above the last")
    bins = SizeBins(column="height_px", edges=tuple(height_edges_px))
    occluded = {True: "occluded", False: "visible", None: None}
    time_of_day = np.array(truth.conditions["time_of_day"], object)[truth.frame_index]
    return Traits(
        size=size_trait(box_sizes_px(truth.xyxy)[:, 1], bins),
        state=_trait(truth.boxes["state"].to_list(), list(State)),
        relevance=_trait(truth.boxes["relevance"].to_list(), list(Relevance)),
        occlusion=_trait([occluded[value] for value in truth.boxes["occluded"]], ["visible", "occluded"]),
        time_of_day=_trait(time_of_day.tolist(), list(TimeOfDay)),
    )


def size_trait(height_px: FloatArray, bins: SizeBins) -> Trait:
    """Each height's bin; all bins are values."""
    code = np.searchsorted(bins.edges, height_px, side="right").astype(np.int64)
    return Trait(values=tuple(bins.name(number) for number in range(len(bins))), code=code)


def _trait(words: Sequence[str | None], order: Sequence[str]) -> Trait:
    known = [str(word) for word in order]
    # Words of a vocabulary that somebody has extended stand behind those that are known here.
    others = sorted({word for word in words if word is not None} - set(known))
    occurring = set(words)
    values = [word for word in (*known, *others) if word in occurring]
    if None in occurring:
        values.append(NOT_ANNOTATED)
    place = {value: index for index, value in enumerate(values)}
    code = np.array([place[NOT_ANNOTATED if word is None else word] for word in words], np.int64)
    return Trait(values=tuple(values), code=code)
