"""The page as a browser runs it: choices change charts, filters the gallery, keys the viewer; nothing is fetched."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tl_datasets.frame import Frame
from tl_detection.evaluation.page.collect import collect_page, collect_rows
from tl_detection.evaluation.page.data import Value
from tl_detection.evaluation.page.document import write_html, write_page
from tl_detection.evaluation.report import evaluate_whole
from tl_detection.evaluation.slice_analyses import analyse_slices

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on this machine: the page is not run in a browser"
)

EVIL = "<img src=x onerror=document.body.dataset.hacked=1></script><script>document.body.dataset.hacked=1</script>"
# Before the page's own scripts, so that nothing that they say or ask for is missed.
WATCH = """<script>
window.heard = [];
addEventListener("error", (event) => heard.push(String(event.message)));
addEventListener("unhandledrejection", (event) => heard.push(String(event.reason)));
for (const name of ["error", "warn"]) console[name] = (...words) => heard.push(words.join(" "));
</script>"""


def dump(url: str, folder: Path, width: int = 1400, budget_ms: int = 8000) -> str:
    """The document as it stands after its scripts ran."""
    command = [
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-quic",
        f"--window-size={width},1000",
        f"--user-data-dir={folder}",
        f"--virtual-time-budget={budget_ms}",
        "--dump-dom",
        url,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=180).stdout


def ask(page: Path, script: str, folder: Path, width: int = 1400) -> Any:
    """Run a script in the page and give what its `answer` holds; the page's own scripts are as shipped."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', WATCH, text)
    asking = f"""<script>(async () => {{
      const answer = {{}};
      const wait = (ms = 60) => new Promise((done) => setTimeout(done, ms));
      const find = (selector) => document.querySelector(selector);
      const all = (selector) => [...document.querySelectorAll(selector)];
      const choose = async (id, value) => {{
        find("#" + id).value = value;
        find("#" + id).dispatchEvent(new Event("change"));
        await wait();
      }};
      const texts = (selector) => all(selector).map((row) => [...row.cells].map((cell) => cell.textContent));
      await wait(400);
      try {{ {script} }} catch (error) {{ answer.error = String(error.stack); }}
      answer.heard = heard;
      answer.requests = performance.getEntriesByType("resource").map((entry) => entry.name)
        .filter((name) => !name.startsWith("data:"));
      const place = document.createElement("pre");
      place.id = "answer";
      place.textContent = JSON.stringify(answer);
      document.body.append(place);
    }})();</script></body>"""
    copy = page.parent / "asked.html"
    copy.write_text(text.replace("</body>", asking), encoding="utf-8")
    found = re.search(r'<pre id="answer">(.*?)</pre>', dump(copy.as_uri(), folder, width), re.DOTALL)
    assert found, "the script did not end"
    answer = json.loads(html.unescape(found[1]))
    assert "error" not in answer, answer["error"]
    return answer


@pytest.fixture(scope="module")
def shown(draw_evaluation, tmp_path_factory) -> tuple[Any, Path]:
    """What is shown, and the file."""
    by = ("weather", "scene", "time_of_day", "weather*time_of_day", "sequence")
    evaluation, catalog = draw_evaluation(80, tmp_path_factory.mktemp("frames"), words=EVIL, by=by)
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_html(evaluation, analyse_slices(evaluation, replicates=40), catalog, path, title=EVIL)
    return evaluation, path


