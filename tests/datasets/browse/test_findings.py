from __future__ import annotations

import logging

import pytest

from tl_datasets.browse.findings import findings_of
from tl_datasets.checks.findings import Finding, Findings, tabulate
from tl_datasets.checks.rules import Rule
from tl_datasets.errors import DataError


@pytest.fixture
def catalog(make_catalog, make_frame):
    return make_catalog(make_frame("a"), make_frame("b"))


@pytest.fixture
def find(catalog):
    def make(*places: tuple[str | None, int | None]) -> Findings:
        rows = [Finding(rule=Rule.BOX_SIZE, message="small", frame_id=frame, box=box) for frame, box in places]
        boxes = catalog.annotations.with_columns(box=0)
        return Findings(table=tabulate(rows, catalog.frames, boxes), fingerprint=catalog.fingerprint)

    return make


def test_frames_boxes_and_the_catalog(catalog, find, caplog):
    found = findings_of(catalog, find(("a", 0), ("b", None), (None, None)))
    assert found.select("frame_id", "box").rows() == [("a", 0), ("b", None), (None, None)]
    assert not caplog.records


def test_strangers_are_counted(catalog, find, caplog):
    with caplog.at_level(logging.WARNING):
        found = findings_of(catalog, find(("a", 0), ("elsewhere", 0)))
    assert found["frame_id"].to_list() == ["a"]
    assert "left out 1 findings about frames that the catalog does not have" in caplog.text


def test_another_fingerprint_is_said(catalog, find, caplog):
    table = find(("a", 0)).table
    with caplog.at_level(logging.WARNING):
        findings_of(catalog, Findings(table=table, fingerprint="0" * 16))
    assert "boxes may have changed since the check" in caplog.text


def test_findings_of_another_catalog(catalog, find):
    with pytest.raises(
        DataError, match=r"2 about frames such as 'x', none of which .*run tl check on the same catalog"
    ):
        findings_of(catalog, find(("x", 0), ("y", None)))


def test_a_box_that_does_not_exist(catalog, find):
    with pytest.raises(DataError, match=r"box 1 of frame 'a', which has 1 boxes; run tl check"):
        findings_of(catalog, find(("a", 1)))
