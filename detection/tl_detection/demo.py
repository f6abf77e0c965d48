"""`tl demo`: the whole road once, on drawn scenes, in minutes on two CPU cores.

Draw scenes, write them as COCO, index them, split by sequence, train a small YOLO from scratch, export it to ONNX,
score the ONNX file on held-out scenes per weather and time of day, and draw what it detects there.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from tl_datasets.catalog import Catalog
from tl_datasets.config import load_config, validate_config
from tl_datasets.errors import DataError
from tl_datasets.formats import coco
from tl_datasets.index import index
from tl_datasets.splits.split import split_catalog
from tl_datasets.synthetic import plan_sequences, write_dataset
from tl_detection.config import RunConfig
from tl_detection.progress import format_seconds, progress

logger = logging.getLogger(__name__)

# Many short drives: what is scored is other streets, so what helps is many streets. With 105 drives of 4 frames seed 0
# scores AP50 0.49 instead of 0.59.
N_SEQUENCES = 200
FRAMES_PER_SEQUENCE = 2
WIDTH_PX, HEIGHT_PX = 1024, 576
# Twice the heads of an ordinary street: a short training meets more lights in as many frames.
HEAD_DENSITY = 2.0
TEST_SHARE, VAL_SHARE = 0.2, 0.05


def run_demo(out: Path | None = None, *, seed: int = 0, overrides: Sequence[str] = ()) -> Path:
    """Go the whole road once.

    Args:
        out: Folder to make; None = `runs/demo-TIME`.
        seed: Of the scenes, the split and the training.
        overrides: Changes of the training configuration, `key=value`.

    Returns:
        The folder with `evaluation/report.html`, `lights.onnx`, the pictures, the catalog and the run.

    Raises:
        TlError: The folder exists, or a step fails.
    """
    from tl_detection.detect import detect_files
    from tl_detection.detectors.load import load_detector
    from tl_detection.evaluation.all_intervals import REPLICATES, SEED
    from tl_detection.evaluation.complete import complete
    from tl_detection.evaluation.evaluation_folder import write_evaluation
    from tl_detection.evaluation.page.write import HTML_FILE, write_documents
    from tl_detection.evaluation.report import collect_detections, evaluate_whole, format_console
    from tl_detection.evaluation.results import CatalogPart
    from tl_detection.export.export import export
    from tl_detection.training.train import train

    start = time.monotonic()
    out = out or Path("runs") / f"demo-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: exists already; choose another --out or remove it first")
    given = [f"train.seed={seed}", *overrides]
    given += [f"folder={json.dumps(str(out / 'runs'))}", f"data.catalog={json.dumps(str(out / 'catalog'))}"]
    config = validate_config(RunConfig, load_config(Path(str(files("tl_detection") / "demo.yaml")), given), "demo")

    _say(start, "1/6 drawing %d scenes of %d frames", N_SEQUENCES, FRAMES_PER_SEQUENCE)
    specs = plan_sequences(
        N_SEQUENCES,
        FRAMES_PER_SEQUENCE,
        seed=seed,
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        head_density=HEAD_DENSITY,
    )
    with progress("draw") as show:
        frames = write_dataset(specs, out / "drawn", progress=show)
    drawn = Catalog.from_frames(frames, source="drawn", root=out / "drawn")
    coco.write_document(drawn, out / "drawn" / "annotations.json")

    _say(start, "2/6 indexing, splitting by sequence")
    catalog, _ = index(out / "drawn" / "annotations.json", "coco", name="drawn", images=out / "drawn")
    catalog = split_catalog(catalog, val=VAL_SHARE, test=TEST_SHARE, seed=seed)
    catalog.save(out / "catalog")

    _say(start, "3/6 training %s from scratch", config.model.architecture if config.model.kind == "yolo" else "")
    run = train(config)

    _say(start, "4/6 exporting to ONNX and comparing with the checkpoint")
    onnx_file = out / "lights.onnx"
    exported = export(
        run.best, onnx_file, catalog=out / "catalog", where='split == "test"', n_frames=8, by=config.evaluate.by
    )
    for line in exported.lines():
        logger.info("%s", line)

    _say(start, "5/6 scoring the ONNX file on held-out scenes")
    test = catalog.filter('split == "test"')
    detector = load_detector(onnx_file)
    with progress("score") as show:
        detections = collect_detections(detector, test, progress=show)
    evaluation, analyses = complete(
        evaluate_whole(
            detections,
            test,
            detector.label_space,
            by=(*config.evaluate.by, "weather*time_of_day"),
            model=detector.description,
        )
    )
    report = replace(evaluation.report, catalog=CatalogPart(path=str(out / "catalog"), split="test", where=None))
    evaluation, scored = replace(evaluation, report=report), out / "evaluation"
    write_evaluation(
        *(evaluation, analyses.answers, test, detector.label_space, detections, scored),
        replicates=REPLICATES,
        seed=SEED,
    )
    write_documents(evaluation, analyses, test, scored, title="lights.onnx on drawn scenes")
    print_report = format_console(report)
    logger.info("%s", print_report)

    _say(start, "6/6 detecting in held-out scenes")
    pictures = [test.image_path(row) for row in _one_per_sequence(test)]
    detect_files(detector, pictures, out / "pictures", score_threshold=0.3)
    ap50 = report.overall.ap50
    _say(
        start,
        "done: AP50 %s on %d held-out frames of %d scenes; report %s, pictures %s",
        "-" if ap50 is None else f"{ap50:.3f}",
        report.overall.frames,
        test.frames["sequence"].n_unique(),
        scored / HTML_FILE,
        out / "pictures",
    )
    return out


def _one_per_sequence(catalog: Catalog) -> list[int]:
    """The frame of each sequence with the most boxes."""
    boxes = catalog.annotations.group_by("frame_id").len("boxes")
    rows = catalog.frames.with_row_index("row").join(boxes, on="frame_id", how="left", maintain_order="left")
    best = rows.sort("boxes", descending=True, nulls_last=True, maintain_order=True).unique("sequence", keep="first")
    return sorted(best["row"].to_list())


def _say(start: float, message: str, *values: object) -> None:
    logger.info(f"[{format_seconds(time.monotonic() - start)}] {message}", *values)
