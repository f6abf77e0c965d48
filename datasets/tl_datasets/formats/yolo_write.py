"""A catalog as a YOLO data set: data.yaml, `images/<part>/` and `labels/<part>/`, and beside them one COCO file.

Class names say category, state and pictogram (see `class_name`), so that the reader's default label map gives them
back. A trainer takes whatever has no box for background: frames that nobody labelled, or in which not every category
of the written boxes was labelled, therefore lie in parts of their own, which trainers do not look at (`yolo_parts`).
What a class name cannot say stands in `annotations.coco.json`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import yaml
from numpy.typing import NDArray
from pydantic import ValidationError

from tl_datasets.catalog import Catalog
from tl_datasets.errors import AnnotationError, show
from tl_datasets.formats.coco import write_document
from tl_datasets.formats.common.image_names import image_names
from tl_datasets.formats.common.write_report import BOX_FIELDS, FRAME_FIELDS, WriteReport
from tl_datasets.formats.yolo_data_yaml import BELOW_PARTS
from tl_datasets.formats.yolo_items import label_file_of
from tl_datasets.formats.yolo_parts import FOLDER_PARTS, PARTIAL, SPLITS
from tl_datasets.images import write_whole
from tl_datasets.label_maps import LabelFields, load_label_map
from tl_datasets.label_space import LabelSpace
from tl_datasets.parsing import load_yaml
from tl_datasets.taxonomy import CATEGORIES, TRAFFIC_LIGHT, LabelStatus, Pictogram, State

SIDECAR = "annotations.coco.json"
_READ_WITH = "traffic_light_names"
# Digits that count: a corner moves by at most 0.75e-12 of the image side, 1.5e-9 px at 2048 px; the ten decimals that
# 1e-6 px need would leave a box of a millionth of a pixel without area.
_DIGITS = 12
_HEADER = """\
# Class names: <pictogram>_<state> of a light, else the category. Not for training: the parts unsplit, unlabelled... (no
# ground truth) and partial (only the categories named there were labelled).
"""


def write(
    catalog: Catalog,
    out: Path,
    *,
    report: WriteReport,
    label_space: LabelSpace | Path | str | None = None,
    ignored: Literal["drop", "keep"] = "drop",
    flat: bool = False,
    sidecar: bool = True,
) -> list[str]:
    """Write a catalog as a YOLO data set.

    Frames of the splits train, val and test become the parts of these names, all others `unsplit`. A trainer needs
    both train and val: split the catalog first. Where a frame id has a folder `images`, that one becomes `labels`, by
    the rule of the format that the last one does.

    Args:
        catalog: What to write.
        out: An existing folder.
        report: Takes what the reader does not give back; the sidecar is not counted as giving back.
        label_space: Classes by its names and order, without boxes that it drops or ignores for all classes; or a YAML
            file with one, such as the data part of a run (`data: {label_space: ...}`). None = one class for each
            combination of category, state and pictogram that occurs.
        ignored: YOLO has no ignore areas. "drop" leaves such boxes out, so that they become background; "keep" writes
            them as ordinary boxes.
        flat: Write sub-folders of frame ids as `__`, for libraries that look into one folder only.
        sidecar: Write `annotations.coco.json`, which holds everything.

    Returns:
        Where the image of each frame belongs below `out`.

    Raises:
        DataError: The file is no label space, or has no rule for a box.
    """
    space = _load_label_space(label_space) if isinstance(label_space, Path | str) else label_space
    class_names, class_ids, is_ignored = _classes(catalog, space)
    wanted = (class_ids >= 0) & ~(is_ignored & (ignored == "drop"))
    parts, document = _parts(catalog, set(catalog.annotations["category"].filter(wanted)))
    names = image_names(catalog, report, flat=flat)
    places = [f"images/{part}/{name}" for part, name in zip(parts, names, strict=True)]
    written: list[int] = []
    is_labelled = catalog.frames["label_status"] != LabelStatus.UNLABELLED
    for row in np.flatnonzero(is_labelled.to_numpy()):
        lines = _lines(catalog, int(row), class_ids, wanted)
        label_file = out / label_file_of(Path(places[row]))
        label_file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(label_file, "".join(f"{line}\n" for line in lines))
        written.extend(lines.values())
    # A data set needs a class, and one of true negatives alone has none.
    numbered = dict(enumerate(class_names or [TRAFFIC_LIGHT]))
    document = {**document, "names": numbered, "nc": len(numbered), "frame_ids": BELOW_PARTS}
    write_whole(out / "data.yaml", _HEADER + yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    if sidecar:
        write_document(catalog, out / SIDECAR, places)
    _count_frames(catalog, report, parts)
    _count_boxes(catalog, report, class_names, class_ids, written)
    return places


def class_name(category: str, state: str | None, pictogram: str | None) -> str:
    """The class name of a box, such as `car`, `traffic_light`, `red` or `arrow_left_red`.

    The three kinds of no are three names: `circle_light` (state not recorded), `circle_unknown` and `circle_off`.
    """
    if category != TRAFFIC_LIGHT:
        return category
    if pictogram is None:
        return TRAFFIC_LIGHT if state is None else state
    return f"{pictogram}_{'light' if state is None else state}"


def _load_label_space(path: Path | str) -> LabelSpace:
    document = load_yaml(path)
    if isinstance(document, dict) and isinstance(document.get("data"), dict):
        document = document["data"].get("label_space")
    try:
        return LabelSpace.model_validate(document)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise AnnotationError(
            path, f"no label space: {place}: {fault['msg']} (found {show(fault['input'])})"
        ) from error


def _parts(catalog: Catalog, categories: set[str]) -> tuple[list[str], dict[str, Any]]:
    """The part of each frame, and the keys of the data.yaml that name them."""
    frames = catalog.frames
    parts = []
    partial: dict[str, dict[str, Any]] = {}
    labelled_sets: list[list[str]] = []
    columns = [frames[name].to_list() for name in ("split", "label_status", "labelled_categories")]
    for split, status, labelled in zip(*columns, strict=True):
        split = split if split in SPLITS else None
        part = split or "unsplit"
        if status == LabelStatus.UNLABELLED:
            part = f"unlabelled_{split}" if split else "unlabelled"
        elif status == LabelStatus.PARTIAL and not categories <= set(labelled):
            if labelled not in labelled_sets:
                labelled_sets.append(labelled)
            part = f"{PARTIAL}_{labelled_sets.index(labelled) + 1}" + (f"_{split}" if split else "")
            partial[part] = {"images": f"images/{part}", "split": split, "labelled_categories": labelled}
        parts.append(part)
    found = set(parts)
    document: dict[str, Any] = {part: f"images/{part}" for part in FOLDER_PARTS if part in found}
    return parts, {**document, PARTIAL: list(partial.values())} if partial else document


def _classes(
    catalog: Catalog, label_space: LabelSpace | None
) -> tuple[Sequence[str], NDArray[np.int64], NDArray[np.bool_]]:
    """Class names, and for each box its class id (negative = none) and whether it is an ignore area."""
    if label_space is not None:
        return label_space.names, *label_space.assign(catalog.annotations)
    named = ("category", "state", "pictogram")
    found = catalog.annotations.select(named).unique()
    orders = [[*CATEGORIES], [*State, None], [*Pictogram, None]]
    rows = sorted(
        found.iter_rows(), key=lambda row: [order.index(word) for order, word in zip(orders, row, strict=True)]
    )
    names = list(dict.fromkeys(class_name(*row) for row in rows))
    table = pl.DataFrame(
        {
            **{name: [row[i] for row in rows] for i, name in enumerate(named)},
            "id": [names.index(class_name(*row)) for row in rows],
        },
        schema={**dict.fromkeys(named, pl.String), "id": pl.Int64},
    )
    joined = catalog.annotations.select(*named, "ignore").join(
        table, on=named, how="left", nulls_equal=True, maintain_order="left"
    )
    return names, joined["id"].to_numpy(), joined["ignore"].fill_null(False).to_numpy()


def _lines(catalog: Catalog, row: int, class_ids: NDArray[np.int64], wanted: NDArray[np.bool_]) -> dict[str, int]:
    """The rows of one frame, each with the number of its box; trainers and readers remove exact repetitions."""
    start, stop = catalog.offsets[row], catalog.offsets[row + 1]
    x1, y1, x2, y2 = catalog.boxes(row).T
    width, height = catalog.frames["width_px"][row], catalog.frames["height_px"][row]
    columns = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
    lines: dict[str, int] = {}
    for index in np.flatnonzero(wanted[start:stop]):
        numbers = " ".join(f"{column[index]:.{_DIGITS}g}" for column in columns)
        lines.setdefault(f"{class_ids[start + index]} {numbers}", int(start + index))
    return lines


def _count_frames(catalog: Catalog, report: WriteReport, parts: Sequence[str]) -> None:
    lost = [name for name in FRAME_FIELDS if name not in {"split", "labelled_categories"}]
    report.lose_fields(catalog, frame=lost, box=())
    splits = catalog.frames["split"].drop_nulls()
    report.lose("frame.split", int((~splits.is_in(SPLITS)).sum()))
    named = catalog.frames["labelled_categories"].list.len().fill_null(0) > 0
    kept = [part.startswith(PARTIAL) for part in parts]
    report.lose("frame.labelled_categories", int((named & ~pl.Series(kept, dtype=pl.Boolean)).sum()))


def _count_boxes(
    catalog: Catalog,
    report: WriteReport,
    class_names: Sequence[str],
    class_ids: NDArray[np.int64],
    written: Sequence[int],
) -> None:
    report.lose("box", len(catalog.annotations) - len(written))
    boxes, ids = catalog.annotations[written], class_ids[written]
    back = [_given_back(name) for name in class_names]
    for field in BOX_FIELDS:
        values = pl.Series([fields.get(field) for fields in back], dtype=boxes.schema[field])
        report.lose(f"box.{field}", int(boxes[field].ne_missing(values.gather(ids)).sum()) if written else 0)


def _given_back(name: str) -> Mapping[str, Any]:
    """What the reader says of a box of this class; fields that are absent come back as None."""
    meaning = load_label_map(_READ_WITH).label(name)
    known = meaning.as_arguments if isinstance(meaning, LabelFields) else {"ignore": False}
    return {**known, "source_label": name}
