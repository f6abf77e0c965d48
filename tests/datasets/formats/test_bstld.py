"""BSTLD label files. Snippets are verbatim from bosch-ros-pkg/bstld, label_files/, unless they say otherwise."""

from __future__ import annotations

import random
import textwrap
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml

from tl_datasets.catalog import Catalog
from tl_datasets.errors import AnnotationError, DataError, ImageError, UsageError
from tl_datasets.formats import bstld, bstld_write
from tl_datasets.formats.common.write_report import WriteReport
from tl_datasets.frame import Annotation, Frame
from tl_datasets.images import probe_image
from tl_datasets.index import index
from tl_datasets.read_report import Event, ReadReport
from tl_datasets.taxonomy import Pictogram, PixelFormat, State

BAG = "2015-10-05-10-52-01_bag"
# train.yaml (the last record is one of the 1,940 without lights)
TRAIN = f"""\
- boxes:
  - {{label: Green, occluded: false, x_max: 697.8364687451, x_min: 692.1099730186,
    y_max: 288.4867560772, y_min: 282.6747902652}}
  - {{label: RedLeft, occluded: true, x_max: 533.8021704237, x_min: 527.5180417146,
    y_max: 254.1325549131, y_min: 236.8540060623}}
  path: ./rgb/train/{BAG}/25776.png
- boxes: []
  path: ./rgb/train/{BAG}/25914.png
"""
# test.yaml
TEST = """\
- boxes:
  - {label: Green, occluded: false, x_max: 752.25, x_min: 749.0, y_max: 355.125, y_min: 345.125}
  path: ./rgb/test/24068.png
- boxes: []
  path: ./rgb/test/24070.png
"""


def one_box(**changes: object) -> str:
    """A file of one image with one box; a value of None leaves the key out."""
    box = {"label": "Red", "occluded": False, "x_min": 10.0, "y_min": 20.0, "x_max": 16.0, "y_max": 32.0} | changes
    return yaml.safe_dump(
        [
            {
                "boxes": [{key: value for key, value in box.items() if value is not None}],
                "path": f"./rgb/train/{BAG}/1.png",
            }
        ]
    )


@pytest.fixture
def dataset(tmp_path: Path, draw_image) -> Path:
    for name in (f"train/{BAG}/25776", f"train/{BAG}/25914", "test/24068", "test/24070"):
        draw_image(tmp_path / "rgb" / f"{name}.png", 1280, 720)
    (tmp_path / "train.yaml").write_text(TRAIN)
    (tmp_path / "test.yaml").write_text(TEST)
    return tmp_path


@pytest.fixture
def read_text(tmp_path: Path):
    """Index the text of a label file without its images."""

    def read(text: str, name: str = "train.yaml", **options):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return index(path, "bstld", **{"missing_images": "keep", **options})

    return read


def test_the_folder_is_one_source(dataset):
    catalog, report = index(dataset, "bstld")
    assert catalog.frames.select("frame_id", "sequence", "split", "label_status").rows() == [
        ("rgb/test/24068", "test", "test", "labelled"),
        ("rgb/test/24070", "test", "test", "labelled"),
        (f"rgb/train/{BAG}/25776", BAG, "train", "labelled"),
        (f"rgb/train/{BAG}/25914", BAG, "train", "labelled"),
    ]
    assert catalog.frame(1).annotations == ()
    assert not report.counts
    assert catalog.frames["content_hash"].null_count() == 0
    annotations = catalog.frame(2).annotations
    assert annotations is not None
    green, arrow = annotations
    assert green == Annotation(
        xyxy=(692.1099730186, 282.6747902652, 697.8364687451, 288.4867560772),
        state=State.GREEN,
        pictogram=Pictogram.CIRCLE,
        occluded=False,
        source_label="Green",
    )
    assert (arrow.state, arrow.pictogram, arrow.occluded) == (State.RED, Pictogram.ARROW_LEFT, True)
    frame = catalog.frame(2)
    assert (frame.weather, frame.scene, frame.time_of_day, frame.timestamp_ns) == (None,) * 4


