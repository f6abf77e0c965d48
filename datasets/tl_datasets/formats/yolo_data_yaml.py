"""A data.yaml, or the obj.data of Darknet: class names, and the images of each part.

It is somebody else's file: nothing in it is executed or downloaded, and no image outside the root is taken.
The root is the folder of the data.yaml joined with its `path`, unless the caller names another one.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tl_datasets.errors import ImageError, UsageError, show
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.yolo_darknet import load_darknet, without_data_folder
from tl_datasets.formats.yolo_items import Item, Layout, label_file_of, label_folder_of
from tl_datasets.formats.yolo_parts import find_parts
from tl_datasets.images import about_links, resolve_inside, scan_images
from tl_datasets.parsing import load_yaml, read_text

# Value of the key `frame_ids`: frame ids are paths below the folder of their part, not below the root.
BELOW_PARTS = "below_parts"


def read_data_yaml(
    path: Path, images: Path | None, class_names: tuple[str, ...] | None, parts: Sequence[str] | None
) -> Layout:
    """Find what a data.yaml names.

    Args:
        path: The file.
        images: Folder that its paths are relative to; None = its own folder joined with its `path`.
        class_names: Replace those of the file.
        parts: Keys to read, such as val and test; None = all.

    Raises:
        AnnotationError: The file is wrong, or names what is not there or not below the root.
        ImageError: A folder cannot be listed.
        UsageError: A part or the folder `images` does not exist.
    """
    where = Place(path)
    is_darknet = path.suffix.lower() == ".data"
    data = load_darknet(path, with_names=class_names is None) if is_darknet else load_yaml(path)
    if not isinstance(data, dict):
        raise where.error("expected a mapping with train, val and names")
    if "kpt_shape" in data:
        raise where.error("holds key points (kpt_shape); expected a detection data set with boxes or polygons")
    if class_names is None:
        class_names = _declared_names(data, where)
    root = _root(data, where, images)
    below_parts = data.get("frame_ids") is not None
    if below_parts and data["frame_ids"] != BELOW_PARTS:
        raise where.error(f"frame_ids is {show(data['frame_ids'])}, expected {BELOW_PARTS}, or no such key")
    items: dict[str, Item] = {}
    left_out: list[Path] = []
    label_roots: set[Path] = set()
    for part in find_parts(data, where, parts):
        for image in _images_of(part.images, root, part.where, left_out):
            label_roots.add(label_folder_of(image.file, image.folder))
            relative = image.file.relative_to(root).as_posix()
            if relative in items and items[relative].split != part.split:
                raise where.error(
                    f"image '{relative}' is in {items[relative].split} and in {part.split}; expected one part, "
                    "or name the parts to read with parts=..."
                )
            named = image.file.relative_to(image.folder).as_posix() if below_parts else relative
            item = Item(
                path=relative,
                frame_id=named.rpartition(".")[0],
                label_file=label_file_of(image.file),
                split=part.split,
                is_labelled=part.is_labelled,
                labelled_categories=part.labelled_categories,
                where=image.where,
            )
            items.setdefault(relative, item)
    return Layout(
        root=root,
        items=tuple(items.values()),
        label_roots=frozenset(label_roots),
        left_out=tuple(dict.fromkeys(left_out)),
        class_names=class_names,
        names_from=str(path),
    )


class _Named(NamedTuple):
    """An image that a data.yaml or a list names.

    Attributes:
        file: Below the root; what a list names may be missing.
        folder: The folder that was named, or its own.
        where: What names it.
    """

    file: Path
    folder: Path
    where: Place


def _declared_names(data: dict[str, Any], where: Place) -> tuple[str, ...] | None:
    count = data.get("nc")
    if data.get("names") is None:
        return None
    try:
        names = _names_by_id(data["names"], "names")
    except UsageError as error:
        raise where.error(str(error)) from error
    as_text = count.strip() if isinstance(count, str) else None
    if count is not None and count != len(names) and as_text != str(len(names)):
        raise where.error(f"nc is {show(count)} but names has {len(names)}; expected the same number")
    return names


def _root(data: dict[str, Any], where: Place, images: Path | None) -> Path:
    if images is not None:
        if not images.is_dir():
            raise UsageError(f"images: no folder '{images}'")
        return images.resolve()
    folder = where.file.parent.resolve()
    below = data.get("path") or ""
    if not isinstance(below, str | int):  # a folder may be named 2024
        raise where.error(f"path {show(below)}, expected a folder")
    root = _existing(folder, str(below))
    if root is None or not root.is_dir():
        raise where.error(f"path {show(below)}: no such folder in {folder}; set images=DIR")
    if not root.is_relative_to(folder):
        raise where.error(f"path {show(below)} leaves {folder}; to allow that, set images=DIR")
    return root


def _existing(base: Path, text: str) -> Path | None:
    """A file or folder; None where there is none, or the text cannot be a path."""
    try:
        place = (base / text).resolve()
        return place if place.exists() else None
    except (OSError, ValueError, RuntimeError):  # too long, a NUL character, links in a circle
        return None


def _images_of(value: Any, root: Path, where: Place, left_out: list[Path]) -> Iterator[_Named]:
    """The images of one key; links not followed are added to `left_out`."""
    for entry in value if isinstance(value, list) else [value]:
        if not isinstance(entry, str):
            raise where.error(f"{show(entry)}, expected a folder, a list file, or a list of them")
        place = _named_place(entry, root, where)
        if place.is_dir():
            found, links = scan_images(place)
            left_out.extend(links)
            if not found:
                raise where.error(_no_image(entry) + about_links(links))
            yield from (_Named(image, place, where) for image in found)
        elif place.suffix.lower() == ".txt":
            listed = list(_listed_images(place, root))
            if not listed:
                raise where.error(_no_image(entry))
            yield from listed
        else:
            raise where.error(f"{show(entry)} is neither a folder nor a .txt list of images")


def _no_image(entry: str) -> str:
    return f"no image in {show(entry)}; add images, remove the key, or name the other parts with parts=..."


def _named_place(entry: str, root: Path, where: Place) -> Path:
    tries = without_data_folder(entry)
    while tries[-1].startswith("../"):
        tries.append(tries[-1][3:])
    # Exports of Roboflow write ../train/images for what lies beside the data.yaml.
    for text in tries:
        place = _existing(root, text.replace("\\", "/"))
        if place is not None and place.is_relative_to(root):
            return place
    if _existing(root, entry) is not None:
        raise where.error(f"{show(entry)} leaves {root}; to allow that, set images=DIR to a folder above")
    raise where.error(
        f"no {show(entry)} in {root}; expected a folder or a .txt list; set images=DIR, or name the parts that are "
        "there with parts=..."
    )


def _listed_images(listing: Path, root: Path) -> Iterator[_Named]:
    for line, text in enumerate(read_text(listing).splitlines(), start=1):
        entry = text.strip()
        if not entry:
            continue
        where = Place(listing, line=line)
        base = listing.parent if entry.startswith("./") else root
        try:
            tries = [resolve_inside(root, str(base / way)) for way in without_data_folder(entry.replace("\\", "/"))]
        except ImageError as error:
            raise where.error(f"{show(entry)} leaves {root}; set images=DIR to a folder above") from error
        image = next((image for image in tries if image.is_file()), tries[0])
        yield _Named(image, image.parent, where)


def class_names_from(names: Sequence[str] | str, where: str) -> tuple[str, ...]:
    """Class names as a user gives them: a list, a text with commas, or a file.

    A file has one name per line, or is a YAML file with the key `names`.

    Raises:
        AnnotationError: The file cannot be read.
        UsageError: There is no name, or one occurs twice.
    """
    if isinstance(names, str) and _is_file(names):
        if Path(names).suffix.lower() in {".yaml", ".yml"}:
            data = load_yaml(names)
            return _names_by_id(data.get("names") if isinstance(data, dict) else data, f"{names}: names")
        names = read_text(names).splitlines()
    elif isinstance(names, str):
        names = names.split(",")
    return _names_by_id([name.strip() for name in names if name.strip()], where)


def _names_by_id(names: Any, where: str) -> tuple[str, ...]:
    """Class names from a list, or a mapping of ids to names."""
    if isinstance(names, dict):
        try:
            by_id = {_class_id(key): value for key, value in names.items()}
        except (TypeError, ValueError) as error:
            raise UsageError(f"{where}: {error}; expected ids 0, 1, 2 ... as keys") from error
        if sorted(by_id) != list(range(len(names))):
            raise UsageError(f"{where}: ids {show(sorted(by_id))}, expected 0 to {len(names) - 1} without a gap")
        names = [by_id[index] for index in range(len(names))]
    if not isinstance(names, list | tuple):
        raise UsageError(f"{where}: {show(names)}, expected a list of class names or a mapping id: name")
    for name in names:
        # Not what is nested: written out, a few lines of YAML may be endless.
        if not isinstance(name, str | int | float | datetime.date):
            raise UsageError(f"{where}: name {show(name)}, expected a text")
    result = tuple(map(str, names))
    if not result or len(set(result)) != len(result):
        raise UsageError(f"{where}: {show(list(result))}, expected at least one name and none twice")
    return result


def _class_id(key: Any) -> int:
    if isinstance(key, bool) or not isinstance(key, int | str):
        raise ValueError(f"id {show(key)}")
    return int(key)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # names in one line may be too long for a path
        return False
