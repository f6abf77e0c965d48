from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tl_datasets.errors import AnnotationError, DataError, UsageError
from tl_datasets.formats.lisa import read
from tl_datasets.images import write_rgb
from tl_datasets.index import index
from tl_datasets.read_report import Event, ReadReport

HEADER = (
    "Filename;Annotation tag;Upper left corner X;Upper left corner Y;Lower right corner X;Lower right corner Y;"
    "Origin file;Origin frame number;Origin track;Origin track frame number"
)
# The first rows of daySequence1 in the archive, BOX and BULB.
VIDEO = "dayTest/daySequence1/Day1EveningShutter0.000200-Gain-0.mp4"
BOX = f"dayTest/daySequence1--00000.jpg;stop;706;478;718;500;{VIDEO};0;{VIDEO};0"
BULB = f"dayTest/daySequence1--00000.jpg;stop;710;481;714;486;{VIDEO};0;{VIDEO};0"
ANNOTATIONS = "Annotations/Annotations"
FRAMES = "daySequence1/daySequence1/frames"


def row(name: str = "dayTest/daySequence1--00000.jpg", tag: str = "stop", box=(706, 478, 718, 500), track=VIDEO) -> str:
    return f"{name};{tag};{';'.join(map(str, box))};{VIDEO};0;{track};0"


@pytest.fixture(scope="module")
def picture(tmp_path_factory) -> bytes:
    """A JPEG file in the size of the data set."""
    path = tmp_path_factory.mktemp("picture") / "grey.jpg"
    write_rgb(path, np.full((960, 1280, 3), 90, np.uint8))
    return path.read_bytes()


@pytest.fixture
def put_image(picture):
    """Put a frame in the size of the data set at a path."""

    def put(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture)

    return put


@pytest.fixture
def make_archive(tmp_path, put_image):
    """The archive with CSVs of given rows by clip folder, and images by path."""

    def make(clips: dict[str, list[str]] | None = None, images=(f"{FRAMES}/daySequence1--00000.jpg",)) -> Path:
        for clip, rows in ({"daySequence1": [BOX]} if clips is None else clips).items():
            write(tmp_path / "lisa" / ANNOTATIONS / clip / "frameAnnotationsBOX.csv", rows)
        for image in images:
            put_image(tmp_path / "lisa" / image)
        return tmp_path / "lisa"

    return make


def write(path: Path, rows: list[str], header: str = HEADER) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}\r\n" for line in (header, *rows)).encode())
    return path


def frames_of(source: Path, **options):
    report = ReadReport()
    return list(read(source, report=report, **options)), report


def test_a_row_of_the_archive(make_archive):
    source = make_archive()
    (frame,), report = frames_of(source)
    assert (frame.frame_id, frame.path) == ("daySequence1--00000", f"{FRAMES}/daySequence1--00000.jpg")
    assert (frame.width_px, frame.height_px) == (1280, 960)
    assert (frame.sequence, frame.split, frame.time_of_day) == ("daySequence1", "test", "daytime")
    assert (frame.condition_source, frame.weather, frame.label_status) == ("folder", None, "labelled")
    (lamp,) = frame.annotations or ()
    assert lamp.xyxy == (706, 478, 718, 500)
    assert (lamp.category, lamp.state, lamp.pictogram, lamp.source_label) == ("traffic_light", "red", "circle", "stop")
    assert (lamp.occluded, lamp.truncated, lamp.relevance, lamp.track_id) == (None, None, None, None)
    assert report.root == source
    assert report.lines() == []
    assert set(report.content_hashes) == {"daySequence1--00000"}


@pytest.mark.parametrize("place", ["", "Annotations", ANNOTATIONS, f"{ANNOTATIONS}/daySequence1"])
def test_every_folder_of_the_archive_finds_the_images(make_archive, place):
    source = make_archive()
    (frame,), report = frames_of(source / place)
    assert frame.path == f"{FRAMES}/daySequence1--00000.jpg"
    assert report.root == source


def test_a_clip_folder_with_its_own_file_and_frames(tmp_path, put_image):
    file = write(tmp_path / "dayClip1" / "frameAnnotationsBOX.csv", [row("dayTraining/dayClip1--00003.jpg", "go")])
    put_image(tmp_path / "dayClip1" / "frames" / "dayClip1--00003.jpg")
    for source in (file, file.parent):
        (frame,), _ = frames_of(source)
        assert (frame.path, frame.split) == ("frames/dayClip1--00003.jpg", "train")