@pytest.mark.parametrize(
    ("word", "state", "pictogram"),
    [
        ("Green", "green", "circle"),
        ("Red", "red", "circle"),
        ("RedLeft", "red", "arrow_left"),
        ("off", "off", None),
        ("Off", "off", None),
        ("Yellow", "yellow", "circle"),
        ("YellowLeft", "yellow", "arrow_left"),
        ("GreenLeft", "green", "arrow_left"),
        ("GreenStraight", "green", "arrow_straight"),
        ("GreenRight", "green", "arrow_right"),
        ("RedStraight", "red", "arrow_straight"),
        ("RedRight", "red", "arrow_right"),
        ("GreenStraightRight", "green", "arrow_straight_right"),
        ("RedStraightLeft", "red", "arrow_straight_left"),
        ("GreenStraightLeft", "green", "arrow_straight_left"),
    ],
)
def test_every_label(read_text, word, state, pictogram):
    catalog, _ = read_text(one_box(label=word))
    assert catalog.annotations.select("state", "pictogram", "source_label").row(0) == (state, pictogram, word)


@pytest.mark.parametrize("spelling", ["off", "'off'", "Off", "OFF", "False", "false"])
def test_off_survives_yaml(read_text, spelling):
    """Unquoted, `off` is a boolean of YAML 1.1; programs that rewrite the file may leave False behind."""
    text = one_box(label="WORD").replace("WORD", spelling)
    assert read_text(text)[0].annotations["state"].to_list() == ["off"]


def test_words_outside_the_map_are_listed(read_text):
    text = one_box(label="Blue") + one_box(label="true").replace("/1.png", "/2.png")
    with pytest.raises(AnnotationError, match=r"label 'Blue' \(1\), label 'true' \(1\).*extends: bstld"):
        read_text(text)


def test_reversed_corners_are_swapped_and_counted(read_text):
    """Older archives have one such box; the official reader swaps it."""
    catalog, report = read_text(one_box(x_min=16.0, x_max=10.0, y_min=32.0, y_max=20.0))
    assert catalog.xyxy.tolist() == [[10, 20, 16, 32]]
    assert report.count(Event.BOX_SWAPPED) == 1


@pytest.mark.parametrize(
    ("corners", "kept", "truncated"),
    [
        # Both from train.yaml, where the least y_min is -35.9.
        ({"y_min": -35.9, "y_max": 20.0}, (10, 0, 16, 20), True),
        ({"x_min": -1.09, "x_max": 6.0}, (0, 20, 6, 32), True),
        ({"x_min": 1270.0, "x_max": 1290.5}, (1270, 20, 1280, 32), True),
        ({"y_min": 700.0, "y_max": 720.1}, (10, 700, 16, 720), None),
        ({"x_max": 1280.0}, (10, 20, 1280, 32), None),
        ({"y_min": 20.0, "y_max": 20.25}, (10, 20, 16, 20.25), None),
    ],
    ids=["above", "left", "right", "a little below", "at the edge", "a quarter of a pixel high"],
)
def test_boxes_are_clipped_never_dropped(read_text, corners, kept, truncated):
    catalog, report = read_text(one_box(**corners))
    assert catalog.xyxy.tolist() == [list(kept)]
    assert catalog.annotations["truncated"].to_list() == [truncated]
    assert report.count(Event.BOX_CLIPPED) == (
        kept[0] == 0 or kept[1] == 0 or any(v > 1280 for v in corners.values()) or corners.get("y_max", 0) > 720
    )


@pytest.mark.parametrize("corners", [{"x_max": 10.0}, {"x_min": 1300.0, "x_max": 1310.0}], ids=["no area", "outside"])
def test_boxes_that_are_nothing(read_text, corners):
    catalog, report = read_text(one_box(**corners))
    assert len(catalog.annotations) == 0
    assert report.count(Event.BOX_NO_AREA) + report.count(Event.BOX_OUTSIDE) == 1
    with pytest.raises(AnnotationError, match="record 0 box 0"):
        read_text(one_box(**corners), on_bad_box="error")


