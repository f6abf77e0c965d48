"""Rules about conditions, labels, sequences, parts and balance."""

from __future__ import annotations

import pytest

from tl_datasets.checks.condition_rules import check_luminance
from tl_datasets.checks.run import check
from tl_datasets.checks.settings import CheckSettings
from tl_datasets.frame import Annotation, Frame
from tl_datasets.taxonomy import PixelFormat, Scene, State, TimeOfDay, Weather


def messages(findings, rule: str) -> list[str]:
    return findings.of(rule)["message"].to_list()


# --- conditions


@pytest.mark.parametrize(
    ("time_of_day", "level", "expected"),
    [
        (TimeOfDay.NIGHT, 40, None),
        (TimeOfDay.NIGHT, 140, "night_but_bright"),
        (TimeOfDay.DAYTIME, 140, None),
        (TimeOfDay.DAYTIME, 20, "day_but_dark"),
        (TimeOfDay.DAWN_DUSK, 140, None),
        (TimeOfDay.DAWN_DUSK, 20, None),
        (TimeOfDay.UNDEFINED, 20, None),
        (None, 20, None),
    ],
)
def test_time_of_day_against_brightness(time_of_day, level, expected, write_frame, make_catalog, street, rules_of):
    frame = write_frame("a", (), image=street(1, level=level), time_of_day=time_of_day)
    found = rules_of(check(make_catalog(frame)))
    assert found == ({} if expected is None else {expected: [("a", None)]})


def test_the_brightness_of_a_raw_frame_says_nothing():
    """How bright it turns out is a matter of its decoding."""
    frame = {"frame_id": "a", "time_of_day": TimeOfDay.NIGHT, "pixel_format": PixelFormat.RCCB12}
    assert list(check_luminance(frame, 140, CheckSettings())) == []
    assert len(list(check_luminance({**frame, "pixel_format": None}, 140, CheckSettings()))) == 1


def test_thresholds_of_brightness(write_frame, make_catalog, street, rules_of):
    frame = write_frame("a", (), image=street(1, level=70), time_of_day=TimeOfDay.NIGHT)
    assert rules_of(check(make_catalog(frame))) == {}
    assert rules_of(check(make_catalog(frame), CheckSettings(night_max_luminance=60))) == {
        "night_but_bright": [("a", None)]
    }


@pytest.mark.parametrize(
    ("what", "values", "odd"),
    [
        ("one frame between", "AAABAAA", [3]),
        ("two frames between", "AAABBAAA", [3, 4]),
        ("one frame of each", "ABA", []),
        ("a change for good", "AAABBB", []),
        ("longer than one side", "AABBBAAAA", []),
        ("at the ends", "BAAAAB", []),
        ("between two others", "AABCC", []),
        ("an undefined one", "AAAuAAA", []),
        ("no value", "AAA-AAA", []),
        ("an undefined one does not part the run", "AAuBAA", [3]),
    ],
)
@pytest.mark.parametrize("by_time", [True, False], ids=["by time", "by name"])
def test_a_condition_that_flickers(what, values, odd, by_time, make_frame, make_catalog, rules_of):
    words = {"A": Weather.CLEAR, "B": Weather.SNOWY, "C": Weather.RAINY, "u": Weather.UNDEFINED, "-": None}
    count = len(values)
    frames = [
        make_frame(
            # By time the names run backwards.
            f"f{count - number if by_time else number:02d}",
            weather=words[letter],
            sequence="s",
            timestamp_ns=number if by_time else None,
        )
        for number, letter in enumerate(values)
    ]
    found = rules_of(check(make_catalog(*frames), images=False))
    expected = sorted(frames[number].frame_id for number in odd)
    assert sorted(frame for frame, _ in found.get("condition_varies", [])) == expected, what


def test_another_kind_of_road_is_no_noise(make_frame, make_catalog, rules_of):
    scenes = (Scene.CITY_STREET, Scene.TUNNEL, Scene.CITY_STREET)
    frames = [make_frame(f"f{number}", scene=scene, sequence="s") for number, scene in enumerate(scenes)]
    assert rules_of(check(make_catalog(*frames), images=False)) == {}


