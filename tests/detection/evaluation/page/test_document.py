"""The file: one piece, nothing fetched, nothing of the data taken for markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest

from tl_datasets.errors import DataError
from tl_detection.evaluation.page.document import write_html
from tl_detection.evaluation.slice_analyses import analyse_slices

EVIL = """<script>alert(1)</script>"' & ünï ⚑ @@DATA@@ --></script><!--"""


@pytest.fixture(scope="module")
def text(draw_evaluation, tmp_path_factory) -> str:
    evaluation, catalog = draw_evaluation(30, words=EVIL)
    path = tmp_path_factory.mktemp("page") / "new" / "report.html"
    assert write_html(evaluation, analyse_slices(evaluation, replicates=20), catalog, path, title=EVIL) == path
    return path.read_text(encoding="utf-8")


def test_words_of_the_data_stay_words(text):
    assert "alert(1)</script>" not in text
    assert "<title>&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27; &amp; ünï ⚑ @@DATA@@" in text
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    data = json.loads(found[1])
    assert data["title"] == EVIL
    assert all(case["frame_id"].startswith(EVIL) for case in data["gallery"]["cases"])


def test_the_page_allows_its_own_scripts_alone(text):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    assert policy[1].startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-")
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert re.findall(r"sha256-([^']*)'", policy[1]) == hashes
    assert len(hashes) == 2
    own = text.replace(scripts[0], "")
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', own)
    assert "http://" not in own.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in own


def test_the_same_evaluation_gives_the_same_file(draw_evaluation, tmp_path, text):
    evaluation, catalog = draw_evaluation(30, words=EVIL)
    path = write_html(evaluation, analyse_slices(evaluation, replicates=20), catalog, tmp_path / "a.html", title=EVIL)
    assert path.read_text(encoding="utf-8") == text


def test_a_place_that_cannot_be_written_is_named(drawn, tmp_path):
    evaluation, _ = drawn
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(DataError, match="cannot write the page"):
        write_html(evaluation, analyse_slices(evaluation, replicates=5), None, file / "report.html", cases_per_kind=0)
