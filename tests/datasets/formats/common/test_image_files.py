from __future__ import annotations

from pathlib import Path

import pytest

from tl_datasets.errors import AnnotationError, ImageError, UsageError
from tl_datasets.formats.common.image_files import ImageFiles, ImageIndex, image_root
from tl_datasets.formats.common.place import Place
from tl_datasets.read_report import Event, ReadReport

HERE = Place(Path("labels.json"), ("image", 7))


@pytest.fixture
def files(tmp_path, draw_image):
    draw_image(tmp_path / "a.png", 64, 48)

    def make(missing="error", **fields) -> ImageFiles:
        return ImageFiles(root=tmp_path, missing=missing, report=ReadReport(), **fields)

    return make


@pytest.mark.parametrize("path", ["a.png", "./a.png", "b/../a.png", "b\\..\\a.png"])
def test_one_spelling_per_file(files, tmp_path, path):
    (tmp_path / "b").mkdir()
    located = files().locate(path, HERE)
    assert (located.path, located.file.name) == ("a.png", "a.png")


@pytest.mark.parametrize("path", ["../a.png", "/etc/passwd", "b/../../a.png", "a.png/../../x", "x\0", "y" * 5000])
def test_paths_that_leave_the_root_or_are_none(files, path):
    with pytest.raises(AnnotationError, match=r"labels\.json: image 7: path .* set images=DIR"):
        files().locate(path, HERE)


def test_a_link_out_of_the_root_is_refused(files, tmp_path, tmp_path_factory, draw_image):
    outside = draw_image(tmp_path_factory.mktemp("outside") / "x.png")
    (tmp_path / "link.png").symlink_to(outside)
    with pytest.raises(AnnotationError, match="leaves its root"):
        files().locate("link.png", HERE)


def test_what_is_missing(files):
    with pytest.raises(AnnotationError, match=r"no image 'gone\.png' in .*missing_images=drop; 1 link"):
        files(hint="; 1 link").locate("gone.png", HERE)
    dropping, keeping = files("drop"), files("keep")
    assert dropping.locate("gone.png", HERE) is None
    assert dropping.report.count(Event.IMAGE_MISSING) == 1
    located = keeping.locate("gone.png", HERE, (1280, 720))
    assert list(keeping.sized([("item", located)])) == [("item", ("gone.png", 1280, 720, None))]
    assert keeping.report.count(Event.IMAGE_NOT_CHECKED) == 1


def test_a_kept_frame_needs_a_size(files):
    keeping = files("keep")
    with pytest.raises(AnnotationError, match="neither an image file nor a width and height"):
        list(keeping.sized([("item", keeping.locate("gone.png", HERE, (None, 720)))]))
    assuming = files("keep", assumed_size=(1280, 720))
    sized = list(assuming.sized([("item", assuming.locate("gone.png", HERE))]))
    assert sized[0][1][1:3] == (1280, 720)
    assert assuming.report.count(Event.SIZE_ASSUMED) == 1


def test_a_declared_size_must_be_that_of_the_image(files):
    ok = files()
    _, image = next(iter(ok.sized([("item", ok.locate("a.png", HERE, (64, 48)))])))
    assert (image.width_px, image.height_px, len(image.content_hash)) == (64, 48, 64)
    with pytest.raises(AnnotationError, match=r"image 7: declares 48x64 for a\.png, which is 64x48"):
        list(ok.sized([("item", ok.locate("a.png", HERE, (48, 64)))]))
    with pytest.raises(AnnotationError, match="declares 64x50"):
        list(ok.sized([("item", ok.locate("a.png", HERE, (None, 50)))]))


def test_an_image_that_does_not_open(files, tmp_path):
    (tmp_path / "broken.png").write_text("no picture")
    with pytest.raises(ImageError, match=r"broken\.png: does not open"):
        list(files().sized([("item", files().locate("broken.png", HERE))]))
    dropping = files("drop")
    items = [(name, dropping.locate(f"{name}.png", HERE)) for name in ("broken", "a")]
    assert [item for item, _ in dropping.sized(items)] == ["a"]
    assert dropping.report.count(Event.IMAGE_BROKEN) == 1


def test_search_by_name_takes_the_file_that_shares_most_folders(tmp_path, draw_image):
    for path in ("train/x/1.png", "val/x/1.png", "val/y/1.png", "2.jpg"):
        draw_image(tmp_path / path)
    index = ImageIndex(tmp_path, ReadReport())
    assert index.find("/net/host/data/val/x/1.png", HERE) == "val/x/1.png"
    assert index.find("C:\\data\\train\\x\\1.png", HERE) == "train/x/1.png"
    assert index.find("2.png", HERE) is None
    assert index.find("2.png", HERE, by_stem=True) == "2.jpg"
    with pytest.raises(AnnotationError, match=r"image 'x/1\.png' lies in train/x/1\.png and val/x/1\.png"):
        index.find("x/1.png", HERE)


def test_image_root(tmp_path):
    assert image_root(tmp_path, [], tmp_path) == tmp_path
    assert image_root(None, [tmp_path / "absent", tmp_path], tmp_path) == tmp_path
    with pytest.raises(UsageError, match="images: no folder"):
        image_root(tmp_path / "absent", [], tmp_path)
    with pytest.raises(UsageError, match=r"no image folder; expected .*set images=DIR"):
        image_root(None, [tmp_path / "absent"], tmp_path)
