from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tl_datasets.errors import AnnotationError, DataError
from tl_datasets.formats.lara import read
from tl_datasets.index import index
from tl_datasets.read_report import Event, ReadReport

TEXT_NAME = "Lara_UrbanSeq1_GroundTruth_GT.txt"
CVML_NAME = "Lara_UrbanSeq1_GroundTruth_cvml.xml"
IMAGES = "Lara3D_UrbanSeq1_JPG"
# Three rows of the data set, as public readers quote them, after a comment in the form of its 13 lines.
COMMENT = "# Ground truth\n# Format: Timestamp / frameindex x1 y1 x2 y2 id 'type' 'subtype'\n#  it's a 'comment\n"
ROWS = """\
06:54.6118 / 5221 339 15 355 50 10 'Traffic Light' 'stop'
06:54.6118 / 5221 342 131 348 146 35 'Traffic Light' 'ambiguous'
06:54.6710 / 5222 338 13 354 48 10 'Traffic Light' 'stop'
"""
# A frame of the data set, as a public converter quotes it, holds these elements; the marks are those of the rows.
OBJECT = """
<object id="{track}">
<orientation>90</orientation>
<box h="{h}" w="{w}" xc="{xc}" yc="{yc}"/>
<appearance>appear</appearance>
<hypothesislist>
<hypothesis evaluation="1.0" id="1" prev="1.0">
<type evaluation="1.0">Traffic Light</type>
<subtype evaluation="1.0">{subtype}</subtype>
</hypothesis>
</hypothesislist>
</object>"""