def test_missing_conditions_are_counted(make_frame, make_catalog):
    frames = [make_frame(f"f{number}") for number in range(3)]
    frames += [make_frame("g", weather=Weather.UNDEFINED, scene=Scene.HIGHWAY, time_of_day=TimeOfDay.NIGHT)]
    findings = check(make_catalog(*frames), images=False)
    assert messages(findings, "condition_missing") == [
        "scene of drawn: 3 without, of 4 frames",
        "time_of_day of drawn: 3 without, of 4 frames",
        "weather of drawn: 3 without, 1 undefined, of 4 frames",
    ]
    known = [make_frame("g", weather=Weather.CLEAR, scene=Scene.HIGHWAY, time_of_day=TimeOfDay.NIGHT)]
    assert messages(check(make_catalog(*known), images=False), "condition_missing") == []


# --- labels, sequences, parts


def test_unlabelled_frames_weigh_more_in_train(make_frame, make_catalog):
    frames = [
        make_frame("a", annotations=None, split="train"),
        make_frame("b", annotations=None, split="test"),
        make_frame("c", (), split="train"),
    ]
    table = check(make_catalog(*frames), images=False).of("frame_unlabelled")
    assert table.select("frame_id", "severity").rows() == [("a", "warning"), ("b", "info")]


def test_identical_images(make_frame, make_catalog, rules_of):
    frames = [make_frame(name) for name in "cab"]
    found = rules_of(check(make_catalog(*frames, hashes={"a": "x", "b": "x", "c": "x"}), images=False))
    assert found == {"frame_identical": [("a", None), ("b", None)]}, "the first in the order of the catalog is kept"


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("train", "val"), ["b"]),
        (("val", "train"), ["a"]),
        (("val", "test"), ["b"]),
        (("train", "train"), []),
        (("train", None), []),
    ],
)
def test_one_image_in_several_parts(parts, expected, make_frame, make_catalog, rules_of):
    frames = [make_frame(name, split=part) for name, part in zip("ab", parts, strict=True)]
    found = rules_of(check(make_catalog(*frames, hashes={"a": "x", "b": "x"}), images=False))
    assert [frame for frame, _ in found.get("split_shared_image", [])] == expected


def test_torn_sequences(make_frame, make_catalog, rules_of):
    parts = {"s": ("train", "train", "val"), "t": ("val", "val"), "u": ("train", None), "v": ("val", "train")}
    frames = [
        make_frame(f"{sequence}{number}", sequence=sequence, split=part)
        for sequence, given in parts.items()
        for number, part in enumerate(given)
    ]
    findings = check(make_catalog(*frames), images=False)
    assert rules_of(findings)["sequence_torn"] == [("s2", None), ("v0", None)]
    assert "sequence 's' lies in several parts: train 2, val 1 frames" in messages(findings, "sequence_torn")[0]
    assert rules_of(findings)["split_missing"] == [("u1", None)]


def test_sequences_of_one_frame(make_frame, make_catalog, rules_of):
    frames = [make_frame("a", sequence="s"), make_frame("b", sequence="t"), make_frame("c", sequence="t")]
    found = rules_of(check(make_catalog(*frames, make_frame("d")), images=False), with_info=True)
    assert found["sequence_of_one"] == [("a", None)]


def test_a_source_of_key_frames_is_told_of_once(make_frame, make_catalog):
    frames = [make_frame(f"f{number}", sequence=f"s{number}") for number in range(25)]
    table = check(make_catalog(*frames), images=False).table
    rows = table.filter(table["rule"] == "sequence_of_one")
    assert rows["frame_id"].to_list() == [None]
    assert "25 sequences of drawn have one frame each" in rows["message"][0]


@pytest.mark.parametrize(
    ("path", "split", "rule"),
    [
        ("images/val/a.png", "train", "split_against_path"),
        ("Valid/a.png", "test", "split_against_path"),
        ("images/val/a.png", "val", None),
        ("valid/images/a.png", "val", None),
        ("images/a_val.png", "train", None),
        ("training/a.png", "train", None),
        ("images/a.png", "training", "split_unknown"),
        ("images/a.png", "Train", "split_unknown"),
    ],
)
def test_names_of_parts(path, split, rule, make_frame, make_catalog, rules_of):
    found = rules_of(check(make_catalog(make_frame("a", path=path, split=split)), images=False), with_info=True)
    named = {name: places for name, places in found.items() if name.startswith("split_")}
    assert named == ({} if rule is None else {rule: [("a", None)]})


