"""`write_documents`: an evaluation for people: the page, the model card, and the table of all numbers."""

from __future__ import annotations

from pathlib import Path

from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError
from tl_datasets.images import write_whole
from tl_detection.evaluation.page.collect import collect_rows
from tl_detection.evaluation.page.document import write_html
from tl_detection.evaluation.page.gallery import CASES_PER_KIND, Progress
from tl_detection.evaluation.page.model_card import format_model_card
from tl_detection.evaluation.page.tidy_csv import format_csv
from tl_detection.evaluation.report import Evaluation
from tl_detection.evaluation.slice_analyses import SliceAnalyses

HTML_FILE = "report.html"
CARD_FILE = "model_card.md"
CSV_FILE = "report.csv"


def write_documents(
    evaluation: Evaluation,
    analyses: SliceAnalyses,
    catalog: Catalog | None,
    out: Path | str,
    *,
    title: str = "Evaluation",
    html: bool = True,
    cases_per_kind: int = CASES_PER_KIND,
    intended_use: str | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Write report.html, model_card.md and report.csv into a folder, which is made where it is missing.

    Args:
        evaluation: What scoring gave; its report holds the intervals that are shown.
        analyses: Of the same evaluation.
        catalog: That was scored, for the pictures; None = a gallery without pictures.
        out: The folder.
        title: Name of what was scored.
        html: False leaves the page out.
        cases_per_kind: Cases of each kind in the gallery; 0 = no gallery.
        intended_use: For the card, in the words of the model's makers; None = a general sentence that says so.
        progress: Called with the number of images of the gallery done and in all.

    Returns:
        The files written.

    Raises:
        DataError: The folder cannot be made or written to.
        UsageError: The number of cases is negative.
    """
    out, report, truth = Path(out), evaluation.report, evaluation.matched.ground_truth
    rows = collect_rows(evaluation, analyses)
    card = format_model_card(report, truth, rows, title=title, intended_use=intended_use)
    contents = {CARD_FILE: card, CSV_FILE: format_csv(rows)}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in contents.items():
            write_whole(out / name, text)
    except OSError as error:
        raise DataError(f"{out}: cannot write the report ({error.strerror}); choose another --out") from error
    written = [out / name for name in contents]
    if html:
        path = out / HTML_FILE
        written.append(
            write_html(
                evaluation,
                analyses,
                catalog,
                path,
                title=title,
                rows=rows,
                cases_per_kind=cases_per_kind,
                progress=progress,
            )
        )
    return written
