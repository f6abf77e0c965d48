"""The parts of a data.yaml: those that every trainer knows, and those that our writer adds and trainers pass over.

A trainer takes whatever has no box for background. Frames that nobody labelled, or in which only some categories were
labelled, therefore stand under keys of their own:

    unsplit: images/unsplit                    frames of no split
    unlabelled_train: images/unlabelled_train  no label files; also unlabelled, unlabelled_val, unlabelled_test
    partial:
      - {images: images/partial_1_train, split: train, labelled_categories: [car, bus]}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tl_datasets.errors import UsageError, show
from tl_datasets.formats.common.place import Place
from tl_datasets.taxonomy import CATEGORIES

SPLITS = ("train", "val", "test")
PARTIAL = "partial"
_UNLABELLED = {"unlabelled": None, **{f"unlabelled_{split}": split for split in SPLITS}}
# Keys whose value is a folder, a list file, or a list of them, and the split that each means.
FOLDER_PARTS: dict[str, str | None] = {
    "train": "train",
    "val": "val",
    "validation": "val",
    "valid": "val",
    "test": "test",
    "unsplit": None,
    **_UNLABELLED,
}


class Part(NamedTuple):
    """One part.

    Attributes:
        images: As the file has it.
        where: For messages.
        split: The split of its frames.
        is_labelled: False where nobody labelled them.
        labelled_categories: What was labelled; empty = everything.
    """

    images: Any
    where: Place
    split: str | None
    is_labelled: bool = True
    labelled_categories: tuple[str, ...] = ()


def find_parts(data: Mapping[str, Any], where: Place, wanted: Sequence[str] | None) -> list[Part]:
    """The parts that a data.yaml names.

    Args:
        data: The document.
        where: The file.
        wanted: Keys to read; None = all.

    Raises:
        AnnotationError: There is none, or a partial one is wrong.
        UsageError: A wanted key is not there.
    """
    declared = [key for key in (*FOLDER_PARTS, PARTIAL) if data.get(key)]
    if not declared:
        raise where.error("names no images; expected train, val or test")
    if absent := [key for key in wanted or () if key not in declared]:
        raise UsageError(f"parts: {where} has no '{absent[0]}'; it has {', '.join(declared)}")
    keys = [key for key in declared if wanted is None or key in wanted]
    parts = [
        Part(data[key], where.at(key), FOLDER_PARTS[key], is_labelled=key not in _UNLABELLED)
        for key in keys
        if key != PARTIAL
    ]
    return parts + (_partial(data[PARTIAL], where.at(PARTIAL)) if PARTIAL in keys else [])


def _partial(value: Any, where: Place) -> list[Part]:
    if not isinstance(value, list):
        raise where.error(f"{show(value)}, expected a list of images, split and labelled_categories")
    parts = []
    for entry in value:
        if not isinstance(entry, dict) or set(entry) - {"split"} != {"images", "labelled_categories"}:
            raise where.error(f"{show(entry)}, expected images, split and labelled_categories")
        split, categories = entry.get("split"), entry["labelled_categories"]
        if split not in (*SPLITS, None):
            raise where.error(f"split {show(split)}, expected {', '.join(SPLITS)}, or null")
        if not isinstance(categories, list) or not categories or any(word not in CATEGORIES for word in categories):
            raise where.error(f"labelled_categories {show(categories)}, expected a list of {', '.join(CATEGORIES)}")
        parts.append(Part(entry["images"], where, split, labelled_categories=tuple(categories)))
    return parts
