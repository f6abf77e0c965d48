"""What is refused, and what the report says of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

from tl_datasets.label_space import LabelSpace
from tl_datasets.lint.labels import Labels
from tl_datasets.lint.lint import lint
from tl_datasets.lint.report import as_json, format_lint, markdown_of, write_lint
from tl_datasets.lint.report_html import html_of
from tl_datasets.lint.settings import LintConfig
from tl_datasets.taxonomy import State

ALL = Labels.of(None)
CONFIG = LintConfig(draws=2)


def grey(image, rng):
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def swap(image, rng):
    return np.ascontiguousarray(image[:, :, ::-1])


def same(image, rng):
    return image


def report(steps, lamps, labels=ALL, **options):
    return lint("mine", steps, lamps, options.pop("config", CONFIG), labels=labels, **options)


def test_a_harmless_policy_is_within_the_limits(drawn, make_step):
    found = report([make_step("Same", same)], drawn)
    assert found.faults() == found.overrides() == []
    assert "within the limits: each step keeps at least 95%" in format_lint(found)


def test_a_wrong_colour_is_refused_by_name(drawn, make_step):
    found = report([make_step("Same", same), make_step("Swap", swap, 0.5)], drawn)
    assert len(found.faults()) == 1, "the sum is not blamed beside its part"
    line = found.faults()[0]
    assert re.fullmatch(
        r"Swap: \d\d\.\d % of 12 \w+ lamps show another state after it \(p 0\.5; \d+\.\d % where it is applied\), "
        r"limit 3\.0 %; weaken it, lower its p, remove it, or allow it with augment\.allow_unsafe: \[Swap\]",
        line,
    )


def test_greying_is_refused_by_its_share(drawn, make_step):
    line = report([make_step("Grey", grey, 0.2)], drawn).faults()[0]
    assert line.startswith("Grey: only 80.0 % of 12 ") and "(p 0.2; 0.0 % where it is applied), limit 95.0 %" in line
    assert report([make_step("Grey", grey, 0.04)], drawn).faults() == []
    loose = CONFIG.model_copy(update={"min_kept": 0.7})
    assert report([make_step("Grey", grey, 0.2)], drawn, config=loose).faults() == []


def test_an_allowed_step_is_an_override(drawn, make_step):
    steps = [make_step("Swap", swap), make_step("Same", same)]
    found = report(steps, drawn, allow=["Swap"])
    assert found.faults() == []
    assert found.overrides()[0].startswith("Swap: ") and found.overrides()[1].startswith("all together: ")
    assert as_json(found)["overrides"] == found.overrides()
    assert "allowed by augment.allow_unsafe: Swap: " in format_lint(found)
    assert report([*steps, make_step("Grey", grey)], drawn, allow=["Swap"]).faults()[0].startswith("Grey: ")


def test_many_small_harms_are_refused_together(drawn, make_step):
    steps = [make_step("Grey", grey, 0.045) for _ in range(5)]
    found = report(steps, drawn, config=LintConfig(draws=8))
    assert len(found.faults()) == 1
    assert re.match(
        r"all together: only [78]\d\.\d % of 12 \w+ lamps .* Grey \(\d\) alone costs up to", found.faults()[0]
    )


def test_a_label_space_without_colour_refuses_nothing(drawn, make_step):
    labels = Labels.of(LabelSpace.model_validate({"classes": {"light": {}}}))
    assert not labels.carry_colour
    found = report([make_step("Grey", grey)], drawn, labels)
    assert found.faults() == [] and found.survival()["kept"].to_list() == [0.0] * 4
    text = format_lint(found)
    assert "no class depends on the colour" in text and "within the limits" not in text


def test_a_single_coloured_class_carries_colour():
    labels = Labels.of(LabelSpace.model_validate({"classes": {"red": {"state": "red"}}, "otherwise": "drop"}))
    assert labels.carry_colour and labels.learned == (State.RED,)
    assert not labels.same(State.RED, State.GREEN)


def test_too_few_lamps_refuse_nothing_and_say_so(drawn, make_step):
    few = replace(drawn, lamps=tuple(lamp for lamp in drawn.lamps if lamp.head.state is State.RED)[:9])
    found = report([make_step("Grey", grey)], few)
    assert found.faults() == []
    assert found.too_few() == {State.RED: 9, State.RED_YELLOW: 0, State.YELLOW: 0, State.GREEN: 0}
    assert "red: 9 lamps are too few to refuse anything for them" in format_lint(found)


@pytest.mark.parametrize("name", ["Upside", "Mirror"])
def test_geometry_is_refused_without_any_lamp(name, drawn, make_step):
    change = {"Upside": lambda image, rng: image[::-1].copy(), "Mirror": lambda image, rng: image[:, ::-1].copy()}[name]
    labels = Labels.of(LabelSpace.model_validate({"classes": {"light": {}}}))
    found = report([make_step(name, change)], replace(drawn, lamps=()), labels)
    assert found.faults()[0].startswith(f"{name}: mirrors the picture")
    assert f"refused: {name}: mirrors the picture" in format_lint(found)
    assert report([make_step(name, change, 0.0)], replace(drawn, lamps=()), labels).faults() == []


def test_a_turn_is_refused_from_the_limit_on(drawn, make_step):
    def turn(image, rng):
        height, width = image.shape[:2]
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 20, 1)
        return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)

    none = replace(drawn, lamps=())
    assert (
        "turns the picture by up to 20 degrees, expected at most 10"
        in report([make_step("Turn", turn)], none).faults()[0]
    )
    assert report([make_step("Turn", turn)], none, config=LintConfig(max_turn_deg=25)).faults() == []


def test_nothing_to_measure(drawn):
    found = report([], drawn)
    assert found.faults() == [] and format_lint(found).startswith("augment.transforms has no step")
    assert "nothing to measure" in markdown_of(found) and "nothing to measure" in html_of(found)


def test_the_files(drawn, make_step, tmp_path):
    steps = [make_step("Swap<b>", swap, 0.5), make_step("Grey|", grey, 0.1)]
    conditions = tuple(
        replace(lamp, sample=replace(lamp.sample, weather="rainy" if number % 2 else "clear"))
        for number, lamp in enumerate(drawn.lamps)
    )
    found = report(steps, replace(drawn, lamps=conditions))
    write_lint(found, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lint.html", "lint.json", "lint.md"]
    values = json.loads((tmp_path / "lint.json").read_text())
    assert values["refused"] == found.faults() and values["limits"]["max_other"] == 0.03
    assert {row["state"] for row in values["survival"]} == {"red", "red_yellow", "yellow", "green"}
    assert {row["weather"] for row in values["survival_by"]["weather"]} == {"clear", "rainy"}
    assert "time_of_day" not in values["survival_by"], "all lamps have the same"
    assert sum(row["readings"] for row in values["confusion"]) == 5 * 48
    markdown = (tmp_path / "lint.md").read_text()
    assert "## By weather" in markdown and "Grey\\|" in markdown and "- refused: Swap<b>: " in markdown
    page = (tmp_path / "lint.html").read_text()
    assert "Swap<b>" not in page and "Swap&lt;b&gt;" in page
    assert not re.search(r'(src|href)="(?!data:image/png)', page), "nothing from outside"
    assert page.count("data:image/png;base64") >= 12 and len(page) < 5_000_000


def test_limits_are_checked():
    with pytest.raises(ValueError, match="less than or equal to 1"):
        LintConfig(min_kept=95)
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        LintConfig.model_validate({"min_keept": 0.9})
