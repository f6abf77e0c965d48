"""`Trait`: a property of objects by which rates are told apart, such as their size or relevance."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tl_datasets.taxonomy import Relevance, State, TimeOfDay
from tl_detection.evaluation.conditions import NOT_ANNOTATED
from tl_detection.evaluation.ground_truth import GroundTruth
from tl_detection.evaluation.pairs import BoolArray, FloatArray, IntArray

# Edges of the size bins. Half of the lights of the public sets are lower than 20 to 26 px at 1280 px of image width,
# and many lower than 10.
HEIGHT_EDGES_PX = (8.0, 12.0, 16.0, 24.0, 48.0)


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
        size: Height of its box in pixels of the original image, in bins.
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


def read_traits(truth: GroundTruth, height_edges_px: Sequence[float] = HEIGHT_EDGES_PX) -> Traits:
    """Read the traits of all objects and ignore areas.

    Args:
        truth: N objects and ignore areas.
        height_edges_px: Ascending; a box that is as high as an edge belongs to the bin above it.

    Raises:
        ValueError: The edges do not ascend, or one is not positive.
    """
    occluded = {True: "occluded", False: "visible", None: None}
    time_of_day = np.array(truth.conditions["time_of_day"], object)[truth.frame_index]
    return Traits(
        size=size_trait(truth.xyxy[:, 3] - truth.xyxy[:, 1], height_edges_px),
        state=_trait(truth.boxes["state"].to_list(), list(State)),
        relevance=_trait(truth.boxes["relevance"].to_list(), list(Relevance)),
        occlusion=_trait([occluded[value] for value in truth.boxes["occluded"]], ["visible", "occluded"]),
        time_of_day=_trait(time_of_day.tolist(), list(TimeOfDay)),
    )


def size_trait(height_px: FloatArray, edges_px: Sequence[float]) -> Trait:
    """Bins of height; see `read_traits`."""
    edges = np.asarray(edges_px, np.float64)
    if not edges.size or edges[0] <= 0 or (np.diff(edges) <= 0).any():
        raise ValueError(f"size edges {tuple(edges_px)}: expected positive heights in px, each above the one before")
    inner = [f"{low:g}-{high:g} px" for low, high in itertools.pairwise(edges)]
    values = (f"< {edges[0]:g} px", *inner, f">= {edges[-1]:g} px")
    return Trait(values=values, code=np.searchsorted(edges, height_px, side="right"))


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