def test_a_catalog_that_is_not_split_misses_no_part(make_frame, make_catalog, rules_of):
    found = rules_of(check(make_catalog(make_frame("a"), make_frame("b")), images=False), with_info=True)
    assert not any(name.startswith("split_") for name in found)


# --- balance


def boxes_of(**counts: int) -> tuple[Annotation, ...]:
    states = [State(name) for name, number in counts.items() for _ in range(number)]
    return tuple(Annotation(xyxy=(i, 0.0, i + 0.5, 2.0), state=state) for i, state in enumerate(states))


def part(name: str, split: str | None, boxes: tuple[Annotation, ...], **fields) -> Frame:
    return Frame(
        frame_id=name, path=f"{name}.png", width_px=200, height_px=80, annotations=boxes, split=split, **fields
    )


def test_rare_classes(make_catalog):
    catalog = make_catalog(part("a", None, boxes_of(red=5, green=3, unknown=1)))
    findings = check(catalog, CheckSettings(rare_boxes=5), images=False)
    assert messages(findings, "class_rare") == ["state green: 3 boxes, fewer than 5"]


def test_classes_by_part(make_catalog):
    catalog = make_catalog(
        part("a", "train", boxes_of(red=2, green=2)),
        part("b", "val", boxes_of(red=1, yellow=3)),
        part("c", "test", boxes_of(red=1, green=1)),
    )
    findings = check(catalog, images=False)
    assert messages(findings, "class_not_in_train") == ["state yellow: 3 boxes in val, none in train"]
    assert messages(findings, "class_not_scored") == ["state green: 2 boxes in train, none in val"]


def test_conditions_by_part(make_catalog):
    catalog = make_catalog(
        *(part(f"a{number}", "train", (), weather=Weather.CLEAR) for number in range(3)),
        part("b", "val", (), weather=Weather.RAINY),
        part("c", "val", (), weather=Weather.UNDEFINED),
    )
    findings = check(catalog, CheckSettings(rare_frames=3), images=False)
    assert messages(findings, "condition_not_in_train") == ["weather rainy: 1 frames in val, none in train"]
    assert messages(findings, "condition_rare") == ["weather rainy: 1 frames, fewer than 3"]


def test_without_a_train_part_nothing_is_missing_from_it(make_catalog):
    findings = check(make_catalog(part("a", "val", boxes_of(red=1))), images=False)
    assert messages(findings, "class_not_in_train") == []


# --- all together


def test_an_empty_catalog(make_catalog):
    findings = check(make_catalog())
    assert len(findings) == 0 and findings.about["frames"] == 0


def test_the_catalog_is_not_changed(write_frame, make_catalog):
    catalog = make_catalog(write_frame("a", ((State.GREEN, State.RED),)))
    before = catalog.fingerprint, catalog.frames.clone(), catalog.annotations.clone()
    check(catalog)
    assert catalog.fingerprint == before[0]
    assert catalog.frames.equals(before[1]) and catalog.annotations.equals(before[2])


def test_the_same_twice(write_frame, make_catalog):
    frames = [write_frame(f"f{n}", ((State.GREEN, State.RED), (State.RED, State.OFF))) for n in range(8)]
    first, second = (check(make_catalog(*frames)).table for _ in range(2))
    assert len(first) and first.equals(second)


def test_every_rule_says_what_and_how(make_catalog):
    from tl_datasets.checks.rules import RULES, Rule

    assert set(RULES) == set(Rule)
    assert all(info.what and info.remedy for info in RULES.values())
    assert len({info.what for info in RULES.values()}) == len(RULES)


def test_real_samples_are_almost_without_findings(shared_data):
    """A rule that fires on sound data is wrong. Two pairs of boxes were looked at: a sign and a walker boxed twice."""
    from tl_datasets.index import index

    catalog, _ = index(shared_data / "bdd100k", "bdd100k")
    labelled = catalog.filter('label_status != "unlabelled"')
    table = check(labelled).table
    bad = table.filter(table["severity"] != "info")
    rules = dict(bad.group_by("rule").len().iter_rows())
    assert rules == {"box_near_duplicate": 2}
