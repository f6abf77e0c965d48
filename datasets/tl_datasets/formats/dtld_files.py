"""Where the label files and images of DTLD lie, and the records of both versions in one shape."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from tl_datasets.errors import AnnotationError, DataError, show
from tl_datasets.formats.common.foreign_paths import find_by_tail, names_file, posix_path
from tl_datasets.formats.common.image_files import ImageIndex, image_root
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.yaml_records import iter_yaml_records
from tl_datasets.parsing import load_json
from tl_datasets.raw_images import is_raw_file
from tl_datasets.read_report import ReadReport
from tl_datasets.taxonomy import PixelFormat

# City / route / sequence / file: what the toolkit keeps of a stored path.
N_PARTS = 4
_LABEL_SUFFIXES = frozenset({".json", ".yml", ".yaml"})
_LABEL_FOLDER = re.compile(r"label|^v\d", re.IGNORECASE)
_PART_OF_ALL = re.compile(r"_(train|val|test|unsplit)$")
_LABEL_NAME = re.compile(r"_(all|train|val|test|unsplit)$")
_RAW_SUFFIXES = frozenset({".tif", ".tiff"})
# The name of a frame says when it was taken: no two frames have the same.
_DATED_NAME = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d-\d+")
# Years 2001 to 2099 in seconds; one range per unit, and the ranges do not overlap.
_DATES_S = (10**9, 4 * 10**9)
_UNITS_NS = (10**9, 10**6, 10**3, 1)


class Record(NamedTuple):
    """One image of a label file.

    Attributes:
        place: For messages.
        path: City, route, sequence and file name.
        labels: The label objects as they stand there.
        time_stamp: As it stands there.
        is_v1: Whether the labels are those of v1.0.
        split: As the name of the label file says.
    """

    place: Place
    path: PurePosixPath
    labels: list[Any]
    time_stamp: Any
    is_v1: bool
    split: str | None


def find_label_files(source: Path) -> list[Path]:
    """The label file of a source, or its files of the official parts.

    Raises:
        DataError: There is none, or several that hold the same frames.
    """
    if source.is_file():
        return [source]
    found = _label_files(source)
    if not found:
        inside = [
            folder for folder in sorted(source.iterdir()) if folder.is_dir() and _LABEL_FOLDER.search(folder.name)
        ]
        deeper = [folder for parent in inside for folder in sorted(parent.iterdir()) if folder.is_dir()]
        found = [file for folder in (*inside, *deeper) for file in _label_files(folder)]
    if not found:
        raise DataError(f"{source}: no label file in it; expected a .json (v2.0) or .yml (v1.0) file of DTLD labels")
    parts = len({file.suffix for file in found}) == 1 and all(_PART_OF_ALL.search(file.stem) for file in found)
    if len(found) > 1 and not parts:
        listed = ", ".join(file.relative_to(source).as_posix() for file in found[:30])
        raise DataError(f"{source}: several label files, which share frames ({listed}); name one of them as the source")
    return found


def _label_files(folder: Path) -> list[Path]:
    """The label files in a folder, without calibrations and records of a conversion that lie beside them."""
    found = sorted(file for file in folder.iterdir() if file.suffix.lower() in _LABEL_SUFFIXES and file.is_file())
    return [file for file in found if _LABEL_NAME.search(file.stem)] or found


def iter_records(label_files: Sequence[Path]) -> Iterator[Record]:
    """The images of all label files.

    Raises:
        AnnotationError: A file does not follow its format.
    """
    for file in label_files:
        is_v1 = file.suffix.lower() != ".json"
        path_key, labels_key = ("path", "objects") if is_v1 else ("image_path", "labels")
        found = _PART_OF_ALL.search(file.stem)
        split = found[1] if found and found[1] != "unsplit" else None
        records = iter_yaml_records(file, (path_key, labels_key)) if is_v1 else _iter_json(file, path_key, labels_key)
        for place, record in records:
            stored, labels = record[path_key], record[labels_key]
            if not names_file(stored) or not isinstance(labels, list):
                raise place.error(
                    f"expected a path as {path_key} and a list as {labels_key} ([] = no light in the image)"
                )
            path = posix_path(stored)
            names = [part for part in path.parts if part != path.anchor]
            kept = PurePosixPath(*names[-N_PARTS:])
            yield Record(place, kept, labels, record.get("time_stamp"), is_v1, split)


def _iter_json(file: Path, path_key: str, labels_key: str) -> Iterator[tuple[Place, dict[str, Any]]]:
    document = load_json(file)
    images = document.get("images") if isinstance(document, dict) else None
    if not isinstance(images, list):
        raise AnnotationError(file, 'expected {"images": [...]} of DTLD v2.0')
    for number, record in enumerate(images):
        place = Place(file, ("image", number))
        if not isinstance(record, dict) or path_key not in record or labels_key not in record:
            raise place.error(f"expected an object with {path_key} and {labels_key}")
        yield place, record


def find_root(images: Path | str | None, label_file: Path, first: Sequence[Record]) -> Path:
    """The folder with the city folders: as given, else the first folder above the label file that leads to an image.

    Args:
        images: As the caller gives it.
        label_file: The first label file.
        first: Some records to try.
    """
    above = list(label_file.resolve().parents)[:3]
    leading = [folder for folder in above if any(find_by_tail(folder, record.path) for record in first)]
    cities = {record.path.parts[0] for record in first if len(record.path.parts) == N_PARTS}
    with_city = [folder for folder in above if any((folder / city).is_dir() for city in cities)]
    return image_root(images, [*leading, *with_city, label_file.parent], label_file)


class Library:
    """The images below a root, also where they are copies of another kind or lie in other folders."""

    def __init__(self, root: Path, report: ReadReport):
        """Take the folder that the cities lie in, or any other one that holds the images."""
        self.root = root
        self._report = report
        self._index: ImageIndex | None = None

    def find(self, record: Record) -> str | None:
        """The image of a record, relative to the root; None where there is none.

        Raises:
            AnnotationError: Several images have its name and none fits better than the others.
        """
        found = find_by_tail(self.root, record.path)
        if found is not None or ".." in record.path.parts:
            return found
        if self._index is None:
            self._index = ImageIndex(self.root, self._report)
        found = self._index.find(record.path.as_posix(), record.place, by_stem=True)
        if found is None or _DATED_NAME.search(record.path.stem):
            return found
        return found if PurePosixPath(found).parent.name == record.path.parent.name else None


def pixel_format(file: Path | None, record: Record) -> PixelFormat | None:
    """How an image is coded: as the file shows; where it is missing, as the suffix in the label file says."""
    is_raw = record.path.suffix.lower() in _RAW_SUFFIXES if file is None else is_raw_file(file)
    return PixelFormat.BAYER_GRBG12 if is_raw else None


def timestamp_ns(value: Any, place: Place) -> int | None:
    """A time stamp in nanoseconds, by the one unit in which it is a date of this century; None if there is none.

    Raises:
        AnnotationError: It is no number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise place.error(f"time_stamp is {show(value)}, expected a number")
    try:
        number = Decimal(str(value))
    except (ArithmeticError, ValueError) as error:
        raise place.error(f"time_stamp is {show(value)}, expected a number") from error
    if not number.is_finite():
        return None
    for unit_ns in _UNITS_NS:
        if _DATES_S[0] * (10**9 // unit_ns) <= number < _DATES_S[1] * (10**9 // unit_ns):
            return int(number * unit_ns)
    return None