def cvml(frames: dict[int, list[tuple[int, int, int, int, int, str]]]) -> str:
    """The second file, from x1, y1, x2, y2, track and subtype by frame; centres are rounded down to whole pixels."""
    parts = []
    for number, marks in frames.items():
        objects = "".join(
            OBJECT.format(w=x2 - x1, h=y2 - y1, xc=(x1 + x2) // 2, yc=(y1 + y2) // 2, track=track, subtype=subtype)
            for x1, y1, x2, y2, track, subtype in marks
        )
        parts.append(
            f'<frame number="{number}" sec="187" ms="717">\n<objectlist>{objects}\n</objectlist>\n'
            "<grouplist></grouplist>\n</frame>"
        )
    return '<?xml version="1.0" encoding="UTF-8"?>\n<dataset>\n' + "\n".join(parts) + "\n</dataset>\n"


MARKS = {
    5221: [(339, 15, 355, 50, 10, "stop"), (342, 131, 348, 146, 35, "ambiguous")],
    5222: [(338, 13, 354, 48, 10, "stop")],
    5223: [],
}


@pytest.fixture
def make_source(tmp_path, draw_image):
    def make(text: str = COMMENT + ROWS, name: str = TEXT_NAME, numbers=(5221, 5222, 5223)) -> Path:
        path = tmp_path / "lara" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        for number in numbers:
            draw_image(path.parent / IMAGES / f"frame_{number:06d}.jpg", 640, 480)
        return path

    return make


def frames_of(source: Path, **options):
    report = ReadReport()
    return list(read(source, report=report, **options)), report


def test_rows_of_the_data_set(make_source):
    (first, second, third), report = frames_of(make_source())
    assert (first.frame_id, first.path) == ("frame_005221", "frame_005221.jpg")
    assert (first.sequence, first.split, first.label_status) == ("Lara_UrbanSeq1", None, "labelled")
    stop, ambiguous = first.annotations
    assert stop.xyxy == (339, 15, 355, 50)
    assert (stop.category, stop.state, stop.pictogram, stop.ignore) == ("traffic_light", "red", None, False)
    assert (stop.track_id, stop.source_label, stop.occluded) == ("10", "stop", None)
    assert (ambiguous.state, ambiguous.ignore, ambiguous.track_id) == ("unknown", True, "35")
    assert second.annotations[0].xyxy == (338, 13, 354, 48)
    assert third.annotations == ()
    assert (report.total, report.lines()) == (3, [])
    assert set(report.content_hashes) == {"frame_005221", "frame_005222", "frame_005223"}


def test_both_files_give_the_same_frames(make_source):
    from_text, _ = frames_of(make_source())
    from_cvml, report = frames_of(make_source(cvml(MARKS), CVML_NAME))
    assert from_cvml == from_text
    assert report.lines() == []


@pytest.mark.parametrize("mark", [(0, 0, 1, 1), (0, 1, 640, 480), (3, 5, 10, 20), (4, 5, 10, 21), (5, 0, 638, 479)])
def test_corners_come_back_from_centres(make_source, mark):
    (frame,), _ = frames_of(make_source(cvml({1: [(*mark, 1, "go")]}), CVML_NAME, [1]))
    assert frame.annotations[0].xyxy == mark


def test_a_centre_between_pixels_is_not_rounded(make_source):
    text = cvml({1: [(10, 20, 15, 31, 1, "go")]}).replace('xc="12"', 'xc="12.5"').replace('yc="25"', 'yc="25.5"')
    (frame,), _ = frames_of(make_source(text, CVML_NAME, [1]))
    assert frame.annotations[0].xyxy == (10, 20, 15, 31)


def test_a_folder_prefers_the_text_file(make_source):
    folder = make_source().parent
    make_source(cvml({}), CVML_NAME)
    assert len(frames_of(folder)[0][0].annotations) == 2
    (folder / TEXT_NAME).unlink()
    with pytest.raises(AnnotationError, match=r"cvml\.xml: no frame in it"):
        frames_of(folder)
    (folder / CVML_NAME).unlink()
    with pytest.raises(DataError, match=r"neither Lara_UrbanSeq1_GroundTruth_GT\.txt nor"):
        frames_of(folder)


@pytest.mark.parametrize(
    ("word", "state", "ignore"),
    [
        ("go", "green", False),
        ("warning", "yellow", False),
        ("stop", "red", False),
        ("ambiguous", "unknown", True),
    ],
)
def test_every_subtype(make_source, word, state, ignore):
    row = f"00:00.1 / 7 1 2 3 4 5 'Traffic Light' '{word}'"
    (frame,), _ = frames_of(make_source(row, numbers=[7]))
    (lamp,) = frame.annotations
    assert (lamp.state, lamp.ignore) == (state, ignore)


def test_other_words_and_types_are_reported_together(make_source):
    text = ROWS.replace("'stop'", "'halt'", 1).replace("'Traffic Light' 'ambiguous'", "'Car' 'go'")
    with pytest.raises(AnnotationError, match=r"does not know: label 'halt' \(1\), label 'Car go' \(1\)"):
        frames_of(make_source(text))


def test_boxes_are_clipped_to_the_image(make_source):
    row = "00:00.1 / 7 -5 470 20 490 5 'Traffic Light' 'go'\n00:00.1 / 7 630 -3 645 20 6 'Traffic Light' 'go'"
    (frame,), report = frames_of(make_source(row, numbers=[7]))
    assert [(lamp.xyxy, lamp.truncated) for lamp in frame.annotations] == [
        ((0, 470, 20, 480), True),
        ((630, 0, 640, 20), True),
    ]
    assert report.count(Event.BOX_CLIPPED) == 2


def test_columns_in_the_wrong_order_are_counted_or_refused(make_source):
    # x1 x2 y1 y2, as one public converter reads them: the first box has no area then.
    source = make_source("00:00.1 / 7 339 355 15 50 10 'Traffic Light' 'stop'", numbers=[7])
    (frame,), report = frames_of(source)
    assert (frame.annotations, report.count(Event.BOX_NO_AREA)) == ((), 1)
    with pytest.raises(AnnotationError, match=r"GT\.txt line 1: box \(339, 355, 15, 50\) is reversed"):
        frames_of(source, on_bad_box="error")


def test_missing_images(make_source):
    source = make_source(numbers=[5222])
    with pytest.raises(AnnotationError, match=r"line 4: no image 'frame_005221\.jpg' in .*missing_images=drop"):
        frames_of(source)
    (frame,), report = frames_of(source, missing_images="drop")
    assert (frame.frame_id, report.count(Event.IMAGE_MISSING)) == ("frame_005222", 1)
    (kept, _), report = frames_of(source, missing_images="keep")
    assert (kept.frame_id, kept.width_px, kept.height_px) == ("frame_005221", 640, 480)


def test_images_beside_the_file_and_elsewhere(make_source, draw_image, tmp_path):
    source = make_source(ROWS, numbers=[])
    for number in (5221, 5222):
        draw_image(source.parent / f"{number}.jpg", 640, 480)
        draw_image(tmp_path / "frames" / f"frame_{number:06d}.jpg", 640, 480)
    assert [frame.path for frame in frames_of(source)[0]] == ["5221.jpg", "5222.jpg"]
    assert [frame.path for frame in frames_of(source, images=tmp_path / "frames")[0]] == [
        "frame_005221.jpg",
        "frame_005222.jpg",
    ]
    draw_image(source.parent / "again" / "frame_005221.jpg", 640, 480)
    with pytest.raises(DataError, match=r"5221\.jpg and again/frame_005221\.jpg are both frame 5221"):
        frames_of(source)


def test_an_image_without_a_number_is_counted(make_source, draw_image):
    source = make_source()
    draw_image(source.parent / IMAGES / "overview.jpg", 640, 480)
    frames, report = frames_of(source)
    assert (len(frames), report.count(Event.NO_RECORD)) == (3, 1)


def test_a_resized_image_does_not_fit_its_boxes(make_source, draw_image):
    source = make_source()
    draw_image(source.parent / IMAGES / "frame_005222.jpg", 320, 240)
    with pytest.raises(AnnotationError, match=r"line 6: declares 640x480 for .* which is 320x240"):
        frames_of(source)


def test_conditions_and_blocks_of_the_drive(make_source):
    catalog, _ = index(make_source(numbers=(5221, 5222, 6001)).parent, "lara", sequence_regex=r"frame_(\d+)\d{3}")
    frames = list(catalog.iter_frames())
    assert [frame.sequence for frame in frames] == ["005", "005", "006"]
    assert {(frame.time_of_day, frame.weather, frame.condition_source) for frame in frames} == {
        ("daytime", None, "text")
    }


ROW = ROWS.splitlines()[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ROW.replace("'", ""), r"line 1: .*11 fields, expected 10"),
        (ROW.replace(" / ", " "), "9 fields, expected 10: Timestamp / frameindex x1"),
        (ROW.replace(" / ", " : "), "10 fields, expected 10: Timestamp / frameindex x1"),
        (ROW.replace("5221", "-1"), "frameindex is '-1', expected a whole number"),
        (ROW.replace("5221", "522\x1c"), r"frameindex is '522\\x1c', expected a whole number"),
        (ROW.replace("5221", "+-5"), r"frameindex is '\+-5', expected a whole number"),
        (ROW.replace("5221", "1.5"), "frameindex is '1.5', expected a whole number"),
        (ROW.replace("5221", "9" * 500), "frameindex is '999"),
        (ROW.replace("339", "nan"), "line 1: x1 is 'nan', expected a number"),
        (ROW.replace("339", "1e999"), "x1 is '1e999', expected a number"),
        (ROW.replace("'stop'", "'stop"), "line 1: unexpected end of data; expected fields between ' '"),
        ("version https://git-lfs.github.com/spec/v1", "Git LFS pointer"),
    ],
)
def test_bad_rows(make_source, text, message):
    with pytest.raises(AnnotationError, match=message) as raised:
        frames_of(make_source(text))
    assert "\n" not in str(raised.value)


