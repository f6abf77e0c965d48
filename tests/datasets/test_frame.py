from __future__ import annotations

import dataclasses
import math

import pytest

from tl_datasets.frame import Annotation, Frame
from tl_datasets.taxonomy import CATEGORIES, MIRRORED_PICTOGRAM, LabelStatus, Pictogram


@pytest.mark.parametrize(
    ("xyxy", "message"),
    [
        ((5, 5, 5, 9), "no area"),
        ((5, 9, 8, 9), "no area"),
        ((8, 5, 5, 9), "no area"),
        ((0, 0, math.nan, 9), "finite"),
        ((0, 0, math.inf, 9), "finite"),
        ((0, 0, 4), "four"),
    ],
    ids=["no width", "no height", "reversed", "not a number", "infinite", "three numbers"],
)
def test_annotation_refuses_what_is_no_box(xyxy, message):
    with pytest.raises(ValueError, match=message):
        Annotation(xyxy=xyxy)


@pytest.mark.parametrize(
    ("annotations", "categories", "status"),
    [
        (None, (), LabelStatus.UNLABELLED),
        ((), (), LabelStatus.LABELLED),
        ((Annotation(xyxy=(0, 0, 1, 1)),), (), LabelStatus.LABELLED),
        ((), ("traffic_light",), LabelStatus.PARTIAL),
    ],
    ids=["nobody looked", "true negative", "a box", "only lights were labelled"],
)
def test_label_status(annotations, categories, status):
    frame = Frame(
        frame_id="a", path="a.png", width_px=4, height_px=4, annotations=annotations, labelled_categories=categories
    )
    assert frame.label_status is status


def test_frame_refuses_an_empty_size():
    with pytest.raises(ValueError, match="0x4"):
        Frame(frame_id="a", path="a.png", width_px=0, height_px=4, annotations=())


def test_frames_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Annotation(xyxy=(0, 0, 1, 1)).category = "car"  # type: ignore[misc]


def test_mirroring_twice_gives_the_pictogram_back():
    for pictogram in Pictogram:
        mirrored = MIRRORED_PICTOGRAM.get(pictogram, pictogram)
        assert MIRRORED_PICTOGRAM.get(mirrored, mirrored) is pictogram
        assert ("left" in pictogram) == ("right" in mirrored)


def test_categories_are_unique():
    assert len(set(CATEGORIES)) == len(CATEGORIES)
