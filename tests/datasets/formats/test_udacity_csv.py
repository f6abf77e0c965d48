from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tl_datasets.errors import AnnotationError, DataError
from tl_datasets.formats.udacity_csv import read
from tl_datasets.images import write_rgb
from tl_datasets.index import index
from tl_datasets.read_report import Event, ReadReport

# Rows of object-dataset/labels.csv as public readers quote them; the light's frame has one digit more here.
AUTTI = """\
1478019952686311006.jpg 950 574 1004 620 0 "car"
1478019952686311006.jpg 1748 482 1818 744 1 "pedestrian"
1478019968680240537.jpg 888 498 910 532 0 "trafficLight" "Red"
"""
# The first row of object-detection-crowdai/labels.csv under the header that copies carry, which is wrong.
WRONG_HEADER = "xmin,xmax,ymin,ymax,Frame,Label,Preview URL\n"
CROWDAI = "785,533,905,644,1479498371963069978.jpg,Car,http://crowdai.com/images/Wwj-gorOCisE7uxA/visualize\n"
FIRST, LIGHT = "1478019952686311006", "1478019968680240537"


@pytest.fixture(scope="module")
def picture(tmp_path_factory) -> bytes:
    """A JPEG file in the size of the data set."""
    path = tmp_path_factory.mktemp("picture") / "grey.jpg"
    write_rgb(path, np.full((1200, 1920, 3), 90, np.uint8))
    return path.read_bytes()


@pytest.fixture
def make_source(tmp_path, picture):
    def make(text: str, images=(f"{FIRST}.jpg", f"{LIGHT}.jpg")) -> Path:
        folder = tmp_path / "object-dataset"
        folder.mkdir(exist_ok=True)
        (folder / "labels.csv").write_text(text)
        for name in images:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(picture)
        return folder

    return make


def frames_of(source: Path, **options):
    report = ReadReport()
    return list(read(source, report=report, **options)), report


def test_rows_of_autti(make_source):
    source = make_source(AUTTI)
    (first, second), report = frames_of(source)
    assert (first.frame_id, first.path, first.timestamp_ns) == (FIRST, f"{FIRST}.jpg", int(FIRST))
    assert (first.width_px, first.height_px, first.label_status) == (1920, 1200, "labelled")
    car, pedestrian = first.annotations
    assert (car.category, car.state, car.occluded, car.xyxy) == ("car", None, False, (950, 574, 1004, 620))
    assert (pedestrian.category, pedestrian.occluded) == ("pedestrian", True)
    (lamp,) = second.annotations
    assert (lamp.category, lamp.state, lamp.pictogram, lamp.occluded) == ("traffic_light", "red", "circle", False)
    assert lamp.source_label == "trafficLight-Red"
    assert (report.total, report.lines(), report.root) == (2, [], source)
    assert frames_of(source / "labels.csv")[0] == [first, second]


@pytest.mark.parametrize(
    ("words", "category", "state", "pictogram"),
    [
        ('"trafficLight" "Red"', "traffic_light", "red", "circle"),
        ('"trafficLight" "RedLeft"', "traffic_light", "red", "arrow_left"),
        ('"trafficLight" "Yellow"', "traffic_light", "yellow", "circle"),
        ('"trafficLight" "YellowLeft"', "traffic_light", "yellow", "arrow_left"),
        ('"trafficLight" "Green"', "traffic_light", "green", "circle"),
        ('"trafficLight" "GreenLeft"', "traffic_light", "green", "arrow_left"),
        ('"trafficLight"', "traffic_light", "unknown", "unknown"),
        ("trafficLight", "traffic_light", "unknown", "unknown"),
        ('"truck"', "truck", None, None),
        ('"biker"', "rider", None, None),
    ],
)
def test_every_label(make_source, words, category, state, pictogram):
    (frame,), _ = frames_of(make_source(f"{FIRST}.jpg 1 2 3 4 0 {words}"), without_rows="skip")
    (box,) = frame.annotations
    assert (box.category, box.state, box.pictogram) == (category, state, pictogram)


