from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tl_datasets.browse import page as page_module
from tl_datasets.browse.columns import json_for_script
from tl_datasets.browse.page import render, thin_out, write_page
from tl_datasets.checks.findings import Finding, Findings, tabulate
from tl_datasets.checks.rules import Rule
from tl_datasets.errors import DataError, ImageError, UsageError
from tl_datasets.frame import Annotation
from tl_datasets.network_size import InputSize
from tl_datasets.taxonomy import State, Weather

EVIL = '</script><script>alert(1)</script><!-- "&\u2028 @@DATA@@'


class Parsed(HTMLParser):
    """Script elements with their text, as an HTML parser of another maker finds them."""

    def __init__(self, text: str):
        super().__init__()
        self.scripts: list[tuple[dict, str]] = []
        self.tags: list[str] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._inside = tag == "script"
        if self._inside:
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag):
        self._inside = False

    def handle_data(self, data):
        if self._inside:
            attributes, text = self.scripts.pop()
            self.scripts.append((attributes, text + data))


def data_of(index: Path) -> dict:
    scripts = Parsed(index.read_text(encoding="utf-8")).scripts
    assert [attributes for attributes, _ in scripts] == [{"type": "application/json", "id": "data"}, {}]
    return json.loads(scripts[0][1])


@pytest.fixture
def catalog(draw_image, make_catalog, make_frame, tmp_path):
    for name in "abcd":
        draw_image(tmp_path / f"{name}.png", 100, 80)
    light = Annotation(xyxy=(1.25, 2, 11.5, 30.0004), state=State.OFF, occluded=True, source_label="x")
    return make_catalog(
        make_frame("a", annotations=(light, Annotation(xyxy=(0, 0, 9, 9), category="car", occluded=False))),
        make_frame("b", (State.UNKNOWN, None), weather=Weather.RAINY, split="val"),
        make_frame("c", annotations=None),
        make_frame("d", (), labelled_categories=("car",)),
    )


def test_a_page_and_its_pictures(catalog, tmp_path):
    report = write_page(catalog, tmp_path / "look")
    assert report.index == tmp_path / "look" / "index.html"
    assert (report.frames, report.frames_in_catalog, report.boxes, report.crops, report.unreadable) == (4, 4, 4, 3, 0)
    names = sorted(str(path.relative_to(tmp_path / "look")) for path in (tmp_path / "look").rglob("*.*"))
    assert names == ["crops/0.jpg", "crops/2.jpg", "crops/3.jpg", "index.html", *(f"thumbs/{i}.jpg" for i in range(4))]


def test_columns_say_what_the_catalog_says(catalog, tmp_path):
    data = data_of(write_page(catalog, tmp_path / "look", input_size=InputSize(width_px=64, height_px=32)).index)
    frames, boxes = data["frames"], data["boxes"]
    assert frames["id"] == ["a", "b", "c", "d"]
    assert frames["first_box"] == [0, 2, 4, 4, 4]
    assert frames["label_status"] == {"words": ["labelled", "unlabelled", "partial"], "index": [0, 0, 1, 2]}
    assert frames["weather"] == {"words": ["rainy"], "index": [-1, 0, -1, -1]}
    assert frames["source"] == {"words": ["drawn"], "index": 0}
    # Off, unknown and absent stay three things.
    assert boxes["state"] == {"words": ["off", "unknown"], "index": [0, -1, 1, -1]}
    assert boxes["occluded"] == {"words": ["yes", "no"], "index": [0, 1, -1, -1]}
    assert boxes["pictogram"] == {"words": [], "index": -1}
    assert [boxes[name][0] for name in "xywh"] == [1250, 2000, 10250, 28000]
    assert data["input_size"] == [64, 32]
    assert data["fingerprint"] == catalog.fingerprint


def test_images_are_found_from_the_page(catalog, tmp_path):
    data = data_of(write_page(catalog, tmp_path / "deep" / "look").index)
    relative, absolute = data["roots"]["drawn"]
    assert (tmp_path / "deep" / "look" / relative / data["frames"]["path"][0]).resolve() == tmp_path / "a.png"
    assert absolute == tmp_path.as_uri()


def test_paths_are_quoted_for_an_address(draw_image, make_catalog, make_frame, tmp_path):
    draw_image(tmp_path / "50% #1?.png", 100, 80)
    data = data_of(write_page(make_catalog(make_frame("a", path="50% #1?.png")), tmp_path / "look").index)
    assert data["frames"]["path"] == ["50%25%20%231%3F.png"]


