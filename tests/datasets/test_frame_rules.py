from __future__ import annotations

import pytest
from pydantic import ValidationError

from tl_datasets.errors import AnnotationError, DataError, UsageError
from tl_datasets.frame_rules import FrameRules, TimestampRule, apply_frame_rules
from tl_datasets.index import index
from tl_datasets.label_maps import load_label_map, source_maps
from tl_datasets.taxonomy import ConditionSource, TimeOfDay, Weather

S = 1_000_000_000


@pytest.fixture
def ruled(make_catalog, make_frame):
    """The frames table after rules, of frames with the given paths and fields."""

    def apply(rules: dict, *paths: str, **fields):
        frames = [make_frame(path.rpartition(".")[0], path=path, **fields) for path in paths]
        return apply_frame_rules(make_catalog(*frames), FrameRules.model_validate(rules)).frames

    return apply


def test_what_the_label_file_says_is_never_replaced(ruled):
    rules = {"weather": "clear", "weather_from_path": {"Fog/": "foggy"}, "split_from_path": {"Fog/": "val"}}
    known = ruled(rules, "Fog/a.jpg", weather=Weather.RAINY, split="test", condition_source=ConditionSource.ANNOTATED)
    assert known["weather"].to_list() == ["rainy"]
    assert known["split"].to_list() == ["test"]
    assert known["condition_source"].to_list() == ["annotated"]


def test_a_folder_comes_before_a_word_for_all_and_the_first_expression_wins(ruled):
    rules = {
        "weather": "clear",
        "weather_from_path": {"(^|/)Fog/": "foggy", "(Fog|x)/": "rainy"},
        "time_of_day_from_path": {"night": "night"},
    }
    frames = ruled(rules, "Fog/a.jpg", "x/b.jpg", "c.jpg", "night.jpg")
    assert frames["weather"].to_list() == ["foggy", "rainy", "clear", "clear"]
    assert frames["time_of_day"].to_list() == [None, None, None, "night"]
    assert frames["condition_source"].to_list() == ["folder", "folder", "text", "folder"]


def test_the_folder_that_is_read_counts_where_no_folder_in_it_does(make_catalog, make_frame, tmp_path):
    frames = [make_frame(name, path=f"{name}.jpg") for name in ("a", "test/b")]
    catalog = make_catalog(*frames, root=tmp_path / "valid")
    rules = {"(^|/)valid/": "val", "(^|/)test/": "test"}
    found = apply_frame_rules(catalog, FrameRules.model_validate({"split_from_path": rules})).frames
    assert found["split"].to_list() == ["val", "test"]


def test_no_rule_changes_nothing(ruled):
    frames = ruled({}, "a.jpg", time_of_day=TimeOfDay.NIGHT)
    assert frames.select("weather", "condition_source", "sequence", "split").row(0) == (None, None, None, None)


def test_frames_of_which_only_some_categories_were_labelled(make_catalog, make_frame):
    frames = [make_frame("a"), make_frame("b", annotations=None), make_frame("c", labelled_categories=("bus",))]
    rules = FrameRules.model_validate({"labelled_categories": ["car", "bus"]})
    found = apply_frame_rules(make_catalog(*frames), rules).frames
    assert found["label_status"].to_list() == ["partial", "unlabelled", "partial"]
    assert found["labelled_categories"].to_list() == [["car", "bus"], [], ["bus"]]


def test_copies_of_one_photo_are_one_sequence(ruled):
    frames = ruled({"sequence_from_path": r"([^/]+)\.rf\."}, "t/a_jpg.rf.12.jpg", "v/a_jpg.rf.34.jpg", "v/b.jpg")
    assert frames["sequence"].to_list() == ["a_jpg", "a_jpg", None]


