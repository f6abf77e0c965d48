"""Findings of `tl check` as the page needs them: those about its frames, and those about the catalog as a whole."""

from __future__ import annotations

import logging

import numpy as np
import polars as pl

from tl_datasets.catalog import Catalog
from tl_datasets.checks.findings import Findings
from tl_datasets.errors import DataError, show

logger = logging.getLogger(__name__)


def findings_of(catalog: Catalog, findings: Findings) -> pl.DataFrame:
    """The findings that fit a catalog; those about frames that it does not have are counted and left out.

    Args:
        catalog: The whole catalog, before frames are left out for the page.
        findings: Of this catalog, or of one with the same boxes in other splits.

    Returns:
        The rows that are about a frame of the catalog, or about no frame at all.

    Raises:
        DataError: No finding is about a frame of the catalog although some are about frames, or a box does not exist.
    """
    table = findings.table
    n_boxes = pl.Series("n_boxes", np.diff(catalog.offsets), dtype=pl.Int64)
    known = catalog.frames.select("frame_id", n_boxes)
    table = table.join(known, on="frame_id", how="left", maintain_order="left")
    about_frames = table.filter(pl.col("frame_id").is_not_null())
    strangers = about_frames["n_boxes"].null_count()
    if strangers and strangers == len(about_frames):
        raise DataError(
            f"findings: {strangers} about frames such as {show(about_frames['frame_id'][0])}, none of which this "
            "catalog has; run tl check on the same catalog"
        )
    beyond = about_frames.filter((pl.col("box") < 0) | (pl.col("box") >= pl.col("n_boxes")))
    if len(beyond):
        frame_id, box, count = beyond.select("frame_id", "box", "n_boxes").row(0)
        raise DataError(
            f"findings: box {box} of frame {show(frame_id)}, which has {count} boxes; run tl check on the same catalog"
        )
    if strangers:
        logger.warning("left out %d findings about frames that the catalog does not have", strangers)
    if findings.fingerprint != catalog.fingerprint:
        logger.warning(
            "the findings are of catalog %s, this is %s: boxes may have changed since the check",
            findings.fingerprint,
            catalog.fingerprint,
        )
    return table.filter(pl.col("frame_id").is_null() | pl.col("n_boxes").is_not_null()).drop("n_boxes")