def test_paths_of_the_authors_machine_are_found_by_name(dataset):
    """The test.yaml of the archive has /net/pal-soc1.us.bosch.com/.../24070.png; the folders here are made up."""
    text = TEST.replace("./rgb/test/", "/net/pal-soc1.us.bosch.com/some/where/")
    (dataset / "test.yaml").write_text(text)
    catalog, _ = index(dataset / "test.yaml", "bstld")
    assert catalog.frames["frame_id"].to_list() == ["rgb/test/24068", "rgb/test/24070"]
    assert set(catalog.frames["sequence"]) == {"test"}


@pytest.mark.parametrize("folder", [".", "rgb", "rgb/train", f"rgb/train/{BAG}"])
def test_images_may_be_any_folder_on_the_way(dataset, folder):
    catalog, _ = index(dataset / "train.yaml", "bstld", images=dataset / folder)
    assert catalog.image_path(0) == dataset / "rgb" / "train" / BAG / "25776.png"
    assert set(catalog.frames["sequence"]) == {BAG}


def test_an_image_of_another_drive_is_not_taken(dataset, draw_image):
    """The numbers of the images repeat from drive to drive."""
    (dataset / "train.yaml").write_text(TRAIN.replace(f"{BAG}/25776", "another_bag/25776"))
    for folder in (".", "rgb/train", f"rgb/train/{BAG}"):
        with pytest.raises(AnnotationError, match=r"record 0: no image 'rgb/train/another_bag/25776.png'"):
            index(dataset / "train.yaml", "bstld", images=dataset / folder)


def test_additional_frames_belong_to_the_drives_of_train(read_text, tmp_path):
    (tmp_path / "train.yaml").write_text(TRAIN)
    (tmp_path / "additional_train.yaml").write_text(one_box().replace("rgb/train", "rgb/additional"))
    catalog, _ = index(tmp_path, "bstld", missing_images="keep")
    assert len(catalog) == 3
    assert set(catalog.frames["split"]) == {"train"}
    assert set(catalog.frames["sequence"]) == {BAG}


def test_split_of_the_caller(dataset):
    assert set(index(dataset, "bstld", split="val")[0].frames["split"]) == {"val"}


def test_missing_images(dataset):
    (dataset / "rgb" / "test" / "24070.png").unlink()
    with pytest.raises(
        AnnotationError, match=r"test.yaml: record 1: no image 'rgb/test/24070.png'.*missing_images=drop"
    ):
        index(dataset, "bstld")
    catalog, report = index(dataset, "bstld", missing_images="drop")
    assert (len(catalog), report.count(Event.IMAGE_MISSING)) == (3, 1)
    catalog, report = index(dataset, "bstld", missing_images="keep")
    assert (len(catalog), report.count(Event.IMAGE_NOT_CHECKED), report.count(Event.SIZE_ASSUMED)) == (4, 1, 1)
    assert catalog.frame(1).height_px == 720


def test_resized_images_are_counted(dataset, draw_image):
    """The boxes do not follow: those of a half as large copy lie elsewhere."""
    draw_image(dataset / "rgb" / "test" / "24070.png", 640, 360)
    report = index(dataset, "bstld")[1]
    assert report.counts == {(Event.SIZE_UNUSUAL, "640x360"): 1}


def test_broken_image(dataset):
    (dataset / "rgb" / "test" / "24070.png").write_text("no image")
    with pytest.raises(ImageError, match=r"24070.png: does not open"):
        index(dataset, "bstld")
    assert index(dataset, "bstld", missing_images="drop")[1].count(Event.IMAGE_BROKEN) == 1


def test_links_out_of_the_root_are_refused(dataset, tmp_path_factory, draw_image):
    outside = draw_image(tmp_path_factory.mktemp("outside") / "a.png", 1280, 720)
    image = dataset / "rgb" / "test" / "24070.png"
    image.unlink()
    image.symlink_to(outside)
    with pytest.raises(AnnotationError, match=r"record 1: .*leaves its root"):
        index(dataset, "bstld")


