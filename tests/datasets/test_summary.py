from __future__ import annotations

import json

import numpy as np
import pytest

from tl_datasets.frame import Annotation
from tl_datasets.index import index
from tl_datasets.network_size import InputSize
from tl_datasets.splits.split import split_catalog
from tl_datasets.summary import format_summary, summarise
from tl_datasets.taxonomy import Pictogram, State, Weather


@pytest.fixture
def catalog(make_catalog, make_frame):
    arrow = Annotation(xyxy=(0, 0, 10, 30), state=State.GREEN, pictogram=Pictogram.ARROW_LEFT, ignore=True)
    return make_catalog(
        make_frame("a", (State.RED, State.OFF), weather=Weather.RAINY, sequence="1", split="train"),
        make_frame(
            "b", annotations=(arrow, Annotation(xyxy=(0, 0, 50, 50), category="car")), sequence="1", split="train"
        ),
        make_frame("c", (), split="val"),
        make_frame("d", annotations=None),
        make_frame("e", (None, State.UNKNOWN), weather=Weather.RAINY, width_px=200),
        hashes={"c": "same", "d": "same"},
    )


def test_counts(catalog):
    summary = summarise(catalog)
    assert (summary["frames"], summary["boxes"], summary["lights"], summary["ignored"]) == (5, 6, 5, 1)
    assert summary["conditions"]["weather"] == {
        "-": {"frames": 3, "frames_with_light": 1, "lights": 1},
        "rainy": {"frames": 2, "frames_with_light": 2, "lights": 4},
    }
    assert summary["splits"]["train"] == {"frames": 2, "frames_with_light": 2, "lights": 3}
    assert summary["splits"]["val"] == {"frames": 1, "frames_with_light": 0, "lights": 0}
    assert summary["label_status"]["unlabelled"]["frames"] == 1
    assert summary["categories"] == {"traffic_light": 5, "car": 1}
    assert summary["states_by_split"]["train"] == {"green": 1, "off": 1, "red": 1}
    assert summary["pictograms"] == {"-": 4, "arrow_left": 1}
    assert summary["image_sizes"] == {"100x80": 4, "200x80": 1}
    assert summary["sequences"] == {"count": 1, "frames_without": 3, "largest": 2}
    assert summary["identical_images"] == {"groups": 1, "frames": 2, "examples": [["c", "d"]]}
    assert summary["light_height_px"]["50%"] == 15
    assert summary["light_height_px"]["100%"] == 30


def test_absent_unknown_and_off_are_counted_apart(catalog):
    assert summarise(catalog)["states"] == {"-": 1, "green": 1, "off": 1, "red": 1, "unknown": 1}


def test_states_by_source_split_and_condition(catalog):
    summary = summarise(catalog)
    assert summary["states_by_source"] == {"drawn": {"-": 1, "green": 1, "off": 1, "red": 1, "unknown": 1}}
    assert summary["states_by_condition"]["weather"] == {
        "-": {"green": 1},
        "rainy": {"-": 1, "off": 1, "red": 1, "unknown": 1},
    }
    # The crosses hold every light once.
    for cross in (summary["states_by_split"], *summary["states_by_condition"].values()):
        assert sum(number for row in cross.values() for number in row.values()) == summary["lights"]


def test_sizes_at_the_input(make_catalog, make_frame):
    lights = tuple(
        Annotation(xyxy=(0, 0, width, height), state=State.RED)
        for width, height in ((3, 9), (4, 12), (20, 7.8), (16, 40))
    )
    catalog = make_catalog(make_frame("a", annotations=lights), make_frame("b", (None,), width_px=200))
    # 100x80 into 50x40 halves: smaller sides 1.5, 2, 3.9, 8; 200x80 is quartered: 6x15 becomes 1.5.
    network = summarise(catalog, InputSize(width_px=50, height_px=40))["network"]
    assert network["input_size"] == "50x40"
    assert network["all"] == {
        "lights": 5,
        "under_px": {
            "2": {"lights": 2, "share": 0.4},
            "4": {"lights": 4, "share": 0.8},
            "8": {"lights": 4, "share": 0.8},
        },
    }
    assert network["by_state"]["red"]["under_px"]["2"] == {"lights": 1, "share": 0.25}
    assert network["by_state"]["-"]["under_px"]["2"] == {"lights": 1, "share": 1.0}
    assert network["by_source"] == {"drawn": network["all"]}
    assert network["smaller_side_px"]["100%"] == 8


def test_sizes_are_counted_in_bins(make_catalog, make_frame):
    lights = tuple(Annotation(xyxy=(0, 0, width, 70)) for width in (1.9, 2, 7.9999999999, 8, 99))
    counts = summarise(make_catalog(make_frame("a", annotations=lights)))["light_size_counts"]
    assert dict(zip(counts["edges_px"], counts["width"], strict=True)) == {
        **dict.fromkeys(counts["edges_px"], 0),
        0: 1,
        2: 1,
        8: 2,
        96: 1,
    }
    assert sum(counts["height"]) == 5


def test_it_is_plain_json(catalog):
    summary = summarise(catalog)
    assert json.loads(json.dumps(summary)) == summary


def test_without_lights_there_are_no_sizes(make_catalog, make_frame):
    for empty in (make_catalog(), make_catalog(make_frame("a", ()))):
        summary = summarise(empty)
        assert summary["light_height_px"] is None
        assert summary["network"]["all"]["under_px"]["8"] == {"lights": 0, "share": None}
        assert "frames" in format_summary(summary)


def test_text_is_aligned_and_complete(catalog):
    text = format_summary(summarise(catalog))
    for word in (
        "rainy",
        "arrow_left",
        "unlabelled",
        "200x80",
        "2 in 1 groups",
        "with a light",
        "under 8 px",
        "lights by weather",
    ):
        assert word in text
    for block in text.split("\n\n"):
        ends = {len(line) for line in block.splitlines()}
        assert len(ends) == 1, block


def test_real_conditions_equal_the_description(shared_data):
    catalog, _ = index(shared_data / "bdd100k" / "labels" / "bdd100k_labels_images_val.json", "bdd100k")
    summary = summarise(catalog)
    listed = {
        name: {word: tuple(row.values()) for word, row in table.items()}
        for name, table in summary["conditions"].items()
    }
    assert listed == {
        "weather": {
            "clear": (30, 15, 43),
            "undefined": (9, 4, 18),
            "overcast": (7, 5, 19),
            "snowy": (7, 5, 35),
            "rainy": (5, 1, 6),
            "partly_cloudy": (4, 2, 7),
        },
        "time_of_day": {"daytime": (33, 17, 91), "night": (19, 11, 29), "dawn_dusk": (9, 4, 8), "undefined": (1, 0, 0)},
        "scene": {
            "city_street": (36, 23, 93),
            "highway": (15, 5, 16),
            "residential": (10, 4, 19),
            "tunnel": (1, 0, 0),
        },
    }
    # The inclusive corner adds one pixel to the median of the description.
    assert np.isclose(summary["light_height_px"]["50%"], 26, atol=0.5)


def test_summary_of_a_split(shared_data):
    catalog, _ = index(shared_data / "bdd100k", "bdd100k")
    summary = summarise(split_catalog(catalog))
    assert sum(row["frames"] for row in summary["splits"].values()) == 202
    assert set(summary["splits"]) == {"train", "val", "test"}


def test_a_box_beyond_all_measure_is_still_plain_json(make_catalog, make_frame):
    frame = make_frame("a", annotations=(Annotation(xyxy=(-4e307, -4e307, 4e307, 4e307)),))
    json.dumps(summarise(make_catalog(frame)), allow_nan=False)