@pytest.fixture(scope="module")
def answer(shown, tmp_path_factory) -> dict[str, Any]:
    """What the page says, all from one start of the browser."""
    script = """
      answer.ready = document.documentElement.dataset.ready;
      answer.contents = all("#contents a").map((link) => [link.textContent, !!find(link.getAttribute("href"))]);
      answer.cards = all(".card h3").map((item) => item.textContent);
      answer.ranking = texts("#ranking tbody tr");
      find("#rank-all").click();
      answer.whole = all("#ranking tbody tr").length;
      await choose("rank-measure", "missed");
      answer.missed = texts("#ranking tbody tr");
      await choose("rank-class", "red");
      answer.missedRed = texts("#ranking tbody tr");

      const bars = (id) => all(`#${id} .chart`).map((place) => place.data[0].x ?? []);
      answer.charts = all("section").map((part) => [part.id, part.querySelectorAll(".chart .main-svg").length]);
      answer.labels = all(".chart").map((place) => place.getAttribute("aria-label").length);
      answer.bars = bars("conditions");
      await choose("bar-measure", "recall");
      answer.barsOfRecall = bars("conditions");
      await choose("bar-class", "green");
      answer.barsOfGreen = bars("conditions");
      answer.heat = find("#crosses .chart").data[0].z;
      for (const details of all("details")) details.open = true;
      await wait();
      answer.tables = all("figure").map((figure) => figure.querySelectorAll("table tbody tr").length);
      answer.barTable = texts("#conditions figure table tbody tr");

      answer.curves = all("#curves .chart").map((place) => place.data.length);
      await choose("curve-slice", "time_of_day=night");
      answer.curvesAtNight = all("#curves .chart").map((place) => place.data.length);
      await choose("curve-class", "red");
      answer.curvesOfRed = all("#curves .chart").map((place) => place.data.length);

      answer.matrix = texts("#matrix tbody tr");
      answer.grave = all("#matrix td.grave").map((cell) => [cell.parentNode.rowIndex, cell.cellIndex]);
      await choose("matrix-slice", "time_of_day=night");
      answer.matrixAtNight = texts("#matrix tbody tr");
      await choose("sizes-slice", "time_of_day=night");
      await choose("errors-slice", "time_of_day=night");
      answer.sizes = all("#sizes .chart .main-svg").length;

      const cases = () => all("#gallery .case .kind").map((item) => item.textContent);
      const shownCases = () => Number(find("#case-count").textContent.split(" ").at(-2));
      answer.cases = [cases().length, shownCases()];
      const next = all("#cases .button").find((item) => item.textContent === "next");
      next.click();
      answer.second = [cases().length, next.disabled];
      await choose("case-kind", "red as green");
      answer.redAsGreen = cases();
      await choose("case-condition", "time_of_day=night");
      answer.redAsGreenAtNight = cases();
      await choose("case-kind", "");
      await choose("case-condition", "");
      await choose("case-size", "10-20");
      answer.heights = all("#gallery .case .words").map((item) => Number(/(\\d+) px/.exec(item.textContent)[1]));
      await choose("case-size", "");
      await choose("case-class", "off");
      answer.ofOff = cases();
      await choose("case-class", "");
      find("#case-words").value = "DRIVE 3";
      find("#case-words").dispatchEvent(new Event("input"));
      answer.ofDrive = all("#gallery .case .words").map((item) => item.lastChild.textContent);
      find("#case-words").value = "nowhere";
      find("#case-words").dispatchEvent(new Event("input"));
      answer.nowhere = [cases().length, find("#case-count").textContent];
      find("#case-words").value = "";
      find("#case-words").dispatchEvent(new Event("input"));

      all("#gallery .case")[0].click();
      await wait();
      const opened = () => [find("#viewer").open, find("#viewer .soft").textContent.split(" · ").at(-1)];
      answer.opened = [...opened(), all("#viewer rect.subject").length, find("#viewer img").naturalWidth > 0];
      const key = (name) => document.dispatchEvent(new KeyboardEvent("keydown", { key: name }));
      key("ArrowRight");
      answer.right = opened();
      key("ArrowLeft");
      key("ArrowLeft");
      answer.left = opened();
      all("#viewer .button").find((item) => item.textContent === "next").click();
      answer.focus = document.activeElement.textContent;
      all("#viewer .button").find((item) => item.textContent === "boxes on or off").click();
      answer.without = getComputedStyle(find("#viewer svg.boxes")).display;
      all("#viewer .button").find((item) => item.textContent === "close").click();
      answer.closed = opened()[0];
      answer.hacked = document.body.dataset.hacked ?? null;
      answer.title = find("h1").textContent;
    """
    return ask(shown[1], script, tmp_path_factory.mktemp("profile"))


def test_nothing_is_said_and_nothing_asked_for(answer):
    assert answer["ready"] == "yes"
    assert answer["heard"] == []
    assert answer["requests"] == []
    assert answer["hacked"] is None
    assert answer["title"] == EVIL


def test_every_section_is_listed_and_filled(answer):
    names = [name for name, _ in answer["contents"]]
    assert names == [
        *("Summary", "Conditions", "Heat map", "Curves", "Confusion", "Sizes", "Errors", "Worst cases"),
        *("Compared", "Protocol", "Notes"),
    ]
    assert all(exists for _, exists in answer["contents"])
    charts = dict(answer["charts"])
    assert charts["conditions"] >= 4
    assert charts["crosses"] >= 1
    assert charts["curves"] >= 3
    assert answer["sizes"] >= 2