def write_raw(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = np.full((736, 1280), 300, ">u2")
    raw[8 + 345 : 8 + 356, 749:753] = 3000
    path.write_bytes(b"P5\n1280 736\n4095\n" + raw.tobytes())


def test_raw_frames(dataset):
    for name in ("24068", "24070"):
        write_raw(dataset / "riib" / "test" / f"{name}.pgm")
    catalog, _ = index(dataset / "test.yaml", "bstld", variant="riib")
    frame = catalog.frame(0)
    assert (frame.frame_id, frame.path) == ("riib/test/24068", "riib/test/24068.pgm")
    assert (frame.width_px, frame.height_px, frame.pixel_format) == (1280, 736, PixelFormat.RCCB12)
    assert frame.sequence == "test"
    # The box of test.yaml, 8 rows lower, lies where the bright rows are.
    assert frame.annotations
    assert frame.annotations[0].xyxy == (749.0, 353.125, 752.25, 363.125)
    picture = catalog.read_rgb(0)
    assert picture[353:364, 749:753].mean() > 3 * picture[330:350, 700:740].mean()


def test_raw_frames_are_clipped_to_the_picture(read_text):
    """The rows above and below are no picture: nothing of the box lies there."""
    catalog, _ = read_text(one_box(y_min=-5.3, y_max=900.0), variant="riib")
    assert catalog.xyxy.tolist() == [[10, 8, 16, 728]]
    assert catalog.frames.select("width_px", "height_px", "pixel_format").row(0) == (1280, 736, "rccb12")


def test_converted_images_are_no_raw_frames(dataset, draw_image):
    for name in ("24068", "24070"):
        draw_image(dataset / "riib" / "test" / f"{name}.png", 1280, 736).rename(dataset / f"riib/test/{name}.pgm")
    with pytest.raises(ImageError, match=r"24068.pgm: pixels of the kind RGB, expected a raw frame"):
        index(dataset / "test.yaml", "bstld", variant="riib")


RECORD = "- {boxes: [], path: ./rgb/train/a/1.png}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a list of records with boxes and path"),
        ("{}", "expected a list of records"),
        ("- 5", "record 0: int, expected a mapping"),
        ("- {path: a.png}", "record 0: no boxes; expected the keys boxes, path"),
        (RECORD + "- {boxes: []}", "record 1: no path"),
        ("- {boxes: [], path: 5}", "record 0: expected a file as path"),
        ("- {boxes: [], path: ''}", "record 0: expected a file as path"),
        ("- {boxes: {}, path: a.png}", r"a list as boxes \(\[\] = no light"),
        ("- {boxes: null, path: a.png}", "a list as boxes"),
        ("- {boxes: [5], path: a/a.png}", "record 0 box 0: 5, expected a mapping with label"),
        ("- {boxes: [{}], path: a/a.png}", "expected a mapping with label"),
        (RECORD + RECORD, r"record 1: frame 'rgb/train/a/1' also has a record in .*record 0; expected one"),
        (RECORD + RECORD.replace(".png", ".jpg"), "also has a record"),
        ("- {boxes: [], path: ../../etc/passwd}", "leaves its root"),
        ('- {boxes: [], path: "x\\0.png"}', "cannot be a file"),
        (f"- {{boxes: [], path: {'a' * 5000}.png}}", "cannot be a file"),
        (RECORD + "- {boxes: [", "line 3: not YAML|line 2: not YAML"),
        (one_box(x_min="nan"), "box 0: x_min is 'nan', expected a number"),
        (one_box(x_min=float("inf")), "x_min is inf"),
        (one_box(y_max=None), "y_max is None, expected a number"),
        (one_box(occluded="maybe"), "box 0: occluded is 'maybe', expected true, false or null"),
        (one_box(label=5), "label is 5, expected a word"),
        (one_box(label=["Red"]), "label is .*expected a word"),
        ("version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ],
)
def test_faults_are_named(read_text, text, message):
    with pytest.raises(AnnotationError, match=message) as caught:
        read_text(text, missing_images="keep")
    assert "\n" not in str(caught.value)
    assert "train.yaml" in str(caught.value)


def test_faults_late_in_a_long_file_have_their_line(read_text):
    records = "".join(f"- {{boxes: [], path: ./rgb/train/a/{number}.png}}\n" for number in range(6000))
    assert len(read_text(records)[0]) == 6000
    with pytest.raises(AnnotationError, match=r"line 6001: not YAML"):
        read_text(records + "- {boxes: ] }\n")
    with pytest.raises(AnnotationError, match=r"record 6000: no path"):
        read_text(records + "- {boxes: []}\n")
    # A list that is written once and pointed at later is read as a whole.
    catalog, _ = read_text(records.replace("boxes: []", "boxes: &none []", 1) + "- {boxes: *none, path: a/b.png}\n")
    assert len(catalog) == 6001


