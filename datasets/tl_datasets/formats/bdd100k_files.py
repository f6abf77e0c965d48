"""Where the label files and images of BDD100K lie, and the records of each generation in one shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tl_datasets.errors import AnnotationError, DataError, UsageError, show
from tl_datasets.formats.common.image_files import ImageIndex, image_root
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.values import declared_side
from tl_datasets.parsing import iter_json_array, load_json
from tl_datasets.read_report import ReadReport

# Bytes from which on a list of frames is not held in memory whole.
_LONG = 8 << 20
_SPLIT = re.compile(r"(?:^|[_.-])(train|val|test)(?=$|[_.-])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One frame of a label file, whatever the generation.

    Attributes:
        name: Image name with suffix.
        file: The label file, or the image of a frame without a record; for messages.
        attributes: Conditions by lower-case key.
        labels: The label objects; None = nobody looked.
        size: Declared (width, height) in pixels, or None.
        split: As the label file's name or folder says, or None.
    """

    name: str
    file: Path
    attributes: Mapping[str, Any]
    labels: list[Any] | None
    size: tuple[int, int] | None = None
    split: str | None = None

    @property
    def stem(self) -> str:
        """The name without suffix, by which frames are told apart."""
        return PurePosixPath(self.name.replace("\\", "/")).stem

    @property
    def where(self) -> Place:
        """File and frame, for messages."""
        return Place(self.file, ("frame", self.name))

    @staticmethod
    def unlabelled(root: Path, image: str) -> Record:
        """A record for an image that has none."""
        file = root / image
        return Record(name=file.name, file=file, attributes={}, labels=None, split=_split_of(file))


def find_label_files(source: Path) -> list[Path]:
    """The label files of a source.

    Raises:
        DataError: There is none, or the folder holds several generations of the same labels.
    """
    if source.is_file():
        return [source]
    labels = source / "labels"
    if not labels.is_dir():
        return _json_files(source)
    generations = {
        "labels/det_20": sorted((labels / "det_20").glob("det_*.json")),
        "labels": sorted(labels.glob("bdd100k_labels_images_*.json")),
        "labels/100k": sorted((labels / "100k").rglob("*.json")),
    }
    found = {place: files for place, files in generations.items() if files}
    if len(found) > 1:
        raise DataError(
            f"{source}: labels of several generations ({', '.join(found)}); name one of these folders as the source"
        )
    return next(iter(found.values())) if found else _json_files(labels)


def _json_files(folder: Path) -> list[Path]:
    files = sorted(folder.rglob("*.json"))
    if not files:
        raise DataError(f"{folder}: no .json file in it; expected BDD100K labels")
    return files


def iter_records(paths: Iterable[Path], report: ReadReport) -> Iterator[Record]:
    """The records of all label files: each a list of frames, {"frames": [...]}, or one frame per file.

    How many there are is told by the share of the files that was read so far.

    Args:
        paths: The label files.
        report: Takes the number of records to expect.

    Raises:
        AnnotationError: A file is none of these.
    """
    paths = list(paths)
    # Tag files have the same shape and only conditions: where no file has labels, nobody looked.
    is_labelled = any(
        isinstance(record, dict) and record.get("labels") is not None for path in paths for record in _objects(path)
    )
    size, read, done = sum(path.stat().st_size for path in paths if path.is_file()), 0, 0

    def count(characters: int) -> None:
        nonlocal read
        read += characters
        if done:
            report.total = max(done, round(done * size / read))

    for path in paths:
        for number, record in enumerate(_objects(path, count)):
            done += 1
            yield _record(record, path, number, is_labelled)