def test_words_of_files_cannot_become_markup(draw_image, make_catalog, make_frame, tmp_path):
    draw_image(tmp_path / "a.png", 100, 80)
    light = Annotation(xyxy=(0, 0, 9, 9), source_label=EVIL, track_id=EVIL)
    catalog = make_catalog(make_frame(EVIL, path="a.png", sequence=EVIL, annotations=(light,)))
    index = write_page(catalog, tmp_path / "look", title=EVIL).index
    data = data_of(index)
    assert data["frames"]["id"] == [EVIL] == data["frames"]["sequence"]["words"] == data["boxes"]["track_id"]["words"]
    assert data["title"] == EVIL
    harmless = write_page(make_catalog(make_frame("a")), tmp_path / "harmless").index
    tags = [Parsed(path.read_text(encoding="utf-8")).tags for path in (index, harmless)]
    assert tags[0] == tags[1]
    assert "alert(1)</script" not in index.read_text(encoding="utf-8")


def test_json_has_no_character_that_html_reads():
    assert not set("<>&") & set(json_for_script({EVIL: [EVIL]}))
    assert json.loads(json_for_script({EVIL: [EVIL]})) == {EVIL: [EVIL]}


def test_only_our_script_may_run_and_nothing_is_fetched():
    text = render("t", json_for_script({}))
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    script = Parsed(text).scripts[1][1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert not re.findall(r"(?:src|href|action)=[\"']?(?:https?:)?//", text)
    assert not re.search(
        r"@import|url\(|\bfetch\(|XMLHttpRequest|innerHTML|insertAdjacent|document\.write|\beval\(", text
    )


def test_findings_of_frames_boxes_and_the_catalog(catalog, tmp_path):
    rows = [
        Finding(rule=Rule.BOX_SIZE, message="small", frame_id="b", box=1),
        Finding(rule=Rule.FRAME_UNLABELLED, message="nobody looked", frame_id="c"),
        Finding(rule=Rule.CLASS_RARE, message="few"),
    ]
    boxes = catalog.annotations.with_columns(box=0)
    findings = Findings(table=tabulate(rows, catalog.frames, boxes), fingerprint=catalog.fingerprint)
    data = data_of(write_page(catalog, tmp_path / "look", findings=findings).index)
    found = data["findings"]
    rules = [found["rule"]["words"][number] for number in found["rule"]["index"]]
    assert sorted(zip(rules, found["frame"], found["box"], strict=True)) == [
        ("box_size", 1, 1),
        ("frame_unlabelled", 2, -1),
    ]
    assert [row[0] for row in data["catalog_findings"]] == ["class_rare"]
    # A frame that the limit leaves out takes its findings with it.
    limited = data_of(write_page(catalog, tmp_path / "few", findings=findings, limit=2).index)
    assert (limited["frames"]["id"], limited["findings"]["frame"]) == (["a", "c"], [1])


def test_limit_keeps_even_distances(catalog):
    assert thin_out(catalog, 2).frames["frame_id"].to_list() == ["a", "c"]
    assert thin_out(catalog, 4) is catalog
    assert thin_out(catalog, None) is catalog
    for limit in (0, -3):
        with pytest.raises(UsageError, match=f"limit {limit}: expected a positive number of frames"):
            thin_out(catalog, limit)


def test_unreadable_images_stand_on_the_page(catalog, tmp_path):
    (tmp_path / "b.png").write_bytes(b"")
    report = write_page(catalog, tmp_path / "look")
    data = data_of(report.index)
    assert report.unreadable == 1
    assert list(data["unreadable"]) == ["1"]
    assert "do not decode" in data["unreadable"]["1"]
    # The crops that are left are those of the other frame.
    assert data["crops"]["box"] == [0]


def test_an_empty_catalog(make_catalog, tmp_path):
    data = data_of(write_page(make_catalog(), tmp_path / "look").index)
    assert data["frames"]["id"] == []


def test_an_existing_folder_is_refused(catalog, tmp_path):
    (tmp_path / "look").mkdir()
    (tmp_path / "look" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match=r"exists already and is not an empty folder; choose another --out"):
        write_page(catalog, tmp_path / "look")
    assert (tmp_path / "look" / "mine.txt").read_text() == "mine"


def test_the_folder_appears_whole_or_not(catalog, tmp_path, monkeypatch):
    def fail(*_):
        raise ImageError("disk full")

    monkeypatch.setattr(page_module, "render", fail)
    before = set(tmp_path.iterdir())
    with pytest.raises(ImageError, match="disk full"):
        write_page(catalog, tmp_path / "look")
    assert set(tmp_path.iterdir()) == before


def test_the_same_catalog_gives_the_same_page(catalog, tmp_path):
    first = write_page(catalog, tmp_path / "one").index.read_text(encoding="utf-8")
    assert first == write_page(catalog, tmp_path / "two").index.read_text(encoding="utf-8")


def test_a_box_beyond_all_measure(draw_image, make_catalog, make_frame, tmp_path):
    draw_image(tmp_path / "a.png", 100, 80)
    far = Annotation(xyxy=(-4e307, -4e307, 1e308, 4e307), state=State.RED)
    report = write_page(make_catalog(make_frame("a", annotations=(far,))), tmp_path / "look")
    boxes = data_of(report.index)["boxes"]
    assert boxes["x"] == [-(10**12)] and boxes["w"] == [2 * 10**12] and report.crops == 1
