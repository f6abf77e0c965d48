"""Cleaning: apply a written policy to the findings of a check. The source is never touched, and all can be undone.

The cleaned catalog points at the same images. Its record (`record`) holds every removed or changed row as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tl_datasets.boxes import area, clip
from tl_datasets.catalog import BOX_COLUMNS, Catalog
from tl_datasets.checks.box_rules import with_box_numbers
from tl_datasets.checks.findings import Findings
from tl_datasets.cleaning.policy import Action, CleanPolicy
from tl_datasets.cleaning.record import RECORD_COLUMNS, CleanRecord, ordered_digest
from tl_datasets.errors import DataError, show

_ROUNDING_PX = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """A cleaned catalog, the frames that were set aside, and the record of both."""

    catalog: Catalog
    quarantine: Catalog
    record: CleanRecord


def clean(catalog: Catalog, findings: Findings, policy: CleanPolicy) -> Cleaned:
    """Apply a policy.

    The strongest action wins on a frame (drop_frame before quarantine) and on a box (drop_box before ignore_box); clip
    and ignore_box may both happen to one box.

    Args:
        catalog: Not changed.
        findings: Of a check of this very catalog.
        policy: What to do.

    Raises:
        DataError: The findings are of another catalog.
    """
    if findings.fingerprint != catalog.fingerprint:
        raise DataError(
            f"the findings are of a catalog with fingerprint {findings.fingerprint}, this one has "
            f"{catalog.fingerprint}; check this catalog again"
        )
    frame_actions, box_actions = _decide(catalog, findings, policy)
    frame_of_box = np.repeat(np.arange(len(catalog)), np.diff(catalog.offsets))
    changes = _changed_boxes(catalog, box_actions)
    boxes_kept = np.array([row not in box_actions or row in changes for row in range(len(catalog.annotations))], bool)
    frames_kept = np.array([row not in frame_actions for row in range(len(catalog))], bool)
    boxes_kept &= frames_kept[frame_of_box]

    annotations = _with_changes(catalog.annotations, changes)
    cleaned = Catalog(
        catalog.frames.filter(pl.Series(frames_kept)), annotations.filter(pl.Series(boxes_kept)), catalog.roots
    )
    aside = np.array([frame_actions.get(row, (Action.KEEP, ""))[0] is Action.QUARANTINE for row in range(len(catalog))])
    quarantine = catalog.with_frames(catalog.frames.filter(pl.Series(aside.astype(bool))))
    boxes = _box_record(catalog, frame_of_box, frame_actions, box_actions, changes)
    record = CleanRecord(
        frames=_recorded(catalog.frames, {row: (str(action), rules) for row, (action, rules) in frame_actions.items()}),
        boxes=_recorded(catalog.annotations, boxes),
        fingerprint_before=catalog.fingerprint,
        fingerprint_after=cleaned.fingerprint,
        digest_after=ordered_digest(cleaned),
        policy=policy.model_dump(mode="json"),
    )
    return Cleaned(catalog=cleaned, quarantine=quarantine, record=record)


def _decide(
    catalog: Catalog, findings: Findings, policy: CleanPolicy
) -> tuple[dict[int, tuple[Action, str]], dict[int, tuple[set[Action], set[str]]]]:
    """Rows of frames with action and rules; rows of boxes with actions and rules."""
    frame_row = {frame_id: row for row, frame_id in enumerate(catalog.frames["frame_id"])}
    order = list(Action)
    frames: dict[int, tuple[Action, set[str]]] = {}
    boxes: dict[int, tuple[set[Action], set[str]]] = {}
    for finding in _with_rows(catalog, findings.table).iter_rows(named=True):
        action = policy.action(finding["rule"], finding["severity"])
        if action is Action.KEEP or finding["frame_id"] is None:
            continue
        if action in (Action.DROP_FRAME, Action.QUARANTINE):
            known, rules = frames.get(frame_row[finding["frame_id"]], (action, set()))
            frames[frame_row[finding["frame_id"]]] = (max(known, action, key=order.index), rules | {finding["rule"]})
        else:
            actions, rules = boxes.setdefault(finding["_row"], (set(), set()))
            actions.add(action)
            rules.add(finding["rule"])
    return {row: (action, ", ".join(sorted(rules))) for row, (action, rules) in frames.items()}, boxes


def _with_rows(catalog: Catalog, table: pl.DataFrame) -> pl.DataFrame:
    """The findings with `_row`, the row of their box; checked against the boxes that the findings carry.

    Raises:
        DataError: A finding names a frame or box that the catalog does not have, or has elsewhere.
    """
    unknown = table.filter(pl.col("frame_id").is_not_null()).join(
        catalog.frames.select("frame_id"), on="frame_id", how="anti"
    )
    if len(unknown):
        raise DataError(f"a finding is about frame {show(unknown['frame_id'][0])}, which the catalog lacks")
    boxes = with_box_numbers(catalog).with_row_index("_row").select("_row", "frame_id", "box", *BOX_COLUMNS)
    joined = table.join(boxes, on=["frame_id", "box"], how="left", maintain_order="left", suffix="_now")
    agrees = [
        (pl.col(name) - pl.col(f"{name}_now")).abs().le(_ROUNDING_PX)
        | pl.col(name).is_nan()
        | (pl.col(name) == pl.col(f"{name}_now"))
        for name in BOX_COLUMNS
    ]
    moved = joined.filter(
        pl.col("box").is_not_null() & (pl.col("_row").is_null() | ~pl.all_horizontal(agrees).fill_null(False))
    )
    if len(moved):
        frame_id, box = moved.row(0, named=True)["frame_id"], moved["box"][0]
        raise DataError(f"box {box} of frame {show(frame_id)} is another than in the findings; check again")
    return joined


def _changed_boxes(
    catalog: Catalog, box_actions: Mapping[int, tuple[set[Action], set[str]]]
) -> dict[int, dict[str, Any]]:
    """New values of the boxes that stay, by row."""
    frame_of_box = np.repeat(np.arange(len(catalog)), np.diff(catalog.offsets))
    widths, heights = (catalog.frames[name].to_numpy()[frame_of_box] for name in ("width_px", "height_px"))
    changes: dict[int, dict[str, Any]] = {}
    for row, (actions, _) in box_actions.items():
        values: dict[str, Any] = {}
        if Action.DROP_BOX in actions:
            continue
        if Action.CLIP in actions:
            clipped, is_cut = clip(catalog.xyxy[row], widths[row], heights[row])
            if area(clipped)[0] <= 0:
                continue
            values = dict(zip(BOX_COLUMNS, clipped[0].tolist(), strict=True))
            if is_cut[0]:
                values["truncated"] = True
        if Action.IGNORE_BOX in actions:
            values["ignore"] = True
        changes[row] = values
    return changes


def _with_changes(annotations: pl.DataFrame, changes: Mapping[int, Mapping[str, Any]]) -> pl.DataFrame:
    for name in (*BOX_COLUMNS, "truncated", "ignore"):
        values = {row: change[name] for row, change in changes.items() if name in change}
        if values:
            column = annotations[name].clone()
            column = column.scatter(list(values), list(values.values()))
            annotations = annotations.with_columns(column.alias(name))
    return annotations


def _box_record(
    catalog: Catalog,
    frame_of_box: NDArray[np.intp],
    frame_actions: Mapping[int, tuple[Action, str]],
    box_actions: Mapping[int, tuple[set[Action], set[str]]],
    changes: Mapping[int, Any],
) -> dict[int, tuple[str, str]]:
    """Action and rules of every box that is removed or changed, by row."""
    record = {}
    for row in range(len(catalog.annotations)):
        frame_action = frame_actions.get(int(frame_of_box[row]))
        if frame_action is not None:
            record[row] = (str(frame_action[0]), frame_action[1])
        elif row in box_actions:
            actions, rules = box_actions[row]
            done = "+".join(sorted(actions)) if row in changes else str(Action.DROP_BOX)
            record[row] = (done, ", ".join(sorted(rules)))
    return record


def _recorded(table: pl.DataFrame, actions: Mapping[int, tuple[str, str]]) -> pl.DataFrame:
    about = pl.DataFrame(
        [(row, *actions[row]) for row in sorted(actions)],
        schema=RECORD_COLUMNS,
        orient="row",
    )
    return about.join(table.with_row_index("row"), on="row", how="left", maintain_order="left")
