"""The images of a YOLO data set, and the rule by which each has its label file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tl_datasets.formats.common.place import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One image and the place of its label file.

    Attributes:
        path: Image relative to the root, with forward slashes.
        frame_id: Of its frame.
        label_file: Where its rows would be.
        split: The part that the data set assigns, or None.
        is_labelled: False where the data set says that nobody labelled it; it has no label file then.
        labelled_categories: What the data set says was labelled; empty = all its categories.
        where: Who names the image; what a list names may be missing.
    """

    path: str
    frame_id: str
    label_file: Path
    split: str | None
    is_labelled: bool
    labelled_categories: tuple[str, ...]
    where: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A YOLO data set as found on disk.

    Attributes:
        root: Folder that the paths of the images are relative to.
        items: The images.
        label_roots: Folders below which every text file is a label file.
        left_out: Links to images that are not followed.
        class_names: By id; None = the data set has none.
        names_from: Who names the classes, for messages.
    """

    root: Path
    items: tuple[Item, ...]
    label_roots: frozenset[Path]
    left_out: tuple[Path, ...]
    class_names: tuple[str, ...] | None
    names_from: str


def label_file_of(image: Path) -> Path:
    """The label file of an image: the last folder named `images` becomes `labels`; without one, beside the image."""
    parts = list(image.parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def label_folder_of(image: Path, folder: Path) -> Path:
    """The folder that holds the label files of a folder of images, and of no other one."""
    label_file, mirror = label_file_of(image), label_file_of(folder / image.name).parent
    labels = next((folder for folder in label_file.parents if folder.name == "labels"), label_file.parent)
    return mirror if mirror.is_relative_to(labels) else labels
