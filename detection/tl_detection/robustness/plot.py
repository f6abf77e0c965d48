"""The plot: one row per corruption with AP50 at each severity as a heat map, rPC as a bar, and stop lights said green.

An SVG file of its own: any browser shows it, in light and dark, and Markdown embeds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tl_detection.evaluation.render import NO_VALUE
from tl_detection.robustness.results import CorruptionScores, Robustness, overall_value, summarise

_STYLE = """
  svg { background: #fff; }
  text { font: 12px system-ui, sans-serif; fill: #1c1e21; }
  .title { font-size: 17px; font-weight: 600; }
  .group { font-size: 13px; font-weight: 600; }
  .soft { fill: #5c6370; }
  .number { text-anchor: end; }
  .cell { text-anchor: middle; font-size: 11px; }
  .line { stroke: #d9dce1; }
  .track { fill: #eef0f3; }
  .bar { fill: #2f5d8a; }
  .red { fill: #b3261e; font-weight: 600; }
  @media (prefers-color-scheme: dark) {
    svg { background: #16181c; }
    text { fill: #e6e8eb; } .soft { fill: #9aa1ad; } .line { stroke: #3a3f47; }
    .track { fill: #262a31; } .bar { fill: #8ab8e6; } .red { fill: #ff8a80; }
  }
"""
_ROW, _CELL, _NAMES, _BAR = 22, 52, 200, 190
_MARGIN, _HEAD, _GAP = 20, 98, 24
# What is left of the clean score: nothing, half, all. Dark to light, so that it is read without colours, too.
_RAMP = ((74, 20, 40), (226, 120, 70), (233, 241, 214))


def draw_svg(result: Robustness) -> str:
    """The plot as the text of an SVG file."""
    heat = _MARGIN + _NAMES
    bar = heat + _CELL * (1 + len(result.severities)) + _GAP
    stop = bar + _BAR + _GAP + 100
    width = stop + _MARGIN
    parts = [_text(_MARGIN, 34, "Robustness: AP50 by corruption and severity", "title"), *_caption(result)]
    columns = ["clean", *map(str, result.severities)]
    parts += [_text(heat + _CELL * (n + 0.5), _HEAD, word, "cell soft") for n, word in enumerate(columns)]
    parts += [
        _text(bar, _HEAD, "rPC of AP50, 0 to 1", "soft"),
        _text(stop, _HEAD, "stop lights as green", "soft number"),
    ]
    y = _HEAD + 10
    for group in result.groups:
        items = result.of_group(group)
        total = summarise([item.overall for item in items], overall_value("ap50"))
        y += _ROW
        parts.append(_text(_MARGIN, y - 7, f"{group}: mPC {_word(total.mpc)}, rPC {_word(total.rpc)}", "group"))
        parts.append(f'<line class="line" x1="{_MARGIN}" x2="{stop}" y1="{y - 1}" y2="{y - 1}"/>')
        for item in items:
            parts += _row(item, result.severities, y, heat, bar, stop)
            y += _ROW
        y += 8
    height = y + _MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">\n'
        f"<style>{_STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _row(item: CorruptionScores, severities: Sequence[int], y: int, heat: float, bar: float, stop: float) -> list[str]:
    base = y + 15
    parts = [_text(_MARGIN, base, item.corruption.name)]
    if item.frames_left_out:
        parts.append(_text(heat - 10, base, f"{item.overall.clean.frames} frames", "soft number"))
    clean = item.overall.clean.ap50
    names = ["clean", *(f"severity {severity}" for severity in severities)]
    for place, (name, scores) in enumerate(zip(names, (item.overall.clean, *item.overall.corrupted), strict=True)):
        x = heat + _CELL * place
        left = scores.ap50 / clean if scores.ap50 is not None and clean else None
        fill, ink = _colours(left)
        title = f"{item.corruption.key}, {name}: AP50 {_word(scores.ap50)}"
        parts.append(
            f'<g><title>{escape(title)}</title><rect x="{x + 1}" y="{y + 1}" width="{_CELL - 2}" height="{_ROW - 2}" '
            f'style="fill:{fill}"/><text class="cell" style="fill:{ink}" x="{x + _CELL / 2}" y="{base}">'
            f"{_word(scores.ap50)}</text></g>"
        )
    rpc = summarise([item.overall], overall_value("ap50")).rpc
    parts.append(f'<rect class="track" x="{bar}" y="{y + 4}" width="{_BAR - 40}" height="{_ROW - 8}"/>')
    if rpc is not None:
        length = (_BAR - 40) * min(rpc, 1)
        parts.append(f'<rect class="bar" x="{bar}" y="{y + 4}" width="{length:.1f}" height="{_ROW - 8}"/>')
    parts.append(_text(bar + _BAR, base, _word(rpc, 2), "number"))
    counts = [scores.red_as_green for scores in item.overall.corrupted]
    worst = max((part.as_green for part in counts if part is not None and part.objects), default=None)
    parts.append(_text(stop, base, NO_VALUE if worst is None else str(worst), "red number" if worst else "soft number"))
    return parts


def _caption(result: Robustness) -> list[str]:
    lines = [f"{result.frames} frames, {result.clean.objects} objects. Colour: share of the clean AP50 that is left."]
    if (stop := result.clean.red_as_green) is not None:
        lines.append(f"Stop lights as green: the most at one severity, of {stop.objects}; clean: {stop.as_green}.")
    return [_text(_MARGIN, 54 + 17 * n, line, "soft") for n, line in enumerate(lines)]


def _colours(left: float | None) -> tuple[str, str]:
    """Ground and ink of a cell; without a value no ground."""
    if left is None:
        return "none", "#888"
    place = min(max(left, 0.0), 1.0) * 2
    low, high = _RAMP[:2] if place < 1 else _RAMP[1:]
    share = place if place < 1 else place - 1
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(low, high, strict=True))
    is_dark = 0.3 * red + 0.59 * green + 0.11 * blue < 140
    return f"rgb({red},{green},{blue})", "#fff" if is_dark else "#1c1e21"


def _text(x: float, y: float, words: str, kind: str = "") -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{escape(words)}</text>'


def _word(value: float | None, decimals: int = 3) -> str:
    return NO_VALUE if value is None else f"{value:.{decimals}f}"