@pytest.mark.parametrize(
    ("tag", "state", "pictogram"),
    [
        ("go", "green", "circle"),
        ("goForward", "green", "arrow_straight"),
        ("goLeft", "green", "arrow_left"),
        ("warning", "yellow", "circle"),
        ("warningLeft", "yellow", "arrow_left"),
        ("stop", "red", "circle"),
        ("stopLeft", "red", "arrow_left"),
    ],
)
def test_every_tag(make_archive, tag, state, pictogram):
    (frame,), _ = frames_of(make_archive({"daySequence1": [row(tag=tag)]}))
    (lamp,) = frame.annotations
    assert (lamp.state, lamp.pictogram) == (state, pictogram)


def test_unknown_tags_are_reported_together(make_archive):
    rows = [row(tag="goRight"), row(tag="goRight", box=(1, 2, 3, 4)), row(tag="ped")]
    with pytest.raises(AnnotationError, match=r"'lisa' does not know: label 'goRight' \(2\), label 'ped' \(1\)"):
        frames_of(make_archive({"daySequence1": rows}))


@pytest.mark.parametrize(
    ("clip", "folder", "split", "time_of_day"),
    [
        ("daySequence2", "daySequence2/daySequence2/frames", "test", "daytime"),
        ("nightSequence1", "nightSequence1/nightSequence1/frames", "test", "night"),
        ("dayClip13", "dayTrain/dayTrain/dayClip13/frames", "train", "daytime"),
        ("nightClip5", "nightTrain/nightTrain/nightClip5/frames", "train", "night"),
        ("tunnel", "tunnel", None, None),
    ],
)
def test_clip_names_say_split_and_time_of_day(make_archive, clip, folder, split, time_of_day):
    source = make_archive({clip: [row(f"elsewhere/{clip}--00007.jpg")]}, [f"{folder}/{clip}--00007.jpg"])
    (frame,), _ = frames_of(source)
    assert (frame.sequence, frame.split, frame.time_of_day) == (clip, split, time_of_day)
    assert frame.condition_source == ("folder" if time_of_day else None)
    assert frame.path == f"{folder}/{clip}--00007.jpg"
    (other,), _ = frames_of(source, split="val")
    assert other.split == "val"


def test_saved_again_by_a_spreadsheet(tmp_path, put_image):
    path = tmp_path / "frameAnnotationsBOX.csv"
    path.write_text("\n".join([HEADER.replace(";", ","), BOX.replace(";", ",")]) + "\n\n", encoding="utf-8-sig")
    put_image(tmp_path / "daySequence1--00000.jpg")
    (frame,), _ = frames_of(path)
    assert frame.annotations[0].xyxy == (706, 478, 718, 500)


def test_columns_are_found_by_name(tmp_path, put_image):
    names, values = HEADER.split(";")[:6], BOX.split(";")[:6]
    path = write(tmp_path / "frameAnnotationsBOX.csv", [";".join(reversed(values))], ";".join(reversed(names)))
    put_image(tmp_path / "daySequence1--00000.jpg")
    (frame,), _ = frames_of(path)
    assert frame.annotations[0].xyxy == (706, 478, 718, 500)


def test_frames_without_a_row_are_negatives_of_clips_that_have_a_file(make_archive):
    names = [f"{FRAMES}/daySequence1--{number:05d}.jpg" for number in (0, 1, 2)]
    other = "dayTrain/dayTrain/dayClip2/frames/dayClip2--00000.jpg"
    (first, second, third), report = frames_of(make_archive({"daySequence1": [row(names[1])]}, [*names, other]))
    assert [frame.annotations for frame in (first, third)] == [(), ()]
    assert len(second.annotations) == 1
    assert [frame.frame_id[-1] for frame in (first, second, third)] == ["0", "1", "2"]
    assert {frame.time_of_day for frame in (first, second, third)} == {"daytime"}
    assert report.counts[Event.NO_RECORD, "dayClip2"] == 1
    assert len(report.content_hashes) == 3


def test_a_file_without_rows_is_a_clip_without_lights(make_archive):
    (frame,), _ = frames_of(make_archive({"daySequence1": []}))
    assert frame.annotations == ()


def test_old_files_name_png(make_archive):
    (frame,), _ = frames_of(make_archive({"daySequence1": [row("dayTest/daySequence1--00000.png")]}))
    assert frame.path.endswith("--00000.jpg")


def test_samples_are_left_out_and_counted(make_archive):
    image = "dayTrain/dayTrain/dayClip6/frames/dayClip6--00000.jpg"
    copy = "sample-dayClip6/sample-dayClip6/frames/dayClip6--00000.jpg"
    source = make_archive({"dayTrain/dayClip6": [row("dayTraining/dayClip6--00000.jpg")]}, [image, copy])
    write(source / "sample-dayClip6/sample-dayClip6/frameAnnotationsBOX.csv", [row("dayTraining/dayClip6--00000.jpg")])
    (frame,), report = frames_of(source)
    assert frame.path == image
    assert report.count(Event.COPY_LEFT_OUT) == 2
    (frame,), _ = frames_of(source / "sample-dayClip6")
    assert frame.path == "sample-dayClip6/frames/dayClip6--00000.jpg"


