"""The commands that make exported files smaller: thin functions over the Python API. Heavy imports happen inside."""

from __future__ import annotations

import argparse

from tl_datasets.errors import UsageError
from tl_detection.progress import progress


def run_quantise(options: argparse.Namespace) -> int:
    """`tl quantise`."""
    from tl_detection.compression.judge import Limits
    from tl_detection.compression.quantise import quantise
    from tl_detection.compression.table import format_console

    if options.replicates < 100:
        raise UsageError(f"--replicates {options.replicates}: expected 100 or more")
    report = quantise(
        options.model,
        options.out,
        to=options.to,
        catalog=options.catalog,
        split=options.split,
        calibrate_split=options.calibrate_split,
        calibration_frames=options.calibration_frames,
        by=[word.strip() for word in options.by.split(",") if word.strip()],
        limits=Limits(
            max_drop=options.max_drop,
            max_red_as_green_rise=options.max_red_as_green_rise,
            surely=options.surely,
            max_disagreement=options.max_disagreement,
        ),
        keep_float=options.keep_float,
        report_folder=options.report,
        overwrite=options.force,
        replicates=options.replicates,
        seed=options.seed,
        show=progress,
    )
    print(format_console(report))
    return 0 if report.is_accepted else 1