def test_the_worst_condition_comes_first(answer, shown):
    report = shown[0].report
    firm = {item.name: item.scores.ap50 for item in report.slices if "not annotated" not in item.value}
    rows = [row for row in answer["ranking"] if len(row) > 1]
    assert rows[0][0] == "all frames"
    assert rows[0][1] == f"{report.overall.ap50:.3f}"
    values = [float(row[1]) for row in rows[1:] if not row[0].endswith("*")]
    assert values == sorted(values)
    assert values
    assert values[0] >= min(value for value in firm.values() if value is not None) - 1e-3
    assert len(report.slices) < answer["whole"] <= len(report.slices) + 4
    assert rows[0][4:7] == [str(report.overall.frames), str(report.overall.objects), str(report.sequences)]
    missed = [float(row[1]) for row in answer["missed"][1:] if len(row) > 1 and not row[0].endswith("*")]
    assert missed[:3] == sorted(missed[:3], reverse=True)
    assert answer["missedRed"] != answer["missed"]


def test_charts_follow_the_choices_and_have_tables(answer, shown):
    report = shown[0].report
    weather = [item.scores.ap50 for item in report.slices if item.column == "weather"]
    assert answer["bars"][0] == pytest.approx(weather, abs=1e-6)
    assert answer["barsOfRecall"] != answer["bars"]
    assert answer["barsOfGreen"][-1] == answer["barsOfRecall"][-1]
    green = [item.scores.classes[2].recall for item in report.slices if item.column == "weather"]
    assert answer["barsOfGreen"][0] == pytest.approx(green, abs=1e-6)
    assert min(answer["labels"]) > 10
    assert min(answer["tables"]) >= 1
    assert [row[1] for row in answer["barTable"][: len(green)]] == [f"{value:.3f}" for value in green]


def test_curves_follow_the_condition(answer):
    # Of each class a line and a mark; at night a thin line of all frames, too; calibration has its diagonal.
    assert answer["curves"] == [8, 8, 5]
    assert answer["curvesAtNight"] == [12, 12, 9]
    assert answer["curvesOfRed"] == [3, 3, 3]


def test_the_matrix_counts_what_the_report_counts(answer, shown):
    red = shown[0].report.overall.red_as_green
    assert answer["matrix"][0][0] == "red"
    assert answer["matrix"][0][-1].startswith(str(red.objects))
    assert answer["grave"] == ([[1, 3]] if red.as_green else [])
    assert answer["matrixAtNight"] != answer["matrix"]
    assert answer["matrix"][-1][0].startswith("nothing there")


def test_the_gallery_is_filtered(answer):
    shown, total = answer["cases"]
    assert shown == 48 < total
    assert answer["second"] == [total - 48, True]
    assert set(answer["redAsGreen"]) == {"red said to be green"}
    assert 0 < len(answer["redAsGreenAtNight"]) < len(answer["redAsGreen"])
    assert answer["heights"]
    assert all(10 <= height <= 20 for height in answer["heights"])
    assert answer["ofOff"]
    assert all("off" in words for words in answer["ofOff"])
    assert set(answer["ofDrive"]) == {f"sequence {EVIL}drive 3"}
    assert answer["nowhere"] == [0, "no such case"]


def test_the_viewer_goes_by_keys(answer, shown):
    is_open, place, subjects, has_picture = answer["opened"]
    total = answer["cases"][1]
    assert (is_open, place) == (True, f"1 of {total}")
    assert subjects >= 2
    assert has_picture
    assert answer["right"] == [True, f"2 of {total}"]
    assert answer["left"] == [True, f"1 of {total}"]
    assert answer["focus"] == "next"
    assert answer["without"] == "none"
    assert answer["closed"] is False


def test_its_own_policy_lets_the_page_run(shown, tmp_path):
    found = dump(shown[1].as_uri(), tmp_path)
    assert 'data-ready="yes"' in found
    assert "main-svg" in found
    blocked = (
        shown[1].read_text(encoding="utf-8").replace("</body>", "<script>document.title = 'hacked'</script></body>")
    )
    other = shown[1].parent / "other.html"
    other.write_text(blocked, encoding="utf-8")
    found = dump(other.as_uri(), tmp_path)
    assert 'data-ready="yes"' in found
    assert "<title>hacked</title>" not in found


@pytest.mark.parametrize("width", [500, 1600])
def test_nothing_sticks_out_of_the_page(shown, tmp_path, width):
    script = """
      answer.width = innerWidth;
      answer.page = document.documentElement.scrollWidth;
      answer.out = all("main > section > *").filter((part) => part.getBoundingClientRect().right > innerWidth + 1)
        .map((part) => part.className || part.tagName);
      answer.charts = all(".chart .main-svg").every((chart) =>
        chart.getBoundingClientRect().right <= chart.closest(".panel").getBoundingClientRect().right);
    """
    answer = ask(shown[1], script, tmp_path, width)
    assert answer["page"] <= answer["width"]
    assert answer["out"] == []
    assert answer["charts"]


