r"""LaRA Traffic Lights Recognition (Paris): one drive, its marks as a text file or as CVML.

Text: `Timestamp / frameindex x1 y1 x2 y2 id 'type' 'subtype'` after comment lines. CVML has the size and the centre of
each box. Frame n is the image whose name ends in n; one without a mark is a true negative. `ambiguous` marks are
ignored, as by the authors. The times count from an unknown moment, so they are not read. To divide the drive into
blocks of 1,000 frames, name the sequence by the image: --sequence 'frame_(\d+)\d{3}'.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from tl_datasets.errors import DataError, show
from tl_datasets.formats.common.attributed_box import attributed_box
from tl_datasets.formats.common.box_policy import XYXY, OnBadBox
from tl_datasets.formats.common.csv_rows import iter_rows
from tl_datasets.formats.common.image_files import ImageFiles, ImageIndex, Located, MissingImages, image_root
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.values import read_number
from tl_datasets.frame import Frame
from tl_datasets.label_maps import Translator, load_label_map
from tl_datasets.parsing import iter_xml
from tl_datasets.read_report import Event, ReadReport

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_SIZE_PX = (640, 480)
_SEQUENCE = "Lara_UrbanSeq1"
_FILES = ("Lara_UrbanSeq1_GroundTruth_GT.txt", "Lara_UrbanSeq1_GroundTruth_cvml.xml")
_IMAGES = "Lara3D_UrbanSeq1_JPG"
_COLUMNS = 10
_LIGHT = "Traffic Light"
_WHOLE = re.compile(r"[0-9]{1,9}")
_LAST_NUMBER = re.compile(r"[0-9]{1,9}$")


class _Mark(NamedTuple):
    where: Place
    xyxy: XYXY
    word: str
    track: str


def read(
    source: Path | str,
    *,
    report: ReadReport,
    images: Path | str | None = None,
    split: str | None = None,
    label_map: str = "lara",
    missing_images: MissingImages = "error",
    on_bad_box: OnBadBox = "drop",
) -> Iterator[Frame]:
    """Read the LaRA drive. All frames are one sequence.

    Args:
        source: The text file, the CVML file (.xml), or the folder that holds either; they say the same.
        report: Takes the image root, content hashes and counts.
        images: Folder with the images; None = Lara3D_UrbanSeq1_JPG beside the file, else the folder of the file.
        split: Part of all frames.
        label_map: What the subtypes mean.
        missing_images: "error"; "drop" to leave the frame out; "keep" to take it as 640x480. Frames without a mark are
            known from their images alone.
        on_bad_box: "drop" counts and leaves out boxes without area inside the image; or "error".

    Raises:
        AnnotationError: The file does not follow the format, or a subtype has no meaning in the label map.
        ImageError: An image does not open.
        DataError: There is no such file, or two images have the number of one frame.
        UsageError: There is no image folder.
    """
    file = _find_file(Path(source))
    root = report.root = image_root(images, [file.parent / _IMAGES, file.parent], file)
    marks: dict[int, list[_Mark]] = {}
    for number, mark in _cvml_marks(file) if file.suffix.lower() == ".xml" else _text_marks(file):
        marks.setdefault(number, []).append(mark)
    listed = _list_frames(root, report)
    numbers = sorted({*marks, *listed})
    report.total = len(numbers)
    library = ImageFiles(root=root, missing=missing_images, report=report)
    words = Translator(load_label_map(label_map), file)

    def located() -> Iterator[tuple[list[_Mark], Located]]:
        for number in numbers:
            found = marks.get(number, [])
            where = found[0].where if found else Place(file, ("frame", number))
            image = library.locate(listed.get(number, f"frame_{number:06d}.jpg"), where, _SIZE_PX)
            if image is not None:
                yield found, image

    def frames() -> Iterator[Frame]:
        for found, image in library.sized(located()):
            frame_id = PurePosixPath(image.path).stem
            if image.content_hash is not None:
                report.content_hashes[frame_id] = image.content_hash
            boxes = [
                attributed_box(
                    mark.word,
                    mark.xyxy,
                    (image.width_px, image.height_px),
                    {"track_id": mark.track},
                    words=words,
                    on_bad_box=on_bad_box,
                    report=report,
                    where=mark.where,
                )
                for mark in found
            ]
            yield Frame(
                frame_id=frame_id,
                path=image.path,
                width_px=image.width_px,
                height_px=image.height_px,
                annotations=tuple(box for box in boxes if box is not None),
                sequence=_SEQUENCE,
                split=split,
            )
        words.check()

    return frames()


def _find_file(source: Path) -> Path:
    if source.is_file():
        return source
    for name in _FILES:
        if (source / name).is_file():
            return source / name
    raise DataError(f"{source}: neither {_FILES[0]} nor {_FILES[1]} in it; expected one of them, or name the file")


def _list_frames(root: Path, report: ReadReport) -> dict[int, str]:
    """Image path by frame number.

    Raises:
        DataError: Two images have the same number.
    """
    frames: dict[int, str] = {}
    for path in ImageIndex(root, report).paths:
        found = _LAST_NUMBER.search(PurePosixPath(path).stem)
        if found is None:
            report.add(Event.NO_RECORD, root / path)
            continue
        number = int(found[0])
        if number in frames:
            raise DataError(
                f"{root}: {frames[number]} and {path} are both frame {number}; expected one image; set images=DIR to "
                "the folder of the frames"
            )
        frames[number] = path
    return frames


def _text_marks(file: Path) -> Iterator[tuple[int, _Mark]]:
    for where, row in iter_rows(file, " ", quote="'", comment="#"):
        if len(row) != _COLUMNS or row[1] != "/":
            raise where.error(
                f"{show(' '.join(row))}: {len(row)} fields, expected {_COLUMNS}: Timestamp / frameindex x1 y1 x2 y2 id "
                "'type' 'subtype'"
            )
        _, _, number, *corners, track, kind, subtype = row
        x1, y1, x2, y2 = (read_number(text, name, where) for text, name in zip(corners, _corners(), strict=True))
        yield _frame_number(number, "frameindex", where), _mark(where, (x1, y1, x2, y2), kind, subtype, track)


def _corners() -> Iterable[str]:
    return "x1", "y1", "x2", "y2"


def _cvml_marks(file: Path) -> Iterator[tuple[int, _Mark]]:
    seen = set()
    for frame in iter_xml(file, {"frame"}):
        number = _frame_number(frame.get("number"), "number", Place(file, ("frame",)))
        where = Place(file, ("frame", number))
        if number in seen:
            raise where.error("a second frame of this number; expected one")
        seen.add(number)
        for item in frame.findall("./objectlist/object"):
            track = item.get("id")
            place = where.at("object", track)
            if not track:
                raise place.error("no id; expected one")
            kind, subtype = (_only_text(item, tag, place) for tag in ("type", "subtype"))
            yield number, _mark(place, _centred_box(item, place), kind, subtype, track)
    if not seen:
        raise Place(file).error("no frame in it; expected CVML: frame/objectlist/object")


def _centred_box(item: Element, where: Place) -> XYXY:
    box = item.find("box")
    if box is None:
        raise where.error("no box; expected <box h= w= xc= yc=>")
    xc, yc, w, h = (read_number(box.get(name), name, where) for name in ("xc", "yc", "w", "h"))
    (x1, x2), (y1, y2) = _span(xc, w), _span(yc, h)
    return x1, y1, x2, y2


def _span(centre: float, length: float) -> tuple[float, float]:
    """Both ends. The file has whole numbers: of a length that is odd, the centre was rounded down."""
    rounded = centre == int(centre) and length == int(length)
    start = centre - length // 2 if rounded else centre - length / 2
    return start, start + length


def _only_text(item: Element, tag: str, where: Place) -> str:
    texts = [(found.text or "").strip() for found in item.iter(tag)]
    if len(texts) != 1:
        raise where.error(f"{len(texts)} elements {tag}, expected one")
    return texts[0]


def _mark(where: Place, xyxy: XYXY, kind: str, subtype: str, track: str) -> _Mark:
    # Another type than the one of the data set is reported as a word that the map does not know.
    return _Mark(where, xyxy, subtype if kind == _LIGHT else f"{kind} {subtype}", track)


def _frame_number(text: str | None, name: str, where: Place) -> int:
    if text is None or not _WHOLE.fullmatch(text):
        raise where.error(f"{name} is {show(text)}, expected a whole number of at most nine digits")
    return int(text)
