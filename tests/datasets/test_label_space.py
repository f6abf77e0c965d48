from __future__ import annotations

import pytest
import yaml
from pydantic import ValidationError

from tl_datasets.errors import DataError
from tl_datasets.frame import Annotation
from tl_datasets.label_space import DROP, IGNORE_ANY, LabelSpace
from tl_datasets.taxonomy import Pictogram, State

COLOURS = """
classes:
  red: {state: red}
  green: {state: green}
  off: {state: off}
ignore:
  - {state: [unknown, null]}
drop:
  - {category: car}
"""


def space(text: str) -> LabelSpace:
    return LabelSpace.model_validate(yaml.safe_load(text))


def assign(label_space, make_catalog, make_frame, *annotations):
    frame = make_frame("a", annotations=tuple(Annotation(xyxy=(0, 0, 1, 1), **fields) for fields in annotations))
    class_id, ignored = label_space.assign(make_catalog(frame).annotations)
    return list(zip(class_id.tolist(), ignored.tolist(), strict=True))


def test_unquoted_off_is_the_word_off():
    assert space(COLOURS).names == ("red", "green", "off")
    assert space(COLOURS).states == (State.RED, State.GREEN, State.OFF)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"state": State.RED}, (0, False)),
        ({"state": State.OFF}, (2, False)),
        ({"state": State.UNKNOWN}, (IGNORE_ANY, True)),
        ({"state": None}, (IGNORE_ANY, True)),
        ({"state": State.RED, "ignore": True}, (0, True)),
        ({"category": "car"}, (DROP, False)),
        ({"category": "car", "ignore": True}, (DROP, False)),
    ],
    ids=["class", "off is a class", "unknown is no background", "no field", "own flag", "dropped", "dropped area"],
)
def test_assign(fields, expected, make_catalog, make_frame):
    assert assign(space(COLOURS), make_catalog, make_frame, fields) == [expected]


@pytest.mark.parametrize(("otherwise", "expected"), [("ignore", (IGNORE_ANY, True)), ("drop", (DROP, False))])
def test_otherwise(otherwise, expected, make_catalog, make_frame):
    text = COLOURS + f"otherwise: {otherwise}\n"
    assert assign(space(text), make_catalog, make_frame, {"state": State.YELLOW}) == [expected]


def test_what_no_rule_names_is_listed_with_counts(make_catalog, make_frame):
    fields = [{"state": State.YELLOW}] * 3 + [{"state": State.RED_YELLOW, "pictogram": Pictogram.CIRCLE}]
    with pytest.raises(DataError, match=r"4 boxes .*3 x .*state yellow, pictogram null; 1 x .*red_yellow.*circle"):
        assign(space(COLOURS), make_catalog, make_frame, *fields)


def test_the_first_matching_class_wins(make_catalog, make_frame):
    text = "classes: {arrow: {state: red, pictogram: arrow_left}, red: {state: red}}"
    both = [{"state": State.RED, "pictogram": Pictogram.ARROW_LEFT}, {"state": State.RED}]
    assert assign(space(text), make_catalog, make_frame, *both) == [(0, False), (1, False)]


def test_a_rule_speaks_of_lights_unless_it_names_a_category(make_catalog, make_frame):
    text = "classes: {light: {}}\notherwise: drop"
    assert assign(space(text), make_catalog, make_frame, {}, {"category": "car"}) == [(0, False), (DROP, False)]


def test_no_annotations(make_catalog, make_frame):
    assert assign(space(COLOURS), make_catalog, make_frame) == []


def test_mirrored_classes():
    text = """
    classes:
      left: {state: green, pictogram: arrow_left}
      right: {state: green, pictogram: arrow_right}
      ahead: {state: green, pictogram: [circle, arrow_straight]}
      red: {state: red}
      red_left: {state: red, pictogram: arrow_left}
    """
    assert space(text).mirrored == (1, 0, 2, 3, None)


def test_sides_are_exchanged_in_a_mirror_image():
    text = """
    classes:
      left: {facing: left}
      right: {facing: right}
      back: {facing: back}
      both: {state: red, facing: [left, right]}
      known: {state: green, facing: left, pictogram: arrow_left}
      mirrored: {state: green, facing: right, pictogram: arrow_right}
      alone: {state: off, facing: left}
    """
    assert space(text).mirrored == (1, 0, 2, 3, 5, 4, None)


@pytest.mark.parametrize(
    "text",
    [
        "classes: {}",
        "classes: {red: {state: rde}}",
        "classes: {red: {colour: red}}",
        "classes: {red: {category: lorry}}",
        "classes: {red: {state: red}}\nignor: []",
    ],
    ids=["no class", "unknown state", "unknown field", "unknown category", "misspelt key"],
)
def test_faults_are_refused(text):
    with pytest.raises(ValidationError):
        space(text)