def test_a_page_about_nothing_runs_too(lights, catalog_of, detections_of, tmp_path):
    frame = Frame(frame_id="a", path="a.png", width_px=64, height_px=48, annotations=())
    evaluation = evaluate_whole([detections_of([])], catalog_of([frame]), lights, by=())
    path = write_html(evaluation, analyse_slices(evaluation, replicates=5), None, tmp_path / "report.html")
    script = """
      answer.sections = all("section").map((part) => part.id);
      answer.ranking = texts("#ranking tbody tr");
      answer.cases = find("#case-count").textContent;
    """
    answer = ask(path, script, tmp_path / "profile")
    assert answer["heard"] == []
    assert "summary" in answer["sections"]
    assert answer["ranking"] == [["all frames *", "0.0", "-", "", "1", "1", "1", "0/4"]]
    assert answer["cases"] == "no such case"


def test_small_numbers_and_odd_names_are_shown_as_they_are(draw_evaluation, tmp_path):
    by = ("weather", "weather*time_of_day", "sequence", "sequence*time_of_day")
    evaluation, _ = draw_evaluation(60, words="a_b*c ", by=by)
    analyses = analyse_slices(evaluation, replicates=20)
    page = collect_page(evaluation, analyses, collect_rows(evaluation, analyses), title="odd")
    rows = {row.name: row for row in page.rows}
    few = Value(value=1.0, objects=3, sequences=2, part=3)
    large, seldom = (
        rows["weather=rainy"],
        Value(value=1 / 5000, low=0.0, high=0.0004, objects=5000, sequences=9, part=1),
    )
    rows[large.name] = replace(large, values={**large.values, "red_as_green": few}, is_small=False)
    overall = rows["overall"]
    rows["overall"] = replace(overall, values={**overall.values, "missed": seldom})
    # Its name is one that every object of the language knows, and it has no curves.
    rows["constructor"] = replace(large, name="constructor", column="expression", value="rainy", classes={})
    path = write_page(replace(page, rows=tuple(rows.values())), tmp_path / "report.html")
    script = """
      answer.missed = all(".card").find((item) => item.textContent.startsWith("Missed")).textContent;
      answer.redAsGreen = all(".card").find((item) => item.textContent.startsWith("Red as green")).textContent;
      await choose("rank-measure", "red_as_green");
      find("#rank-all").click();
      answer.ranking = texts("#ranking tbody tr").map((row) => row.slice(0, 2));
      await choose("bar-measure", "red_as_green");
      const rainy = find("#conditions .chart").data[0];
      answer.hatched = rainy.marker.pattern.shape;
      answer.names = find("#conditions .chart").layout.yaxis.ticktext;
      answer.crosses = all("#crosses h3").map((item) => item.textContent);
      answer.options = all("#curve-slice option").map((item) => item.textContent);
      answer.values = all("#curve-slice option").map((item) => item.value);
    """
    answer = ask(path, script, tmp_path / "profile")
    assert answer["heard"] == []
    assert answer["missed"].startswith("Missed0.00020.000 to 0.0004 · 1 of 5,000")
    assert "rainy" not in answer["redAsGreen"]
    names = [row[0] for row in answer["ranking"]]
    divider = next(index for index, name in enumerate(names) if name.startswith("* too few"))
    assert names.index("weather: rainy *") > divider
    at = next(index for index, name in enumerate(answer["names"]) if name.startswith("rainy * (3)"))
    assert answer["hatched"][at] == "/"
    assert "a_b*c drive 3 *" in answer["options"]
    # A name with the sign between the values of a cross cannot be laid out in rows and columns.
    assert answer["crosses"] == ["weather × time of day"]
    assert "constructor" not in answer["values"]


@pytest.mark.slow
def test_ten_thousand_frames_stay_under_15_megabytes(draw_evaluation, tmp_path):
    root = tmp_path / "frames"
    root.mkdir()
    by = ("weather", "scene", "time_of_day", "weather*time_of_day", "sequence")
    evaluation, catalog = draw_evaluation(10_000, root, per_drive=20, replicates=10, by=by)
    start = time.monotonic()
    path = write_html(evaluation, analyse_slices(evaluation, replicates=10), catalog, tmp_path / "report.html")
    assert time.monotonic() - start < 120
    assert path.stat().st_size < 15_000_000
    answer = ask(path, "answer.cases = all('#gallery .case').length;", tmp_path / "profile")
    assert answer["cases"] == 48
    assert answer["heard"] == answer["requests"] == []
