"""The table of findings on disk, as text and as a page."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time

import cv2
import numpy as np
import polars as pl
import pytest

from tl_datasets.checks.findings import FINDING_SCHEMA, Finding, Findings, tabulate
from tl_datasets.checks.report_html import write_html
from tl_datasets.checks.report_text import format_findings
from tl_datasets.checks.rules import RULES, Rule, Severity
from tl_datasets.checks.run import check
from tl_datasets.errors import DataError
from tl_datasets.taxonomy import State


@pytest.fixture
def faulty(write_frame, make_catalog, tmp_path):
    """A mislabelled lamp, a broken image, and what concerns the whole catalog."""
    catalog = make_catalog(write_frame("a", ((State.GREEN, State.RED),)), write_frame("b"), write_frame("c"))
    (tmp_path / "c.png").write_bytes(b"no image")
    return catalog


def data_of(page: str) -> dict:
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_schema_and_order(faulty):
    table = check(faulty).table
    assert dict(table.schema) == FINDING_SCHEMA
    order = [list(Severity).index(Severity(word)) for word in table["severity"]]
    assert order == sorted(order) and set(order) == {0, 1, 2}
    assert set(table["remedy"]) <= {info.remedy for info in RULES.values()}
    assert table.filter(pl.col("frame_id").is_null())["box"].null_count() > 0


def test_a_box_finding_carries_its_box(faulty):
    row = check(faulty).of(Rule.STATE_AGAINST_COLOUR).row(0, named=True)
    assert (row["frame_id"], row["box"]) == ("a", 0)
    assert (row["x1"], row["y1"], row["x2"], row["y2"]) == (10, 12, 24, 54)


def test_save_and_load(faulty, tmp_path):
    findings = check(faulty)
    path = findings.save(tmp_path / "out")
    assert sorted(item.name for item in path.parent.iterdir()) == ["check.json", "findings.parquet"]
    assert pl.read_parquet(path).equals(findings.table)
    for place in (path, path.parent):
        again = Findings.load(place)
        assert again.fingerprint == faulty.fingerprint and again.table.equals(findings.table)
        assert again.about == findings.about
    counts = json.loads((path.parent / "check.json").read_text())["counts"]
    assert counts["image_unreadable/error"] == 1 and sum(counts.values()) == len(findings)


def test_no_findings_can_be_saved_too(tmp_path, make_catalog):
    findings = check(make_catalog())
    findings.save(tmp_path / "out")
    assert len(Findings.load(tmp_path / "out")) == 0


def remove_about(folder):
    (folder / "check.json").unlink()


def other_columns(folder):
    pl.DataFrame({"a": [1]}).write_parquet(folder / "findings.parquet")


def with_column(**columns):
    def damage(folder):
        table = pl.read_parquet(folder / "findings.parquet")
        table.with_columns(**columns).write_parquet(folder / "findings.parquet")

    return damage


@pytest.mark.parametrize(
    ("what", "damage", "message"),
    [
        ("absent", lambda folder: (folder / "findings.parquet").unlink(), "no findings .FileNotFoundError"),
        ("no parquet", lambda folder: (folder / "findings.parquet").write_text("x"), "no findings"),
        ("without check.json", remove_about, "check.json beside it"),
        ("a list", lambda folder: (folder / "check.json").write_text("[]"), "fingerprint None"),
        ("other columns", other_columns, "no column 'frame_id'"),
        (
            "a rule of the future",
            with_column(rule=pl.lit("moon_phase")),
            "rule is 'moon_phase', expected image_missing",
        ),
        ("no rule", with_column(rule=pl.lit(None, dtype=pl.String)), "rule is None"),
        ("rules as lists", with_column(rule=pl.concat_list("rule")), "rule is List.String., expected String"),
        ("another severity", with_column(severity=pl.lit("awful")), "severity is 'awful', expected error"),
        ("no severity", with_column(severity=pl.lit(None, dtype=pl.String)), "severity is None"),
        ("boxes as text", with_column(box=pl.lit("zero")), "box is String, expected Int32"),
        ("half a box", with_column(box=pl.lit(0.5)), "box is Float64, expected Int32"),
        ("a coordinate as text", with_column(x1=pl.lit("q")), "x1 is String, expected Float64"),
        ("no message", with_column(message=pl.lit(None, dtype=pl.String)), "message is None"),
        ("a rule about boxes without one", with_column(box=pl.lit(None, dtype=pl.Int32)), "of a box without a box"),
        ("a box of no frame", with_column(frame_id=pl.lit(None, dtype=pl.String)), "of a box without a frame"),
    ],
)
def test_broken_files(what, damage, message, faulty, tmp_path):
    check(faulty).save(tmp_path / "out")
    damage(tmp_path / "out")
    with pytest.raises(DataError, match=message) as caught:
        Findings.load(tmp_path / "out")
    assert "\n" not in str(caught.value), what


def test_text(faulty):
    text = format_findings(check(faulty))
    lines = text.splitlines()
    assert re.fullmatch(r"severity +rule +findings +frames +what", lines[0])
    assert re.fullmatch(r"error +image_unreadable +1 +1 +image does not decode", lines[1])
    assert "  a box 0: labelled red, the lit pixels look green" in lines
    assert (
        lines[-1] == "1 error, 2 warning, 5 info; 3 frames, 3 boxes, 3 lamps large enough to compare with their labels"
    )


def test_text_shows_a_few_of_many(make_frame, make_catalog):
    frames = [make_frame(f"f{number}", annotations=None) for number in range(9)]
    text = format_findings(check(make_catalog(*frames), images=False), examples=2)
    assert text.count("no labels") == 2 and "... and 7 more" in text
    assert text.endswith("9 frames, 0 boxes, no image read")


def test_text_without_findings(make_catalog):
    assert format_findings(check(make_catalog())).startswith("no findings; 0 frames")


def test_page_holds_everything(faulty, tmp_path):
    findings = check(faulty)
    page = write_html(findings, faulty, tmp_path / "out" / "x.html", title="<b>catalogs/x</b>").read_text()
    data = data_of(page)
    assert len(data["findings"]) == len(findings)
    keys = ("frame_id", "box", "rule", "severity", "message")
    assert [tuple(item[key] for key in keys) for item in data["findings"]] == findings.table.select(keys).rows()
    assert "&lt;b&gt;catalogs/x" in page and "<b>" not in page and "@TITLE@" not in page
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", page), "nothing is fetched"


def test_pictures_show_the_lamp(faulty, tmp_path):
    page = write_html(check(faulty), faulty, tmp_path / "x.html").read_text()
    pictures = {item["rule"]: item["picture"] for item in data_of(page)["findings"]}
    assert pictures["image_unreadable"] is None and pictures["class_rare"] is None
    head, _, code = pictures["state_against_colour"].partition(",")
    assert head == "data:image/jpeg;base64"
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(code), np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1].astype(int)
    assert max(picture.shape) == 220
    green = (picture[:, :, 1] - picture[:, :, 0] > 80) & (picture[:, :, 1] - picture[:, :, 2] > 20)
    assert green.sum() > 100, "the lit lens is in the picture, and green"


def test_pictures_are_bounded(write_frame, make_catalog, tmp_path):
    heads = ((State.GREEN, State.RED),) * 4
    catalog = make_catalog(*(write_frame(f"f{number}", heads) for number in range(3)))
    page = write_html(check(catalog), catalog, tmp_path / "x.html", pictures_per_rule=5).read_text()
    with_picture = [item for item in data_of(page)["findings"] if item["picture"]]
    assert len(with_picture) == 10 and {item["rule"] for item in with_picture} == {
        "state_against_colour",
        "state_against_position",
    }


@pytest.mark.parametrize("number", [0, 1], ids=["no finding at all", "findings about the catalog alone"])
def test_a_page_without_pictures(number, make_catalog, write_frame, tmp_path):
    catalog = make_catalog(*(write_frame(f"f{n}") for n in range(number)))
    findings = check(catalog)
    data = data_of(write_html(findings, catalog, tmp_path / "x.html").read_text())
    assert len(data["findings"]) == len(findings) and (len(findings) > 0) == bool(number)
    assert not any(item["picture"] for item in data["findings"])


def test_no_pictures_are_wanted(faulty, tmp_path):
    page = write_html(check(faulty), faulty, tmp_path / "x.html", pictures_per_rule=0).read_text()
    assert not any(item["picture"] for item in data_of(page)["findings"])


def test_a_message_cannot_end_the_script(make_frame, make_catalog, tmp_path):
    catalog = make_catalog(make_frame("</script><b>@DATA@", annotations=None))
    page = write_html(check(catalog, images=False), catalog, tmp_path / "x.html").read_text()
    assert page.count("</script>") == 2
    assert "</script><b>@DATA@" in [item["frame_id"] for item in data_of(page)["findings"]]


def many_findings(catalog, number: int) -> Findings:
    rules = list(Rule)
    found = (Finding(rules[n % len(rules)], f"message {n}", "a", 0) for n in range(number))
    boxes = catalog.annotations.with_columns(box=pl.lit(0, dtype=pl.Int32))
    return Findings(table=tabulate(found, catalog.frames, boxes), fingerprint=catalog.fingerprint)


def test_ten_thousand_findings_are_quick_to_write(write_frame, make_catalog, tmp_path):
    catalog = make_catalog(write_frame("a"))
    findings = many_findings(catalog, 10_000)
    start = time.process_time()
    page = write_html(findings, catalog, tmp_path / "x.html", pictures_per_rule=2).read_text()
    assert len(data_of(page)["findings"]) == 10_000 and len(page) < 5_000_000
    assert time.process_time() - start < 5


@pytest.mark.slow
def test_ten_thousand_findings_in_a_browser(write_frame, make_catalog, tmp_path):
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no browser on this machine")
    catalog = make_catalog(write_frame("a"))
    path = write_html(many_findings(catalog, 10_000), catalog, tmp_path / "x.html", pictures_per_rule=2)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    shown = subprocess.run([browser, *flags, path.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    assert "1 to 50 of 10000" in shown.stdout and shown.stdout.count('class="finding"') == 50
    assert shown.stdout.count('class="rule') == len(Rule)
