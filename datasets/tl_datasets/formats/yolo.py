"""YOLO: one text file per image with `class cx cy w h` rows; boxes and polygons may be mixed in one file.

An empty text file is a true negative. A missing one says nothing: the frame is unlabelled unless `missing` says
otherwise. A data.yaml may have parts that trainers do not know (see `yolo_parts`). States may lie in side files, one
JSON per row: `<stem>_<i>.json` with {"state": k} for row i, from 0.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from tl_datasets.errors import AnnotationError, UsageError
from tl_datasets.formats.common.box_policy import OnBadBox, fit_box
from tl_datasets.formats.common.image_files import ImageFiles, Sized
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.yolo_items import Item, Layout
from tl_datasets.formats.yolo_layout import find_layout
from tl_datasets.formats.yolo_rows import read_rows
from tl_datasets.formats.yolo_states import StateFiles
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_maps import DROP, LabelFields, LabelMap, Translator, load_label_map
from tl_datasets.read_report import Event, ReadReport
from tl_datasets.taxonomy import TRAFFIC_LIGHT

# Text files that stand beside label files and are none.
_NO_LABEL_FILES = frozenset({"classes.txt", "train.txt", "val.txt", "test.txt"})


def read(
    source: Path | str,
    *,
    report: ReadReport,
    images: Path | str | None = None,
    labels: Path | str | None = None,
    names: Sequence[str] | str | None = None,
    label_map: str = "traffic_light_names",
    split: str | None = None,
    parts: Sequence[str] | str | None = None,
    missing: Literal["unlabelled", "negative"] | None = None,
    states: Path | str | None = None,
    states_map: str = "dtld_states",
    missing_state: Literal["error", "unknown"] = "error",
    missing_images: Literal["error", "drop"] = "error",
    on_bad_box: OnBadBox = "error",
) -> Iterator[Frame]:
    """Read a YOLO data set.

    Args:
        source: A data.yaml or an obj.data of Darknet, a folder with one, or a folder with images and labels.
        report: Takes the image root, content hashes and counts.
        images: For a data.yaml the folder that its paths are relative to; else the folder with the images.
        labels: Folder with the label files, where it is not `labels` beside `images`; relative to `source` or to the
            working directory.
        names: Class names by id: a list, a text with commas, or a file with one name per line or with the YAML key
            `names`. None = those of the data.yaml, of classes.txt or obj.names beside the labels, or of the label map.
        label_map: What the class names mean.
        split: Part of all frames; replaces what a data.yaml says.
        parts: Keys of the data.yaml or obj.data to read, such as val,test; None = all that it names.
        missing: What an image without a text file is. None = unlabelled, but an error if no image has one.
        states: Folder of state side files.
        states_map: Label map for the values in them.
        missing_state: "error", or "unknown" for a row without a side file.
        missing_images: "error", or "drop" to count and leave out what a list names and does not exist, and images that
            do not open.
        on_bad_box: "error", or "drop" to count and leave out boxes without area inside the image.

    Raises:
        AnnotationError: A file does not follow the format, or a class name has no meaning in the label map.
        ImageError: An image does not open, or there is none.
        UsageError: A folder or the class names are missing.
    """
    layout = find_layout(
        Path(source),
        images=None if images is None else Path(images),
        labels=None if labels is None else Path(labels),
        names=names,
        parts=[part.strip() for part in parts.split(",")] if isinstance(parts, str) else parts,
    )
    meanings = load_label_map(label_map)
    class_names = layout.class_names or meanings.class_names
    if not class_names and layout.names_from != "names":
        raise AnnotationError(layout.names_from, "has no class names; add names: [red, green], or give names=red,green")
    if not class_names:
        raise UsageError(f"{source}: no class names; give them by id, for example names=red,green,yellow")
    files = ImageFiles(root=layout.root, missing=missing_images, report=report)
    found = [(item, image) for item in layout.items if (image := files.locate(item.path, item.where))]
    layout = dataclasses.replace(layout, items=tuple(item for item, _ in found))
    _check_items(layout, missing)
    fields = _class_fields(class_names, meanings, layout)
    side_files = None if states is None else StateFiles(layout, Path(source), Path(states), states_map, missing_state)
    report.root, report.total = layout.root, len(found)
    _count_files(layout, report)

    def frames() -> Iterator[Frame]:
        for item, image in files.sized(found):
            if image.content_hash is not None:
                report.content_hashes[item.frame_id] = image.content_hash
            annotations = None
            if item.label_file.is_file():
                _refuse_link_outside(item, layout)
                annotations = tuple(
                    _annotations(item, image, layout, class_names, fields, side_files, on_bad_box, report)
                )
            elif missing == "negative" and item.is_labelled:
                annotations = ()
            yield Frame(
                frame_id=item.frame_id,
                path=image.path,
                width_px=image.width_px,
                height_px=image.height_px,
                annotations=annotations,
                labelled_categories=() if annotations is None else item.labelled_categories,
                split=split or item.split,
            )
        if side_files is not None:
            side_files.words.check()

    return frames()


def _annotations(
    item: Item,
    image: Sized,
    layout: Layout,
    class_names: Sequence[str],
    fields: Sequence[LabelFields | str],
    side_files: StateFiles | None,
    on_bad_box: OnBadBox,
    report: ReadReport,
) -> Iterator[Annotation]:
    rows, repeated = read_rows(item.label_file)
    for row in repeated:
        report.add(Event.BOX_DUPLICATE, Place(item.label_file, line=row.line))
    if side_files is not None:
        side_files.check_number(item, len(rows) + len(repeated))
    for row in rows:
        where = Place(item.label_file, line=row.line)
        if row.class_id >= len(class_names):
            raise where.error(_class_message(row.class_id, layout, class_names))
        if row.is_polygon:
            report.add(Event.POLYGON_TO_BOX, where)
        word, meaning = class_names[row.class_id], fields[row.class_id]
        if isinstance(meaning, str):
            report.add(Event.LABEL_DROPPED, where, detail=word)
            continue
        x1, y1, x2, y2 = row.xyxy
        width, height = image.width_px, image.height_px
        fitted = fit_box(
            (x1 * width, y1 * height, x2 * width, y2 * height),
            width,
            height,
            truncated=None,
            on_bad_box=on_bad_box,
            report=report,
            where=where,
        )
        if fitted is None:
            continue
        arguments = meaning.as_arguments
        if side_files is not None and meaning.category == TRAFFIC_LIGHT:
            arguments = {**arguments, "state": side_files.state(item, row, report)}
        yield Annotation(xyxy=fitted[0], truncated=fitted[1], source_label=word, **arguments)


def _check_items(layout: Layout, missing: str | None) -> None:
    labelled = [item for item in layout.items if item.is_labelled]
    surplus = next((item for item in layout.items if not item.is_labelled and item.label_file.is_file()), None)
    if surplus is not None:
        raise surplus.where.error(
            f"{surplus.path} is in an unlabelled part, but there is {surplus.label_file}; expected none; move the "
            "image to another part, or name the parts to read with parts=..."
        )
    stems = Counter(item.path.rpartition(".")[0] for item in layout.items)
    twice = next((stem for stem, number in stems.items() if number > 1), None)
    if twice is not None:
        raise AnnotationError(layout.root, f"two images named '{twice}' share one label file; rename one of them")
    ids = Counter(item.frame_id for item in layout.items)
    twice = next((frame_id for frame_id, number in ids.items() if number > 1), None)
    if twice is not None:
        raise AnnotationError(
            layout.root, f"two parts have a frame '{twice}'; expected unique names; rename one of them"
        )
    if missing is None and labelled and not any(item.label_file.is_file() for item in labelled):
        raise AnnotationError(
            layout.root,
            f"none of {len(labelled)} images has a label file, expected for example {labelled[0].label_file}; "
            "set labels=DIR, or missing=unlabelled if nobody labelled them",
        )


def _class_fields(class_names: Sequence[str], meanings: LabelMap, layout: Layout) -> list[LabelFields | str]:
    """What each class id means; an unknown name is an error only where a row uses it."""
    fields = [meanings.label(name) for name in class_names]
    if None in fields:
        used = _used_classes(layout)
        words = Translator(meanings, layout.names_from)
        for class_id, name in enumerate(class_names):
            if fields[class_id] is None and used[class_id]:
                words.unknown["label", name] = used[class_id]
        words.check()
    return [DROP if meaning is None else meaning for meaning in fields]


def _used_classes(layout: Layout) -> Counter[int]:
    """Rows by class id over the whole set; for messages."""
    used: Counter[int] = Counter()
    for item in layout.items:
        if item.label_file.is_file():
            used.update(row.class_id for row in read_rows(item.label_file)[0])
    return used


def _class_message(class_id: int, layout: Layout, class_names: Sequence[str]) -> str:
    used = _used_classes(layout)
    n = len(class_names)
    message = f"class {str(class_id)[:20]}, expected 0 to {n - 1} ({', '.join(class_names)})"
    if max(used) == n and not used[0]:
        return f"{message}; the files use 1 to {n} and never 0: they seem to count from 1, subtract 1 from each class"
    return f"{message}; correct the row or the names"


def _count_files(layout: Layout, report: ReadReport) -> None:
    for link in layout.left_out:
        report.add(Event.LINK_LEFT_OUT, link)
    expected = {item.label_file for item in layout.items}
    for item in layout.items:
        if item.is_labelled and not item.label_file.is_file():
            report.add(Event.NO_LABEL_FILE, item.label_file)
    found = {path for folder in layout.label_roots for path in folder.rglob("*.txt")}
    for path in sorted(found - expected):
        if path.name not in _NO_LABEL_FILES and not path.name.lower().startswith("readme"):
            report.add(Event.LABEL_FILE_WITHOUT_IMAGE, path)


def _refuse_link_outside(item: Item, layout: Layout) -> None:
    """A label file of somebody else's data set may be a link to any file of this machine."""
    if not item.label_file.is_symlink():
        return
    target = item.label_file.resolve()
    if not any(target.is_relative_to(folder.resolve()) for folder in (layout.root, *layout.label_roots)):
        raise AnnotationError(item.label_file, "is a link that leaves the data set; copy the file itself there")
