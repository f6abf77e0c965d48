"""What a robustness report says, and its files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.label_space import LabelSpace, Rule
from tl_detection.robustness.choice import choose_corruptions
from tl_detection.robustness.report import format_console, format_markdown, to_dict, write_robustness
from tl_detection.robustness.results import Robustness
from tl_detection.robustness.run import measure_robustness

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def result(detector, lamps: Catalog, own_effects) -> Robustness:
    corruptions = choose_corruptions(["brightness", "zoom_blur", "weather"])
    return measure_robustness(detector, lamps, corruptions=corruptions, severities=(1, 5), n_frames=5, by=["weather"])


def rows_below(text: str, title: str) -> list[str]:
    """Lines of a Markdown table below its heading, without the rule."""
    lines = text.split(f"## {title}")[1].strip().splitlines()
    return [line for line in lines[: lines.index("")] if not line.startswith("| :---")]


def test_markdown(result: Robustness):
    text = format_markdown(result)
    sets = rows_below(text, "By set")
    assert [row.split(" | ")[:2] for row in sets[1:]] == [["| standard", "2"], ["| weather", "2"]]
    assert "(weather.swap at 5)" in sets[2]
    by_severity = rows_below(text, "AP50 by corruption and severity")
    assert len(by_severity) == 5
    zoom = next(item for item in result.corruptions if item.corruption.name == "zoom_blur")
    assert f"| {zoom.overall.corrupted[1].ap50:.3f} |" in by_severity[2]
    assert rows_below(text, "By class")[3].startswith("| standard: off | 0 | - | - | - |")
    made = rows_below(text, "Conditions that were made")
    assert made[1:] == ["| weather.dusk | - | night | synthetic | 3 | 2 |"]
    assert len(rows_below(text, "By condition of the frame before")) == 1 + 2 * 3
    assert "standard.zoom_blur move pixels" in text
    assert "5 of the 6 frames that can be scored, evenly spread over the catalog from seed 0" in text
    assert "Classes without an object in these frames, and in no mean: off." in text
    assert "## By state" not in text
    assert "Each class is one state" in text


def test_console(result: Robustness):
    text = format_console(result)
    assert text.startswith(f"AP50 {result.clean.ap50:.3f}, AP ")
    assert "Standard, 2 corruptions at severity 1, 5: AP50 mPC" in text
    assert "Stop lights reported green, of those detected at all, by severity" in text
    assert max(map(len, text.splitlines()[2:])) < 140


def test_json(result: Robustness):
    values = json.loads(json.dumps(to_dict(result), allow_nan=False))
    standard = values["sets"]["standard"]
    by_hand = [
        sum(scores["ap50"] for scores in item["by_severity"].values()) / 2
        for item in values["corruptions"]
        if item["set"] == "standard"
    ]
    assert standard["overall"]["ap50"]["mpc"] == pytest.approx(sum(by_hand) / 2)
    assert standard["overall"]["ap50"]["rpc"] == pytest.approx(sum(by_hand) / 2 / values["clean"]["ap50"])
    nothing = {"clean": None, "mpc": None, "rpc": None, "n_corruptions": 0, "n_without_value": 2}
    assert standard["by_class"]["off"]["ap"] == nothing
    assert standard["by_state"]["red"] == standard["by_class"]["red"]
    assert values["sets"]["weather"]["by_condition"]["weather=snowy"]["ap"]["n_without_value"] == 1
    dusk = values["corruptions"][3]
    assert dusk["made_conditions"] == {"weather": None, "time_of_day": "night", "condition_source": "synthetic"}
    assert (dusk["frames"], dusk["frames_left_out"]) == (3, 2)
    swap = values["corruptions"][2]
    assert swap["by_severity"]["5"]["red_as_green"]["as_green"] >= 3
    assert swap["made_conditions"]["condition_source"] is None
    assert (values["seed"], values["severities"], values["frames"], values["frames_offered"]) == (0, [1, 5], 5, 6)


def test_what_is_better_than_clean_is_pointed_at(result: Robustness):
    assert "More than the clean AP50" not in format_markdown(result)
    brightness = result.corruptions[0]
    worse_before = replace(brightness.overall, clean=replace(brightness.overall.clean, ap50=0.1))
    swapped = replace(result, corruptions=(replace(brightness, overall=worse_before), *result.corruptions[1:]))
    assert "More than the clean AP50 is left with standard.brightness: by chance" in format_markdown(swapped)


def test_a_state_is_the_mean_of_its_classes(detector, lamps: Catalog):
    left, right = (Rule(state=["red"], occluded=occluded) for occluded in (None, [True]))
    detector.label_space = LabelSpace(
        classes={"red": left, "green": Rule(state=["green"]), "red_hidden": right, "light": Rule()}
    )
    result = measure_robustness(detector, lamps, corruptions=choose_corruptions(["brightness"]), severities=[1])
    assert result.states == {"red": (0, 2), "green": (1,)}
    text = format_markdown(result)
    assert [row.split(" | ")[:2] for row in rows_below(text, "By state")[1:]] == [
        ["| standard: red", "6"],
        ["| standard: green", "6"],
    ]


def test_the_plot(result: Robustness, tmp_path: Path):
    write_robustness(result, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "robustness.json",
        "robustness.md",
        "robustness.svg",
    ]
    root = ElementTree.parse(tmp_path / "out" / "robustness.svg").getroot()
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert [word for word in words if word in {"brightness", "zoom_blur", "swap", "dusk"}] == [
        *("brightness", "zoom_blur", "swap", "dusk")
    ]
    cells = [cell.find(f"{SVG}title").text for cell in root.iter(f"{SVG}g")]
    assert len(cells) == 4 * 3
    first = result.corruptions[0].overall
    assert cells[2] == f"standard.brightness, severity 5: AP50 {first.corrupted[1].ap50:.3f}"
    # Nothing reaches out of the picture, and bars are as long as what is left.
    width = float(root.get("width"))
    bars = [float(bar.get("width")) for bar in root.iter(f"{SVG}rect") if bar.get("class") == "bar"]
    tracks = [float(bar.get("width")) for bar in root.iter(f"{SVG}rect") if bar.get("class") == "track"]
    assert max(float(text.get("x")) for text in root.iter(f"{SVG}text")) <= width - 20
    left = sum(scores.ap50 for scores in first.corrupted) / 2 / first.clean.ap50
    assert bars[0] == pytest.approx(tracks[0] * left, abs=0.1)
