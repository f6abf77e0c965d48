"""Rules about image files, each with a file that breaks it and one that does not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tl_datasets.checks.run import check
from tl_datasets.images import write_rgb

JPEG = ".jpg"


def only_rule(findings, rules_of) -> list[str]:
    return [rule for rule in rules_of(findings) if rule.startswith("image_")]


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_sound_image_has_no_finding(write_frame, make_catalog, rules_of, suffix):
    assert rules_of(check(make_catalog(write_frame("a", suffix=suffix)))) == {}


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_with_end_mark(path):
    """The end marker is back, the data in the middle is not: the decoder fills with grey."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] + b"\xff\xd9")


def grey(path):
    cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))


def deep(path):
    cv2.imwrite(str(path), cv2.imread(str(path)).astype(np.uint16) * 257)


def dim(path):
    cv2.imwrite(str(path), cv2.imread(str(path)).astype(np.uint16) * 8)


@pytest.mark.parametrize(
    ("what", "suffix", "damage", "rule", "message"),
    [
        ("removed", JPEG, lambda path: path.unlink(), "image_missing", "no file"),
        ("no image", JPEG, lambda path: path.write_bytes(b"hello"), "image_unreadable", "does not open"),
        ("empty", JPEG, lambda path: path.write_bytes(b""), "image_unreadable", "0 bytes"),
        ("12 bits in 16", ".png", dim, "image_unreadable", "12 bits"),
        ("cut off", JPEG, cut, "image_truncated", "without an end marker"),
        ("cut off PNG", ".png", cut, "image_truncated", ""),
        ("data missing", JPEG, cut_with_end_mark, "image_truncated", "rows are the grey of missing JPEG data"),
        (
            "resized",
            ".png",
            lambda path: cv2.imwrite(str(path), np.zeros((60, 100, 3), np.uint8)),
            "image_size",
            "100x60 pixels, declared 200x120",
        ),
        (
            "black",
            ".png",
            lambda path: cv2.imwrite(str(path), np.zeros((120, 200, 3), np.uint8)),
            "image_one_colour",
            "standard deviation 0.0 around RGB 0, 0, 0",
        ),
        ("grey", ".png", grey, "image_grey", "differ by 0.00 of 255"),
        ("grey JPEG", JPEG, grey, "image_grey", "channels differ"),
        ("16 bits", ".png", deep, "image_16_bit", "16 bits per channel"),
        ("16 bits TIFF", ".tif", deep, "image_16_bit", "16 bits per channel"),
    ],
)
def test_damage(what, suffix, damage, rule, message, write_frame, make_catalog, rules_of, street, tmp_path):
    catalog = make_catalog(write_frame("a", suffix=suffix, image=street(3)), write_frame("b", suffix=suffix))
    damage(tmp_path / f"a{suffix}")
    findings = check(catalog)
    assert only_rule(findings, rules_of) == [rule], what
    row = findings.of(rule).row(0, named=True)
    assert row["frame_id"] == "a" and row["box"] is None and message in row["message"]


def test_a_path_that_leaves_the_root(write_frame, make_catalog, tmp_path):
    frame = write_frame("a")
    catalog = make_catalog(frame)
    moved = catalog.with_frames(catalog.frames.with_columns(path=catalog.frames["path"].replace("a.png", "../a.png")))
    row = check(moved).of("image_missing").row(0, named=True)
    assert "leaves its root" in row["message"]


def test_black_bars_and_grey_walls_are_no_missing_data(make_catalog, write_frame, street, rules_of, tmp_path):
    barred = street(1)
    barred[-20:] = 0
    wall = street(2)
    wall[-2:] = 128
    paved = street(3)
    paved[-40:] = 128  # a PNG that misses data does not decode: this is what was photographed
    frames = [write_frame("a", image=barred), write_frame("b", image=wall, suffix=JPEG), write_frame("c", image=paved)]
    assert rules_of(check(make_catalog(*frames))) == {}


def test_nothing_is_read_without_images(write_frame, make_catalog, tmp_path):
    catalog = make_catalog(write_frame("a"))
    (tmp_path / "a.png").unlink()
    findings = check(catalog, images=False)
    assert not len(findings.of("image_missing")) and findings.about["images_read"] is False


def test_progress_and_the_order_of_findings(write_frame, make_catalog, tmp_path):
    frames = [write_frame(f"f{number:02d}") for number in range(20)]
    for number in (3, 11, 7):
        write_rgb(tmp_path / f"f{number:02d}.png", np.zeros((120, 200, 3), np.uint8))
    calls = []
    findings = check(make_catalog(*frames), progress=lambda done, total: calls.append((done, total)))
    assert calls == [(number, 20) for number in range(1, 21)]
    assert findings.of("image_one_colour")["frame_id"].to_list() == ["f03", "f07", "f11"]