def test_unknown_labels_are_reported_together(make_source):
    text = f'{FIRST}.jpg 1 2 3 4 0 "bus"\n{FIRST}.jpg 1 2 3 4 0 "car" "Red"'
    with pytest.raises(AnnotationError, match=r"does not know: label 'bus' \(1\), label 'car-Red' \(1\)"):
        frames_of(make_source(text))


@pytest.mark.parametrize("header", [WRONG_HEADER, "xmin,ymin,xmax,ymax,Frame,Label,Preview URL\n", ""])
def test_crowdai_is_read_by_position_whatever_its_header_says(make_source, header):
    (frame,), _ = frames_of(make_source(header + CROWDAI, ["1479498371963069978.jpg"]))
    (car,) = frame.annotations
    assert (car.xyxy, car.category, car.occluded) == ((785, 533, 905, 644), "car", None)


def test_crowdai_marked_no_lights(make_source, tmp_path):
    source = make_source(CROWDAI, ["1479498371963069978.jpg"])
    (frame,), _ = frames_of(source)
    assert (frame.label_status, frame.labelled_categories) == ("partial", ("pedestrian", "car", "truck"))
    own = tmp_path / "own.yaml"
    own.write_text("extends: udacity\nlabels: {truck: drop}\n")
    (frame,), _ = frames_of(source, label_map=str(own))
    assert frame.labelled_categories == ("pedestrian", "car")


@pytest.mark.parametrize(("n", "refused"), [(99, True), (100, False)])
def test_more_than_one_reversed_box_in_a_hundred_stops_the_reading(make_source, n, refused):
    good = CROWDAI * (n - 1)
    source = make_source(WRONG_HEADER + good + CROWDAI.replace("785,533,905,644", "785,905,533,644"), [])
    if refused:
        with pytest.raises(AnnotationError, match=r"line 100: 1 of 99 boxes, .* columns of this copy are in another"):
            frames_of(source, missing_images="keep")
        return
    (frame,), report = frames_of(source, missing_images="keep")
    assert (len(frame.annotations), report.count(Event.BOX_NO_AREA)) == (99, 1)
    with pytest.raises(AnnotationError, match=r"labels\.csv line 101: box .* is reversed"):
        frames_of(source, missing_images="keep", on_bad_box="error")


def test_images_without_a_row(make_source):
    source = make_source(AUTTI, [f"{FIRST}.jpg", f"{LIGHT}.jpg", "1478019953180167674.jpg", "other/b.jpg"])
    frames, report = frames_of(source)
    assert [(frame.frame_id, frame.label_status) for frame in frames] == [
        (FIRST, "labelled"),
        ("1478019953180167674", "unlabelled"),
        (LIGHT, "labelled"),
    ]
    assert (report.total, report.count(Event.NO_RECORD)) == (3, 1)
    assert frames_of(source, without_rows="negative")[0][1].annotations == ()
    skipped, report = frames_of(source, without_rows="skip")
    assert ([frame.frame_id for frame in skipped], report.count(Event.NO_RECORD)) == ([FIRST, LIGHT], 1)


def test_negatives_of_crowdai_say_nothing_about_lights(make_source):
    source = make_source(CROWDAI, ["1479498371963069978.jpg", "1479498372963069978.jpg"])
    (_, second), _ = frames_of(source, without_rows="negative")
    assert (second.annotations, second.label_status) == ((), "partial")


def test_conditions_and_sequences_of_the_description(make_source):
    names = ["1478019952686311006", "1478019953180167674", "1478019959180167674"]
    text = "".join(f'{name}.jpg 1 2 3 4 0 "car"\n' for name in names)
    catalog, _ = index(make_source(text, [f"{name}.jpg" for name in names]), "udacity")
    frames = list(catalog.iter_frames())
    assert {(frame.weather, frame.time_of_day, frame.condition_source) for frame in frames} == {
        ("clear", "daytime", "text")
    }
    first, second, third = (frame.sequence for frame in frames)
    assert first == second != third


