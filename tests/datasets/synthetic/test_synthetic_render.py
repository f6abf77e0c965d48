"""Drawn frames: determinism, tight boxes, true colours, honest labels."""

from __future__ import annotations

import colorsys
import time
from collections import Counter, defaultdict
from dataclasses import replace

import cv2
import numpy as np
import pytest

from tl_datasets.synthetic import SequenceSpec, plan_sequences, render_sequence
from tl_datasets.synthetic.props import Beam
from tl_datasets.synthetic.render import SequencePainter
from tl_datasets.synthetic.world import lay_out_world
from tl_datasets.taxonomy import Facing, Orientation, Pictogram, Scene, State, TimeOfDay, Weather

SMALL = {"width_px": 320, "height_px": 180}
CLEAR_DAY = SequenceSpec(
    sequence="clear", seed=7, n_frames=6, weather=Weather.CLEAR, time_of_day=TimeOfDay.DAYTIME, signal_phase=0.3
)


@pytest.fixture(scope="module")
def small_set():
    """Two rounds of all conditions in small: (spec, its frames and images)."""
    return [(spec, list(render_sequence(spec))) for spec in plan_sequences(30, 2, seed=2, **SMALL)]


def test_the_same_spec_gives_the_same_bytes_in_any_order():
    rainy, snowy = plan_sequences(4, 2, seed=9, **SMALL)[2:]
    first = [(frame, image.tobytes()) for spec in (rainy, snowy) for frame, image in render_sequence(spec)]
    second = [(frame, image.tobytes()) for spec in (snowy, rainy) for frame, image in render_sequence(spec)]
    assert first == second[2:] + second[:2]


def test_a_frame_does_not_depend_on_the_frames_before_it():
    spec = replace(CLEAR_DAY, **SMALL, weather=Weather.RAINY)
    frames = list(render_sequence(spec))
    frame, image = SequencePainter(spec, lay_out_world(spec)).paint(4)
    assert frame == frames[4][0]
    assert np.array_equal(image, frames[4][1])


@pytest.mark.parametrize("change", [{"seed": 4}, {"sequence": "other"}])
def test_another_seed_or_name_gives_another_street(change):
    spec = replace(CLEAR_DAY, **SMALL, n_frames=1)
    (_, first), (_, second) = next(render_sequence(spec)), next(render_sequence(replace(spec, **change)))
    assert np.abs(first.astype(int) - second).mean() > 5


def test_frames_carry_their_conditions(small_set):
    for spec, rendered in small_set:
        assert len(rendered) == spec.n_frames
        for index, (frame, image) in enumerate(rendered):
            assert image.shape == (180, 320, 3) and image.dtype == np.uint8
            assert frame.frame_id == f"{spec.sequence}/{index:04d}"
            assert frame.path == f"images/{spec.sequence}/{index:04d}.jpg"
            assert (frame.weather, frame.time_of_day, frame.scene) == (spec.weather, spec.time_of_day, spec.scene)
            assert frame.sequence == spec.sequence
            assert frame.annotations is not None


def test_boxes_lie_in_the_image_and_have_realistic_sizes(small_set):
    scale = 1280 / 320
    for _, rendered in small_set:
        for frame, _ in rendered:
            for annotation in frame.annotations:
                x1, y1, x2, y2 = annotation.xyxy
                assert 0 <= x1 < x2 <= 320 and 0 <= y1 < y2 <= 180
                height = (y2 - y1) * scale
                assert height <= 61
                if annotation.truncated or annotation.ignore:
                    continue
                assert height >= 5.9
                if annotation.orientation == Orientation.VERTICAL and annotation.facing == Facing.FRONT:
                    assert (y2 - y1) / (x2 - x1) == pytest.approx(3.05 if annotation.aspects == 3 else 2.08, abs=0.1)


