"""`check`: all rules over one catalog. Images are read once each, by a few threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import polars as pl

from tl_datasets.catalog import Catalog
from tl_datasets.checks.balance_rules import check_balance
from tl_datasets.checks.box_rules import check_boxes, with_box_numbers
from tl_datasets.checks.condition_rules import check_conditions, check_luminance
from tl_datasets.checks.findings import Finding, Findings, tabulate
from tl_datasets.checks.image_rules import check_image, mean_luminance
from tl_datasets.checks.sequence_rules import check_sequences
from tl_datasets.checks.settings import CheckSettings
from tl_datasets.checks.state_rules import check_lamp, readable_lamps

Progress = Callable[[int, int], None]

_WORKERS = min(8, os.cpu_count() or 1)
_AHEAD = 4 * _WORKERS


def check(
    catalog: Catalog,
    settings: CheckSettings | None = None,
    *,
    images: bool = True,
    progress: Progress | None = None,
) -> Findings:
    """Look for faults in a catalog.

    Args:
        catalog: May hold boxes outside its images, without area or not finite. It is not changed.
        settings: Thresholds; None = the defaults.
        images: Read the image files too. Without them there are no findings about files, states against pixels, and
            conditions against brightness.
        progress: Called with the number of images done and the total.

    Returns:
        The findings; the same for the same catalog, whatever the number of threads.
    """
    settings = settings or CheckSettings()
    found: list[Finding] = []
    found.extend(check_boxes(catalog, settings))
    found.extend(check_sequences(catalog))
    found.extend(check_conditions(catalog))
    found.extend(check_balance(catalog, settings))
    lamps = readable_lamps(catalog, settings)
    if images:
        for done, of_frame in enumerate(_look_at_images(catalog, lamps, settings), start=1):
            found.extend(of_frame)
            if progress is not None:
                progress(done, len(catalog))
    about = {
        "frames": len(catalog),
        "boxes": len(catalog.annotations),
        "images_read": images,
        "lamps_large_enough": len(lamps) if images else 0,
        "settings": settings.model_dump(mode="json"),
    }
    table = tabulate(found, catalog.frames, with_box_numbers(catalog))
    return Findings(table=table, fingerprint=catalog.fingerprint, about=about)


def _look_at_images(catalog: Catalog, lamps: pl.DataFrame, settings: CheckSettings) -> Iterator[list[Finding]]:
    """Findings of each frame's image, in order."""
    rows = lamps["row"].to_numpy()
    bounds = np.searchsorted(rows, catalog.offsets)

    def look(index: int) -> list[Finding]:
        part = lamps.slice(int(bounds[index]), int(bounds[index + 1] - bounds[index]))
        return _look_at(catalog, index, part, settings)

    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="check") as pool:
        tasks = (pool.submit(look, index) for index in range(len(catalog)))
        queue = deque(islice(tasks, _AHEAD))
        try:
            while queue:
                yield queue.popleft().result()
                queue.extend(islice(tasks, 1))
        finally:
            for future in queue:
                future.cancel()


def _look_at(catalog: Catalog, index: int, lamps: pl.DataFrame, settings: CheckSettings) -> list[Finding]:
    findings, image = check_image(catalog, index, settings)
    if image is None:
        return findings
    frame = catalog.frames.row(index, named=True)
    findings.extend(check_luminance(frame, mean_luminance(image), settings))
    first = int(catalog.offsets[index])
    for lamp in lamps.iter_rows(named=True):
        for rule, message, _ in check_lamp(image, lamp, settings):
            findings.append(Finding(rule, message, frame["frame_id"], int(lamp["row"]) - first))
    return findings
