"""The promise of the smoother: go late, everything else at once, whatever the detector says."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tl_datasets.label_space import LabelSpace
from tl_datasets.taxonomy import State
from tl_detection.evaluation.ground_truth import means_stop_and_go
from tl_runtime.detector import Detector
from tl_runtime.smoothing import GO_STATES, PENDING, StateSmoother

NAMES = ("red", "red_yellow", "yellow", "green", "off", "stop", "light", "arrow_red", "arrow_green")
STATES = ("red", "red_yellow", "yellow", "green", "off", None, None, "red", "green")
GROUPS = (0, 0, 0, 0, 0, 0, 1, 2, 2)
RED, YELLOW, GREEN, OFF, STOP, LIGHT = (
    NAMES.index(name) for name in ("red", "yellow", "green", "off", "stop", "light")
)
GO = {NAMES.index("green"), NAMES.index("arrow_green")}
BOX = (100.0, 50.0, 108.0, 70.0)


def run(words: str, **settings) -> str:
    """Report one light that stands still, a letter a frame: r y g o, - not seen, x no result, ? pending."""
    letters = {"r": RED, "y": YELLOW, "g": GREEN, "o": OFF, "s": STOP}
    back = {value: key for key, value in letters.items()} | {PENDING: "?"}
    smoother, told = StateSmoother(STATES, GROUPS, **settings), ""
    for letter in words:
        if letter == "x":
            smoother.skip()
            told += "x"
        elif letter == "-":
            assert len(smoother.update(np.zeros((0, 4)), []).track) == 0
            told += "-"
        else:
            smoothed = smoother.update([BOX], [letters[letter]])
            told += back[int(smoothed.class_id[0])]
            assert bool(smoothed.is_held[0]) == (told[-1] != letter)
            assert smoothed.state[0] == (None if told[-1] in "?s" else STATES[letters[told[-1]]])
    return told


@pytest.mark.parametrize(
    ("seen", "reported", "settings"),
    [
        pytest.param("rrrgggg", "rrrrrgg", {}, id="red turns green in the third frame of green"),
        pytest.param("ggggrr", "??ggrr", {}, id="green turns red at once"),
        pytest.param("rgrgrg", "rrrrrr", {}, id="flicker stays red"),
        pytest.param("rggrggg", "rrrrrrg", {}, id="one red frame begins the count anew"),
        pytest.param("rgg-ggg", "rrr-rrg", {}, id="so does a frame in which it was not seen"),
        pytest.param("rggxggg", "rrrxrrg", {}, id="so does a frame without a result"),
        pytest.param("yggg", "yyyg", {}, id="yellow is held as red is"),
        pytest.param("oggg", "ooog", {}, id="a dark one is held, too"),
        pytest.param("sggg", "sssg", {}, id="a class of several states is held, too"),
        pytest.param("ryrog", "ryroo", {}, id="whatever is not green is reported at once"),
        pytest.param("gggg-gggg", "??gg-??gg", {}, id="a missed frame: green is to be confirmed again"),
        pytest.param("r------ggg", "r------??g", {}, id="a lost light is a new one"),
        pytest.param("r-----ggg", "r-----rrg", {}, id="a light that is not lost yet has its past"),
        pytest.param("rg", "rg", {"green_after": 1}, id="no waiting where none is asked for"),
        pytest.param("rgggggg", "rrrrrgg", {"green_after": 5}, id="five frames"),
        pytest.param("g-gxg", "g-gxg", {"confirm_fresh": False}, id="quick: what was never red is green at once"),
        pytest.param("gr-gg-ggg", "gr-rr-rrg", {"confirm_fresh": False}, id="quick: what was red is not"),
        pytest.param("r------g", "r------g", {"confirm_fresh": False}, id="quick: a lost light is a new one"),
    ],
)
def test_one_light(seen, reported, settings):
    assert run(seen, **settings) == reported


frames = st.lists(
    st.one_of(
        st.none(),
        st.lists(
            st.tuples(
                st.sampled_from([0.0, 3.0, 9.0, 40.0, 43.0, 90.0]),  # overlapping, neighbouring and distant lights
                st.sampled_from([0.0, 5.0]),
                # Green often enough to be confirmed now and then.
                st.one_of(st.just(GREEN), st.integers(0, len(NAMES) - 1)),
            ),
            max_size=4,
        ),
    ),
    max_size=25,
)


@given(frames=frames, green_after=st.integers(1, 4), confirm_fresh=st.booleans(), lose_after=st.integers(0, 3))
def test_the_promise_holds_for_any_detections(frames, green_after, confirm_fresh, lose_after):
    smoother = StateSmoother(
        STATES, GROUPS, green_after=green_after, confirm_fresh=confirm_fresh, lose_after=lose_after
    )
    go_frames: dict[int, list[int]] = defaultdict(list)
    last: dict[int, int] = {}
    for number, frame in enumerate(frames):
        if frame is None:
            smoother.skip()
            continue
        boxes = np.array([(x, y, x + 8, y + 20) for x, y, _ in frame], np.float32).reshape(-1, 4)
        classes = [class_id for *_, class_id in frame]
        smoothed = smoother.update(boxes, classes)
        assert len(smoothed.track) == len(smoothed.class_id) == len(smoothed.state) == len(frame)  # no box is invented
        assert len(set(smoothed.track.tolist())) == len(frame)
        for track, class_id, reported in zip(smoothed.track.tolist(), classes, smoothed.class_id.tolist(), strict=True):
            if class_id in GO:
                go_frames[track].append(number)
            if class_id not in GO:
                assert reported == class_id
            elif reported in GO:
                assert reported == class_id
                run_of_go = set(range(number - green_after + 1, number + 1)) <= set(go_frames[track])
                never_other = not confirm_fresh and last.get(track, reported) in GO
                assert run_of_go or never_other
            else:
                assert reported == (last[track] if last.get(track, GREEN) not in GO else PENDING)
            last[track] = reported
    assert len(smoother._memories) <= 4 * (lose_after + 1)  # it does not grow with the drive


@given(
    seen=st.text("rrygggggg--xos", max_size=60),
    green_after=st.integers(1, 5),
    lose_after=st.integers(0, 4),
    confirm_fresh=st.booleans(),
)
def test_the_promise_holds_for_a_light_whatever_its_tracks(seen, green_after, lose_after, confirm_fresh):
    """Judged by frames alone: of one light in one place it needs no tracks to say when it may be green."""
    told = run(seen, green_after=green_after, lose_after=lose_after, confirm_fresh=confirm_fresh)
    for index, letter in enumerate(told):
        if letter != "g":
            continue
        if seen[max(0, index - green_after + 1) : index + 1] == "g" * green_after:
            continue
        assert not confirm_fresh
        before = told[:index].rstrip("-x")
        assert not before or before[-1] == "g" or len(told[:index]) - len(before) > lose_after


@given(frames=frames, seed=st.integers(0, 9))
def test_the_order_of_the_boxes_does_not_matter(frames, seed):
    rng = np.random.default_rng(seed)
    first, second = StateSmoother(STATES, GROUPS), StateSmoother(STATES, GROUPS)
    for frame in frames:
        if frame is None:
            first.skip()
            second.skip()
            continue
        # A little noise, the same for both: no two pairs of boxes are equally close.
        boxes = np.array([(x, y, x + 8, y + 20) for x, y, _ in frame]).reshape(-1, 4) + rng.normal(
            0, 0.01, (len(frame), 1)
        )
        classes = np.array([class_id for *_, class_id in frame], np.int64)
        order = rng.permutation(len(frame))
        one, other = first.update(boxes, classes), second.update(boxes[order], classes[order])
        assert one.class_id[order].tolist() == other.class_id.tolist()


@pytest.mark.parametrize("settings", [{}, {"confirm_fresh": False}, {"green_after": 1}])
def test_red_and_green_on_one_place_are_not_green(settings):
    """A detector that says both of one light: the green box does not count, whichever box began first."""
    beside = (101.0, 50.0, 109.0, 70.0)
    for boxes in ([BOX, beside], [beside, BOX]):
        smoother = StateSmoother(STATES, GROUPS, **settings)
        for _ in range(8):
            told = smoother.update(boxes, [GREEN, RED]).class_id.tolist()
            assert told == [PENDING, RED]
    # The one beside it is another light.
    apart = (109.0, 50.0, 117.0, 70.0)
    smoother = StateSmoother(STATES, GROUPS, **settings)
    told = [smoother.update([BOX, apart], [GREEN, RED]).class_id.tolist() for _ in range(3)]
    assert told[2] == [GREEN, RED]


def test_quick_or_not_a_green_arrow_on_a_red_light_is_confirmed():
    for confirm_fresh in (True, False):
        smoother = StateSmoother(STATES, GROUPS, confirm_fresh=confirm_fresh)
        arrow_green = NAMES.index("arrow_green")
        assert smoother.update([BOX], [RED]).class_id.tolist() == [RED]
        told = [smoother.update([BOX, BOX], [RED, arrow_green]).class_id.tolist() for _ in range(3)]
        assert told == [[RED, PENDING], [RED, PENDING], [RED, arrow_green]]


def test_a_class_without_a_single_state_passes():
    smoother = StateSmoother(STATES, GROUPS)
    for _ in range(2):
        smoothed = smoother.update([BOX], [LIGHT])
        assert (smoothed.class_id.tolist(), smoothed.state, smoothed.is_held.tolist()) == ([LIGHT], (None,), [False])


def test_reset_forgets_and_numbers_go_on():
    smoother = StateSmoother(STATES, GROUPS, green_after=2)
    first = smoother.update([BOX], [RED])
    smoother.reset()
    second = smoother.update([BOX], [GREEN])
    assert second.track[0] > first.track[0]
    assert second.class_id[0] == PENDING


def test_beside_the_detector_of_a_vehicle(vehicle_file):
    """As the module says to use it: a frame without a result begins the count anew."""
    classes = [
        {"id": number, "name": state, "state": state, "pictogram": None, "group": 0}
        for number, state in enumerate(("red", "green"))
    ]
    lights = Detector(vehicle_file(more={"classes": classes}))
    smoother = StateSmoother([item.state for item in lights.classes], [item.group for item in lights.classes])
    rng, told = np.random.default_rng(0), []
    for number in range(8):
        frame = rng.integers(1, 200, (32, 64, 3), dtype=np.uint8)
        result = lights.detect(frame[..., 0] if number == 4 else frame)
        if result.is_usable:
            smoothed = smoother.update(result.xyxy, result.labels)
            told.append(dict(zip([lights.classes[label].name for label in result.labels], smoothed.state, strict=True)))
        else:
            smoother.skip()
            told.append({})
    assert [frame.get("green") for frame in told] == [None, None, "green", "green", None, None, None, "green"]
    assert [frame.get("red") for frame in told] == [*["red"] * 4, None, *["red"] * 3]


def test_go_means_here_what_it_means_in_the_evaluation():
    space = LabelSpace.model_validate({"classes": {str(state): {"state": str(state)} for state in State}})
    _, go = means_stop_and_go(space)
    assert tuple(str(state) in GO_STATES for state in State) == go


@pytest.mark.parametrize(
    ("boxes", "classes", "words"),
    [
        ([BOX], [len(NAMES)], "class ids 9 to 9, expected 0 to 8"),
        ([BOX], [-1], "class ids -1"),
        ([BOX], [0, 1], "groups of shape"),
        ([BOX], [[0]], "class ids of shape"),
        ([BOX[:3]], [0], r"expected \(N, 4\)"),
    ],
)
def test_bad_detections_are_refused_and_change_nothing(boxes, classes, words):
    smoother = StateSmoother(STATES, GROUPS)
    smoother.update([BOX], [RED])
    with pytest.raises(ValueError, match=words):
        smoother.update(boxes, classes)
    assert smoother.update([BOX], [GREEN]).class_id.tolist() == [RED]


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="green_after 0"):
        StateSmoother(STATES, GROUPS, green_after=0)
    with pytest.raises(ValueError, match="9 states and 1 groups"):
        StateSmoother(STATES, GROUPS[:1])
    with pytest.raises(ValueError, match="lose_after"):
        StateSmoother(STATES, GROUPS, lose_after=-1)
