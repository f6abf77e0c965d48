"""Udacity's two annotated drives: Autti (`object-dataset`) and CrowdAI (`object-detection-crowdai`).

Autti: `frame xmin ymin xmax ymax occluded "label" ["state"]`, no header, the state only on lights.
CrowdAI: `x1,y1,x2,y2,frame,label,url`. Copies of it carry the header xmin,xmax,ymin,ymax over the same numbers, so
columns are read by position and the boxes tell whether that was right. CrowdAI marked no lights: its frames are
labelled for the other categories only. File names are times of capture in nanoseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from tl_datasets.errors import AnnotationError, DataError, show
from tl_datasets.formats.common.attributed_box import attributed_box
from tl_datasets.formats.common.box_policy import XYXY, OnBadBox
from tl_datasets.formats.common.csv_rows import iter_rows
from tl_datasets.formats.common.image_files import ImageFiles, ImageIndex, Located, MissingImages, image_root
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.values import read_flag, read_number
from tl_datasets.frame import Frame
from tl_datasets.label_maps import LabelFields, LabelMap, Translator, load_label_map
from tl_datasets.read_report import Event, ReadReport
from tl_datasets.taxonomy import CATEGORIES

_SIZE_PX = (1920, 1200)
_FILE = "labels.csv"
_NANOSECONDS = re.compile(r"\d{19}")
_LARGEST_NS = 2**63 - 1
# Beyond this share of boxes with x1 >= x2 or y1 >= y2 the columns are in another order.
_REVERSED_SHARE = 0.01
_CROWDAI_LABELS = ("Car", "Truck", "Pedestrian")
_EXPECTED = (
    'expected Autti: frame xmin ymin xmax ymax occluded "label" ["state"], or CrowdAI: x1,y1,x2,y2,frame,label,url'
)


class _Row(NamedTuple):
    where: Place
    name: str
    xyxy: XYXY
    word: str
    occluded: bool | None


def read(
    source: Path | str,
    *,
    report: ReadReport,
    images: Path | str | None = None,
    split: str | None = None,
    label_map: str = "udacity",
    without_rows: Literal["unlabelled", "negative", "skip"] = "unlabelled",
    missing_images: MissingImages = "error",
    on_bad_box: OnBadBox = "drop",
) -> Iterator[Frame]:
    """Read one of the two drives.

    Args:
        source: The CSV, or the folder with its labels.csv.
        report: Takes the image root, content hashes and counts.
        images: Folder with the images, at any depth; None = the folder of the CSV.
        split: Part of all frames.
        label_map: What the labels mean; a light with a state is the word `trafficLight-Red`.
        without_rows: What an image without a row is, beside images that have one: the data set does not say whether
            somebody looked at it. "skip" leaves it out.
        missing_images: "error"; "drop" to leave the frame out; "keep" to take it as 1920x1200.
        on_bad_box: "drop" counts and leaves out boxes without area inside the image; or "error".

    Raises:
        AnnotationError: The file does not follow the format, more than 1% of its boxes are reversed, or a label has no
            meaning in the map.
        ImageError: An image does not open.
        DataError: There is no such file.
        UsageError: There is no image folder.
    """
    file = _find_file(Path(source))
    root = report.root = image_root(images, [file.parent], file)
    rows, is_crowdai = _read_rows(file)
    by_name: dict[str, list[_Row]] = {}
    for row in rows:
        by_name.setdefault(row.name, []).append(row)
    meanings = load_label_map(label_map)
    words = Translator(meanings, file)
    labelled = _categories(meanings, _CROWDAI_LABELS) if is_crowdai else ()
    index = ImageIndex(root, report)
    library = ImageFiles(root=root, missing=missing_images, report=report)
    found = {name: index.find(name, own[0].where) for name, own in by_name.items()}
    alone = _without_rows(index, {path for path in found.values() if path is not None})
    for path in alone:
        report.add(Event.NO_RECORD, root / path)
    names = [*found, *([] if without_rows == "skip" else alone)]
    names.sort(key=lambda name: PurePosixPath(name).name)
    report.total = len(names)

    def located() -> Iterator[tuple[list[_Row], Located]]:
        for name in names:
            own = by_name.get(name, [])
            where = own[0].where if own else Place(file, ("image", name))
            image = library.locate(found.get(name) or name, where, _SIZE_PX)
            if image is not None:
                yield own, image

    def frames() -> Iterator[Frame]:
        seen: dict[str, str] = {}
        for own, image in library.sized(located()):
            frame_id = PurePosixPath(image.path).stem
            if frame_id in seen:
                raise AnnotationError(
                    file, f"images {seen[frame_id]} and {image.path} are both frame {show(frame_id)}; remove one"
                )
            seen[frame_id] = image.path
            if image.content_hash is not None:
                report.content_hashes[frame_id] = image.content_hash
            boxes = [
                attributed_box(
                    row.word,
                    row.xyxy,
                    (image.width_px, image.height_px),
                    {"occluded": row.occluded},
                    words=words,
                    on_bad_box=on_bad_box,
                    report=report,
                    where=row.where,
                )
                for row in own
            ]
            is_labelled = bool(own) or without_rows == "negative"
            yield Frame(
                frame_id=frame_id,
                path=image.path,
                width_px=image.width_px,
                height_px=image.height_px,
                annotations=tuple(box for box in boxes if box is not None) if is_labelled else None,
                labelled_categories=labelled if is_labelled else (),
                split=split,
                timestamp_ns=_time_of(frame_id),
            )
        words.check()

    return frames()


def _find_file(source: Path) -> Path:
    if source.is_file():
        return source
    if not (source / _FILE).is_file():
        raise DataError(f"{source}: no {_FILE} in it; expected the folder of one drive, or name the CSV")
    return source / _FILE


def _read_rows(file: Path) -> tuple[list[_Row], bool]:
    """The rows, and whether they are those of CrowdAI.

    Raises:
        AnnotationError: A row is of neither form, or more than 1% of the boxes are reversed.
    """
    lines = iter_rows(file, ", ")
    first = next(lines, None)
    if first is not None and not any(_is_number(field) for field in first[1]):
        first = next(lines, None)  # a header, which may name the columns wrongly
    if first is None:
        raise AnnotationError(file, f"no row in it; {_EXPECTED}")
    is_crowdai = _is_number(first[1][0])
    read_row = _crowdai_row if is_crowdai else _autti_row
    rows = [read_row(*first), *(read_row(*line) for line in lines)]
    reversed_rows = [row for row in rows if row.xyxy[0] >= row.xyxy[2] or row.xyxy[1] >= row.xyxy[3]]
    if len(reversed_rows) > _REVERSED_SHARE * len(rows):
        raise reversed_rows[0].where.error(
            f"{len(reversed_rows)} of {len(rows)} boxes, this one first, have no x1 < x2 and y1 < y2, expected 1% at "
            "most: the columns of this copy are in another order; put the corners in the order x1 y1 x2 y2"
        )
    return rows, is_crowdai


def _autti_row(where: Place, row: list[str]) -> _Row:
    if len(row) not in {7, 8}:
        raise where.error(f"{len(row)} fields; {_EXPECTED}")
    frame, *corners, occluded, label = row[:7]
    state = row[7] if len(row) == 8 else ""
    word = f"{label}-{state}" if state else label
    return _Row(where, _name(frame, where), _box(corners, where), word, read_flag(occluded, "occluded", where))


def _crowdai_row(where: Place, row: list[str]) -> _Row:
    if len(row) not in {6, 7}:
        raise where.error(f"{len(row)} fields; {_EXPECTED}")
    return _Row(where, _name(row[4], where), _box(row[:4], where), row[5], None)


def _name(frame: str, where: Place) -> str:
    name = PurePosixPath(frame.replace("\\", "/")).name
    if not PurePosixPath(name).suffix:
        raise where.error(f"frame {show(frame)}, expected the file name of an image; {_EXPECTED}")
    return name


def _box(corners: list[str], where: Place) -> XYXY:
    x1, y1, x2, y2 = (read_number(text, f"corner {number}", where) for number, text in enumerate(corners, start=1))
    return x1, y1, x2, y2


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _categories(meanings: LabelMap, labels: tuple[str, ...]) -> tuple[str, ...]:
    """What the labels mean, in the order of our categories."""
    fields = [meanings.label(label) for label in labels]
    named = {field.category for field in fields if isinstance(field, LabelFields)}
    return tuple(category for category in CATEGORIES if category in named)


def _without_rows(index: ImageIndex, used: set[str]) -> list[str]:
    """Images that no row names, in the folders that hold at least one image with a row."""
    folders = {PurePosixPath(path).parent for path in used}
    return [path for path in index.paths if path not in used and PurePosixPath(path).parent in folders]


def _time_of(frame_id: str) -> int | None:
    is_time = _NANOSECONDS.fullmatch(frame_id) and int(frame_id) <= _LARGEST_NS
    return int(frame_id) if is_time else None
