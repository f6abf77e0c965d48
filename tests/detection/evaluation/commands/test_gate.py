"""`tl gate`: limits on the numbers of a report, for continuous integration."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tl_detection.cli import main
from tl_detection.evaluation.gate.rules import load_rules

CONFIGS = Path(__file__).resolve().parents[4] / "configs" / "gate"


@pytest.fixture(scope="module")
def scored(shared_drives):
    """By night two reds of 21 are missed and one is called green; by day nothing is wrong."""
    out = shared_drives.evaluate(
        "a", "--by", "weather,time_of_day", missed={"drive01_0", "drive03_1"}, as_green={"drive05_2"}
    )
    assert json.loads((out / "report.json").read_text())["overall"]["red_as_green"]["as_green"] == 1
    return out


@pytest.fixture(scope="module")
def before(shared_drives):
    """Nothing is wrong."""
    return shared_drives.evaluate("before", "--by", "weather,time_of_day")


@pytest.fixture
def gate(tmp_path):
    """Write a rules file and run the command; gives its exit code."""

    def run(report, rules: str, *more: str) -> int:
        path = tmp_path / "rules.yaml"
        path.write_text(rules)
        return main(["gate", str(report), "--rules", str(path), "--out", str(tmp_path / "gate"), *more])

    return run


# Of 21 reds by night 18 are found: 0.857; the interval goes below and above that.
@pytest.mark.parametrize(
    ("rule", "code", "words"),
    [
        ("{measure: recall:red@time_of_day=night, at_least: 0.8}", 0, ["0.857", "time_of_day=night", "21"]),
        ("{measure: recall:red@time_of_day=night, at_least: 0.9}", 1, ["is less than 0.9"]),
        ("{measure: recall_lower:red@time_of_day=night, at_least: 0.8}", 1, ["is less than 0.8"]),
        ("{measure: recall_upper:red@time_of_day=night, at_least: 0.9}", 0, ["0.590 to 1.000"]),
        ("{measure: recall:red@time_of_day=daytime, at_least: 1}", 0, ["1.000"]),
        ("{measure: recall:red@worst(time_of_day), at_least: 0.9}", 1, ["0.857 in time_of_day=night"]),
        ("{measure: red_as_green@worst(time_of_day), at_most: 0.04}", 1, ["0.048 in time_of_day=night"]),
        ("{measure: red_as_green@worst(time_of_day), at_most: 0.05}", 0, ["0.048", "time_of_day=night"]),
        ("{measure: red_as_green, at_most: 0.02}", 1, ["0.024 in all frames", "more than 0.02"]),
        ("{measure: red_as_green, at_most: 0.03}", 0, ["42"]),
        ("{measure: red_as_green_upper, at_most: 0.03}", 1, ["more than 0.03"]),
        ("{measure: ap50, slice: weather=rainy, at_least: 0.5, min_objects: 30}", 0, ["weather=rainy", "30"]),
        # Too small.
        ("{measure: ap50@weather=rainy, at_least: 0.5, min_objects: 31}", 1, ["30 objects, 31 asked for"]),
        ("{measure: ap50@weather=rainy, at_least: 0.5, min_objects: 31, if_too_small: warn}", 0, ["warned", "30 obj"]),
        ("{measure: ap50@weather=rainy, at_least: 0.5, min_objects: 31, if_too_small: pass}", 0, ["not judged"]),
        ("{measure: ap50@weather=rainy, at_least: 0.5, min_sequences: 6}", 1, ["5 sequences, 6 asked for"]),
        ("{measure: ap50@worst(weather), at_least: 0.99, min_objects: 31, if_too_small: warn}", 1, ["weather=clear"]),
        ("{measure: ap50@worst(weather), at_least: 0.5, min_objects: 31}", 1, ["weather=rainy (30 objects"]),
        ("{measure: ap50@worst(weather), at_least: 0.5, min_objects: 31, if_too_small: pass}", 0, ["passed"]),
        # In 7 sequences nothing went wrong: 1 - 0.025^(1/7) = 0.410 cannot be excluded.
        ("{measure: recall_lower:red@time_of_day=daytime, at_least: 0.58}", 0, ["0.590 to 1.000"]),
        ("{measure: recall_lower:red@time_of_day=daytime, at_least: 0.6}", 1, ["0.590 in", "less than 0.6"]),
        ("{measure: red_as_green_upper@time_of_day=daytime, at_most: 0.42}", 0, ["0.000 to 0.410"]),
        ("{measure: red_as_green_upper@time_of_day=daytime, at_most: 0.4}", 1, ["0.410 in", "more than 0.4"]),
        ("{rate: lights.missed, bound: upper, slice: time_of_day=daytime, at_most: 0.4}", 1, ["0.410 in"]),
        ("{measure: red_as_green@time_of_day=daytime, at_most: 0}", 0, ["0.000"]),
        ("{measure: precision_lower@time_of_day=daytime, at_least: 0.6}", 1, ["0.590 in", "less than 0.6"]),
        # Missing.
        ("{measure: ap50@scene=tunnel, at_least: 0.5, if_too_small: pass}", 1, ["no slice scene=tunnel"]),
        ("{measure: ap50@worst(scene), at_least: 0.5, if_too_small: pass}", 1, ["no slices by scene", "--by weather,"]),
        ("{measure: ap50, slice: wether=rainy, at_least: 0.5}", 1, ["no slice wether=rainy", "'weather=rainy'"]),
        ("{measure: recall:rde, at_least: 0.5, if_too_small: pass}", 1, ["no class 'rde'", "'red'"]),
        ("{measure: phantoms_per_frame, at_most: 1, if_too_small: pass}", 1, ["no value", "every class has objects"]),
        ("{measure: ap_large, at_least: 0.5, if_too_small: pass}", 0, ["not judged", "0 objects"]),
        ("{measure: ap_large, at_least: 0.5, min_objects: 0}", 1, ["0 objects, 1 asked for"]),
        # Rates of the analyses.
        ("{rate: lights.red_as_green.rate, at_most: 0.03}", 0, ["0.024", "42"]),
        ("{rate: lights.red_as_green, at_most: 0.02}", 1, ["0.024 in all frames, is more than 0.02"]),
        ("{rate: lights.red_as_green, bound: upper, at_most: 0.03}", 1, ["upper bound", "more than 0.03"]),
        ("{rate: lights.missed.by_class.red, slice: time_of_day=night, at_most: 0.1}", 0, ["0.095", "21"]),
        ("{rate: lights.missed.by_class.red, slice: time_of_day=night, at_most: 0.09}", 1, ["0.095"]),
        ("{rate: lights.phantoms.overall.rate, at_most: 0, if_too_small: pass}", 0, ["0.000"]),
        ("{rate: lights.phantoms.overall, at_most: 0, min_objects: 43}", 1, ["42 frames, 43 asked for"]),
        ("{rate: lights.missed.by_class.rde, at_most: 1}", 1, ["no part 'rde'", "'red'"]),
        ("{rate: lights.mised.rate, at_most: 1}", 1, ["no part 'mised'", "'missed'"]),
        ("{rate: lights.missed.by_class, at_most: 1}", 1, ["no rate", "red, green"]),
        ("{rate: lights.missed, slice: weather=foggy, at_most: 1}", 1, ["no slice weather=foggy"]),
    ],
)
def test_a_rule_is_judged(scored, gate, capsys, rule, code, words):
    capsys.readouterr()
    assert gate(scored, f"min_objects: 1\nrules: [{rule}]") == code
    printed = capsys.readouterr()
    assert printed.err == ""
    for word in words:
        assert word in printed.out, printed.out
    assert ("Gate passed" if code == 0 else "Gate failed") in printed.out


@pytest.mark.parametrize(
    ("rule", "code", "words"),
    [
        ("{measure: recall:red, drop_at_most: 0.08}", 0, ["was 1.000", "dropped by 0.071"]),
        ("{measure: recall:red, drop_at_most: 0.07}", 1, ["was 1.000", "0.07 is allowed"]),
        (
            *("{measure: recall:red@worst(time_of_day), drop_at_most: 0.1}", 1),
            ["0.857 in time_of_day=night, was 1.000 in time_of_day=daytime: dropped by 0.143"],
        ),
        ("{measure: red_as_green, rise_at_most: 0}", 1, ["rose by 0.024"]),
        ("{measure: red_as_green, rise_at_most: 0.03}", 0, ["rose by 0.024"]),
        ("{measure: recall:green, drop_at_most: 0}", 1, ["dropped by 0.048"]),
    ],
)
def test_a_report_is_judged_against_another_one(scored, before, gate, tmp_path, rule, code, words):
    rules = f"min_objects: 1\nrules: [{rule}]"
    assert gate(scored, rules, "--baseline", str(before)) == code
    summary = (tmp_path / "gate" / "gate.md").read_text()
    for word in words:
        assert word in summary, summary
    # The other way round nothing has become worse.
    assert gate(before, rules, "--baseline", str(scored)) == 0
    assert gate(scored, rules, "--baseline", str(scored)) == 0


def test_a_drop_of_exactly_as_much_as_is_allowed_passes(scored, gate, tmp_path):
    content = json.loads((scored / "report.json").read_text())
    paths = [tmp_path / f"{ap50}.json" for ap50 in (0.5, 0.49)]  # whose difference is 0.01 and 9e-18
    for path in paths:
        path.write_text(json.dumps(content | {"overall": content["overall"] | {"ap50": float(path.stem)}}))
    for allowed, code in ((0.01, 0), (0.0099, 1)):
        rules = f"min_objects: 1\nrules: [{{measure: ap50, drop_at_most: {allowed}}}]"
        assert gate(paths[1], rules, "--baseline", str(paths[0])) == code


def test_a_rule_against_another_report_needs_one(scored, gate, capsys):
    assert gate(scored, "rules: [{measure: ap50, drop_at_most: 0.01}]") == 2
    assert "--baseline" in capsys.readouterr().err


def test_a_baseline_of_other_frames_needs_a_word(shared_drives, scored, gate, tmp_path, capsys):
    other = shared_drives.evaluate("other", "--where", "weather == 'clear'", "--by", "weather,time_of_day")
    rules = "min_objects: 1\nrules: [{measure: ap50, drop_at_most: 0.5}]"
    capsys.readouterr()
    assert gate(scored, rules, "--baseline", str(other)) == 1
    message = capsys.readouterr().err
    assert "not scored alike" in message and "catalog_fingerprint" in message
    assert gate(scored, rules, "--baseline", str(other), "--allow-different-protocol") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("NOT SCORED ALIKE") and "catalog_fingerprint" in printed
    too_small = "min_objects: 60\nrules: [{measure: ap50, drop_at_most: 0.5}]"
    assert gate(scored, too_small, "--baseline", str(other), "--allow-different-protocol") == 1
    assert "too small to be judged: baseline: all frames (54 objects, 60 asked for)" in capsys.readouterr().out
    for name in ("gate.md", "gate.html"):
        assert "NOT SCORED ALIKE" in (tmp_path / "gate" / name).read_text()


def test_a_slice_in_which_nothing_is_reported_is_not_left_out_of_the_worst(shared_drives, gate, capsys):
    night = {frame.frame_id for frame in shared_drives.frames if frame.time_of_day == "night"}
    blind = shared_drives.evaluate("blind", "--by", "time_of_day", missed=night)
    rule = "{measure: precision@worst(time_of_day), at_least: 0.9, if_too_small: pass}"
    assert gate(blind, f"min_objects: 1\nrules: [{rule}]") == 1
    assert "no value in time_of_day=night (nothing was reported" in capsys.readouterr().out


def test_no_phantom_seen_is_no_proof_that_there_is_none(shared_drives, changed, gate, capsys):
    frames = [changed(frame, annotations=frame.annotations[:1]) for frame in shared_drives.frames]
    reds = shared_drives.evaluate("reds", catalog=shared_drives.save(frames), frames=frames)
    rules = "min_objects: 1\nrules: [{measure: phantoms_per_frame_upper, at_most: %s}]"
    assert gate(reds, "min_objects: 1\nrules: [{measure: phantoms_per_frame, at_most: 0}]") == 0
    # In 14 sequences nothing was seen: 1 - 0.025^(1/14).
    assert gate(reds, rules % 0.23) == 1
    assert gate(reds, rules % 0.24) == 0
    assert "0.000 to 0.232" in capsys.readouterr().out
    # One in every frame is no share of anything.
    every = {frame.frame_id for frame in frames}
    loud = shared_drives.evaluate("loud", catalog=shared_drives.save(frames), frames=frames, phantoms=every)
    assert gate(loud, "min_objects: 1\nrules: [{measure: phantoms_per_frame_lower, at_least: 1}]") == 0


def test_a_bound_of_too_few_sequences_is_too_small_and_not_judged(shared_drives, gate, capsys):
    few = shared_drives.evaluate("few", "--by", "", "--slice", "few: sequence == 'drive00' or sequence == 'drive01'")
    rules = (
        "min_objects: 1\nmin_sequences: 1\nrules: [{measure: ap50_lower, slice: few, at_least: 0.1, if_too_small: %s}]"
    )
    for policy, code, word in (("fail", 1, "✗ failed"), ("warn", 0, "! warned"), ("pass", 0, "not judged")):
        assert gate(few, rules % policy) == code
        printed = capsys.readouterr().out
        assert word in printed and "fewer than 5 sequences, which an interval needs" in printed


def test_phantoms_are_measured_on_frames_and_not_on_objects(scored, gate, tmp_path):
    gate(scored, "rules: [{rate: lights.phantoms.overall, at_most: 1}, {measure: recall, at_least: 0.5}]")
    phantoms, recall = [line for line in (tmp_path / "gate" / "gate.md").read_text().splitlines() if "passed" in line][
        1:3
    ]
    assert phantoms.endswith("| all frames | 42 | - | 14 |") and recall.endswith("| all frames | 42 | 84 | 14 |")


def test_a_baseline_whose_slices_mean_something_else_needs_a_word(shared_drives, gate, tmp_path, capsys):
    reports = [
        shared_drives.evaluate(f"far_{index}", "--by", "weather", "--slice", f"far: {text}", *more)
        for index, (text, more) in enumerate(
            [
                ("night", ()),
                ("daytime", ()),
                ("network_width_px > 5", ("--input-size", "160x120")),
                ("network_width_px > 5", ("--input-size", "16x12")),
            ]
        )
    ]
    rules = "min_objects: 1\nrules: [{measure: recall, slice: far, drop_at_most: 0}]"
    capsys.readouterr()
    for now, before, words in (
        (1, 0, ["slices.far is 'night (21 frames, 42 objects)'", "and 'daytime (21 frames, 42 objects)'"]),
        (3, 2, ["slices.far is 'network_width_px > 5 (42 frames, 84 objects)'", "(42 frames, 0 objects)"]),
    ):
        assert gate(reports[now], rules, "--baseline", str(reports[before])) == 1
        message = capsys.readouterr().err
        assert "not scored alike" in message and "weather" not in message
        for word in words:
            assert word in message
        gate(reports[now], rules, "--baseline", str(reports[before]), "--allow-different-protocol")
        assert f"{words[0]} in the baseline and " in (tmp_path / "gate" / "gate.md").read_text()
    assert gate(reports[0], rules, "--baseline", str(reports[0])) == 0


def test_no_verdict_of_before_stays_where_none_can_be_given(scored, gate, tmp_path):
    assert gate(scored, "min_objects: 1\nrules: [{measure: ap50, at_least: 0.1}]") == 0
    assert (tmp_path / "gate" / "gate.xml").exists()
    (tmp_path / "gate" / "notes.txt").touch()
    assert gate(tmp_path / "nowhere", "rules: [{measure: ap50, at_least: 0.1}]") == 1
    assert [path.name for path in (tmp_path / "gate").iterdir()] == ["notes.txt"]


def test_a_baseline_without_intervals_needs_a_word(scored, before, gate, tmp_path, capsys):
    path, content = tmp_path / "scores.json", json.loads((before / "report.json").read_text())
    path.write_text(json.dumps(content | {"intervals": {}, "interval_method": None}))
    rules = "min_objects: 1\nrules: [{measure: ap50, drop_at_most: 0.5}]"
    assert gate(scored, rules, "--baseline", str(path)) == 1
    assert "interval_method.replicates is None in the first and 1000 in the second" in capsys.readouterr().err


def test_a_baseline_of_other_software_is_named(scored, before, gate, tmp_path):
    path, content = tmp_path / "older.json", json.loads((before / "report.json").read_text())
    path.write_text(json.dumps(content | {"software": {"tl-perception": "0.0.1"}}))
    rules = "min_objects: 1\nrules: [{measure: ap50, drop_at_most: 0.5}]"
    assert gate(scored, rules, "--baseline", str(path)) == 0
    for name in ("gate.md", "gate.html"):
        assert "tl-perception 0.0.1; its numbers" in (tmp_path / "gate" / name).read_text()
    assert gate(scored, rules, "--baseline", str(before)) == 0
    assert "software of the baseline" not in (tmp_path / "gate" / "gate.md").read_text()


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("", ["expected a mapping"]),
        ("rules: []", ["rules: found none", "at least 1"]),
        ("rule: [{measure: ap50, at_least: 0.5}]", ["rule: no such setting", "rules: is required"]),
        ("rules: [{measure: ap50, at_leest: 0.5}]", ["rules.0.at_leest: no such setting"]),
        ("rules: [{measure: ap5, at_least: 0.5}]", ["rules.0.measure", "'ap5'", "did you mean 'ap75'"]),
        ("rules: [{measure: ap50@weather=rany, at_least: 0.5}]", ["rules.0.measure", "'rany'", "'rainy'"]),
        ("rules: [{measure: ap50@worst(wether), at_least: 0.5}]", ["rules.0.measure", "'wether'", "'weather'"]),
        ("rules: [{measure: ap50, at_least: .nan}]", ["rules.0.at_least", "finite"]),
        ("rules: [{measure: ap50, at_least: .inf}]", ["rules.0.at_least", "finite"]),
        ("rules: [{measure: ap50, drop_at_most: -1}]", ["rules.0.drop_at_most", "greater than or equal to 0"]),
        ("rules: [{measure: ap50}]", ["rules.0", "found none", "exactly one"]),
        ("rules: [{measure: red_as_green, at_most: 5}]", ["rules.0", "at_most: found 5", "between 0 and 1"]),
        ("rules: [{measure: ap50_lower, at_least: -0.1}]", ["rules.0", "at_least: found -0.1", "between 0 and 1"]),
        ("rules: [{measure: recall, drop_at_most: 2}]", ["rules.0", "drop_at_most: found 2", "between 0 and 1"]),
        ("rules: [{measure: ap50, at_least: 0.1, at_most: 0.2}]", ["rules.0", "found at_least, at_most"]),
        ("rules: [{measure: ap50, rise_at_most: 0.1}]", ["rules.0", "more is better", "drop_at_most"]),
        ("rules: [{measure: red_as_green, drop_at_most: 0.1}]", ["rules.0", "less is better", "rise_at_most"]),
        ("rules: [{measure: ap50@weather=rainy, slice: x, at_least: 1}]", ["rules.0", "names a slice already"]),
        ("if_too_small: ignore\nrules: [{measure: ap50, at_least: 1}]", ["if_too_small", "'fail', 'warn' or 'pass'"]),
        ("min_objects: -1\nrules: [{measure: x, at_least: 1}]", ["min_objects", "rules.0.measure"]),
        ("rules: [{at_most: 1}]", ["rules.0", "none of measure and rate"]),
        ("rules: [{measure: null, at_most: 1}]", ["rules.0.measure", "expected a measure"]),
        ("rules: [{measure: ap, rate: x, at_most: 1}]", ["rules.0", "both of measure and rate"]),
        ("rules: [{measure: ap, bound: lower, at_most: 1}]", ["rules.0", "write ap_lower"]),
        ("rules: [{measure: ap50", ["rules.yaml"]),
    ],
)
def test_wrong_rules_are_named_in_one_line(scored, gate, tmp_path, capsys, rules, words):
    capsys.readouterr()
    assert gate(scored, rules) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("tl gate: ") and "rules.yaml" in line
    for word in words:
        assert word in line, line
    assert not (tmp_path / "gate").exists()


def test_no_rules_file_and_no_report(scored, gate, tmp_path, capsys):
    assert main(["gate", str(scored), "--rules", "nowhere.yaml"]) == 2
    assert "nowhere.yaml" in capsys.readouterr().err
    assert gate(tmp_path, "rules: [{measure: ap50, at_least: 0.5}]") == 1
    assert "holds no report.json" in capsys.readouterr().err


def test_a_report_without_intervals_has_no_bounds(scored, gate, tmp_path, capsys):
    path, content = tmp_path / "report.json", json.loads((scored / "report.json").read_text())
    path.write_text(json.dumps(content | {"intervals": {}, "interval_method": None}))
    assert gate(path, "rules: [{measure: ap50_lower, at_least: 0.5, if_too_small: pass}]") == 1
    assert "the report has no intervals" in capsys.readouterr().out
    assert gate(path, "rules: [{measure: ap50, at_least: 0.5}]") == 0


RULES = """
min_objects: 1
rules:
  - {measure: ap50, at_least: 0.5, name: "finds <lights> & \\"more\\" | \\u0007"}
  - {measure: recall:red, at_least: 0.99}
  - {measure: recall:green, at_least: 0.5, min_objects: 100, if_too_small: warn}
  - {measure: recall:green, at_least: 0.5, min_objects: 100, if_too_small: pass}