def test_json_round_trip_and_fingerprint():
    first = space(COLOURS)
    again = LabelSpace.from_json(first.to_json())
    assert again == first
    assert again.fingerprint == first.fingerprint
    swapped = space("classes: {green: {state: green}, red: {state: red}}")
    ordered = space("classes: {red: {state: red}, green: {state: green}}")
    assert swapped.fingerprint != ordered.fingerprint


def test_null_survives_json(make_catalog, make_frame):
    text = "classes: {light: {state: [red, green]}, plain: {state: null}}"
    again = LabelSpace.from_json(space(text).to_json())
    assert assign(again, make_catalog, make_frame, {"state": None}, {"state": State.RED}) == [(1, False), (0, False)]


def test_writing_down_a_label_space_keeps_null_and_not_given_apart():
    space = LabelSpace.model_validate(
        {
            "classes": {"known": {"state": "red"}, "any": {}},
            "ignore": [{"state": None}, {"state": ["unknown", None], "pictogram": "pedestrian"}],
        }
    )
    written = space.model_dump(mode="json")
    assert written["classes"]["any"] == {"category": ["traffic_light"]}
    assert written["ignore"][0]["state"] == [None]
    assert LabelSpace.model_validate(written) == space
    assert LabelSpace.from_json(space.to_json()) == space


GROUPS = {
    "states": ("{red: {state: red}, green: {state: green}, 'off': {state: 'off'}}", (0, 0, 0)),
    "several states in a class": ("{stop: {state: [red, red_yellow]}, go: {state: green}}", (0, 0)),
    "one class": ("{light: {}}", (0,)),
    "a class of any state": ("{red: {state: red}, light: {}, green: {state: green}}", (0, 1, 0)),
    "two classes of any state": ("{round: {pictogram: circle}, tram: {pictogram: tram}}", (0, 1)),
    "the same class twice": ("{light: {}, other: {}}", (0, 1)),
    "no light": (
        "{red: {state: red}, car: {category: car}, green: {state: green}, bus: {category: bus}}",
        (0, 1, 0, 2),
    ),
    "cars do not exclude each other": (
        "{car: {category: car, state: null}, tail: {category: car, state: red}}",
        (0, 1),
    ),
    "lights and signs in one class": (
        "{red: {category: [traffic_light, traffic_sign], state: red}, "
        "none: {category: [traffic_light, traffic_sign], state: null}}",
        (0, 1),
    ),
    "pedestrian heads": (
        "{red: {state: red, pictogram: circle}, walk: {state: green, pictogram: pedestrian}, "
        "green: {state: green, pictogram: circle}, wait: {state: red, pictogram: pedestrian}}",
        (0, 1, 0, 1),
    ),
    "arrows": (
        "{red_left: {state: red, pictogram: arrow_left}, red: {state: red}, "
        "green_left: {state: green, pictogram: arrow_left}, green: {state: green}}",
        (0, 1, 0, 1),
    ),
    "an arrow beside any pictogram": ("{red: {state: red}, green_left: {state: green, pictogram: arrow_left}}", (0, 1)),
    "order of words": (
        "{red: {state: red, pictogram: [circle, null]}, green: {state: green, pictogram: [null, circle]}}",
        (0, 0),
    ),
    "null is a value of its own": (
        "{red: {state: red, pictogram: [circle, null]}, green: {state: green, pictogram: circle}}",
        (0, 1),
    ),
    "null is a state": ("{red: {state: red}, plain: {state: null}}", (0, 0)),
    "every other condition": (
        "{a: {state: red, relevance: relevant}, b: {state: green, relevance: not_relevant}, "
        "c: {state: green, facing: front}, d: {state: green, occluded: true}, e: {state: green, relevance: relevant}}",
        (0, 1, 2, 3, 0),
    ),
}


@pytest.mark.parametrize(("classes", "expected"), GROUPS.values(), ids=GROUPS.keys())
def test_classes_that_exclude_each_other(classes, expected):
    label_space = space(f"classes: {classes}")
    assert label_space.groups == expected
    assert LabelSpace.from_json(label_space.to_json()).groups == expected


def test_groups_follow_the_classes_in_any_order():
    named = dict(zip(space(COLOURS).names, space(COLOURS).groups, strict=True))
    text = "classes: {left: {state: red, pictogram: arrow_left}, off: {state: off}, green: {state: green}}"
    assert named == {"red": 0, "green": 0, "off": 0}
    assert space(text).groups == (0, 1, 1)