def test_source_without_labels(tmp_path):
    with pytest.raises(DataError, match=r"no .yaml file in it; expected train.yaml"):
        index(tmp_path, "bstld")
    with pytest.raises(UsageError, match=r"variant=raw: expected rgb or riib"):
        index(tmp_path, "bstld", variant="raw")


# --- writing


HELD = {
    "category": ("traffic_light",),
    "state": (State.RED, State.GREEN, State.YELLOW, State.OFF, State.RED_YELLOW),
    "label_status": ("labelled", "negative"),
}


@pytest.mark.parametrize("seed", range(5))
def test_losses_are_those_reported(tmp_path, random_catalog, read_back, losses_between, seed):
    catalog = random_catalog(seed, **HELD)
    out = tmp_path / "out"
    out.mkdir()
    report = WriteReport()
    places = bstld_write.write(catalog, out, report=report)
    again = read_back(catalog, places, out, bstld.read, out)
    assert losses_between(catalog, again) == report.to_dict()
    # The drives and names of the drawn frames are folders and names here too.
    assert not {"frame.frame_id", "frame.sequence", "frame.split", "box"} & set(report.to_dict())
    assert {"frame.weather", "box.relevance", "box.pictogram"} <= set(report.to_dict())


def test_nothing_of_bstld_is_lost(dataset, tmp_path, read_back, losses_between):
    catalog, _ = index(dataset, "bstld")
    out = tmp_path / "out"
    out.mkdir()
    report = WriteReport()
    again = read_back(catalog, bstld_write.write(catalog, out, report=report), out, bstld.read, out)
    # The folder `rgb/train` above the drive goes, the drive stays.
    assert losses_between(catalog, again) == report.to_dict() == {}
    assert (out / "train.yaml").read_text().splitlines()[0] == "- boxes:"


@pytest.mark.parametrize("seed", range(3))
def test_frames_and_boxes_without_a_place(tmp_path, random_catalog, read_back, losses_between, seed):
    catalog = random_catalog(seed)
    out = tmp_path / "out"
    out.mkdir()
    report = WriteReport()
    again = read_back(catalog, bstld_write.write(catalog, out, report=report), out, bstld.read, out)
    frames = list(catalog.iter_frames())
    lights = [[box for box in frame.annotations or () if box.category == "traffic_light"] for frame in frames]
    kept = [
        number
        for number, frame in enumerate(frames)
        if frame.annotations is not None and all(light.state is not None for light in lights[number])
    ]
    assert 0 < len(again) == len(kept) < len(catalog)
    assert report.losses["frame"] == len(catalog) - len(kept)
    words = sum(light.state is not State.UNKNOWN for number in kept for light in lights[number])
    assert len(again.annotations) == words
    assert report.losses["box"] == sum(len(frames[number].annotations or ()) for number in kept) - words > 0
    losses = losses_between(catalog, again)
    assert {name: number for name, number in losses.items() if not name.startswith("box.")} == {
        name: number for name, number in report.to_dict().items() if not name.startswith("box.")
    }


def test_lights_without_a_state(tmp_path, make_frame, make_catalog):
    """Unknown: a light that BSTLD would not label. None: nobody looked, and its frame must not become a negative."""
    catalog = make_catalog(
        make_frame("a", states=(State.UNKNOWN, State.RED)),
        make_frame("b", states=(None, State.RED)),
        make_frame("c", ()),
    )
    report = WriteReport()
    bstld_write.write(catalog, tmp_path, report=report)
    again, _ = index(tmp_path, "bstld", missing_images="keep")
    assert again.frames["frame_id"].to_list() == ["a", "c"]
    assert again.annotations["state"].to_list() == ["red"]
    assert (report.losses["frame"], report.losses["box"]) == (1, 1)


