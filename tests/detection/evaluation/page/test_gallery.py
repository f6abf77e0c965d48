"""The worst cases: their words, boxes and pictures."""

from __future__ import annotations

import base64
from dataclasses import replace

import cv2
import numpy as np
import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.errors import UsageError
from tl_detection.evaluation.page import gallery
from tl_detection.evaluation.page.gallery import collect_gallery, crop_region
from tl_detection.evaluation.slice_analyses import analyse_slices


@pytest.fixture(scope="module")
def answers(drawn):
    return analyse_slices(drawn[0], replicates=20).answers


def decoded(uri: str) -> np.ndarray:
    start = "data:image/jpeg;base64,"
    assert uri.startswith(start)
    image = cv2.imdecode(np.frombuffer(base64.b64decode(uri[len(start) :]), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image


def test_every_case_names_its_frame_and_shows_it(drawn, answers):
    catalog = drawn[1]
    found = collect_gallery(answers, catalog, per_kind=5)
    assert {case.kind for case in found.cases} == {kind for kind, number in found.found.items() if number}
    sequences = dict(zip(catalog.frames["frame_id"], catalog.frames["sequence"], strict=True))
    for case in found.cases:
        assert case.sequence == sequences[case.frame_id]
        assert max(decoded(case.crop).shape[:2]) == 240
        assert decoded(found.frames[case.frame_id]).shape[:2] == (180, 320)
        subject = [box for box in case.boxes if box.is_subject]
        assert 1 <= len(subject) <= 2
        left, top, right, _ = case.crop_xyxy
        assert all(left <= box.xyxy[0] and box.xyxy[2] <= right + 1 and top <= box.xyxy[1] for box in subject)
    for kind in found.found:
        assert sum(case.kind == kind for case in found.cases) == min(5, found.found[kind])


def test_an_image_is_read_once(drawn, answers, monkeypatch):
    read: list[int] = []
    original = Catalog.read_rgb
    monkeypatch.setattr(Catalog, "read_rgb", lambda self, row: read.append(row) or original(self, row))
    found = collect_gallery(answers, drawn[1])
    assert len(read) == len(set(read)) == len({case.frame_id for case in found.cases})
    assert len(found.cases) > len(read)


def test_pictures_stop_when_their_share_of_the_file_is_used_up(drawn, answers, monkeypatch):
    monkeypatch.setattr(gallery, "_PICTURE_BYTES", 400_000)
    found = collect_gallery(answers, drawn[1])
    with_picture = [case for case in found.cases if case.crop]
    assert 0 < len(with_picture) < len(found.cases)
    assert {case.kind for case in with_picture} == {kind for kind, number in found.found.items() if number}
    without = len(found.cases) - len(with_picture)
    assert found.notes == (f"{without} cases have no picture, since the file would grow too large.",)


def test_a_missing_image_leaves_the_case(drawn, answers, tmp_path):
    catalog = drawn[1]
    elsewhere = Catalog(catalog.frames, catalog.annotations, dict.fromkeys(catalog.roots, tmp_path))
    found = collect_gallery(answers, elsewhere, per_kind=2)
    assert found.cases
    assert all(case.crop is None for case in found.cases)
    assert "could not be read" in found.notes[0]


def test_without_a_catalog_there_are_cases_without_pictures(drawn, answers):
    found = collect_gallery(answers, None, per_kind=2)
    pictured = collect_gallery(answers, drawn[1], per_kind=2)
    assert found.cases == tuple(replace(case, crop=None) for case in pictured.cases)
    assert not found.frames


def test_a_negative_number_is_refused(answers):
    with pytest.raises(UsageError, match="gallery -1"):
        collect_gallery(answers, None, per_kind=-1)


@pytest.mark.parametrize(
    ("xyxy", "size", "expected"),
    [
        ((100, 100, 110, 120), (640, 480), (65, 70, 145, 150)),
        ((0, 0, 2, 4), (640, 480), (0, 0, 64, 64)),
        ((630, 470, 640, 480), (640, 480), (576, 416, 640, 480)),
        ((10, 10, 200, 200), (320, 180), (0, 0, 320, 180)),
        ((5, 5, 6, 6), (40, 30), (0, 0, 40, 30)),
    ],
    ids=["around the box", "at the corner", "at the other corner", "larger than the frame", "a tiny frame"],
)
def test_crop_region(xyxy, size, expected):
    assert crop_region(xyxy, size) == expected
