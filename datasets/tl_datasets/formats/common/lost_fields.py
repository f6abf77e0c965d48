"""The fields of a frame or box that change on the way through a format."""

from __future__ import annotations

from dataclasses import fields

from tl_datasets.formats.common.write_report import BOX_FIELDS, FRAME_FIELDS, WriteReport
from tl_datasets.frame import Annotation, Frame

_FRAME_FIELDS = tuple(field.name for field in fields(Frame) if field.name in FRAME_FIELDS)
_BOX_FIELDS = tuple(field.name for field in fields(Annotation) if field.name in BOX_FIELDS)


def lose_frame_fields(report: WriteReport, before: Frame, after: Frame) -> None:
    """Count the fields of a frame in which what a reader makes of the written file differs; boxes are left aside."""
    for name in _FRAME_FIELDS:
        report.lose(f"frame.{name}", getattr(before, name) != getattr(after, name))


def lose_box_fields(report: WriteReport, before: Annotation, after: Annotation) -> None:
    """Count the fields of a box in which what a reader makes of the written file differs."""
    for name in _BOX_FIELDS:
        report.lose(f"box.{name}", getattr(before, name) != getattr(after, name))