def test_frames_in_which_no_light_was_looked_for_are_left_out(tmp_path, make_frame, make_catalog):
    catalog = make_catalog(
        make_frame("a", states=(), labelled_categories=("car",)),
        make_frame("b", labelled_categories=("traffic_light", "car")),
    )
    report = WriteReport()
    bstld_write.write(catalog, tmp_path, report=report)
    assert [record["path"] for record in yaml.safe_load((tmp_path / "labels.yaml").read_text())] == ["./b.png"]
    assert report.losses["frame"] == 1
    assert report.losses["frame.labelled_categories"] == 1


ODD = [
    "a b/ü",
    "x<>&\"'/..",
    "../up",
    "/abs/1",
    "s/x",
    "S/X",
    "- a: {b}",
    "c:\\d",
    "plain.name",
    "s/ünïcode 漢",
    "'",
    "#",
]


def test_odd_names(tmp_path, draw_image, read_back, losses_between):
    root = tmp_path / "root"
    box = Annotation(xyxy=(1, 2, 3, 4), state=State.RED, pictogram=Pictogram.CIRCLE, occluded=False, source_label="Red")
    frames = []
    for number, name in enumerate(ODD):
        draw_image(root / f"{number}.png")
        sequence = [name, "s", None][number % 3]
        frames.append(
            Frame(frame_id=name, path=f"{number}.png", width_px=64, height_px=48, annotations=(box,), sequence=sequence)
        )
    hashes = {frame.frame_id: probe_image(root / frame.path)[2] for frame in frames}
    catalog = Catalog.from_frames(frames, source="odd", root=root, content_hashes=hashes)
    out = tmp_path / "out"
    out.mkdir()
    report = WriteReport()
    places = bstld_write.write(catalog, out, report=report)
    assert all((out / place).resolve().is_relative_to(out.resolve()) for place in places)
    assert len({place.lower() for place in places}) == len(ODD)
    again = read_back(catalog, places, out, bstld.read, out)
    assert losses_between(catalog, again) == report.to_dict()


def test_sequences_stay_apart_where_ids_cannot_stay(tmp_path, make_frame, make_catalog):
    catalog = make_catalog(
        make_frame("0000f77c-6257be58", sequence="0000f77c"),
        make_frame("x/y/1", sequence="drive"),
        make_frame("drive/2", sequence="drive"),
        make_frame("alone/3"),
    )
    report = WriteReport()
    places = bstld_write.write(catalog, tmp_path, report=report)
    assert places == ["0000f77c/0000f77c-6257be58.png", "drive/x__y__1.png", "drive/2.png", "alone__3.png"]
    assert report.losses["frame.frame_id"] == 3
    assert report.losses["frame.sequence"] == 0


def test_parts_have_files_of_their_own(tmp_path, make_frame, make_catalog):
    splits = ["train", "val", "test", None, "_train"]
    catalog = make_catalog(*(make_frame(f"{number}", split=split) for number, split in enumerate(splits)))
    report = WriteReport()
    bstld_write.write(catalog, tmp_path, report=report)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["labels.yaml", "test.yaml", "train.yaml", "val.yaml"]
    assert report.losses["frame.split"] == 1
    again, _ = index(tmp_path, "bstld", missing_images="keep")
    assert dict(again.frames.select("frame_id", "split").rows()) == dict(zip("01234", [*splits[:4], None], strict=True))


def test_the_official_reader_would_agree(tmp_path, dataset):
    """What read_label_file.py does: YAML 1.1, keys by name, min/max corners."""
    catalog, _ = index(dataset / "train.yaml", "bstld")
    out = tmp_path / "out"
    out.mkdir()
    bstld_write.write(catalog, out, report=WriteReport())
    records = yaml.load((out / "train.yaml").read_text(), Loader=yaml.SafeLoader)
    assert records[0]["boxes"] == yaml.safe_load(TRAIN)[0]["boxes"]
    assert records[1]["boxes"] == []