@pytest.mark.parametrize("name", ["17801996868024053.jpg", "9999999999999999999.jpg", "frame.jpg"])
def test_a_name_that_is_no_time(make_source, name):
    (frame,), _ = frames_of(make_source(f'{name} 1 2 3 4 0 "car"', [name]))
    assert frame.timestamp_ns is None


def test_missing_images(make_source):
    source = make_source(AUTTI, [f"{FIRST}.jpg"])
    with pytest.raises(AnnotationError, match=rf"labels\.csv line 3: no image '{LIGHT}\.jpg' in"):
        frames_of(source)
    (frame,), report = frames_of(source, missing_images="drop")
    assert (frame.frame_id, report.count(Event.IMAGE_MISSING)) == (FIRST, 1)
    (_, kept), _ = frames_of(source, missing_images="keep")
    assert (kept.frame_id, kept.width_px, kept.height_px, len(kept.annotations)) == (LIGHT, 1920, 1200, 1)


def test_images_in_folders(make_source, picture):
    source = make_source(AUTTI, [f"part/{FIRST}.jpg", f"part/{LIGHT}.jpg"])
    assert frames_of(source)[0][0].path == f"part/{FIRST}.jpg"
    (source / "copy").mkdir()
    (source / "copy" / f"{FIRST}.jpg").write_bytes(picture)
    with pytest.raises(AnnotationError, match=r"lies in copy/.* and part/.*; set images=DIR"):
        frames_of(source)
    assert frames_of(source, images=source / "part")[0][0].path == f"{FIRST}.jpg"


def test_two_images_of_one_moment(make_source, picture):
    source = make_source(AUTTI + f'{FIRST}.png 1 2 3 4 0 "car"')
    (source / f"{FIRST}.png").write_bytes(picture)
    with pytest.raises(AnnotationError, match=rf"are both frame '{FIRST}'"):
        frames_of(source)


def test_a_folder_without_labels(tmp_path):
    with pytest.raises(DataError, match=r"no labels\.csv in it; expected the folder of one drive"):
        read(tmp_path, report=ReadReport())


ROW = AUTTI.splitlines()[2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no row in it; expected Autti"),
        (WRONG_HEADER, "no row in it; expected Autti"),
        ("frame,xmin,xmax,ymin,ymax,class_id\n1478019952686311006.jpg,237,251,143,155,1", "line 2: 6 fields; expected"),
        (ROW + " 1", "line 1: 9 fields; expected Autti"),
        (CROWDAI.replace("785,", ""), "line 1: 6 fields|frame 'Car', expected the file name"),
        (CROWDAI + CROWDAI.replace(",http", ",1,http"), "line 2: 8 fields; expected"),
        (ROW.replace(" 0 ", " 2 "), "line 1: occluded is '2', expected true, false or null"),
        (ROW.replace("888", "nan"), "corner 1 is 'nan', expected a number"),
        (ROW.replace("532", "1e999"), "corner 4 is '1e999', expected a number"),
        (ROW.replace(f"{LIGHT}.jpg", "../../etc"), r"frame '../../etc', expected the file name of an image"),
        (ROW.replace(LIGHT, "x\0"), "line 1: path .*cannot be a file"),
        (ROW.replace('"Red"', '"Red'), "line 1: unexpected end of data; expected fields between ' '"),
    ],
)
def test_bad_rows(make_source, text, message):
    with pytest.raises(AnnotationError, match=message) as raised:
        frames_of(make_source(text))
    assert "\n" not in str(raised.value)


def test_a_path_of_another_machine_does_no_harm(make_source):
    source = make_source(f'../../secret/{FIRST}.jpg 1 2 3 4 0 "car"', [f"{FIRST}.jpg"])
    assert frames_of(source)[0][0].path == f"{FIRST}.jpg"