def test_the_set_is_balanced_and_holds_what_it_promises(small_set):
    frames = [frame for _, rendered in small_set for frame, _ in rendered]
    labelled = [[a for a in frame.annotations if not a.ignore] for frame in frames]
    heads = [a for annotations in labelled for a in annotations]
    states = Counter(a.state for a in heads if a.state != State.UNKNOWN)
    assert set(states) == set(State) - {State.UNKNOWN}
    assert min(states.values()) / states.total() > 0.05
    assert states[State.RED] > states[State.RED_YELLOW] and states[State.GREEN] > states[State.YELLOW]
    assert {Facing.FRONT, Facing.BACK} <= {a.facing for a in heads}
    assert {Pictogram.CIRCLE, Pictogram.ARROW_LEFT, Pictogram.PEDESTRIAN} <= {a.pictogram for a in heads}
    assert any(a.occluded for a in heads)
    negatives = sum(not frame.annotations for frame in frames)
    assert 0.05 <= negatives / len(frames) <= 0.2
    good = sum(1 <= sum(15 <= 4 * (a.xyxy[3] - a.xyxy[1]) <= 60 for a in annotations) <= 4 for annotations in labelled)
    assert good / len(frames) > 0.45


def test_a_sequence_without_heads_is_a_true_negative(small_set):
    for spec, rendered in small_set:
        if spec.head_density == 0:
            assert all(frame.annotations == () for frame, _ in rendered)


def test_unlit_sides_have_no_state(small_set):
    for _, rendered in small_set:
        for frame, _ in rendered:
            for annotation in frame.annotations:
                if annotation.facing != Facing.FRONT:
                    assert annotation.state == State.UNKNOWN


def test_heads_grow_as_the_camera_drives_towards_them():
    spec = replace(CLEAR_DAY, **SMALL, n_frames=12)
    heights = defaultdict(list)
    for frame, _ in render_sequence(spec):
        for annotation in frame.annotations:
            x1, y1, x2, y2 = annotation.xyxy
            if x1 > 0 and y1 > 0 and x2 < 320 and y2 < 180:
                heights[annotation.track_id].append(y2 - y1)
    assert heights
    assert all((np.diff(series) > 0).all() for series in heights.values())
    assert max(series[-1] / series[0] for series in heights.values()) > 1.1


def test_boxes_scale_with_the_image():
    large, _ = next(render_sequence(replace(CLEAR_DAY, n_frames=1)))
    small, _ = next(render_sequence(replace(CLEAR_DAY, n_frames=1, width_px=640, height_px=360)))
    assert len(large.annotations) == len(small.annotations) > 0
    for big, little in zip(large.annotations, small.annotations, strict=True):
        assert np.allclose(np.array(big.xyxy) / 2, little.xyxy, atol=1e-6)


def test_boxes_are_tight_around_the_drawn_housing():
    checked = 0
    for seed in range(6):
        spec = replace(CLEAR_DAY, seed=seed, off_share=1.0, n_frames=4, weather=Weather.OVERCAST)
        world = lay_out_world(spec)
        # A backplate is drawn but is no part of the box.
        heads = tuple(replace(head, model=replace(head.model, has_backplate=False)) for head in world.heads)
        world = replace(world, heads=heads)
        frame, image = SequencePainter(spec, world).paint(3)
        for annotation in frame.annotations:
            height = annotation.xyxy[3] - annotation.xyxy[1]
            if annotation.occluded or annotation.truncated or annotation.facing != Facing.FRONT or height < 15:
                continue
            others = tuple(head for head in heads if head.track_id != annotation.track_id)
            _, without = SequencePainter(spec, replace(world, heads=others)).paint(3)
            changed = np.abs(image.astype(int) - without).max(axis=2) > 25
            ys, xs = np.nonzero(changed)
            drawn = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
            assert np.abs(drawn - annotation.xyxy).max() <= 2.0, (seed, annotation, drawn)
            checked += 1
    assert checked >= 4


HUE_RANGES = {"red": (-15, 15), "yellow": (28, 58), "green": (125, 178)}
PLACES = {"red": 0, "yellow": 1, "green": 2}


