from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tl_datasets.errors import AnnotationError, DataError, ImageError, TlError, UsageError
from tl_datasets.formats.cityscapes import read
from tl_datasets.index import index
from tl_datasets.label_maps import load_label_map
from tl_datasets.read_report import Event, ReadReport
from tl_datasets.taxonomy import ConditionSource, State, Weather

SCENE = "aachen_000003_000019"
LIGHT = {"label": "traffic light", "polygon": [[10, 20], [18, 20], [18, 40], [10, 40]]}


@pytest.fixture
def make_set(tmp_path: Path, draw_image):
    """`gtFine` and clear images of 64x48 pixels for scenes given as <split>/<city>/<scene>."""

    def make(objects: list, scenes=(f"train/aachen/{SCENE}",), folder: str = "leftImg8bit", tails=("",)) -> Path:
        for scene in scenes:
            path = tmp_path / "gtFine" / f"{scene}_gtFine_polygons.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"imgHeight": 48, "imgWidth": 64, "objects": objects}))
            for tail in tails:
                draw_image(tmp_path / folder / f"{scene}_leftImg8bit{tail}.png", 64, 48)
        return tmp_path

    return make


def read_all(source: Path, **options):
    report = ReadReport()
    return list(read(source, report=report, **options)), report


def test_polygons_become_boxes(make_set):
    objects = [
        LIGHT,
        {"label": "traffic sign", "polygon": [[-6, 4], [14, 4.5], [2, 20]]},
        {"label": "cargroup", "polygon": [[1, 1], [9, 9], [1, 9]]},
        {"label": "road", "polygon": [[0, 30], [64, 30], [64, 48]]},
        {"label": "car", "deleted": 1, "polygon": [[1, 1], [9, 9], [1, 9]]},
        {"label": "car", "deleted": 0, "polygon": [[70, 1], [90, 9], [70, 9]]},
    ]
    frames, report = read_all(make_set(objects))
    (frame,) = frames
    assert frame.annotations is not None
    light, sign, group = frame.annotations
    assert (light.category, light.state, light.xyxy, light.truncated) == ("traffic_light", None, (10, 20, 18, 40), None)
    assert (sign.category, sign.xyxy, sign.truncated) == ("traffic_sign", (0, 4, 14, 20), True)
    assert (group.category, group.ignore, group.source_label) == ("car", True, "cargroup")
    assert (frame.frame_id, frame.path) == (
        f"train/aachen/{SCENE}_leftImg8bit",
        f"train/aachen/{SCENE}_leftImg8bit.png",
    )
    assert (frame.split, frame.sequence) == ("train", "aachen_000003")
    assert (frame.weather, frame.condition_source, frame.fog_beta_per_m) == (None, None, None)
    assert report.counts == {
        (Event.POLYGON_TO_BOX, ""): 3,
        (Event.BOX_CLIPPED, ""): 1,
        (Event.BOX_OUTSIDE, ""): 1,
        (Event.LABEL_DROPPED, "road"): 1,
        (Event.LABEL_DROPPED, "deleted"): 1,
    }


def test_three_fogs_of_one_scene_share_their_sequence(make_set):
    tails = [f"_foggy_beta_{beta}" for beta in ("0.005", "0.01", "0.02")]
    source = make_set([LIGHT], folder="leftImg8bit_foggy", tails=tails)
    frames, report = read_all(source)
    assert [frame.fog_beta_per_m for frame in frames] == [0.005, 0.01, 0.02]
    assert {frame.sequence for frame in frames} == {"aachen_000003"}
    assert {frame.weather for frame in frames} == {Weather.FOGGY}
    assert {frame.condition_source for frame in frames} == {ConditionSource.SYNTHETIC}
    assert len({frame.frame_id for frame in frames}) == 3
    assert [len(frame.annotations or ()) for frame in frames] == [1, 1, 1]
    assert frames[0].annotations and frames[0].annotations[0].state is not State.UNKNOWN
    assert report.root == source / "leftImg8bit_foggy"