def test_box_and_bulb_are_never_read_together(make_archive):
    source = make_archive()
    bulb = write(source / ANNOTATIONS / "daySequence1" / "frameAnnotationsBULB.csv", [BULB])
    (frame,), _ = frames_of(source)
    assert [lamp.xyxy for lamp in frame.annotations] == [(706, 478, 718, 500)]
    (frame,), _ = frames_of(source, marks="bulb")
    assert [lamp.xyxy for lamp in frame.annotations] == [(710, 481, 714, 486)]
    (frame,), _ = frames_of(bulb, marks="bulb")
    assert [lamp.xyxy for lamp in frame.annotations] == [(710, 481, 714, 486)]
    with pytest.raises(UsageError, match=r"holds the bulb marks, .*set marks=bulb"):
        frames_of(bulb)
    with pytest.raises(UsageError, match="holds the box marks"):
        frames_of(bulb.with_name("frameAnnotationsBOX.csv"), marks="bulb")


@pytest.mark.parametrize(
    ("box", "convention", "expected"),
    [
        ((10, 20, 14, 30), "continuous", (10, 20, 14, 30)),
        ((10, 20, 14, 30), "inclusive", (10, 20, 15, 31)),
        ((10, 20, 10, 20), "inclusive", (10, 20, 11, 21)),
        ((1270, 950, 1279, 959), "inclusive", (1270, 950, 1280, 960)),
        ((1270, 950, 1280, 960), "inclusive", (1270, 950, 1280, 960)),
    ],
)
def test_box_conventions(make_archive, box, convention, expected):
    (frame,), report = frames_of(make_archive({"daySequence1": [row(box=box)]}), box_convention=convention)
    assert frame.annotations[0].xyxy == expected
    assert report.lines() == []


def test_tracks_are_what_is_not_the_video(make_archive):
    rows = [row(track="stop_1"), row(box=(1, 2, 3, 4)), row(box=(1, 2, 3, 5), track="")]
    (frame,), _ = frames_of(make_archive({"daySequence1": rows}))
    assert [lamp.track_id for lamp in frame.annotations] == ["stop_1", None, None]


def test_bad_boxes_and_repeated_rows_are_counted(make_archive):
    rows = [BOX, BOX, row(box=(20, 5, 10, 9)), row(box=(1300, 5, 1310, 9)), row(box=(1270, 5, 1290, 9))]
    source = make_archive({"daySequence1": rows})
    (frame,), report = frames_of(source)
    assert [(lamp.xyxy, lamp.truncated) for lamp in frame.annotations] == [
        ((706, 478, 718, 500), None),
        ((1270, 5, 1280, 9), True),
    ]
    assert {event: report.count(event) for event, _ in report.counts} == {
        Event.BOX_DUPLICATE: 1,
        Event.BOX_NO_AREA: 1,
        Event.BOX_OUTSIDE: 1,
        Event.BOX_CLIPPED: 1,
    }
    with pytest.raises(AnnotationError, match=r"frameAnnotationsBOX.csv line 4: box \(20, 5, 10, 9\) is reversed"):
        frames_of(source, on_bad_box="error")


def test_missing_images(make_archive):
    source = make_archive({"daySequence1": [BOX, row("dayTest/daySequence1--00001.jpg")]})
    with pytest.raises(AnnotationError, match=r"BOX.csv line 3: no image 'daySequence1--00001.jpg' .*missing_images"):
        frames_of(source)
    (frame,), report = frames_of(source, missing_images="drop")
    assert (frame.frame_id, report.count(Event.IMAGE_MISSING)) == ("daySequence1--00000", 1)
    (_, kept), report = frames_of(source, missing_images="keep")
    assert (kept.frame_id, kept.width_px, kept.height_px) == ("daySequence1--00001", 1280, 960)
    assert report.count(Event.IMAGE_NOT_CHECKED) == 1
    assert set(report.content_hashes) == {"daySequence1--00000"}


def test_links_out_of_the_root_are_not_followed(make_archive, tmp_path, put_image):
    source = make_archive()
    image = source / FRAMES / "daySequence1--00000.jpg"
    image.rename(tmp_path / "outside.jpg")
    image.symlink_to(tmp_path / "outside.jpg")
    with pytest.raises(AnnotationError, match=r"BOX.csv line 2: no image .*1 links that leave the folder .*copy their"):
        frames_of(source)
    frames, report = frames_of(source, missing_images="drop")
    assert (frames, report.count(Event.LINK_LEFT_OUT), report.count(Event.IMAGE_MISSING)) == ([], 1, 1)