# --- boxes of which the class is not known


LAMPS = """
classes:
  red: {state: red, pictogram: [circle, null]}
  green: {state: green, pictogram: [circle, null]}
  green_left: {state: green, pictogram: arrow_left}
  dark: {state: off}
  sign: {category: traffic_sign}
ignore:
  - {reflection: true}
box_only:
  - {state: [unknown, null]}
otherwise: drop
"""


@pytest.mark.parametrize(
    ("what", "fields", "candidates"),
    [
        ("a known lamp", {"state": State.RED}, []),
        ("nothing is known", {"state": None, "pictogram": None}, ["red", "green", "green_left", "dark"]),
        ("nobody could tell", {"state": State.UNKNOWN, "pictogram": "unknown"}, ["red", "green", "green_left", "dark"]),
        ("a circle", {"state": State.UNKNOWN, "pictogram": Pictogram.CIRCLE}, ["red", "green", "dark"]),
        ("an arrow", {"state": None, "pictogram": Pictogram.ARROW_LEFT}, ["green_left", "dark"]),
        ("an arrow that no class names", {"state": None, "pictogram": Pictogram.TRAM}, ["dark"]),
        ("dropped", {"state": State.YELLOW}, []),
        ("ignored by a rule before", {"state": None, "reflection": True}, []),
        ("an area of its own", {"state": None, "ignore": True}, []),
        ("another category", {"category": "traffic_sign"}, []),
    ],
)  # fmt: skip
def test_candidates_are_the_classes_that_nothing_contradicts(what, fields, candidates, make_catalog, make_frame):
    lamps = space(LAMPS)
    # Two others beside it: every row is looked up as itself.
    annotations = [{"state": State.GREEN}, fields, {"state": None, "pictogram": Pictogram.ARROW_LEFT}]
    frame = make_frame("a", annotations=tuple(Annotation(xyxy=(0, 0, 1, 1), **each) for each in annotations))
    found = lamps.candidates(make_catalog(frame).annotations)
    assert found.shape == (3, 5)
    assert [[name for name, may in zip(lamps.names, row, strict=True) if may] for row in found] == [
        [],
        candidates,
        ["green_left", "dark"],
    ], what


def test_a_class_behind_another_is_no_candidate(make_catalog, make_frame):
    text = "classes: {left: {state: red, pictogram: arrow_left}, red: {state: red}}\nbox_only: {state: null}"
    text = text.replace("{state: null}", "[{state: null}]")
    frame = make_frame(
        "a",
        annotations=tuple(
            Annotation(xyxy=(0, 0, 1, 1), pictogram=word) for word in (Pictogram.ARROW_LEFT, Pictogram.CIRCLE, None)
        ),
    )
    found = space(text).candidates(make_catalog(frame).annotations)
    assert found.tolist() == [[True, False], [False, True], [True, True]]


def test_to_everything_else_what_is_box_only_is_ignored(make_catalog, make_frame):
    fields = [{"state": None}, {"state": State.RED}, {"state": State.UNKNOWN, "ignore": True}]
    text = COLOURS.replace("ignore:", "box_only:")
    assert assign(space(text), make_catalog, make_frame, *fields) == assign(
        space(COLOURS), make_catalog, make_frame, *fields
    )


def test_without_such_rules_there_are_no_candidates(make_catalog, make_frame):
    frame = make_frame("a", annotations=(Annotation(xyxy=(0, 0, 1, 1), state=None),))
    assert not space(COLOURS).candidates(make_catalog(frame).annotations).any()
    assert space(LAMPS).candidates(make_catalog(make_frame("b", annotations=())).annotations).shape == (0, 5)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{category: car}", r"box_only rule 1 \({category: \[car\]}\) fits no class.*list it under ignore"),
        ("{state: yellow}", r"box_only rule 1 \({state: \[yellow\]}\) fits no class"),
    ],
)
def test_a_rule_that_fits_no_class_is_refused(rule, message):
    with pytest.raises(ValidationError, match=message):
        space(f"classes: {{red: {{state: red}}}}\nbox_only: [{rule}]\notherwise: drop")
    space("classes: {red: {state: red}}\nbox_only: [{state: [yellow, unknown]}]")


def test_box_only_rules_are_written_down_where_there_are_any():
    with_rules, without = space(LAMPS), space(COLOURS)
    assert LabelSpace.from_json(with_rules.to_json()) == with_rules
    assert '"box_only"' in with_rules.to_json() and "box_only" not in without.to_json()
    assert space(LAMPS.replace("[unknown, null]", "unknown")).fingerprint != with_rules.fingerprint