def test_variants(make_set):
    source = make_set([LIGHT])
    make_set([LIGHT], folder="leftImg8bit_foggyDBF", tails=["_foggy_beta_0.02", "_foggyDBF_beta_0.01"])
    assert [frame.fog_beta_per_m for frame in read_all(source)[0]] == [None]
    assert [frame.fog_beta_per_m for frame in read_all(source, variant="foggy")[0]] == [0.01, 0.02]
    assert len(read_all(source, images=source / "leftImg8bit_foggyDBF")[0]) == 2
    assert len(read_all(source / "gtFine", variant="clear")[0]) == 1
    catalog, _ = index(source, "cityscapes", variant="foggy")
    assert set(catalog.frames["weather"]) == {"foggy"}


def test_the_test_part_is_unlabelled(make_set):
    """What can be downloaded for it holds ignored areas only."""
    source = make_set(
        [{"label": "out of roi", "polygon": [[0, 0], [2, 0], [2, 2]]}], scenes=["test/berlin/berlin_000000_000019"]
    )
    frames, _ = read_all(source)
    assert (frames[0].annotations, frames[0].split) == (None, "test")


def test_images_without_labels_are_unlabelled_and_counted(make_set, draw_image):
    source = make_set([LIGHT])
    draw_image(source / "leftImg8bit" / "train" / "aachen" / "aachen_000004_000019_leftImg8bit.png")
    draw_image(source / "leftImg8bit" / "odd.png")
    frames, report = read_all(source)
    assert [frame.annotations is None for frame in frames] == [True, False, True]
    assert [frame.sequence for frame in frames] == [None, "aachen_000003", "aachen_000004"]
    assert report.count(Event.NO_RECORD) == 2


def test_missing_images(make_set):
    source = make_set([LIGHT])
    image = source / "leftImg8bit" / "train" / "aachen" / f"{SCENE}_leftImg8bit.png"
    image.unlink()
    with pytest.raises(AnnotationError, match=rf"{SCENE}_gtFine_polygons\.json: no image .*missing_images=drop"):
        read_all(source)
    assert read_all(source, missing_images="drop")[0] == []
    frames, report = read_all(source, missing_images="keep")
    assert (frames[0].width_px, frames[0].height_px, len(frames[0].annotations or ())) == (64, 48, 1)
    assert report.count(Event.IMAGE_NOT_CHECKED) == 1
    image.write_bytes(b"PNG?")
    with pytest.raises(ImageError, match="does not open"):
        read_all(source)


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ([{"label": "traffic lamp", "polygon": [[0, 0], [1, 1]]}] * 2, r"gtFine: words .*label 'traffic lamp' \(2\)"),
        ([{"polygon": []}], r"json: object 0: .*expected an object with label"),
        ([LIGHT, {"label": "car"}], "object 1: polygon None, expected a list of points"),
        ([{"label": "car", "polygon": [[1, 2]]}], "expected a list of points"),
        ([{"label": "car", "polygon": [[1, 2], [3]]}], r"point \[3\], expected x, y"),
        ([{"label": "car", "polygon": [[1, 2], [3, "a"]]}], "y of a point is 'a', expected a number"),
        ([{"label": "car", "polygon": [[1, 2], [float("nan"), 4]]}], "x of a point is nan"),
        ([{"label": "car", "polygon": [[1, 2], [3, 4]], "deleted": "perhaps"}], "deleted is 'perhaps'"),
        ({}, "expected an object with imgWidth, imgHeight and objects"),
    ],
)
def test_faults(make_set, objects, message):
    with pytest.raises(AnnotationError, match=message) as caught:
        read_all(make_set(objects))
    assert "\n" not in str(caught.value)


def test_another_size_and_a_box_without_area(make_set, draw_image):
    source = make_set([{"label": "car", "polygon": [[1, 2], [1, 4]]}])
    assert read_all(source)[1].count(Event.BOX_NO_AREA) == 1
    with pytest.raises(DataError, match="no area"):
        read_all(source, on_bad_box="error")
    draw_image(source / "leftImg8bit" / "train" / "aachen" / f"{SCENE}_leftImg8bit.png", 32, 24)
    with pytest.raises(AnnotationError, match=r"declares 64x48 .* which is 32x24"):
        read_all(source)