def test_a_resized_image_does_not_fit_its_boxes(make_archive, draw_image):
    source = make_archive()
    draw_image(source / FRAMES / "daySequence1--00000.jpg", 640, 480)
    with pytest.raises(AnnotationError, match=r"declares 1280x960 for .* which is 640x480"):
        frames_of(source)


TRAFFIC_SIGNS = HEADER.replace("Origin file", "Occluded,On another road;Origin file", 1)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (TRAFFIC_SIGNS, r"line 1: a file of the LISA Traffic Sign data set"),
        (TRAFFIC_SIGNS.replace(";", ","), "a file of the LISA Traffic Sign data set"),
        (HEADER.replace("Annotation tag", "Tag"), r"line 1: header .*one column each for annotation tag;"),
        (HEADER.replace("corner Y", "corner X"), "expected one column each for upper left corner x, upper left"),
        ("", r"one column each for filename, annotation tag"),
        (BOX, r"line 1: header 'dayTest/.*must begin with the header"),
    ],
    ids=["traffic signs", "traffic signs with commas", "no tag", "columns twice", "empty", "no header"],
)
def test_other_headers_are_refused_at_once(tmp_path, header, message):
    path = write(tmp_path / "frameAnnotationsBOX.csv", [], header)
    with pytest.raises(AnnotationError, match=message):
        read(path, report=ReadReport())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (BOX + ";1", r"line 2: 11 fields, expected 10 as in the header"),
        (BOX.replace(";478", ""), r"line 2: 9 fields"),
        (BOX.replace("706", "nan"), r"line 2: 'upper left corner x' is 'nan', expected a number"),
        (BOX.replace("706", "inf"), "is 'inf', expected a number"),
        (BOX.replace("706", "1e999"), "is '1e999', expected a number"),
        (BOX.replace("500", ""), "'lower right corner y' is '', expected a number"),
        (row("../../etc/passwd"), r"line 2: Filename '../../etc/passwd', expected a name such as"),
        (row("/etc/dayClip1--x.jpg"), "expected a name such as dayClip1--00000.jpg"),
        (row(""), "Filename '', expected"),
        (row(tag=""), r"'lisa' does not know: label '' \(1\)"),
        (row("a\0--00001.jpg"), r"line 2: path .*cannot be a file"),
        (row(f"{'x' * 300}--00001.jpg"), r"line 2: path .*cannot be a file"),
        (BOX.replace("stop", '"stop'), "line 2: unexpected end of data; expected fields between ';'"),
    ],
)
def test_bad_rows(make_archive, line, message):
    with pytest.raises(AnnotationError, match=message) as raised:
        frames_of(make_archive({"daySequence1": [line]}))
    assert "\n" not in str(raised.value)


def test_one_file_per_clip_and_one_image_per_frame(make_archive, put_image):
    source = make_archive()
    twin = write(source / "daySequence1/frameAnnotationsBOX.csv", [BOX])
    with pytest.raises(AnnotationError, match=r"clip 'daySequence1' also has rows in .*expected one file per clip"):
        frames_of(source)
    twin.unlink()
    (source / FRAMES / "daySequence1--00000.png").write_bytes(
        (source / FRAMES / "daySequence1--00000.jpg").read_bytes()
    )
    with pytest.raises(DataError, match=r"are both frame 'daySequence1--00000'; expected one image"):
        frames_of(source)


def test_a_folder_without_annotations(tmp_path):
    with pytest.raises(DataError, match=r"no frameAnnotationsBOX\.csv in it; expected the folder of the archive"):
        read(tmp_path, report=ReadReport())


@pytest.mark.parametrize(("marks", "frames"), [("box", 460), ("bulb", 471)])
def test_the_real_files(shared_data, marks, frames):
    folder = shared_data / "lisa_annotations_only"
    catalog, report = index(folder, "lisa", missing_images="keep", marks=marks)
    path = next(folder.rglob(f"frameAnnotations{marks.upper()}.csv"))
    text = path.read_text()
    rows = list(csv.DictReader(text.splitlines(), delimiter=";" if ";" in text else ","))
    assert (len(catalog), report.count(Event.IMAGE_NOT_CHECKED)) == (frames, frames)
    assert set(catalog.frames["frame_id"]) == {Path(row["Filename"]).stem for row in rows}
    lamps = [lamp for frame in catalog.iter_frames() for lamp in frame.annotations or ()]
    assert Counter(lamp.source_label for lamp in lamps) == Counter(row["Annotation tag"] for row in rows)
    corners = [name for name in rows[0] if "corner" in name]
    assert Counter(lamp.xyxy for lamp in lamps) == Counter(tuple(float(row[name]) for name in corners) for row in rows)
    if marks == "box":
        assert Counter(lamp.state for lamp in lamps) == {"red": 326, "green": 274}
