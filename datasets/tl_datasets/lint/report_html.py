"""What the linter found as one HTML file: no server, no other file; pictures of what went wrong are inside."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.lint.lint import LintReport
from tl_datasets.lint.report import about_lamps, confusion_rows, sliced_rows, survival_rows, verdict
from tl_datasets.lint.survival import WHOLE, Example

_CROP_SIDE_PX = 96
# Of each step and state; the wrong ones come first.
_SHOWN = 6
_MOST_PICTURES = 400
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 1180px; padding: 0 1rem; color: #1c1c1c; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; margin: .6rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .65rem; text-align: right; border-bottom: 1px solid #eee; white-space: nowrap; }
th { background: #f4f4f4; } th.word, td.word { text-align: left; }
td.bad { background: #ffd9d4; font-weight: 600; }
p.refused { background: #ffe9e6; border-left: 4px solid #c0392b; padding: .5rem .8rem; }
p.allowed { background: #fff4d6; border-left: 4px solid #d19a00; padding: .5rem .8rem; }
p.fine { background: #e8f5e9; border-left: 4px solid #2e7d32; padding: .5rem .8rem; }
figure { display: inline-block; margin: .3rem .6rem .3rem 0; text-align: center; font-size: 12px; }
figure img { display: block; image-rendering: pixelated; border: 1px solid #bbb; }
.strip { margin-bottom: .8rem; } .wide { overflow-x: auto; } .note { color: #555; }
"""


def html_of(report: LintReport) -> str:
    """The report as the text of an HTML file."""
    title = f"What {report.policy} does to signal heads"
    parts = [f"<h1>{html.escape(title)}</h1>", *_verdict(report)]
    if len(report.outcomes):
        parts.append("<h2>Survival</h2>")
        parts.append(
            '<p class="note">Shares in percent, with the probability p that each step is configured with, and where it '
            "is always applied. <b>kept</b>: still read as its label; <b>other</b>: read as another state, a wrong "
            "label; <b>unread</b>: too grey or too dark to be read. Beyond a limit: red.</p>"
        )
        parts.append(_table(survival_rows(report.survival()), _marks(report)))
        parts += _pictures(report)
        for name, rows in sliced_rows(report).items():
            parts += [f"<h2>By {html.escape(name.replace('_', ' '))}</h2>", _table(rows)]
        parts += ["<h2>State before and after</h2>", '<p class="note">Readings, each step always applied.</p>']
        parts.append(_table(confusion_rows(report)))
    parts.append("<h2>Lamps</h2>")
    parts += [f"<p>{html.escape(line)}</p>" for line in about_lamps(report)]
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _verdict(report: LintReport) -> list[str]:
    lines = []
    for line in verdict(report):
        kind = "refused" if line.startswith("refused") else "allowed" if line.startswith("allowed") else "fine"
        kind = "note" if kind == "fine" and "limits" not in line else kind
        lines.append(f'<p class="{kind}">{html.escape(line)}</p>')
    return lines


def _marks(report: LintReport) -> list[dict[int, bool]]:
    """For each row of the survival table, which of its cells are beyond a limit."""
    if not report.labels.carry_colour:
        return [{} for _ in range(len(report.survival()))]
    limits = report.config
    alone, together = (limits.min_kept, limits.max_other), (limits.min_kept_together, limits.max_other_together)
    marks = []
    for row in report.survival().iter_rows(named=True):
        min_kept, max_other = together if row["step"] == WHOLE else alone
        marks.append({4: row["kept"] < min_kept, 6: row["other"] > max_other})
    return marks


def _table(rows: Sequence[Sequence[str]], marks: Sequence[dict[int, bool]] = ()) -> str:
    # Words stand left, numbers right.
    is_word = [
        all(not _is_number(row[column]) for row in rows[1:]) if len(rows) > 1 else True
        for column in range(len(rows[0]))
    ]
    lines = ["<tr>" + "".join(_cell("th", text, word) for text, word in zip(rows[0], is_word, strict=True)) + "</tr>"]
    for number, row in enumerate(rows[1:]):
        bad = marks[number] if number < len(marks) else {}
        cells = [_cell("td", text, is_word[column], bad.get(column, False)) for column, text in enumerate(row)]
        lines.append("<tr>" + "".join(cells) + "</tr>")
    return '<div class="wide"><table>' + "".join(lines) + "</table></div>"


def _cell(tag: str, text: str, is_word: bool, is_bad: bool = False) -> str:
    kinds = " ".join(name for name, given in (("word", is_word), ("bad", is_bad)) if given)
    return f'<{tag} class="{kinds}">{html.escape(text)}</{tag}>' if kinds else f"<{tag}>{html.escape(text)}</{tag}>"


def _is_number(text: str) -> bool:
    return text[:1].isdigit()


def _pictures(report: LintReport) -> list[str]:
    if not report.examples:
        return []
    groups: dict[tuple[str, str], list[Example]] = {}
    for example in report.examples:
        groups.setdefault((example.step, str(example.state)), []).append(example)
    parts = ["<h2>What went wrong</h2>", '<p class="note">Each pair: before, after. Wrong states first.</p>']
    left = _MOST_PICTURES
    for (step, state), examples in groups.items():
        shown = examples[: min(_SHOWN, left)]
        if not shown:
            parts.append('<p class="note">More pictures were left out.</p>')
            break
        left -= len(shown)
        figures = "".join(_figure(example) for example in shown)
        parts.append(f'<h3>{html.escape(step)}: {html.escape(state)}</h3><div class="strip">{figures}</div>')
    return parts


def _figure(example: Example) -> str:
    pair = [_fitted(image) for image in (example.before_rgb, example.after_rgb)]
    gap = np.full((_CROP_SIDE_PX, 4, 3), 255, np.uint8)
    _, data = cv2.imencode(".png", cv2.cvtColor(np.hstack([pair[0], gap, pair[1]]), cv2.COLOR_RGB2BGR))
    uri = "data:image/png;base64," + base64.b64encode(data.tobytes()).decode()
    after = "unread" if example.after is None else str(example.after)
    caption = f"{example.state} &rarr; <b>{html.escape(after)}</b>"
    return f'<figure title="{html.escape(example.where)}"><img src="{uri}" alt="">{caption}</figure>'


def _fitted(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    kind = cv2.INTER_NEAREST if image.shape[0] <= _CROP_SIDE_PX else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, (_CROP_SIDE_PX, _CROP_SIDE_PX), interpolation=kind), np.uint8)