def test_faults_of_folders(make_set, tmp_path):
    source = make_set([LIGHT])
    with pytest.raises(UsageError, match=r"no image folder leftImg8bit_foggy or leftImg8bit_foggyDBF"):
        read_all(source, variant="foggy")
    with pytest.raises(UsageError, match="images: no folder"):
        read_all(source, images=tmp_path / "gone")
    with pytest.raises(UsageError, match="expected the folder gtFine"):
        read_all(tmp_path / "gone")
    (tmp_path / "empty" / "gtFine").mkdir(parents=True)
    with pytest.raises(AnnotationError, match="no \\*_gtFine_polygons"):
        read_all(tmp_path / "empty", images=source / "leftImg8bit")
    with pytest.raises(UsageError, match="variant=rainy: expected clear or foggy"):
        index(source, "cityscapes", variant="rainy")


def test_links_out_of_the_images_are_left_out(make_set, tmp_path_factory, draw_image):
    source = make_set([LIGHT])
    outside = draw_image(tmp_path_factory.mktemp("outside") / "x.png")
    (source / "leftImg8bit" / "train" / "aachen" / "aachen_000009_000019_leftImg8bit.png").symlink_to(outside)
    frames, report = read_all(source)
    assert (len(frames), report.count(Event.LINK_LEFT_OUT)) == (1, 1)


def test_a_label_file_that_is_a_link_out_is_left_out(make_set, tmp_path_factory):
    source = make_set([LIGHT], (f"train/aachen/{SCENE}", "train/aachen/aachen_000004_000019"))
    label_file = source / "gtFine" / "train" / "aachen" / f"{SCENE}_gtFine_polygons.json"
    label_file.symlink_to(label_file.rename(tmp_path_factory.mktemp("outside") / "x.json"))
    frames, report = read_all(source)
    assert [frame.annotations is None for frame in frames] == [True, False]
    assert (report.count(Event.LINK_LEFT_OUT), report.count(Event.NO_RECORD)) == (1, 1)


def test_two_label_files_of_one_scene_are_refused(make_set):
    source = make_set([LIGHT])
    copy = source / "gtFine" / "train" / "copy" / f"{SCENE}_gtFine_polygons.json"
    copy.parent.mkdir()
    copy.write_text(json.dumps({"imgHeight": 48, "imgWidth": 64, "objects": []}))
    with pytest.raises(AnnotationError, match=r"copy/.*: .*/aachen/.* is of the same scene; expected one file"):
        read_all(source)


def test_every_label_of_the_set_has_a_meaning():
    """The label table of cityscapesScripts, with the groups of those that have instances."""
    names = (
        "unlabeled|ego vehicle|rectification border|out of roi|static|dynamic|ground|road|sidewalk|parking|rail track|"
        "building|wall|fence|guard rail|bridge|tunnel|pole|polegroup|traffic light|traffic sign|vegetation|terrain|sky|"
        "person|rider|car|truck|bus|caravan|trailer|train|motorcycle|bicycle|license plate"
    )
    plain = names.split("|")
    assert len(plain) == 35
    words = load_label_map("cityscapes")
    assert [name for name in plain if words.label(name) is None] == []
    for name in ("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle", "caravan", "trailer"):
        alone, group = words.label(name), words.label(f"{name}group")
        assert group == alone.model_copy(update={"ignore": True})  # type: ignore[union-attr]


def test_mangled_files_are_answered_with_one_line(make_set):
    source = make_set([LIGHT, {"label": "car", "deleted": 0, "polygon": [[1, 2], [3, 4.5]]}])
    path = source / "gtFine" / "train" / "aachen" / f"{SCENE}_gtFine_polygons.json"
    sound = path.read_bytes()
    rng = random.Random(0)
    junk = [
        b"NaN",
        b"1e999",
        b'""',
        b'"../../etc/passwd"',
        b"9" * 400,
        b"[" * 3000,
        b"null",
        b"\xff",
        b'"x\\u0000"',
        b"{}",
    ]
    refused = 0
    for _ in range(400):
        data = bytearray(sound)
        start = rng.randrange(len(data))
        stop = start + rng.randrange(1, 12)
        data[start:stop] = rng.choice([b"", data[start:stop] * 2, bytes([rng.randrange(256)]), rng.choice(junk)])
        path.write_bytes(data)
        try:
            read_all(source)
        except TlError as error:
            assert isinstance(error, AnnotationError)
            assert "\n" not in str(error)
            refused += 1
    assert refused > 200