@pytest.mark.parametrize(
    ("rule", "path", "expected"),
    [
        ({"regex": r"\d+", "unit": "ns"}, "d/1478019969186707568.jpg", 1478019969186707568),
        ({"regex": r"(\d+)\.jpg", "unit": "ms"}, "5_1478019969186.jpg", 1478019969186000000),
        ({"regex": r"[\d.]+\d", "unit": "s"}, "1600000000.25.jpg", 1600000000 * S + S // 4),
        ({"regex": r"(\d+)-(\d{9})", "unit": "s_ns"}, "front_wide_1600000000-000000007.jpg", 1600000000 * S + 7),
        (
            {"regex": r"(\d{4}-\d\d-\d\d \d\d_\d\d_\d\d)\.(\d+)", "unit": "%Y-%m-%d %H_%M_%S"},
            "2020-04-04 11_10_21.323753353.jpg",
            1585998621323753353,
        ),
        ({"regex": r"(\d{8})", "unit": "%Y%m%d"}, "none.jpg", None),
        ({"regex": r"t(\d+)?", "unit": "ns"}, "t.jpg", None),
        ({"regex": r"(\d+)(?:-(\d+))?", "unit": "s_ns"}, "16.jpg", None),
        ({"regex": r"(\d{8})(?:\.(\d))?", "unit": "%Y%m%d"}, "20200404.jpg", 1585958400 * S),
    ],
    ids=[
        "ns",
        "ms",
        "s with a fraction",
        "two groups",
        "a date with a fraction",
        "no match",
        "a group that is not there",
        "half of the time",
        "a date without its fraction",
    ],
)
def test_times_are_exact_to_the_nanosecond(rule, path, expected):
    assert TimestampRule.model_validate(rule).read(path) == expected


def test_a_pause_starts_a_new_sequence_whose_name_does_not_depend_on_later_frames(ruled):
    rules = {"timestamp_from_path": {"regex": r"(\d+)\.jpg", "unit": "s"}, "sequence_gap_s": 5}
    paths = ["a/104.jpg", "a/100.jpg", "a/110.jpg", "b/101.jpg"]
    names = ruled(rules, *paths)["sequence"].to_list()
    assert names[0] == names[1] != names[2]
    assert len({names[0], names[2], names[3]}) == 3
    assert ruled(rules, *paths, "a/300.jpg", "a/113.jpg")["sequence"].to_list()[:4] == names


def test_a_pause_of_just_the_gap_is_none(ruled):
    rules = {"timestamp_from_path": {"regex": r"\d+", "unit": "s"}, "sequence_gap_s": 5}
    assert ruled(rules, "10.jpg", "15.jpg", "21.jpg")["sequence"].to_list() == [str(10 * S), str(10 * S), str(21 * S)]


def test_a_pause_of_just_that_length_is_none(ruled):
    rules = {"timestamp_from_path": {"regex": r"(\d+)\.jpg", "unit": "s"}, "sequence_gap_s": 5}
    names = ruled(rules, "a/100.jpg", "a/105.jpg", "a/111.jpg")["sequence"].to_list()
    assert names[0] == names[1] != names[2]


def test_a_block_of_time_holds_all_cameras(ruled):
    rules = {"timestamp_from_path": {"regex": r"(\d+)\.jpg", "unit": "s"}, "sequence_block_s": 30}
    names = ruled(rules, "wide/60.jpg", "tele/89.jpg", "wide/90.jpg")["sequence"].to_list()
    assert names[0] == names[1] != names[2]


def test_faults_of_paths_say_which(ruled):
    rules = {"timestamp_from_path": {"regex": r"(\w+)\.jpg", "unit": "%Y"}, "sequence_gap_s": 5}
    with pytest.raises(DataError, match=r"frame 'abc\.jpg': .*expected a time in its name"):
        ruled(rules, "abc.jpg")
    with pytest.raises(DataError, match=r"frame 'b\.png' \(and 0 more\): no time of capture, .*extends this one"):
        ruled(rules, "2020.jpg", "b.png")


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"sequence_from_path": "("}, "expected a regular expression"),
        ({"sequence_from_path": "(a)(b)(c)"}, "3 groups, expected two at most"),
        ({"sequence_gap_s": 5, "sequence_block_s": 30}, "cannot be combined"),
        ({"sequence_gap_s": 0}, "greater than or equal to 0.000000001"),
        ({"timestamp_from_path": {"regex": "a", "unit": "hours"}}, "unit 'hours': expected s, ms"),
        ({"timestamp_from_path": {"regex": "(a)", "unit": "s_ns"}}, "expected two groups"),
        ({"timestamp_from_path": {"regex": "(a)", "unit": "%H:%M %z"}}, "a zone is not read"),
        ({"sequence_gap_s": float("inf")}, "less than or equal to 1000000000"),
        ({"sequence_block_s": 1e300}, "less than or equal to 1000000000"),
        ({"sequence_block_s": 1e-12}, "greater than or equal to 0.000000001"),
        ({"split_from_path": {"valid": ""}}, "at least 1 character"),
        ({"weather": "sunny"}, "Input should be"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_faults_of_rules(rules, message):
    with pytest.raises(ValidationError, match=message):
        FrameRules.model_validate(rules)


def test_a_map_describes_a_source(draw_image, tmp_path):
    """A label map with the key `format` is a format of its own: reader, options, words and rules in one file."""
    draw_image(tmp_path / "data" / "valid" / "images" / "a_jpg.rf.1.png")
    labels = tmp_path / "data" / "valid" / "labels"
    labels.mkdir()
    (labels / "a_jpg.rf.1.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "data" / "data.yaml").write_text("val: valid/images\nnames: [stop]\n")
    own = tmp_path / "own.yaml"
    own.write_text(
        "format: yolo\noptions: {parts: val}\nlabels: {stop: {state: red}}\n"
        "frames: {time_of_day: daytime, sequence_from_path: '([^/]+)\\.rf\\.'}\n"
    )
    catalog, _ = index(tmp_path / "data", str(own))
    frame = catalog.frame(0)
    assert (frame.time_of_day, frame.sequence, frame.split) == (TimeOfDay.DAYTIME, "a_jpg", "val")
    assert frame.annotations and frame.annotations[0].state == "red"
    child = tmp_path / "child.yaml"
    child.write_text("extends: own.yaml\nframes: {time_of_day: night}\n")
    assert load_label_map(child).frames.sequence_from_path is not None
    assert load_label_map(child).frames.time_of_day is TimeOfDay.NIGHT
    with pytest.raises(UsageError, match=r"parts: .* has no 'train'"):
        index(tmp_path / "data", str(own), parts="train")


def test_a_map_that_describes_no_source_is_no_format(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("labels: {stop: {state: red}}\n")
    with pytest.raises(UsageError, match=r"a label map FILE\.yaml with the key format"):
        index(tmp_path, str(own))
    own.write_text("format: nuscenes\n")
    with pytest.raises(UsageError, match=r"format 'nuscenes', expected one of: .*bdd100k"):
        index(tmp_path, str(own))
    own.write_text("format: yolo\nframes: {weather: sunny}\n")
    with pytest.raises(AnnotationError, match=r"frames\.weather"):
        index(tmp_path, str(own))


def test_every_source_map_that_comes_along_loads():
    assert all(label_map.format for label_map in source_maps().values())
