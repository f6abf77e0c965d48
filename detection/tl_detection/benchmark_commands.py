"""The command `tl benchmark`: a thin function over the Python API. Heavy imports happen inside it."""

from __future__ import annotations

import argparse

from tl_detection.dataset_commands import refuse_existing
from tl_detection.progress import progress


def run_benchmark(options: argparse.Namespace) -> int:
    """`tl benchmark`."""
    from tl_datasets.new_folder import new_folder
    from tl_detection.benchmark.benchmark import benchmark
    from tl_detection.benchmark.frames import parse_size
    from tl_detection.benchmark.report import write_report

    if options.out is not None:
        refuse_existing(options.out)
    with progress("benchmark") as show:
        report = benchmark(
            options.file,
            frame_size=None if options.frame_size is None else parse_size(options.frame_size),
            n_frames=options.frames,
            warm_up=options.warm_up,
            threads=options.threads,
            provider=options.provider,
            pin=not options.no_pin,
            first_core=options.pin,
            catalog=options.catalog,
            images=options.images,
            beside=options.beside,
            score=options.score,
            progress=show,
        )
    for line in report.lines():
        print(line)
    if options.out is not None:
        with new_folder(options.out) as folder:
            names = write_report(report, folder)
        print(f"{options.out}: {', '.join(names)}")
    return 0