def _objects(path: Path, on_read: Callable[[int], None] | None = None) -> Iterator[Any]:
    """The frames of one label file as they stand there; a long list is read piece by piece."""
    try:
        size = path.stat().st_size
        is_long_list = size > _LONG and _first_byte(path) == b"["
    except OSError as error:
        raise AnnotationError(path, f"cannot be read ({error.strerror}); expected a label file: remove it") from error
    if is_long_list:
        yield from iter_json_array(path, on_read)
        return
    document = load_json(path)
    if on_read is not None:
        on_read(size)
    if isinstance(document, list):
        yield from document
        return
    if not isinstance(document, dict):
        raise AnnotationError(path, "expected a list of frames, {'frames': [...]}, or one frame")
    frames = document.get("frames")
    if not isinstance(frames, list):
        yield document
    elif "name" in document:
        yield _per_image_form(document, frames, path)
    else:
        yield from frames


def _first_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]


def _per_image_form(document: dict[str, Any], frames: list[Any], path: Path) -> dict[str, Any]:
    """The 2018 file of one image: name without suffix, and one entry in `frames` with `objects`."""
    if len(frames) != 1 or not isinstance(frames[0], dict):
        raise AnnotationError(path, f"{len(frames)} frames in a file of one image; expected one")
    name = str(document["name"] or path.stem)
    labels = frames[0].get("objects")
    return {
        **document,
        "labels": [] if labels is None else labels,
        "name": f"{name}.jpg" if "." not in name else name,
    }


def _record(record: Any, path: Path, number: int, is_labelled: bool) -> Record:
    name = record.get("name") if isinstance(record, dict) else None
    if not isinstance(name, str) or not name:
        raise AnnotationError(path, f"record {number}: expected a frame with a name")
    where = Place(path, ("frame", name))
    labels = record.get("labels")
    if labels is not None and not isinstance(labels, list):
        raise where.error(f"labels are {type(labels).__name__}, expected a list")
    return Record(
        name=name,
        file=path,
        attributes=lower_attributes(record, where),
        labels=(labels or []) if is_labelled else None,
        size=_declared_size(record.get("size"), where),
        split=_split_of(path),
    )


def lower_attributes(item: Mapping[str, Any], where: Place) -> dict[str, Any]:
    """The attributes of a frame or label; tracking files of 2020 wrote the keys with a capital.

    Raises:
        AnnotationError: They are no mapping, or one stands there in two spellings.
    """
    attributes = item.get("attributes")
    if attributes is None:
        return {}
    if not isinstance(attributes, dict):
        raise where.error(f"attributes are {show(attributes)}, expected a mapping")
    lowered = {key.lower(): value for key, value in attributes.items()}
    if len(lowered) < len(attributes):
        keys = [key.lower() for key in attributes]
        twice = next(key for number, key in enumerate(attributes) if key.lower() in keys[:number])
        raise where.error(f"attribute {show(twice)} stands twice, with and without a capital; expected one of them")
    return lowered


def _declared_size(size: Any, where: Place) -> tuple[int, int] | None:
    if size is None:
        return None
    if isinstance(size, dict):
        width, height = (declared_side(size.get(name), name, where) for name in ("width", "height"))
        if width is not None and height is not None:
            return width, height
    raise where.error(f"size {show(size)}, expected width and height in pixels")


def _split_of(path: Path) -> str | None:
    found = _SPLIT.search(path.stem) or _SPLIT.fullmatch(path.parent.name)
    return found[1] if found else None


def find_image_root(source: Path, images: Path | None, *, required: bool) -> Path | None:
    """The image folder of a source: `images/100k` or `images` beside or above it; None where it is not required.

    Raises:
        UsageError: The given one is no folder, or it is required and there is none.
    """
    if images is not None:
        return image_root(images, [], source)
    start = source.resolve()
    for folder in [start, *start.parents][:6]:
        for candidate in (folder / "images" / "100k", folder / "images"):
            if candidate.is_dir():
                return candidate
    if required:
        raise UsageError(f"{source}: no images/100k or images folder beside or above it; set images=DIR")
    return None


def images_without_record(index: ImageIndex, stems: Collection[str]) -> list[str]:
    """Images without a record, in the folders that hold at least one image with a record."""
    folders = {PurePosixPath(path).parent for path in index.paths if PurePosixPath(path).stem in stems}
    return [
        path for path in index.paths if PurePosixPath(path).stem not in stems and PurePosixPath(path).parent in folders
    ]
