"""From an evaluation and its analyses to `PageData`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from tl_detection.evaluation.intervals import LEAST_SEQUENCES
from tl_detection.evaluation.page import facts
from tl_detection.evaluation.page.data import Gallery, PageData, SliceRow
from tl_detection.evaluation.page.further import further_steps, further_tables
from tl_detection.evaluation.page.light_sections import matrix_of, size_steps
from tl_detection.evaluation.page.rows import QUANTITIES, Intervals, slice_row
from tl_detection.evaluation.page.score_sections import curves_of, error_steps
from tl_detection.evaluation.replicates import sequence_numbers
from tl_detection.evaluation.report import Evaluation
from tl_detection.evaluation.scores import Scores
from tl_detection.evaluation.selection import Selection
from tl_detection.evaluation.slice_analyses import OVERALL, SliceAnalyses
from tl_detection.evaluation.slices import EXPRESSION

# Of a column or cross with more values, such as the sequence, there are rows alone: the file stays small.
_MOST_VALUES = 60


def collect_rows(evaluation: Evaluation, analyses: SliceAnalyses) -> list[SliceRow]:
    """The numbers of all frames, then of every slice.

    Args:
        evaluation: What scoring gave; its report holds the intervals that are shown.
        analyses: Of the same evaluation.
    """
    report, matched = evaluation.report, evaluation.matched
    number = sequence_numbers(matched.ground_truth)

    def row(
        selection: Selection, scores: Scores, intervals: Intervals, name: str, *, is_small: bool, **words: str
    ) -> SliceRow:
        found = analyses.slices.get(name)
        return slice_row(
            *(matched, selection, scores, number, intervals), is_small=is_small, name=name, analyses=found, **words
        )

    everything = Selection.of_frames(matched, np.ones(len(matched.ground_truth), np.bool_))
    rows = [row(everything, report.overall, report.intervals, OVERALL, is_small=report.is_small)]
    for item, scored in zip(evaluation.slices, report.slices, strict=True):
        rows.append(
            row(
                *(item.select(matched), scored.scores, scored.intervals, item.name),
                is_small=scored.is_small,
                column=item.column,
                value=item.value,
            )
        )
    return rows


def collect_page(
    evaluation: Evaluation,
    analyses: SliceAnalyses,
    rows: Sequence[SliceRow],
    *,
    title: str,
    gallery: Gallery | None = None,
) -> PageData:
    """Everything that the page shows.

    Args:
        evaluation: What scoring gave.
        analyses: Of the same evaluation.
        rows: Of `collect_rows`.
        title: Heading.
        gallery: The worst cases; None = not asked for.
    """
    report = evaluation.report
    scores = {OVERALL: report.overall, **{item.name: item.scores for item in report.slices}}
    detailed = _detailed(rows)
    parts = {name: analyses.slices[name] for name in detailed if name in analyses.slices}
    steps = {name: size_steps(item.lights) for name, item in parts.items()}
    steps[OVERALL] = (*further_steps(report), *steps.get(OVERALL, ()))
    return PageData(
        title=title,
        least_sequences=LEAST_SEQUENCES,
        headline=facts.headline(rows[0], report),
        quantities=tuple(item for item in QUANTITIES if _is_measured(rows, item.key)),
        rows=tuple(row if row.name in detailed else replace(row, classes={}) for row in rows),
        class_names=report.class_names,
        class_states=tuple(states[0] if len(states) == 1 else "" for states in evaluation.matched.ground_truth.states),
        curves={name: curves_of(item, scores[name]) for name, item in parts.items()},
        matrices={name: matrix for name, item in parts.items() if (matrix := matrix_of(item.lights)) is not None},
        sizes={name: found for name, found in steps.items() if found},
        errors={name: error_steps(item.errors) for name, item in parts.items()},
        tables=(
            *further_tables(report),
            *(() if report.changes is None else (facts.changes(report.changes),)),
        ),
        gallery=gallery,
        facts=(facts.compared(report), facts.protocol(report)),
        notes=facts.notes(report, rows),
    )


def _detailed(rows: Sequence[SliceRow]) -> dict[str, None]:
    """Names of the slices of which the page shows more than a row: not those of every single sequence."""
    sizes = Counter(row.column for row in rows)
    return {row.name: None for row in rows if sizes[row.column] <= _MOST_VALUES or row.column == EXPRESSION}


def _is_measured(rows: Iterable[SliceRow], key: str) -> bool:
    return any(key in row.values and row.values[key].value is not None for row in rows)