def lens_hues(image: np.ndarray, annotation, lens: str) -> list[float]:
    """Hues in degrees (-180, 180] of the saturated pixels of a lens of a vertical head of three."""
    x1, y1, x2, y2 = annotation.xyxy
    pitch = (y2 - y1) * 72 / 226
    cx, cy = (x1 + x2) / 2, (y1 + y2) / 2 + (PLACES[lens] - 1) * pitch
    radius = 0.36 * pitch
    hues = []
    for row in range(int(cy - radius), int(cy + radius) + 1):
        for column in range(int(cx - radius), int(cx + radius) + 1):
            if np.hypot(row + 0.5 - cy, column + 0.5 - cx) <= radius:
                hue, saturation, value = colorsys.rgb_to_hsv(*(image[row, column] / 255.0))
                if saturation > 0.35 and value > 0.5:
                    degrees = 360 * hue
                    hues.append(degrees - 360 if degrees > 180 else degrees)
    return hues


@pytest.mark.parametrize("time_of_day", [TimeOfDay.DAYTIME, TimeOfDay.NIGHT])
def test_lit_lamps_have_the_hue_of_their_state(time_of_day):
    checked = Counter()
    for index in range(8):
        phase = (0.02, 0.4, 0.6, 0.9)[index % 4]  # green, yellow, red, red-yellow
        spec = replace(
            CLEAR_DAY,
            sequence=f"hue{index}",
            time_of_day=time_of_day,
            arrow_share=0.0,
            off_share=0.0,
            signal_phase=phase,
            scene=Scene.HIGHWAY,
            n_frames=4,
        )
        *_, (frame, image) = render_sequence(spec)
        for annotation in frame.annotations:
            is_plain = annotation.pictogram == Pictogram.CIRCLE and annotation.orientation == Orientation.VERTICAL
            if not is_plain or annotation.occluded or annotation.xyxy[3] - annotation.xyxy[1] < 24:
                continue
            for lens in str(annotation.state).split("_"):
                hues = lens_hues(image, annotation, lens)
                low, high = HUE_RANGES[lens]
                assert len(hues) > 8, (spec.sequence, annotation)
                assert low <= float(np.median(hues)) <= high, (spec.sequence, lens, np.median(hues))
                checked[str(annotation.state)] += 1
    assert set(checked) == {"green", "yellow", "red", "red_yellow"}


def test_a_covered_head_is_no_visible_light():
    """A wall before every head leaves no box that a detector would be asked to find."""
    spec = replace(CLEAR_DAY, **SMALL, n_frames=1)
    world = lay_out_world(spec)
    before, _ = SequencePainter(spec, world).paint(0)
    assert any(not annotation.ignore for annotation in before.annotations)
    camera = world.drive.camera(spec, 0, np.zeros(2))
    beam = next(prop for prop in world.props if isinstance(prop, Beam))
    wall = replace(beam, start_m=(0.0, -40.0), end_m=(0.0, 40.0), z_m=camera.z_m + 4.0, thickness_m=80.0)
    after, _ = SequencePainter(spec, replace(world, props=(*world.props, wall))).paint(0)
    assert after.annotations == ()


def test_night_is_darker_than_day_and_fog_hides_what_is_far(small_set):
    brightness, contrast = defaultdict(list), defaultdict(list)
    for spec, rendered in small_set:
        for _, image in rendered:
            brightness[spec.time_of_day].append(image.mean())
            if spec.time_of_day == TimeOfDay.DAYTIME:
                smooth = cv2.GaussianBlur(image[..., 1].astype(np.float32), (0, 0), 1.5)
                contrast[spec.weather].append(np.abs(cv2.Laplacian(smooth, cv2.CV_32F)[80:105]).mean())
    means = {key: np.mean(values) for key, values in brightness.items()}
    assert means[TimeOfDay.NIGHT] < 0.6 * means[TimeOfDay.DAWN_DUSK] < 0.6 * means[TimeOfDay.DAYTIME]
    assert np.mean(contrast[Weather.FOGGY]) < 0.8 * np.mean(contrast[Weather.CLEAR])


@pytest.mark.slow
def test_drawing_reaches_fifteen_frames_a_second_on_one_core():
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        start, n_frames = time.process_time(), 0
        for spec in plan_sequences(15, 8, seed=0):
            n_frames += sum(1 for _ in render_sequence(spec))
        rate = n_frames / (time.process_time() - start)
    finally:
        cv2.setNumThreads(threads)
    assert rate >= 15, f"{rate:.1f} frames a second at 1280x720"
