"""KITTI object detection: one text file per image in `label_2` beside `image_2`; also `labels` beside `images`.

Only the 2D boxes are read. An empty file is a true negative; an image without a file says nothing. `DontCare` is an
ignore area; the label map names its category. KITTI says nothing about weather, scene or time of day.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from tl_datasets.errors import AnnotationError, UsageError
from tl_datasets.formats.common.box_policy import OnBadBox, fit_box
from tl_datasets.formats.common.image_files import ImageFiles, Located, MissingImages, Sized
from tl_datasets.formats.common.paired_files import check_stems, named_folder
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.split_lists import LIST_NAMES, read_split_lists
from tl_datasets.formats.kitti_mapping import DriveMapping
from tl_datasets.formats.kitti_rows import Row, read_rows
from tl_datasets.frame import Annotation, Frame
from tl_datasets.images import scan_images
from tl_datasets.label_maps import Translator, load_label_map
from tl_datasets.read_report import Event, ReadReport

_PAIRS = (("image_2", "label_2"), ("images", "labels"))
# The training folder holds what a user divides; nobody has labels of the testing one.
_PLACES = {".": None, "training": None, "testing": "test"}


class _Part(NamedTuple):
    images: Path
    labels: Path
    split: str | None


class _Item(NamedTuple):
    path: str
    label_file: Path
    split: str | None
    has_labels: bool


def read(
    source: Path | str,
    *,
    report: ReadReport,
    images: Path | str | None = None,
    labels: Path | str | None = None,
    split: str | None = None,
    label_map: str = "kitti",
    mapping: Path | str | None = None,
    missing: Literal["unlabelled", "negative"] | None = None,
    missing_images: MissingImages = "error",
    on_bad_box: OnBadBox = "error",
) -> Iterator[Frame]:
    """Read a KITTI data set.

    Args:
        source: The folder with `training` (and `testing`), or with `image_2` and `label_2`, or with `images` and
            `labels`; `ImageSets/train.txt` and its like beside them divide the frames.
        report: Takes the image root, content hashes and counts.
        images: Folder with the images, in the source or as it stands; goes with `labels`.
        labels: Folder with the label files; goes with `images`.
        split: Part of all frames; None = what the lists say, and test for `testing`.
        label_map: What the types mean.
        mapping: The `mapping` folder of KITTI's development kit, by which the drive is the sequence of a training
            frame; None = no sequences.
        missing: What an image without a text file is. None = unlabelled, but an error if no image has one.
        missing_images: "error"; "drop" to leave out label files without an image, for "keep" nothing tells their size.
        on_bad_box: "error", or "drop" to count and leave out boxes without area inside the image.

    Raises:
        AnnotationError: A file does not follow the format, or a type has no meaning in the label map.
        ImageError: An image does not open.
        UsageError: A folder is missing.
    """
    source = Path(source)
    parts = _parts(source, images, labels)
    root = parts[0].images if len(parts) == 1 else source
    items, lost = _items(source, parts, root, report)
    if missing is None and items and not any(item.has_labels for item in items):
        raise AnnotationError(
            root,
            f"none of {len(items)} images has a label file, expected for example {items[0].label_file}; set images=DIR "
            "and labels=DIR, or missing=unlabelled if nobody labelled them",
        )
    words = Translator(load_label_map(label_map), source)
    drives = None if mapping is None else DriveMapping(Path(mapping))
    report.root, report.total = root, len(items) + len(lost)
    files = ImageFiles(root=root, missing=missing_images, report=report)

    def located() -> Iterator[tuple[_Item, Located]]:
        for item in items:
            if not item.has_labels:
                report.add(Event.NO_LABEL_FILE, item.label_file)
            image = files.locate(item.path, Place(root / item.path))
            if image is not None:
                yield item, image
        for label_file in lost:
            image = files.absent(label_file.with_suffix(".png").name, Place(label_file))
            if image is not None:
                yield _Item(image.path, label_file, None, True), image

    def frames() -> Iterator[Frame]:
        for item, image in files.sized(located()):
            frame_id = image.path.rpartition(".")[0]
            found = () if missing == "negative" else None
            if item.has_labels:
                rows = read_rows(item.label_file)
                boxes = [_annotation(row, image, words, on_bad_box, report) for row in rows]
                found = tuple(box for box in boxes if box is not None)
            if image.content_hash is not None:
                report.content_hashes[frame_id] = image.content_hash
            yield Frame(
                frame_id=frame_id,
                path=image.path,
                width_px=image.width_px,
                height_px=image.height_px,
                annotations=found,
                sequence=None if drives is None or item.split == "test" else drives.drive_of(item.label_file.stem),
                split=split or item.split,
            )
        words.check()

    return frames()


def _annotation(
    row: Row, image: Sized, words: Translator, on_bad_box: OnBadBox, report: ReadReport
) -> Annotation | None:
    meaning = words.label(row.kind)
    if meaning is None:
        return None  # reported with all others at the end
    if isinstance(meaning, str):
        report.add(Event.LABEL_DROPPED, row.where, detail=row.kind)
        return None
    if row.has_score:
        report.add(Event.SCORE_LEFT_OUT, row.where)
    fitted = fit_box(
        row.xyxy,
        image.width_px,
        image.height_px,
        truncated=row.truncated,
        on_bad_box=on_bad_box,
        report=report,
        where=row.where,
    )
    if fitted is None:
        return None
    return Annotation(
        xyxy=fitted[0], truncated=fitted[1], occluded=row.occluded, source_label=row.kind, **meaning.as_arguments
    )


def _parts(source: Path, images: Path | str | None, labels: Path | str | None) -> list[_Part]:
    if images is not None or labels is not None:
        if images is None or labels is None:
            raise UsageError("images and labels: one of them is given; expected both, or none")
        return [_Part(named_folder(source, images, "images"), named_folder(source, labels, "labels"), None)]
    found = []
    for place, split in _PLACES.items():
        for image_name, label_name in _PAIRS:
            folder = source / place
            if (folder / image_name).is_dir():
                found.append(_Part(folder / image_name, folder / label_name, split))
    if not found:
        raise UsageError(
            f"{source}: no folder image_2 or images, nor one in training; expected it with label_2 or labels beside "
            "it; set images=DIR and labels=DIR"
        )
    return found


def _items(source: Path, parts: list[_Part], root: Path, report: ReadReport) -> tuple[list[_Item], list[Path]]:
    """The images, and the label files without one."""
    items: list[_Item] = []
    lost: list[Path] = []
    spellings: dict[str, str] = {}
    for part in parts:
        found, links = scan_images(part.images)
        label_files, label_links = scan_images(part.labels, {".txt"}) if part.labels.is_dir() else ([], [])
        for link in (*links, *label_links):
            report.add(Event.LINK_LEFT_OUT, link)
        without_image = dict.fromkeys(label_files)
        check_stems(found)
        for image in found:
            name = image.relative_to(part.images).with_suffix("")
            path = image.relative_to(root).as_posix()
            label_file = part.labels / f"{name}.txt"
            items.append(_Item(path, label_file, part.split, label_file in without_image))
            without_image.pop(label_file, None)
            if part.split is None:
                spellings.setdefault(name.as_posix(), path)
        lost += without_image
    lists = [source / "ImageSets" / name for name in sorted(LIST_NAMES)]
    split_of = read_split_lists([(path, "") for path in lists if path.is_file()], spellings, report)
    return [item._replace(split=split_of.get(item.path, item.split)) for item in items], lost
