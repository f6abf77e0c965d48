"""Copy-paste: heads keep their state, nothing is covered, and the same generator gives the same frame."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from tl_datasets.augment.copy_paste import CopyPaste, CopyPasteConfig
from tl_datasets.augment.labelled import Labelled
from tl_datasets.augment.lamp_bank import LampBank
from tl_datasets.augment.lamp_blend import blur_around, resized, seam, soft_mask
from tl_datasets.augment.lamp_cutout import find_housing
from tl_datasets.boxes import iou
from tl_datasets.catalog import Catalog
from tl_datasets.frame import Annotation, Frame
from tl_datasets.index import index
from tl_datasets.label_space import LabelSpace
from tl_datasets.lamps.state import read_state
from tl_datasets.taxonomy import State

WIDTH, HEIGHT = 480, 270
STATES = (State.RED, State.YELLOW, State.GREEN)
SPACE = LabelSpace.model_validate({"classes": {state: {"state": state} for state in STATES}})
LAMPS = {State.RED: (235, 60, 50), State.YELLOW: (245, 190, 60), State.GREEN: (60, 225, 170)}
# Left, top, breadth of the housings of a frame, and the state of each; three times as high as broad.
HEADS = [
    [(60, 60, 14, State.RED), (300, 70, 12, State.RED)],
    [(120, 50, 16, State.GREEN), (360, 80, 12, State.GREEN)],
    [(200, 66, 13, State.RED)],
    [(90, 74, 15, State.GREEN), (250, 60, 12, State.GREEN)],
    [(170, 58, 14, State.YELLOW)],
    [],
]


def draw(number: int, heads: list[tuple[int, int, int, State]]) -> np.ndarray:
    """A street of soft blocks with poles, and dark housings with one lit lens."""
    rng = np.random.default_rng(number)
    blocks = rng.integers(110, 190, (9, 16, 3)).astype(np.uint8)
    image = cv2.resize(blocks, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    for x in rng.integers(20, WIDTH - 20, 8):
        image[60:, x : x + 4] = 70
    for left, top, breadth, state in heads:
        image[top : top + 3 * breadth, left : left + breadth] = 24
        for place, lens in enumerate(STATES):
            centre = (left + breadth // 2, top + breadth // 2 + place * breadth)
            colour = LAMPS[state] if lens is state else (34, 34, 34)
            cv2.circle(image, centre, breadth // 2 - 2, colour, -1, cv2.LINE_AA)
    return cv2.GaussianBlur(image, (3, 3), 0.6)


def box(left: int, top: int, breadth: int) -> tuple[float, float, float, float]:
    """Two pixels of surroundings at each side, as people draw it."""
    return (left - 2.0, top - 2.0, left + breadth + 2.0, top + 3 * breadth + 2.0)


class Street:
    """The frames above as a catalog, its bank, and a reader that counts."""

    def __init__(self, make_catalog: Any):
        self.images = [draw(number, heads) for number, heads in enumerate(HEADS)]
        frames = [
            Frame(
                frame_id=f"n{number}",
                path=f"n{number}.png",
                width_px=WIDTH,
                height_px=HEIGHT,
                annotations=tuple(Annotation(xyxy=box(*head[:3]), state=head[3]) for head in heads),
            )
            for number, heads in enumerate(HEADS)
        ]
        self.catalog: Catalog = make_catalog(*frames)
        self.class_id, ignored = SPACE.assign(self.catalog.annotations)
        self.bank = LampBank(self.catalog, self.class_id, ignored)
        self.reads: list[int] = []

    def read(self, row: int) -> np.ndarray:
        self.reads.append(row)
        return self.images[row]

    def labelled(self, row: int, ignore: Any = ()) -> Labelled:
        rows = slice(self.catalog.offsets[row], self.catalog.offsets[row + 1])
        areas = np.array(ignore, dtype=float).reshape(-1, 4)
        return Labelled(
            image=self.images[row].copy(),
            xyxy=self.catalog.xyxy[rows].copy(),
            class_id=self.class_id[rows].copy(),
            ignore_xyxy=areas,
        )

    def tool(self, **changed: Any) -> CopyPaste:
        return CopyPaste(self.bank, CopyPasteConfig.model_validate({"p": 1, "scale": [0.5, 1.5], **changed}))

    def paste(self, row: int, seed: int = 0, **changed: Any) -> Labelled:
        return self.tool(**changed).paste(self.labelled(row), row, self.read, np.random.default_rng(seed))


@pytest.fixture
def street(make_catalog) -> Street:
    return Street(make_catalog)


def state_in(sample: Labelled, number: int) -> State | None:
    x1, y1, x2, y2 = np.floor(sample.xyxy[number] + 0.5).astype(int)
    return read_state(sample.image[y1:y2, x1:x2], with_red_yellow=False).state


@pytest.mark.parametrize("mode", ["replace", "beside", "free"])
def test_what_is_pasted_shows_its_class_and_covers_nothing(street, mode):
    changed = exchanged = 0
    for row in range(len(HEADS)):
        for seed in range(12):
            before = street.labelled(row, ignore=[(0, 0, 40, HEIGHT)])
            after = street.tool(modes=[mode]).paste(before, row, street.read, np.random.default_rng(seed))
            if after is before:
                continue
            changed += 1
            assert after.made == ("copy_paste",)
            assert len(after.xyxy) == len(after.class_id) == len(after.visible)
            assert np.array_equal(after.xyxy[: len(before.xyxy)], before.xyxy)
            overlap = iou(after.xyxy, np.concatenate([after.xyxy, before.ignore_xyxy]))
            assert (overlap - np.eye(*overlap.shape)).max() < 1e-9
            assert (after.xyxy >= 0).all() and (after.xyxy <= [WIDTH, HEIGHT, WIDTH, HEIGHT]).all()
            assert [state_in(after, number) for number in range(len(after.xyxy))] == [
                STATES[number] for number in after.class_id
            ]
            if mode == "replace":
                assert len(after.xyxy) == len(before.xyxy)
                exchanged += (after.class_id != before.class_id).any()
            else:
                assert len(before.xyxy) < len(after.xyxy) <= len(before.xyxy) + 2
                assert np.array_equal(after.class_id[: len(before.class_id)], before.class_id)
    assert changed >= 10 and (exchanged > 5 or mode != "replace")


def test_pixels_outside_of_the_boxes_stay_and_the_argument_is_not_changed(street):
    before = street.labelled(0)
    after = street.paste(0, seed=3)
    assert np.array_equal(before.image, street.images[0])
    outside = np.ones((HEIGHT, WIDTH), dtype=bool)
    for x1, y1, x2, y2 in (after.xyxy + np.array([-3, -3, 3, 3])).astype(int):
        outside[max(y1, 0) : y2, max(x1, 0) : x2] = False
    assert (after.image != before.image).any()
    assert np.array_equal(after.image[outside], before.image[outside])


def test_the_generator_decides_whatever_was_read_before(street):
    """A tool that has seen every frame gives the same as a fresh one."""
    used = street.tool()
    for row in range(len(HEADS)):
        used.paste(street.labelled(row), row, street.read, np.random.default_rng(99))
    results = []
    for row in range(len(HEADS)):
        for seed in range(5):
            again = used.paste(street.labelled(row), row, street.read, np.random.default_rng([seed, row]))
            fresh = street.tool().paste(street.labelled(row), row, street.read, np.random.default_rng([seed, row]))
            assert np.array_equal(again.image, fresh.image) and np.array_equal(again.xyxy, fresh.xyxy)
            assert again.class_id.tolist() == fresh.class_id.tolist() and again.made == fresh.made
            results.append(fresh.image.tobytes())
    assert len(set(results)) > len(results) / 2


def test_a_donor_is_read_once(street):
    tool = street.tool()
    for seed in range(30):
        tool.paste(street.labelled(5), 5, street.read, np.random.default_rng(seed))
    assert 1 <= len(street.reads) <= len(street.bank)


@pytest.mark.parametrize(("p", "low", "high"), [(0, 0, 0), (0.3, 10, 36), (1, 60, 75)])
def test_p_is_the_share_of_frames(street, p, low, high):
    tool, count = street.tool(p=p), 0
    for seed in range(75):
        before = street.labelled(0)
        count += tool.paste(before, 0, street.read, np.random.default_rng(seed)) is not before
    assert low <= count <= high


def test_a_common_head_never_takes_the_place_of_a_rare_one(street):
    """Red 3, green 4, yellow 1: yellow is never replaced, red by yellow alone."""
    seen = set()
    for row in range(5):
        for seed in range(25):
            before = street.labelled(row)
            after = street.tool(modes=["replace"], rare_power=0).paste(
                before, row, street.read, np.random.default_rng(seed)
            )
            seen |= set(zip(before.class_id.tolist(), after.class_id.tolist(), strict=True))
    red, yellow, green = range(3)
    assert (green, red) in seen and (red, yellow) in seen
    assert not seen & {(yellow, red), (yellow, green), (red, green)}


def test_a_donor_that_does_not_show_its_label_is_not_pasted(street):
    """Labels exchanged: heads that look green are called red."""
    swap = {"red": "green", "green": "red", "yellow": "yellow"}
    street.bank.state = [swap[str(word)] for word in street.bank.state]
    for row in range(4):
        for seed in range(10):
            after = street.paste(row, seed)
            assert all(number == 1 for number in after.class_id[len(HEADS[row]) :])


def test_heads_without_a_label_of_their_state_are_pasted_if_they_show_one(street):
    street.bank.state = [None] * len(street.bank)
    dark = street.images[4]
    dark[50:110, 160:200] = np.minimum(dark[50:110, 160:200], 40)
    classes = [number for seed in range(40) for number in street.paste(5, seed, modes=["free"]).class_id]
    assert set(classes) == {0, 2}


def test_a_reduced_frame_gets_heads_of_its_own_size(street):
    half = cv2.resize(street.images[5], (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)
    empty = Labelled(image=half, xyxy=np.zeros((0, 4)), class_id=np.zeros(0, dtype=np.int64))
    heights = []
    for seed in range(30):
        after = street.tool(modes=["free"], scale=[0.9, 1.1]).paste(
            empty, 5, street.read, np.random.default_rng(seed), 2
        )
        heights += (after.xyxy[:, 3] - after.xyxy[:, 1]).tolist()
    # Heads of the street are 40 to 52 px high with their margin.
    assert len(heights) > 10 and min(heights) >= 0.9 * 20 and max(heights) <= 1.1 * 26


def test_sizes_stay_within_the_factors(street):
    for seed in range(30):
        after = street.paste(5, seed, modes=["free"], scale=[0.98, 1.02])
        for height in after.xyxy[:, 3] - after.xyxy[:, 1]:
            assert (np.abs(height / (street.bank.xyxy[:, 3] - street.bank.xyxy[:, 1]) - 1) <= 0.021).any()


def test_frames_of_another_brightness_give_no_heads(street):
    night = Labelled(image=street.images[5] // 6, xyxy=np.zeros((0, 4)), class_id=np.zeros(0, dtype=np.int64))
    for seed in range(10):
        assert street.tool().paste(night, 5, street.read, np.random.default_rng(seed)) is night


def test_without_donors_the_frame_stays(make_catalog):
    catalog = make_catalog(Frame(frame_id="a", path="a.png", width_px=WIDTH, height_px=HEIGHT, annotations=()))
    bank = LampBank(catalog, np.zeros(0, np.int64), np.zeros(0, bool))
    empty = Labelled(image=np.zeros((HEIGHT, WIDTH, 3), np.uint8), xyxy=np.zeros((0, 4)), class_id=np.zeros(0, int))
    tool = CopyPaste(bank, CopyPasteConfig(p=1))
    assert tool.paste(empty, 0, lambda row: empty.image, np.random.default_rng(0)) is empty


@pytest.mark.parametrize("head", [head for heads in HEADS for head in heads])
def test_the_housing_is_found_in_its_loose_box(head):
    left, top, breadth, _ = head
    found = find_housing(draw(1, [head]), np.array(box(left, top, breadth)))
    assert found is not None and found.is_outlined
    assert np.abs(np.array(found.xyxy) - [left, top, left + breadth, top + 3 * breadth]).max() <= 1


def test_no_housing_in_a_box_that_the_frame_cuts_or_that_is_tiny():
    image = draw(1, [])
    assert find_housing(image, np.array([-3.0, 10, 20, 60])) is None
    assert find_housing(image, np.array([WIDTH - 10.0, 10, WIDTH + 1, 60])) is None
    assert find_housing(image, np.array([50.0, 50, 53, 60])) is None


@pytest.mark.parametrize("gain", [0.5, 1.0, 1.7, 4.0])
def test_a_gain_keeps_the_hue(gain):
    pixels = np.full((30, 12, 3), (200, 90, 40), np.uint8)
    made = resized(pixels, 12, 30, gain)
    linear = (made[15, 6] / 255) ** 2.2
    expected = (np.array([200, 90, 40]) / 255) ** 2.2
    assert linear / linear.max() == pytest.approx(expected / expected.max(), abs=0.01)
    assert made.max() <= 255 and linear.max() == pytest.approx(min(1.0, gain * expected.max()), rel=0.02)


def test_blur_is_measured_in_pixels():
    """A facade of soft edges as a camera has them, out of focus by 1 and by 2 pixels."""
    facade = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8).repeat(9, axis=0).repeat(9, axis=1)
    around = np.array(box(120, 66, 13))
    blurs = [blur_around(np.asarray(cv2.GaussianBlur(facade, (0, 0), blur), np.uint8), around) for blur in (0.5, 1, 2)]
    assert blurs == pytest.approx([0.1, 0.9, 2.0], abs=0.4)
    assert blur_around(np.full_like(facade, 90), around) == 0


def test_a_seam_is_seen_where_no_outline_hides_it():
    patch, under = np.full((20, 8, 3), 20.0, np.float32), np.full((20, 8, 3), 20, np.uint8)
    under[:, :3] = 120
    assert seam(patch, under, (False, False, False, False)) == 100
    assert seam(patch, under, (True, False, False, False)) == 0
    mask = soft_mask(8, 20)
    assert mask.shape == (20, 8, 1) and mask[10, 4] == 1 and 0 < mask[0, 0] < mask[10, 0] < 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("p", 1.5),
        ("modes", []),
        ("modes", ["above"]),
        ("scale", [1.5, 0.5]),
        ("scale", [0, 1]),
        ("gain", [0.5, float("inf")]),
        ("repeat_cap", 0.5),
        ("max_per_frames", 2),
        ("condition_match", "weather"),
    ],
)
def test_wrong_settings_are_refused(key, value):
    with pytest.raises(ValidationError, match=key):
        CopyPasteConfig.model_validate({key: value})


def test_real_heads_are_read_as_their_class_where_they_were_pasted(shared_data):
    """120 frames of DTLD; read without knowing what was pasted."""
    catalog, _ = index(
        shared_data / "dtld_fridtjofs" / "raw_dataset",
        "yolo",
        labels="annotations",
        names="traffic_light",
        states="../sd_train_data",
    )
    states = ("red", "red_yellow", "yellow", "green", "off")
    space = LabelSpace.model_validate({"classes": {word: {"state": word} for word in states}})
    class_id, ignored = space.assign(catalog.annotations)
    tool = CopyPaste(
        LampBank(catalog, class_id, ignored), CopyPasteConfig(p=1, max_per_frame=1, modes=("beside", "free"))
    )
    images: dict[int, np.ndarray] = {}

    def read(row: int) -> np.ndarray:
        return images.setdefault(row, catalog.read_rgb(row))

    pasted = []
    for row in range(0, 390, 6):
        rows = slice(catalog.offsets[row], catalog.offsets[row + 1])
        before = Labelled(image=read(row), xyxy=catalog.xyxy[rows], class_id=class_id[rows])
        after = tool.paste(before, row, read, np.random.default_rng(row))
        for number in range(len(before.xyxy), len(after.xyxy)):
            x1, y1, x2, y2 = np.floor(after.xyxy[number] + 0.5).astype(int)
            reading = read_state(after.image[y1:y2, x1:x2]).state
            pasted.append((states[after.class_id[number]], "off" if reading is None else str(reading)))
    assert len(pasted) >= 40
    assert all(label == reading for label, reading in pasted)
    assert len({label for label, _ in pasted}) >= 4