def test_states_and_shapes_without_a_word(tmp_path, make_frame, make_catalog, draw_image):
    """Red and yellow together is "stop" either way; a shape that has no word becomes the plain colour."""
    draw_image(tmp_path / "a.png", 1280, 720)
    boxes = (
        Annotation(xyxy=(1, 2, 3, 4), state=State.RED_YELLOW, pictogram=Pictogram.ARROW_LEFT, occluded=False),
        Annotation(xyxy=(5, 6, 7, 8), state=State.GREEN, pictogram=Pictogram.TRAM, occluded=False),
        Annotation(xyxy=(9, 2, 12, 4), state=State.UNKNOWN, pictogram=Pictogram.TRAM, occluded=False, aspects=3),
    )
    report = WriteReport()
    bstld_write.write(make_catalog(make_frame("a", annotations=boxes)), tmp_path, report=report)
    (frame,) = bstld.read(tmp_path / "labels.yaml", report=ReadReport())
    assert [(light.state, light.pictogram, light.source_label) for light in frame.annotations or ()] == [
        ("red", "arrow_left", "RedLeft"),
        ("green", "circle", "Green"),
    ]
    assert report.to_dict() == {"box.source_label": 2, "box": 1, "box.pictogram": 1, "box.state": 1}


def test_a_catalog_without_frames_to_write(tmp_path, make_frame, make_catalog):
    bstld_write.write(make_catalog(make_frame("a", annotations=None)), tmp_path, report=WriteReport())
    assert (tmp_path / "labels.yaml").read_text() == "[]\n"


# --- junk


def test_junk_is_answered_with_one_line(tmp_path):
    """Mutations of a verbatim snippet; frames or one line of an error, never a traceback."""
    rng = random.Random(0)
    junk = [
        "nan",
        ".inf",
        "1e999",
        '""',
        "../../etc/passwd",
        "/abs",
        '"x\\0"',
        "9" * 400,
        "[" * 300,
        "*a",
        "&a",
        "!!python/object:os.system",
        "null",
        "-",
    ]
    path = tmp_path / "train.yaml"
    outcomes = Counter()
    for _ in range(200):
        text = TRAIN + TEST
        for _ in range(rng.randint(1, 3)):
            at, length = rng.randrange(len(text)), rng.randint(0, 12)
            text = (
                text[:at]
                + rng.choice([rng.choice(junk), "", chr(rng.randrange(32, 400)), text[at : at + 30]])
                + text[at + length :]
            )
        path.write_text(text)
        try:
            list(bstld.read(path, report=ReadReport(), missing_images="keep"))
            outcomes["frames"] += 1
        except DataError as error:
            assert "\n" not in str(error)
            outcomes["refused"] += 1
    assert min(outcomes["frames"], outcomes["refused"]) > 10


# --- the real files

LABELS = {
    "train": "Green 5205 Red 3053 RedLeft 1090 off 726 Yellow 444 GreenLeft 178 GreenStraight 20 GreenRight 13 "
    "RedStraight 9 RedRight 5 GreenStraightRight 3 RedStraightLeft 1 GreenStraightLeft 1",
    "test": "Green 7569 Red 5321 off 442 Yellow 154",
    "additional_train": "Green 171 Red 88 RedLeft 22 off 21 Yellow 15 GreenLeft 3 GreenStraight 1",
}


@pytest.mark.parametrize(
    ("name", "frames", "empty", "occluded", "drives"),
    [("train", 5091, 1940, 170, 7), ("test", 8334, 1187, 2088, 1), ("additional_train", 215, 104, 7, 5)],
)
def test_counts_of_the_real_label_files(shared_data, name, frames, empty, occluded, drives):
    catalog, report = index(shared_data / "bstld" / "label_files" / f"{name}.yaml", "bstld", missing_images="keep")
    words = LABELS[name].split()
    assert Counter(catalog.annotations["source_label"]) == dict(zip(words[::2], map(int, words[1::2]), strict=True))
    assert len(catalog) == frames
    assert (np.diff(catalog.offsets) == 0).sum() == empty
    assert catalog.annotations["occluded"].sum() == occluded
    assert catalog.frames["sequence"].n_unique() == drives
    assert report.count(Event.BOX_NO_AREA) == report.count(Event.BOX_OUTSIDE) == report.count(Event.BOX_SWAPPED) == 0


def test_real_frames(shared_data):
    catalog, report = index(shared_data / "bstld" / "train.yaml", "bstld")
    assert (len(catalog), len(catalog.annotations)) == (5, 22)
    assert not report.counts
    assert Counter(catalog.annotations["state"]) == {"green": 13, "red": 7, "yellow": 1, "off": 1}
