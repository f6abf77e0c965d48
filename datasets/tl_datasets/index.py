"""From native files to a catalog: one visible table of formats, and the steps that all formats share."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError, UsageError
from tl_datasets.formats import (
    acdc,
    bdd100k,
    bstld,
    cityscapes,
    coco,
    cvat,
    dtld,
    kitti,
    lara,
    lisa,
    openlabel,
    udacity_csv,
    udacity_yaml,
    voc,
    yolo,
)
from tl_datasets.frame import Frame
from tl_datasets.frame_rules import FrameRules, apply_frame_rules
from tl_datasets.label_maps import available_maps, load_label_map, source_maps
from tl_datasets.options import checked_options
from tl_datasets.read_report import Event, ReadReport
from tl_datasets.taxonomy import TRAFFIC_LIGHT, LabelStatus

FORMATS: dict[str, Callable[..., Iterator[Frame]]] = {
    "acdc": acdc.read,
    "bdd100k": bdd100k.read,
    "bstld": bstld.read,
    "cityscapes": cityscapes.read,
    "coco": coco.read,
    "cvat": cvat.read,
    "dtld": dtld.read,
    "kitti": kitti.read,
    "lara": lara.read,
    "lisa": lisa.read,
    "openlabel": openlabel.read,
    "udacity": udacity_csv.read,
    "udacity_capstone": udacity_yaml.read,
    "voc": voc.read,
    "yolo": yolo.read,
}
# Arguments of a reader that are no options of the format.
_NO_OPTIONS = frozenset({"source", "report", "images", "split"})
# A frame without a light of which a detector learns that there is none.
_COUNTS_AS_NEGATIVE = (pl.col("label_status") == LabelStatus.LABELLED) | (
    (pl.col("label_status") == LabelStatus.PARTIAL) & pl.col("labelled_categories").list.contains(TRAFFIC_LIGHT)
)
Progress = Callable[[int, int | None], None]


def index(
    source: Path | str,
    format_name: str,
    *,
    name: str | None = None,
    images: Path | str | None = None,
    split: str | None = None,
    sequence_regex: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> tuple[Catalog, ReadReport]:
    """Read native files into a catalog.

    Args:
        source: Annotation file or folder.
        format_name: A key of `FORMATS`, or a label map that describes a source in such a format: the name of one that
            comes along (see `source_maps`), or a file.
        name: Name of the source in the catalog; None = the name of the folder or file.
        images: Image folder, where the format does not find it by itself.
        split: Part of all frames; None = what the source says.
        sequence_regex: Searched in each frame's image path; its group, or the whole match, is the sequence.
        progress: Called with the number of frames done and the total, where that is known.
        options: Further options of the format's reader; texts as a command line gives them are converted.

    Returns:
        The catalog, and the counts of everything that was changed or left out.

    Raises:
        UsageError: The format, an option or the regular expression is wrong.
        DataError: The source cannot be used, or a frame has no sequence by the regular expression.
    """
    source = Path(source)
    reader, rules, preset_options = _reader_of(format_name)
    try:
        is_there = source.exists()
    except OSError:  # a name that is too long
        is_there = False
    if not is_there:
        raise DataError(f"{source}: no such file or folder; expected annotations in {format_name} form")
    report = ReadReport()
    arguments = {key: value for key, value in {"images": images, "split": split}.items() if value is not None}
    options = {**preset_options, **options}
    frames = reader(source, report=report, **arguments, **checked_options(reader, format_name, options, _NO_OPTIONS))
    if sequence_regex is not None:
        frames = _with_sequences(frames, sequence_regex)
    if progress is not None:
        frames = _with_progress(frames, report, progress)
    if report.root is None:
        raise DataError(f"{source}: the reader found no image folder; set images=DIR")
    catalog = Catalog.from_frames(
        frames, source=name or _source_name(source), root=report.root.resolve(), content_hashes=report.content_hashes
    )
    if not len(catalog):
        happened = f" ({'; '.join(report.lines())})" if report.counts else ""
        raise DataError(f"{source}: no frame in it{happened}; expected annotations in {format_name} form")
    catalog = apply_frame_rules(catalog, rules)
    has_light = (pl.col("category") == TRAFFIC_LIGHT) & ~pl.col("ignore")
    if catalog.annotations.filter(has_light).is_empty() and len(catalog.frames.filter(_COUNTS_AS_NEGATIVE)):
        report.add(Event.NO_LIGHT, source, detail="of KITTI itself: kitti_object" if format_name == "kitti" else "")
    return catalog, report


def _reader_of(format_name: str) -> tuple[Callable[..., Iterator[Frame]], FrameRules, dict[str, Any]]:
    """The reader of a format or a described source, the rules for its frames, and the options it is called with."""
    is_file = format_name.endswith((".yaml", ".yml"))
    described = load_label_map(format_name) if is_file or format_name in available_maps() else None
    if described is None or described.format is None:
        if format_name in FORMATS:
            return FORMATS[format_name], FrameRules(), {}
        raise UsageError(
            f"format '{format_name}', expected one of: {', '.join(FORMATS)}; a source: {', '.join(source_maps())}; "
            "or a label map FILE.yaml with the key format"
        )
    if described.format not in FORMATS:
        raise UsageError(
            f"label map '{format_name}': format '{described.format}', expected one of: {', '.join(FORMATS)}"
        )
    return FORMATS[described.format], described.frames, {"label_map": format_name, **described.options}


def _source_name(source: Path) -> str:
    path = source.resolve()
    if path.name in {"data.yaml", "data.yml", "obj.data"}:
        return path.parent.name
    return path.stem if path.is_file() else path.name


def _with_sequences(frames: Iterator[Frame], sequence_regex: str) -> Iterator[Frame]:
    try:
        pattern = re.compile(sequence_regex)
    except re.error as error:
        raise UsageError(f"sequence '{sequence_regex}': {error}; expected a regular expression") from error
    if pattern.groups > 1:
        raise UsageError(f"sequence '{sequence_regex}': {pattern.groups} groups, expected one or none; use (?:...)")

    def renamed() -> Iterator[Frame]:
        for frame in frames:
            found = pattern.search(frame.path)
            word = found[pattern.groups] if found else None
            if not word:
                raise DataError(
                    f"frame {frame.path}: '{sequence_regex}' finds no sequence in the path; "
                    "expected a match in every frame"
                )
            yield dataclasses.replace(frame, sequence=word)

    return renamed()


def _with_progress(frames: Iterator[Frame], report: ReadReport, progress: Progress) -> Iterator[Frame]:
    for done, frame in enumerate(frames, start=1):
        progress(done, report.total)
        yield frame
