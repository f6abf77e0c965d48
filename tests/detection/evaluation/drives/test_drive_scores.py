"""Drives with planted flicker, misses and gaps, whose measures are known beforehand."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.errors import UsageError
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_space import LabelSpace, Rule
from tl_datasets.network_size import InputSize
from tl_datasets.taxonomy import Pictogram, State, Weather
from tl_detection.evaluation.analyses import prepare
from tl_detection.evaluation.drives.drive_scores import find_lamps, measure_drives
from tl_detection.evaluation.drives.track_results import STABLE_FRAMES
from tl_detection.evaluation.ground_truth import ground_truth_from_catalog
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.replicates import draw_replicates, sequence_numbers
from tl_detection.evaluation.selection import Selection

WORDS = {"R": State.RED, "Y": State.YELLOW, "G": State.GREEN, "?": State.UNKNOWN}
CLASSES = {"R": 0, "Y": 1, "G": 2, ".": -1, "?": -1}
TENTH_NS = 100_000_000


def lamp_box(index, place=0):
    """A lamp that comes nearer: 10 px high at first, one more in every frame."""
    height = 10 + index
    return (100.0 + 200 * place, 50.0, 100.0 + 200 * place + height / 2, 50.0 + height)


def drive(lamps, *, name="drive", times=None, ids=True, path="d/{:04}.png", numbers=None, **conditions):
    """Frames from words such as "RR G", one per lamp: what it shows in each frame, a space where it is not there."""
    frames = []
    for index in range(len(lamps[0])):
        boxes = [
            Annotation(xyxy=lamp_box(index, place), state=WORDS[word[index]], track_id=str(place) if ids else None)
            for place, word in enumerate(lamps)
            if word[index] != " "
        ]
        number = index if numbers is None else numbers[index]
        frames.append(
            Frame(
                frame_id=f"{name}-{index}",
                path=path.format(number),
                width_px=1280,
                height_px=960,
                annotations=tuple(boxes),
                sequence=name,
                timestamp_ns=None if times is None else times[index],
                **conditions,
            )
        )
    return frames


@pytest.fixture
def judge(catalog_of, lights):
    """Measures of frames, given what is said of each lamp as words: "." for nothing."""

    def of(frames, said, *, objects=None, frame_rate_hz=None, input_size=None, label_space=lights, order=None):
        shuffled = frames if order is None else [frames[at] for at in order]
        truth = ground_truth_from_catalog(catalog_of(shuffled), label_space)
        words = {
            (frame.frame_id, box.xyxy): said[frame.frame_id, box.xyxy] for frame in frames for box in frame.annotations
        }
        columns = zip(truth.boxes["frame_id"], truth.xyxy.tolist(), strict=True)
        classes = np.array([CLASSES[words[frame_id, tuple(xyxy)]] for frame_id, xyxy in columns], np.int64)
        chosen = ~truth.is_ignored if objects is None else ~truth.is_ignored & objects(truth)
        selection = Selection(frames=np.ones(len(truth), np.bool_), objects=chosen, detections=np.zeros(0, np.bool_))
        lamps = find_lamps(truth, frame_rate_hz=frame_rate_hz)
        replicates = draw_replicates(sequence_numbers(truth), replicates=50)
        return measure_drives(truth, lamps, classes, selection, replicates, input_size=input_size)

    return of


def heard(frames, words):
    """What is said of each box, from one word per lamp with one letter per frame."""
    return {
        (frame.frame_id, box.xyxy): words[round((box.xyxy[0] - 100) / 200)][index]
        for index, frame in enumerate(frames)
        for box in frame.annotations
    }


@pytest.mark.parametrize(
    ("shows", "says", "flicker", "dropouts", "miss", "loss", "stable"),
    [
        ("RRRRRRRR", "RRRRRRRR", 0, 0, 0, 0, 5),
        ("RRRRRRRR", "RRGRRRRR", 2, 0, 0, 0, 8),  # there and back
        ("RRRRRRRR", "RR.RRRRR", 0, 1, 1, 1, 8),
        ("RRRRRRRR", "..RRRRRR", 0, 0, 2, 0, 7),  # seen late is no loss
        ("RRRRRRRR", "R...G..R", 2, 2, 3, 3, None),  # what is not said is passed over
        ("RRRRRRRR", "........", 0, 0, 8, None, None),
        ("RRRRGGGG", "RRRRGGGG", 0, 0, 0, 0, 5),  # the lamp's own change
        ("RRRRGGGG", "RRRRRRGG", 0, 0, 0, 0, None),  # a late change is its own, too
        ("RRRRGGGG", "RRRRGRGG", 2, 0, 0, 0, 5),
        ("RRRRGGGG", "RRYYGGGG", 1, 0, 0, 0, None),
        ("RRRRGGGG", "RR..GGGG", 0, 1, 2, 2, None),
        ("RRRRGGGG", "RRRRYYYY", 1, 0, 0, 0, None),  # the lamp changed, and something else is said
        ("RRRRGGGG", "GGGGGGGG", 0, 0, 0, 0, None),  # wrong, but steady
        ("RRGGRRGG", "RRGGRRGG", 0, 0, 0, 0, 5),
        ("RRGGRRGG", "RRRRRRGG", 0, 0, 0, 0, None),
        ("RRR RRRR", "RRG RRRR", 1, 0, 0, 0, None),  # nothing is counted across a frame in which it is hidden
        ("RRR?RRRR", "RRG?RRRR", 1, 0, 0, 0, None),  # nor across one that nobody could read
        ("RRR?RRRR", "R..?..RR", 0, 1, 2, 2, None),
    ],
)
def test_planted_faults_are_counted(judge, shows, says, flicker, dropouts, miss, loss, stable):
    frames = drive([shows], times=[index * TENTH_NS for index in range(8)])
    scores = judge(frames, heard(frames, [says]))
    (lamp,) = scores.lamps
    assert (lamp.flicker, lamp.dropouts) == (flicker, dropouts)
    assert (lamp.longest_miss_frames, lamp.longest_loss_frames, lamp.stable_frames) == (miss, loss, stable)
    n_visible = len(shows.replace(" ", "").replace("?", ""))
    n_steps = 7 if n_visible == 8 else 5
    assert (lamp.visible_frames, lamp.visible_s) == (n_visible, pytest.approx(n_steps / 10))
    assert scores.flicker_per_1000_frames.value == pytest.approx(1000 * flicker / n_visible)
    assert scores.flicker_per_minute.value == pytest.approx(flicker / (n_steps / 600))
    assert scores.dropouts_per_minute.value == pytest.approx(dropouts / (n_steps / 600))
    first = next((index for index, word in enumerate(says.replace("?", ".").replace(" ", ".")) if word != "."), None)
    right = next((index for index in range(8) if says[index] == shows[index] and says[index] in "RYG"), None)
    assert lamp.seen_height_px == (None if first is None else 10 + first)
    assert lamp.right_height_px == (None if right is None else 10 + right)
    assert scores.note is None and not scores.refused


def test_times_and_network_sizes_are_exact(judge):
    # Times: a lost frame between 2 and 3, and unequal steps, are no gap.
    times = [0, 100, 200, 400, 500, 600, 700, 850]
    frames = drive(["RRRRRRRR"], times=[time * 1_000_000 for time in times])
    scores = judge(frames, heard(frames, ["..R..RRR"]), input_size=InputSize(width_px=640, height_px=480))
    (lamp,) = scores.lamps
    assert lamp.flicker_at == () and lamp.first_frame == "drive-0" and lamp.states == ("red",)
    assert lamp.longest_miss_s == pytest.approx(0.2), "frames 0 and 1 until 2, as frames 3 and 4 until 5"
    assert lamp.longest_loss_s == pytest.approx(0.2)
    assert lamp.visible_s == pytest.approx(0.85)
    assert (lamp.first_height_px, lamp.seen_height_px, lamp.seen_network_height_px) == (10, 12, 6)
    assert lamp.right_network_height_px == 6 and lamp.seen_after_frames == 2
    longer = judge(frames, heard(frames, ["RRR.RRRR"])).lamps[0]
    assert (longer.longest_miss_frames, longer.longest_miss_s) == (1, pytest.approx(0.1))
    late = judge(frames, heard(frames, ["..RRRRRR"])).lamps[0]
    assert (late.stable_frames, late.stable_s) == (2 + STABLE_FRAMES, pytest.approx(0.7))


def test_without_times_there_are_no_seconds_but_with_a_frame_rate(judge):
    frames = drive(["RRRRRRRR"], numbers=range(0, 40, 5))
    without = judge(frames, heard(frames, ["RR..RGRR"]))
    (lamp,) = without.lamps
    assert (lamp.visible_s, lamp.stable_s, lamp.longest_miss_s, lamp.longest_loss_s) == (None,) * 4
    assert (without.flicker_per_minute.value, without.flicker_per_minute.minutes) == (None, None)
    assert without.longest_miss_s.median is None and without.longest_miss_frames.median == 2
    assert without.flicker_per_1000_frames.value == 250
    with_rate = judge(frames, heard(frames, ["RR..RGRR"]), frame_rate_hz=20)
    assert with_rate.lamps[0].longest_miss_s == pytest.approx(0.1)
    assert with_rate.flicker_per_minute.value == pytest.approx(2 / (7 / 20 / 60))
    for rate in (0, -1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="--frame-rate"):
            judge(frames, heard(frames, ["RR..RGRR"]), frame_rate_hz=rate)


def test_frames_are_ordered_by_time_or_number_not_by_the_catalog(judge):
    for times in (None, [index * TENTH_NS for index in range(12)]):
        frames = drive(["RRRRRRGGGGGG", "GG  GGGGGGGG"], times=times, ids=False, path="d/frame {}.png")
        said = heard(frames, ["RRG.RRGGGGRG", "GG  GG..GGGG"])
        scores = judge(frames, said)
        again = judge(frames, said, order=np.random.default_rng(0).permutation(12))
        assert [dataclasses.asdict(lamp) for lamp in again.lamps] == [dataclasses.asdict(lamp) for lamp in scores.lamps]
        assert sorted(lamp.flicker for lamp in scores.lamps) == [0, 0, 4]


def test_boxes_are_joined_where_the_annotation_has_no_ids(judge):
    shows, says = ["RRRRGGGG", "  GGGG  ", "YYYYYYYY"], ["RR.RGGRG", "  GRGG  ", "YYYYYYYY"]
    given = drive(shows, numbers=range(8))
    joined = drive(shows, numbers=range(8), ids=False)
    first, second = judge(given, heard(given, says)), judge(joined, heard(joined, says))
    assert (first.tracks, first.tracks_given) == (3, 3)
    assert (second.tracks, second.tracks_given) == (3, 0)

    def measured(scores):
        fields = [dataclasses.asdict(lamp) | {"name": None, "is_given": None} for lamp in scores.lamps]
        return sorted(fields, key=lambda item: (item["first_frame"], item["states"]))

    assert measured(first) == measured(second)


@pytest.mark.parametrize(("turn_px", "tracks"), [(0, 2), (60, 2), (-90, 2), (160, 16)])
def test_a_turn_of_the_camera_does_not_part_a_lamp(catalog_of, lights, turn_px, tracks):
    frames = []
    for index in range(8):
        # Two heads side by side, a height and a half apart; the image jumps to and fro.
        shift = 300 + turn_px * (index % 2)
        boxes = [Annotation(xyxy=(x + shift, 50, x + shift + 10, 70), state=State.RED) for x in (0, 30)]
        frames.append(
            Frame(
                frame_id=f"{index}", path=f"{index}.png", width_px=1280, height_px=960, annotations=tuple(boxes),
                sequence="s",
            )
        )  # fmt: skip
    found = find_lamps(ground_truth_from_catalog(catalog_of(frames), lights)).tracks
    assert len(found) == tracks
    if tracks == 2:
        assert [len(track.boxes) for track in found] == [8, 8]


def test_a_jump_in_size_parts_two_lamps(catalog_of, lights):
    heights = (20, 25, 60, 60)
    frames = [
        Frame(
            frame_id=f"{index}", path=f"{index}.png", width_px=1280, height_px=960, sequence="s",
            annotations=(Annotation(xyxy=(100, 100, 110, 100 + height), state=State.RED),),
        )
        for index, height in enumerate(heights)
    ]  # fmt: skip
    found = find_lamps(ground_truth_from_catalog(catalog_of(frames), lights)).tracks
    assert [len(track.boxes) for track in found] == [2, 2]


def test_a_lamp_of_another_pictogram_in_its_place_is_another_lamp(catalog_of, lights):
    words = (Pictogram.CIRCLE, None, Pictogram.UNKNOWN, Pictogram.CIRCLE, Pictogram.ARROW_LEFT, Pictogram.ARROW_LEFT)
    frames = [
        Frame(
            frame_id=f"{index}", path=f"{index}.png", width_px=1280, height_px=960, sequence="s",
            annotations=(Annotation(xyxy=(100, 100, 110, 120), state=State.RED, pictogram=word),),
        )
        for index, word in enumerate(words)
    ]  # fmt: skip
    found = find_lamps(ground_truth_from_catalog(catalog_of(frames), lights)).tracks
    assert [len(track.boxes) for track in found] == [4, 2]


def test_a_lamp_that_is_hidden_for_a_frame_begins_anew_without_ids(judge):
    frames = drive(["RRR RRRR"], ids=False, numbers=range(8))
    scores = judge(frames, heard(frames, ["RRR RRRR"]))
    assert sorted(lamp.visible_frames for lamp in scores.lamps) == [3, 4]


def test_one_light_without_an_id_leaves_all_to_nearness(judge):
    frames = drive(["RRRR", "GGGG"], numbers=range(4))
    first, second = frames[2].annotations
    frames[2] = dataclasses.replace(frames[2], annotations=(first, dataclasses.replace(second, track_id=None)))
    scores = judge(frames, heard(frames, ["RRRR", "GGGG"]))
    assert (scores.tracks, scores.tracks_given, scores.refused) == (2, 0, ())
    assert [lamp.visible_frames for lamp in scores.lamps] == [4, 4]


def test_what_nobody_could_read_in_any_frame_is_no_lamp(catalog_of, lights):
    frames = drive(["RR?R", "????"])
    (lamp,) = find_lamps(ground_truth_from_catalog(catalog_of(frames), lights)).tracks
    assert lamp.name == "0" and len(lamp.boxes) == 4


def test_a_lamp_that_is_seen_too_shortly_to_be_stable_is_not_asked_for(judge):
    frames = drive(["RRRRRRRR", "    RRRR"])
    stable = judge(frames, heard(frames, ["RRRRRRRR", "    RRRR"])).stable
    assert (stable.part, stable.whole) == (1, 1)


def test_sequences_of_one_name_and_two_sources_are_two_drives(lights):
    parts = [
        Catalog.from_frames(
            [dataclasses.replace(frame, frame_id=f"{source}{frame.frame_id}") for frame in drive(["RRRR"])],
            source=source,
            root=Path("/nowhere"),
        )
        for source in ("east", "west")
    ]
    both = Catalog(
        pl.concat([part.frames for part in parts]),
        pl.concat([part.annotations for part in parts]),
        parts[0].roots | parts[1].roots,
    )
    found = find_lamps(ground_truth_from_catalog(both, lights)).tracks
    assert [(track.drive.name, len(track.boxes)) for track in found] == [("east: drive", 4), ("west: drive", 4)]


def test_two_classes_of_one_state_say_the_same(judge):
    space = LabelSpace(
        classes={
            "red": Rule(state=[State.RED], pictogram=[None]),
            "red arrow": Rule(state=[State.RED]),
            "green": Rule(state=[State.GREEN]),
        }
    )
    frames = drive(["RRRRRR"])
    (lamp,) = judge(frames, heard(frames, ["RRYYGR"]), label_space=space).lamps  # Y is the class of the arrow here
    assert (lamp.flicker, lamp.flicker_at, lamp.states) == (2, ("drive-4", "drive-5"), ("red",))
    (lamp,) = judge(frames, heard(frames, ["YYYYYY"]), label_space=space).lamps
    assert (lamp.flicker, lamp.stable_frames, lamp.right_height_px) == (0, STABLE_FRAMES, 10)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"ids": False, "numbers": [0, 1, 2, 3, 8, 9, 10, 11]}, "frames are missing between drive-3 and drive-4"),
        ({"numbers": [0, 1, 2, 2, 3, 4, 5, 6]}, "two frames of one number, such as drive-"),
        ({"times": [0, 1, 2, 2, 3, 4, 5, 6]}, "two frames of one time, such as drive-"),
        ({"path": "d/{0}/{0}.png"}, None),
    ],
)
def test_sequences_whose_frames_do_not_follow_each_other_are_refused(judge, options, reason):
    frames = drive(["RRRRRRRR"], **options)
    if reason is None:
        frames = [dataclasses.replace(frame, frame_id=f"{index}a{index}") for index, frame in enumerate(frames)]
        reason = "no timestamps, and their paths do not differ by a number alone"
    scores = judge(frames, heard(frames, ["RRRRRRRR"]))
    assert scores.tracks == 0 and [item.sequence for item in scores.refused] == ["drive"]
    assert reason in scores.refused[0].reason and scores.refused[0].reason in scores.note


@pytest.mark.parametrize("steps_ms", [[33] * 14 + [100] * 10, [100] * 10 + [33] * 14], ids=["slower", "faster"])
def test_a_change_of_the_frame_rate_is_no_gap(judge, steps_ms):
    times = [0, *np.cumsum(steps_ms).tolist()]
    frames = drive(["R" * 25], times=[time * 1_000_000 for time in times])
    scores = judge(frames, heard(frames, ["RRGRRRRRRRRRRRRRRRRRRGRRR"]))
    (lamp,) = scores.lamps
    assert (lamp.flicker, lamp.visible_s) == (4, pytest.approx(sum(steps_ms) / 1000)), "each flicker in its own half"
    # A second without frames still is one, in the fast half and in the slow one.
    for at in (4, 20):
        paused = [time + 1000 * (index > at) for index, time in enumerate(times)]
        frames = drive(["R" * 25], times=[time * 1_000_000 for time in paused])
        (lamp,) = judge(frames, heard(frames, ["R" * 25])).lamps
        assert lamp.visible_s == pytest.approx((sum(steps_ms) - steps_ms[at]) / 1000)


def test_with_track_ids_a_gap_ends_a_stretch(judge):
    frames = drive(["RRRRRRRR"], numbers=[0, 1, 2, 3, 8, 9, 10, 11])
    scores = judge(frames, heard(frames, ["RRG..RRR"]), frame_rate_hz=10)
    (lamp,) = scores.lamps
    assert (lamp.flicker, lamp.longest_miss_frames, lamp.visible_s) == (1, 1, pytest.approx(0.6))
    assert lamp.stable_frames is None


def test_a_track_id_that_occurs_twice_in_a_frame_is_refused(judge):
    frames = drive(["RRRR", "RRRR"])
    frames[2] = dataclasses.replace(
        frames[2], annotations=tuple(dataclasses.replace(box, track_id="0") for box in frames[2].annotations)
    )
    scores = judge(frames, heard(frames, ["RRRR", "RRRR"]))
    assert scores.refused[0].reason == "track id 0 occurs twice in frame drive-2"


def test_frames_that_stand_alone_are_no_drive_and_one_note_says_so(judge):
    alone = [dataclasses.replace(frame, sequence=None) for frame in drive(["RRRR"])[:2]]
    one_each = [dataclasses.replace(frame, sequence=frame.frame_id) for frame in drive(["RRRR"])[2:]]
    frames = alone + one_each
    scores = judge(frames, {(frame.frame_id, box.xyxy): "R" for frame in frames for box in frame.annotations})
    assert scores.note.startswith("no drives: the 4 frames stand alone")
    assert (scores.drives, scores.tracks, scores.lamps, scores.refused) == (0, 0, (), ())
    assert (scores.seen.value, scores.stable.value, scores.flicker_per_1000_frames.value) == (None, None, None)
    assert (scores.flicker_per_minute.value, scores.seen_height_px.median) == (None, None)
    json.dumps(dataclasses.asdict(scores), allow_nan=False)


def test_a_drive_without_a_lamp_says_so(judge):
    frames = drive(["    "])
    assert judge(frames, {}).note == "no lamp in a drive"


def test_classes_that_name_no_states_give_no_flicker(judge):
    frames = drive(["RRRR"])
    said = heard(frames, ["RR.R"])
    scores = judge(frames, said, label_space=LabelSpace(classes={"light": Rule()}))
    (lamp,) = scores.lamps
    assert (scores.right, scores.stable, scores.flicker_per_1000_frames, scores.flicker_per_minute) == (None,) * 4
    assert (lamp.flicker, lamp.right_height_px, lamp.stable_frames) == (None, None, None)
    assert (lamp.dropouts, lamp.longest_loss_frames, lamp.seen_height_px, scores.seen.value) == (1, 1, 10, 1)


def test_a_selection_judges_what_belongs_to_it(judge):
    wet = drive(["RRRRRR"], name="wet", weather=Weather.RAINY, numbers=range(6))
    dry = drive(["RRRRRR"], name="dry", weather=Weather.CLEAR, numbers=range(10, 16))
    said = heard(wet, ["RGRRRR"]) | heard(dry, ["RRRRRR"])
    everything = judge(wet + dry, said)
    rainy = judge(wet + dry, said, objects=lambda truth: np.arange(len(truth.class_id)) < 6)
    assert (everything.tracks, everything.drives, everything.flicker_per_1000_frames.part) == (2, 2, 2)
    assert (rainy.tracks, rainy.drives, rainy.flicker_per_1000_frames.value) == (1, 1, pytest.approx(2000 / 6))
    large = judge(wet + dry, said, objects=lambda truth: truth.xyxy[:, 3] - truth.xyxy[:, 1] >= 12)
    assert [lamp.visible_frames for lamp in large.lamps] == [4, 4] and large.flicker_per_1000_frames.part == 0


def test_intervals_are_over_sequences(judge):
    frames, said = [], {}
    for number in range(8):
        part = drive(["RRRRRRRRRR"], name=f"drive {number}", times=[index * TENTH_NS for index in range(10)])
        frames += part
        said |= heard(part, ["." * number + "R" * (10 - number)])
    scores = judge(frames, said)
    assert (scores.tracks, scores.seen.value, scores.stable.part, scores.stable.whole) == (8, 1, 6, 8)
    seen = scores.seen_height_px
    assert (seen.median, seen.tenth, seen.ninth, seen.most, seen.tracks, seen.sequences) == (13, 10, 17, 17, 8, 8)
    assert seen.low is not None and 10 <= seen.low < 13 < seen.high <= 17
    assert (scores.longest_miss_frames.most, scores.stable_s.tracks) == (7, 6)
    flicker = scores.flicker_per_minute
    # None in eight drives is no proof of never: the exact bound for a share of frames, at 10 frames in 0.9 s.
    per_frame = 1 - 0.025 ** (1 / 8)
    assert (flicker.value, flicker.low, flicker.sequences) == (0, 0, 8)
    assert flicker.high == pytest.approx(per_frame * 10 / 0.9 * 60)
    assert scores.flicker_per_1000_frames.high == pytest.approx(1000 * per_frame)
    few = judge(frames[:20], said)
    assert (few.seen_height_px.low, few.flicker_per_minute.low) == (None, None)
    json.dumps(dataclasses.asdict(scores), allow_nan=False)


def test_what_detections_say_of_a_lamp_is_judged(catalog_of, lights, detections_of):
    """From detections: red found, green on it, a faint one, a red beside it, nothing, red again."""
    frames = drive(["RRRRRR"], times=[index * TENTH_NS for index in range(6)])
    boxes = [frame.annotations[0].xyxy for frame in frames]
    away = (500, 500, 520, 540)
    found = [
        [(*boxes[0], 0.9, 0)],
        [(*boxes[1], 0.8, 2), (*boxes[1], 0.7, 0)],
        [(*boxes[2], 0.1, 0)],
        [(*away, 0.9, 0)],
        [],
        [(*boxes[5], 0.9, 0)],
    ]
    truth = ground_truth_from_catalog(catalog_of(frames), lights)
    matched = match(truth, [detections_of(rows) for rows in found])
    answers = prepare(matched, [0.5] * 4).answers
    selection = Selection.of_frames(matched, np.ones(6, np.bool_))
    scores = measure_drives(truth, find_lamps(truth), answers.said, selection, draw_replicates(sequence_numbers(truth)))
    (lamp,) = scores.lamps
    assert (lamp.flicker, lamp.flicker_at, lamp.dropouts) == (2, ("drive-1", "drive-5"), 1)
    assert (lamp.longest_loss_frames, lamp.longest_loss_s) == (3, pytest.approx(0.3))
    assert (lamp.seen_height_px, lamp.right_height_px, lamp.stable_frames) == (10, 10, None)