"""


def test_the_xml_is_read_by_others(scored, gate, tmp_path):
    assert gate(scored, RULES) == 1
    root = ElementTree.parse(tmp_path / "gate" / "gate.xml").getroot()
    (suite,) = root
    assert (root.tag, suite.tag) == ("testsuites", "testsuite")
    # What the schema of Jenkins' xunit plugin (junit-10.xsd) knows of all suites.
    assert root.attrib.keys() <= {"name", "time", "tests", "failures", "errors"}
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        **dict.fromkeys(("failures", "skipped"), "1"),
        "tests": "4",
        "errors": "0",
    }
    assert suite[0].get("name") == 'finds <lights> & "more" | �'
    assert [[child.tag for child in case] for case in suite] == [
        ["system-out"],
        ["failure", "system-out"],
        ["system-out"],
        ["skipped", "system-out"],
    ]
    failure = suite[1].find("failure")
    assert failure is not None and "0.929 in all frames, is less than 0.99" in str(failure.get("message"))


def test_the_xml_is_read_by_junitparser(scored, gate, tmp_path):
    junitparser = pytest.importorskip("junitparser", reason="the judge of JUnit files is not installed (extra dev)")
    gate(scored, RULES)
    xml = junitparser.JUnitXml.fromfile(str(tmp_path / "gate" / "gate.xml"))
    (suite,) = xml
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (4, 1, 0, 1)
    assert [case.is_passed for case in suite] == [True, False, True, False]
    assert [case.is_skipped for case in suite] == [False, False, False, True]


class _Text(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.text, self.links = [], "", []

    def handle_starttag(self, tag, attrs):
        self.open += [] if tag in ("meta", "br") else [tag]
        self.links += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_pages_say_what_was_judged(scored, gate, tmp_path):
    gate(scored, RULES)
    page = _Text()
    page.feed((tmp_path / "gate" / "gate.html").read_text())
    assert page.open == [] and page.links == []
    markdown = (tmp_path / "gate" / "gate.md").read_text()
    assert markdown.startswith("# Gate failed: 1 of 4 rules failed, 1 warned, 1 not judged\n")
    for text in (page.text, markdown):
        for word in ('finds <lights> & "more"', "0.929", "predictions file", "catalog1", "1000 replicates", "failed"):
            assert word in text, word


def test_the_example_rules_load():
    paths = sorted(CONFIGS.glob("*.yaml"))
    assert [path.name for path in paths] == ["lights.yaml", "no_worse.yaml"]
    rules = {path.name: load_rules(path) for path in paths}
    assert not any(rule.needs_baseline for rule in rules["lights.yaml"].rules)
    assert all(rule.needs_baseline for rule in rules["no_worse.yaml"].rules)
