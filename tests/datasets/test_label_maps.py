from __future__ import annotations

import pytest

from tl_datasets.errors import AnnotationError, DataError
from tl_datasets.label_maps import DROP, LabelFields, Translator, available_maps, load_label_map, normalise_word
from tl_datasets.taxonomy import Pictogram, Scene, State, TimeOfDay, Weather


def test_all_maps_that_come_along_load():
    assert {"bdd100k", "coco80", "dtld_states", "traffic_light_names"} <= set(available_maps())
    assert len(available_maps()) > 20
    for name in available_maps():
        assert load_label_map(name).name == name


@pytest.mark.parametrize(
    ("word", "state", "pictogram"),
    [
        ("red", State.RED, None),
        ("Green", State.GREEN, None),
        ("off", State.OFF, None),
        ("red-yellow", State.RED_YELLOW, None),
        ("RedLeft", State.RED, Pictogram.ARROW_LEFT),
        ("GreenStraightRight", State.GREEN, Pictogram.ARROW_STRAIGHT_RIGHT),
        ("arrow_left_green", State.GREEN, Pictogram.ARROW_LEFT),
        ("green arrow left", State.GREEN, Pictogram.ARROW_LEFT),
        ("pedestrian_red", State.RED, Pictogram.PEDESTRIAN),
        ("traffic light", None, None),
    ],
)
def test_names_of_lights(word, state, pictogram):
    fields = load_label_map("traffic_light_names").label(word)
    assert isinstance(fields, LabelFields)
    assert (fields.category, fields.state, fields.pictogram) == ("traffic_light", state, pictogram)


@pytest.mark.parametrize("word", ["left", "arrow_left", "go", "stop", "warning", "0", "circle", "red_red", ""])
def test_what_a_name_does_not_say_is_not_guessed(word):
    assert load_label_map("traffic_light_names").label(word) is None


def test_every_state_and_pictogram_has_a_name():
    label_map = load_label_map("traffic_light_names")
    for state in State:
        for pictogram in set(Pictogram) - {Pictogram.UNKNOWN}:
            for word in (f"{state}_{pictogram}", f"{pictogram}_{state}"):
                fields = label_map.label(word)
                assert isinstance(fields, LabelFields), word
                assert (fields.state, fields.pictogram) == (state, pictogram)


def test_coco_names_every_class_in_order():
    label_map = load_label_map("coco80")
    assert len(label_map.class_names) == 80
    assert label_map.class_names[9] == "traffic light"
    meanings = {name: label_map.label(name) for name in label_map.class_names}
    assert None not in meanings.values()
    assert meanings["stop sign"] == DROP
    kept = {fields.category for fields in meanings.values() if isinstance(fields, LabelFields)}
    assert kept == {"traffic_light", "pedestrian", "car", "truck", "bus", "train", "motorcycle", "bicycle"}


@pytest.mark.parametrize(
    ("word", "state"),
    [("R", State.RED), ("Y", State.YELLOW), ("G", State.GREEN), ("NA", State.UNKNOWN), ("none", State.UNKNOWN)]
    + [(word, State(word)) for word in ("red", "yellow", "green")],
)
def test_bdd_colours_of_both_generations(word, state):
    assert load_label_map("bdd100k").states[normalise_word(word)] is state


def test_bdd_conditions_are_complete():
    conditions = load_label_map("bdd100k").conditions
    assert set(conditions.weather.values()) == set(Weather) - {Weather.SANDSTORM}
    assert set(conditions.scene.values()) == set(Scene)
    assert set(conditions.time_of_day.values()) == set(TimeOfDay)


def test_dtld_state_numbers():
    words = Translator(load_label_map("dtld_states"), "x")
    assert [words.state(k) for k in range(5)] == ["off", "red", "red_yellow", "yellow", "green"]
    words.check()


def test_unknown_words_are_reported_together_with_their_counts():
    words = Translator(load_label_map("bdd100k"), "labels.json")
    for word in ("tram", "car", "tram", "boat"):
        words.label(word)
    words.state("blue")
    words.condition("weather", "hail")
    assert words.condition("weather", None) is None
    with pytest.raises(AnnotationError) as caught:
        words.check()
    message = str(caught.value)
    for part in (
        "labels.json",
        "'tram' (2)",
        "'boat' (1)",
        "state 'blue' (1)",
        "weather 'hail' (1)",
        "extends: bdd100k",
    ):
        assert part in message
    assert "\n" not in message


def test_a_map_may_extend_another(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "extends: traffic_light_names\n"
        "labels: {left: {state: green, pictogram: arrow_left}, car: drop, off: {state: off, pictogram: circle}}\n"
        "states: {dark: off}\n"
    )
    label_map = load_label_map(path)
    left = label_map.label("left")
    assert isinstance(left, LabelFields)
    assert (left.state, left.pictogram) == (State.GREEN, Pictogram.ARROW_LEFT)
    assert label_map.label("car") == DROP
    off = label_map.label("off")
    assert isinstance(off, LabelFields)
    assert off.pictogram is Pictogram.CIRCLE
    assert isinstance(label_map.label("dark_left"), LabelFields)
    assert isinstance(label_map.label("bus"), LabelFields)


def test_otherwise_drop(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("extends: traffic_light_names\notherwise: drop\n")
    assert load_label_map(path).label("zebra") == DROP


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("labels: {red: {state: rde}}", r"labels\.red.*rde"),
        ("labels: {red: {colour: red}}", r"labels\.red"),
        ("labels: {lorry: lorry}", r"labels\.lorry"),
        ("lables: {}", "lables"),
        ("- red", "expected a mapping"),
        ("labels: {red: [", r"line \d: not YAML"),
        ("labels:\n  red: traffic_light\n  red: car\n", "line 3: not YAML: key 'red' occurs twice"),
        ("labels: {Red Left: traffic_light, red-left: car}", "occurs twice"),
        ("extends: mine.yaml", "extends itself"),
        ("extends: no_such_map", "no such file"),
        ("labels: !!python/object/apply:os.system ['true']", "not YAML"),
    ],
)
def test_faulty_maps(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        load_label_map(path)
    assert "\n" not in str(caught.value)


def test_unknown_map_names_those_that_exist():
    with pytest.raises(DataError, match=r"label map 'nuscenes'.*bdd100k, bstld"):
        load_label_map("nuscenes")


def test_what_an_extending_map_says_itself_wins(tmp_path):
    (tmp_path / "base.yaml").write_text("labels: {a: car}\notherwise: error\nclass_names: [a]\n")
    (tmp_path / "own.yaml").write_text("extends: base.yaml\notherwise: drop\nclass_names: [a, b]\n")
    own = load_label_map(tmp_path / "own.yaml")
    assert (own.otherwise, own.class_names, own.label("b")) == ("drop", ("a", "b"), "drop")
    assert own.label("a") != "drop"
