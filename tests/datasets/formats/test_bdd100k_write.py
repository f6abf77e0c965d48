from __future__ import annotations

import json

import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError
from tl_datasets.formats import bdd100k
from tl_datasets.formats.bdd100k_write import write
from tl_datasets.formats.common.write_report import WriteReport
from tl_datasets.frame import Annotation, Frame
from tl_datasets.taxonomy import State, TimeOfDay, Weather


@pytest.mark.parametrize("seed", range(5))
def test_the_report_is_what_does_not_come_back(random_catalog, read_back, losses_between, tmp_path, seed):
    catalog = random_catalog(seed, n_frames=30)
    out, report = tmp_path / "out", WriteReport()
    out.mkdir()
    places = write(catalog, out, report=report)
    again = read_back(catalog, places, out, bdd100k.read, out, unlabelled="include")
    assert losses_between(catalog, again) == report.to_dict()
    assert report.losses["box.state"] > 0


def test_a_catalog_of_what_the_format_holds_comes_back_whole(draw_image, read_back, losses_between, tmp_path):
    """Three kinds of no: no colour known of the set, a colour that nobody can read; a dark lamp has no word."""
    root = draw_image(tmp_path / "0a0a0b1a-7c39d841.png", 1280, 720).parent
    boxes = [
        Annotation(
            xyxy=(10.5 + 50 * number, 20.25, 30.123456 + 50 * number, 60.0),
            state=state,
            occluded=number % 2 == 0,
            truncated=None,
            source_label="traffic light",
        )
        for number, state in enumerate([State.RED, State.YELLOW, State.GREEN, State.UNKNOWN, None])
    ]
    frame = Frame(
        frame_id="0a0a0b1a-7c39d841",
        path="0a0a0b1a-7c39d841.png",
        width_px=1280,
        height_px=720,
        annotations=tuple(boxes),
        time_of_day=TimeOfDay.DAWN_DUSK,
        condition_source="annotated",  # type: ignore[arg-type]
        sequence="0a0a0b1a",
        split="val",
    )
    catalog = Catalog.from_frames([frame], source="s", root=root)
    out, report = tmp_path / "out", WriteReport()
    out.mkdir()
    places = write(catalog, out, report=report)
    assert places == ["images/100k/val/0a0a0b1a-7c39d841.png"]
    record = json.loads((out / "labels/det_20/det_val.json").read_text())[0]
    assert record["attributes"] == {"timeofday": "dawn/dusk"}
    assert record["labels"][0]["box2d"] == {"x1": 10.5, "y1": 20.25, "x2": 29.123456, "y2": 59.0}
    assert [label["id"] for label in record["labels"]] == ["0", "1", "2", "3", "4"]
    assert [label["attributes"].get("trafficLightColor") for label in record["labels"]] == ["R", "Y", "G", "NA", None]
    again = read_back(catalog, places, out, bdd100k.read, out)
    assert losses_between(catalog, again) == report.to_dict() == {}


def test_a_box_that_the_inclusive_form_empties_is_counted(make_catalog, tmp_path):
    """Once, as a box, whatever was known of it."""
    thin = Annotation(xyxy=(10, 10, 11, 40), state=State.OFF, aspects=3, source_label="off", track_id="7")
    frame = Frame(frame_id="a", path="a.png", width_px=100, height_px=80, annotations=(thin,))
    report = WriteReport()
    write(make_catalog(frame), tmp_path, report=report)
    assert {name: number for name, number in report.losses.items() if name.startswith("box")} == {"box": 1}
    assert json.loads((tmp_path / "labels/det_20/det_train.json").read_text())[0]["labels"] == []


def test_a_part_without_a_record_is_lost_as_frames(make_catalog, make_frame, tmp_path):
    """The reader finds images without a record by the records of their folder."""
    lost = make_frame("deep/a", annotations=None, split="val", weather=Weather.RAINY, timestamp_ns=5, sequence="s")
    report = WriteReport()
    write(make_catalog(lost, make_frame("b", annotations=(), split="train", sequence=None)), tmp_path, report=report)
    assert report.to_dict() == {"frame": 1}


def test_nothing_labelled_is_refused(make_catalog, make_frame, tmp_path):
    with pytest.raises(DataError, match="no frame of the catalog is labelled"):
        write(make_catalog(make_frame("a", annotations=None)), tmp_path, report=WriteReport())