CVML = cvml(MARKS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CVML.replace("</dataset>", ""), r"cvml\.xml line \d+: not XML"),
        (CVML.replace('number="5222"', 'number="5221"'), "frame 5221: a second frame of this number"),
        (CVML.replace('number="5222"', ""), "frame: number is None, expected a whole number"),
        (CVML.replace('number="5222"', 'number="x"'), "frame: number is 'x', expected a whole number"),
        (CVML.replace('xc="347"', ""), r"frame 5221 object 10: xc is None, expected a number"),
        (CVML.replace('xc="347"', 'xc="nan"'), "xc is 'nan', expected a number"),
        (CVML.replace('id="35"', ""), "frame 5221 object None: no id"),
        (CVML.replace("<box", "<bax"), "object 10: no box; expected <box"),
        (CVML.replace("<subtype", "<subtype>go</subtype><subtype"), "object 10: 2 elements subtype, expected one"),
        (CVML.replace("type evaluation", "kind evaluation"), "not XML"),
        ('<!DOCTYPE a [<!ENTITY x "y">]>' + CVML.partition("\n")[2], "entities are refused"),
        ("<dataset></dataset>", "no frame in it; expected CVML"),
    ],
)
def test_bad_cvml(make_source, text, message):
    with pytest.raises(AnnotationError, match=message) as raised:
        frames_of(make_source(text, CVML_NAME))
    assert "\n" not in str(raised.value)


def test_an_empty_text_file_is_a_drive_without_lights(make_source):
    frames, _ = frames_of(make_source(COMMENT))
    assert [frame.annotations for frame in frames] == [(), (), ()]
    assert dataclasses.replace(frames[0], split="test") == frames_of(make_source(COMMENT), split="test")[0][0]
