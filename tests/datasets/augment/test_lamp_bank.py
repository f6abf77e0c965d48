"""The bank of donors: which heads may be shown again, how often each, and in which frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tl_datasets.augment.lamp_bank import LampBank
from tl_datasets.catalog import Catalog
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_space import LabelSpace
from tl_datasets.taxonomy import Facing, State, TimeOfDay, Weather

SPACE = LabelSpace.model_validate(
    {"classes": {word: {"state": word} for word in ("red", "green")}, "otherwise": "drop"}
)


def frame(frame_id: str, *boxes: dict[str, Any], **fields: Any) -> Frame:
    """A frame of 400x300 with the given heads, each 12x36 px unless it says otherwise."""
    heads = tuple(Annotation(**{"xyxy": (50, 50, 62, 86), "state": State.RED, **box}) for box in boxes)
    return Frame(frame_id=frame_id, path=f"{frame_id}.png", width_px=400, height_px=300, annotations=heads, **fields)


def bank_of(catalog: Catalog, **options: Any) -> LampBank:
    return LampBank(catalog, *SPACE.assign(catalog.annotations), **options)


@pytest.mark.parametrize(
    ("what", "box", "donors"),
    [
        ("a head", {}, 1),
        ("occluded", {"occluded": True}, 0),
        ("known to be free", {"occluded": False, "truncated": False}, 1),
        ("truncated", {"truncated": True}, 0),
        ("a reflection", {"reflection": True}, 0),
        ("seen from behind", {"facing": Facing.BACK}, 0),
        ("seen from the front", {"facing": Facing.FRONT}, 1),
        ("an ignore area", {"ignore": True}, 0),
        ("of no class", {"state": State.OFF}, 0),
        ("one lens", {"aspects": 1}, 0),
        ("low", {"xyxy": (50, 50, 55, 65)}, 0),
        ("at the border", {"xyxy": (0, 50, 12, 86)}, 0),
        ("lying where heads stand", {"xyxy": (50, 50, 86, 68)}, 0),
        ("too slender for a housing", {"xyxy": (50, 50, 55, 86)}, 0),
        ("no light", {"category": "car"}, 0),
    ],
)
def test_donors_are_whole_heads_seen_from_the_front(make_catalog, what, box, donors):
    others = [frame(f"n{number}", {}) for number in range(3)]
    bank = bank_of(make_catalog(*others, frame("tested", box)))
    assert int((bank.row == 3).sum()) == donors, what


def test_heads_that_another_box_touches_are_no_donors(make_catalog):
    car = {"category": "car", "xyxy": (62, 80, 120, 120)}
    apart = {"category": "car", "xyxy": (66, 90, 120, 120)}
    bank = bank_of(make_catalog(frame("touched", {}, car), frame("free", {}, apart)))
    assert bank.row.tolist() == [1]


def test_boxes_around_the_lit_lamp_give_no_donors(make_catalog):
    lamps = [frame(f"n{number}", {"xyxy": (50, 50, 70, 72)}) for number in range(4)]
    bank = bank_of(make_catalog(*lamps))
    assert len(bank) == 0 and len(bank.places) == 0 and bank.counts.tolist() == [4]


def test_places_are_shares_of_the_frame(make_catalog):
    bank = bank_of(make_catalog(frame("a", {})))
    assert bank.places.tolist() == [pytest.approx([56 / 400, 68 / 300, 12 / 300, 36 / 300])]
    assert bank.lowest_of(0) == pytest.approx(68 / 300)
    assert bank.is_light(np.array([0, 1, -1, 7])).tolist() == [True, False, False, False]


DAY, DUSK, NIGHT, UNSURE = (TimeOfDay.DAYTIME, TimeOfDay.DAWN_DUSK, TimeOfDay.NIGHT, TimeOfDay.UNDEFINED)


@pytest.mark.parametrize(
    ("of", "donors"),
    [(DAY, {DAY, DUSK}), (DUSK, {DAY, DUSK}), (NIGHT, {NIGHT}), (UNSURE, {DAY, DUSK, UNSURE, None})],
)
def test_heads_of_the_night_stay_in_the_night(make_catalog, of, donors):
    words = [DAY, DUSK, NIGHT, UNSURE, None]
    frames = [frame(str(number), {}, time_of_day=word) for number, word in enumerate(words)]
    bank = bank_of(make_catalog(*frames, frame("into", time_of_day=of)))
    assert {words[bank.row[donor]] for donor in bank.fitting(5)} == donors
    assert len(bank.fitting(5, "none")) == 5


@pytest.mark.parametrize(
    ("of", "donors"),
    [
        (Weather.CLEAR, {Weather.CLEAR, Weather.OVERCAST, None}),
        (None, {Weather.CLEAR, Weather.OVERCAST, None}),
        (Weather.RAINY, {Weather.RAINY}),
        (Weather.FOGGY, {Weather.FOGGY}),
    ],
)
def test_rain_and_fog_keep_their_heads(make_catalog, of, donors):
    words = [Weather.CLEAR, Weather.OVERCAST, Weather.RAINY, Weather.FOGGY, None]
    frames = [frame(str(number), {}, weather=word) for number, word in enumerate(words)]
    bank = bank_of(make_catalog(*frames, frame("into", weather=of)))
    assert {words[bank.row[donor]] for donor in bank.fitting(5)} == donors
    assert len(bank.fitting(5, "time")) == 5


def test_donors_come_from_other_frames_of_the_same_source(make_catalog, tmp_path):
    first = make_catalog(frame("a", {}), frame("b", {}))
    second = Catalog.from_frames([frame("c", {})], source="elsewhere", root=tmp_path)
    frames = first.frames.vstack(second.frames)
    both = Catalog(frames, first.annotations.vstack(second.annotations), first.roots | second.roots)
    bank = bank_of(both)
    assert [bank.row[bank.fitting(row)].tolist() for row in range(3)] == [[1], [0], []]
    assert len(bank.places_of(0)) == 2 and len(bank.places_of(2)) == 1


def classes(reds: int, greens: int, make_catalog: Any) -> LampBank:
    frames = [frame(f"r{number}", {}) for number in range(reds)]
    return bank_of(make_catalog(*frames, *(frame(f"g{number}", {"state": State.GREEN}) for number in range(greens))))


@pytest.mark.parametrize(
    ("power", "cap", "share_of_red"),
    [(0, 100, 0.5), (0.5, 100, 2 / 3), (1, 100, 0.8), (1, 2, 0.4), (1, 1, 0.2)],
)
def test_rare_classes_come_first_up_to_a_bound(make_catalog, power, cap, share_of_red):
    """4 red and 16 green heads: with power 1 red is drawn four times as often; a head's bound is cap / 20."""
    bank = classes(4, 16, make_catalog)
    chances = bank.weights(np.arange(20), power, cap)
    assert chances[bank.class_id == 0].sum() == pytest.approx(share_of_red)
    assert np.ptp(chances[bank.class_id == 0]) == 0 and chances.sum() == pytest.approx(1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=6), st.floats(0, 4), st.floats(1, 50))
def test_no_head_is_drawn_more_often_than_its_bound(counts, power, cap):
    bank = object.__new__(LampBank)
    bank.counts, bank.class_id = np.array(counts), np.repeat(np.arange(len(counts)), counts)
    chances = bank.weights(np.arange(sum(counts)), power, cap)
    assert chances.sum() == pytest.approx(1)
    assert chances.max() <= cap / sum(counts) * (1 + 1e-9) and chances.min() > 0
