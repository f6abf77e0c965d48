"""Where the images, label files and class names of a YOLO data set lie: a data.yaml, or plain folders.

A data.yaml is somebody else's file: nothing in it is executed or downloaded, and no image outside the root is taken.
The root is the folder of the data.yaml joined with its `path`, unless the caller names another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tl_datasets.errors import AnnotationError, ImageError, UsageError, show
from tl_datasets.images import IMAGE_SUFFIXES, about_links, resolve_inside, scan_images
from tl_datasets.parsing import load_yaml, read_text

_SPLITS = {"train": "train", "val": "val", "validation": "val", "valid": "val", "test": "test"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One image and the place of its label file.

    Attributes:
        path: Image relative to the root, with forward slashes.
        label_file: Where its rows would be.
        split: The part that the data set assigns, or None.
    """

    path: str
    label_file: Path
    split: str | None


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


def find_layout(
    source: Path,
    *,
    images: Path | None = None,
    labels: Path | None = None,
    names: Sequence[str] | str | None = None,
    parts: Sequence[str] | None = None,
) -> Layout:
    """Find the images and their label files.

    Args:
        source: A data.yaml, a folder with one, or a folder with images and labels.
        images: For a data.yaml the folder that its paths are relative to; else the folder with the images.
        labels: Folder with the label files; with it, a data.yaml in the folder is not looked at.
        names: Class names, given by hand.
        parts: Keys of the data.yaml to read; None = all that it names.

    Raises:
        AnnotationError: The data.yaml is wrong.
        ImageError: A path leaves the root, or there is no image.
        UsageError: A folder does not exist.
    """
    given = None if names is None else class_names_from(names, "names")
    if source.is_dir() and labels is None and (source / "data.yaml").is_file():
        source = source / "data.yaml"
    if source.suffix.lower() in {".yaml", ".yml"}:
        if labels is not None:
            raise UsageError("labels: applies to plain folders; a data.yaml finds its label files by itself")
        return _from_yaml(source, images, given, parts)
    if parts is not None:
        raise UsageError(f"parts: only a data.yaml has parts, {source} is no data.yaml; leave it out")
    if not source.is_dir():
        raise UsageError(f"{source}: expected a folder or a data.yaml")
    return _from_folders(source, images, labels, given)


def class_names_from(names: Any, where: str) -> tuple[str, ...]:
    """Class names from a list, an id -> name mapping, a text with commas, or a file with one name per line.

    Raises:
        UsageError: The ids of a mapping have a gap, or a name occurs twice.
    """
    if isinstance(names, dict):
        try:
            by_id = {_class_id(key): str(value) for key, value in names.items()}
        except (TypeError, ValueError) as error:
            raise UsageError(f"{where}: {error}; expected ids 0, 1, 2 ... as keys") from error
        if sorted(by_id) != list(range(len(names))):
            raise UsageError(f"{where}: ids {show(sorted(by_id))}, expected 0 to {len(names) - 1} without a gap")
        result = tuple(by_id[index] for index in range(len(names)))
    elif isinstance(names, str):
        lines = read_text(names).splitlines() if _is_file(names) else names.split(",")
        result = tuple(line.strip() for line in lines if line.strip())
    elif isinstance(names, list | tuple):
        result = tuple(str(name) for name in names)
    else:
        raise UsageError(f"{where}: {type(names).__name__}, expected a list of class names or a mapping id: name")
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


def _label_root(image: Path, place: Path) -> Path:
    """The folder that holds the label files of a folder of images, and of no other one."""
    label_file, mirror = label_file_of(image), label_file_of(place / image.name).parent
    labels = next((folder for folder in label_file.parents if folder.name == "labels"), label_file.parent)
    return mirror if mirror.is_relative_to(labels) else labels


def label_file_of(image: Path) -> Path:
    """The label file of an image: the last folder named `images` becomes `labels`; without one, beside the image."""
    parts = list(image.parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _from_folders(
    source: Path, images: Path | None, labels: Path | None, class_names: tuple[str, ...] | None
) -> Layout:
    default = source / "images"
    image_root = _folder(source, images, "images") if images else default if default.is_dir() else source
    if labels is None and (source / "labels").is_dir() and image_root == default:
        labels = Path("labels")
    label_root = None if labels is None else _folder(source, labels, "labels")
    items = []
    found, left_out = scan_images(image_root)
    for image in found:
        relative = image.relative_to(image_root)
        label_file = label_root / relative.with_suffix(".txt") if label_root else label_file_of(image)
        items.append(Item(path=relative.as_posix(), label_file=label_file, split=None))
    if not items:
        expected = ", ".join(sorted(IMAGE_SUFFIXES))
        raise ImageError(f"{image_root}: no image in it; expected {expected}; set images=DIR{about_links(left_out)}")
    return Layout(
        root=image_root,
        items=tuple(items),
        label_roots=frozenset([label_root] if label_root else [_label_root(image, image_root) for image in found]),
        left_out=tuple(left_out),
        class_names=class_names,
        names_from="names",
    )


def _folder(source: Path, folder: Path, option: str) -> Path:
    for candidate in (source / folder, folder):
        if candidate.is_dir():
            return candidate
    raise UsageError(f"{option}: no folder '{folder}' in {source} or in the working directory")


def _from_yaml(
    path: Path, images: Path | None, class_names: tuple[str, ...] | None, parts: Sequence[str] | None
) -> Layout:
    data = load_yaml(path)
    if not isinstance(data, dict):
        raise AnnotationError(path, "expected a mapping with train, val and names")
    if "kpt_shape" in data:
        raise AnnotationError(
            path, "holds key points (kpt_shape); expected a detection data set with boxes or polygons"
        )
    if class_names is None:
        class_names = _declared_names(data, path)
    root = _root(data, path, images)
    items: dict[str, Item] = {}
    left_out: list[Path] = []
    label_roots: set[Path] = set()
    declared = [key for key in _SPLITS if data.get(key)]
    if not declared:
        raise AnnotationError(path, "names no images; expected train, val or test")
    if parts is not None:
        if absent := [part for part in parts if part not in declared]:
            raise UsageError(f"parts: {path} has no '{absent[0]}'; it has {', '.join(declared)}")
        declared = [key for key in declared if key in parts]
    for key in declared:
        for image, place in _images_of(data[key], key, root, path, left_out):
            label_roots.add(_label_root(image, place))
            relative = image.relative_to(root).as_posix()
            split = _SPLITS[key]
            if relative in items and items[relative].split != split:
                raise AnnotationError(
                    path, f"image '{relative}' is in {items[relative].split} and in {split}; expected one part"
                )
            items.setdefault(relative, Item(path=relative, label_file=label_file_of(image), split=split))
    if not items:
        raise AnnotationError(path, f"no image below {root} in {', '.join(declared)}; expected image files")
    return Layout(
        root=root,
        items=tuple(items.values()),
        label_roots=frozenset(label_roots),
        left_out=tuple(dict.fromkeys(left_out)),
        class_names=class_names,
        names_from=str(path),
    )


def _declared_names(data: dict[str, Any], path: Path) -> tuple[str, ...] | None:
    count = data.get("nc")
    if data.get("names") is None:
        return None
    try:
        names = class_names_from(data["names"], "names")
    except UsageError as error:
        raise AnnotationError(path, str(error)) from error
    if count is not None and count != len(names) and str(count).strip() != str(len(names)):
        raise AnnotationError(path, f"nc is {show(count)} but names has {len(names)}; expected the same number")
    return names


def _root(data: dict[str, Any], path: Path, images: Path | None) -> Path:
    if images is not None:
        if not images.is_dir():
            raise UsageError(f"images: no folder '{images}'")
        return images.resolve()
    folder = path.parent.resolve()
    below = str(data.get("path") or "")
    root = _existing(folder, below)
    if root is None or not root.is_dir():
        raise AnnotationError(path, f"path {show(below)}: no such folder in {folder}; set images=DIR")
    if not root.is_relative_to(folder):
        raise AnnotationError(path, f"path {show(below)} leaves {folder}; to allow that, set images=DIR")
    return root


def _existing(base: Path, text: str) -> Path | None:
    """A file or folder; None where there is none, or the text cannot be a path."""
    try:
        place = (base / text).resolve()
        return place if place.exists() else None
    except (OSError, ValueError, RuntimeError):  # too long, a NUL character, links in a circle
        return None


def _images_of(value: Any, key: str, root: Path, path: Path, left_out: list[Path]) -> Iterator[tuple[Path, Path]]:
    """The images of one key, each with the folder that was named; links not followed are added to `left_out`."""
    for entry in value if isinstance(value, list) else [value]:
        if not isinstance(entry, str):
            raise AnnotationError(path, f"{key}: {show(entry)}, expected a folder, a list file, or a list of them")
        place = _place(entry, key, root, path)
        if place.is_dir():
            found, links = scan_images(place)
            left_out.extend(links)
            if not found:
                raise AnnotationError(path, _no_image(key, entry) + about_links(links))
            yield from ((image, place) for image in found)
        elif place.suffix.lower() == ".txt":
            found = list(_listed_images(place, root))
            if not found:
                raise AnnotationError(path, _no_image(key, entry))
            yield from ((image, image.parent) for image in found)
        else:
            raise AnnotationError(path, f"{key}: {show(entry)} is neither a folder nor a .txt list of images")


def _no_image(key: str, entry: str) -> str:
    return f"{key}: no image in {show(entry)}; add images, remove the key, or name the other parts with parts=..."


def _place(entry: str, key: str, root: Path, path: Path) -> Path:
    tries = [entry]
    while tries[-1].startswith("../"):
        tries.append(tries[-1][3:])
    # Exports of Roboflow write ../train/images for what lies beside the data.yaml.
    for text in tries:
        place = _existing(root, text.replace("\\", "/"))
        if place is not None and place.is_relative_to(root):
            return place
    if _existing(root, entry) is not None:
        raise AnnotationError(
            path, f"{key}: {show(entry)} leaves {root}; to allow that, set images=DIR to a folder above"
        )
    raise AnnotationError(
        path,
        f"{key}: no {show(entry)} in {root}; expected a folder or a .txt list; set images=DIR, or name the parts that "
        "are there with parts=...",
    )


def _listed_images(listing: Path, root: Path) -> Iterator[Path]:
    for line, text in enumerate(read_text(listing).splitlines(), start=1):
        entry = text.strip()
        if not entry:
            continue
        base = listing.parent if entry.startswith("./") else root
        try:
            image = resolve_inside(root, str(base / entry.replace("\\", "/")))
        except ImageError as error:
            raise AnnotationError(
                listing, f"{show(entry)} leaves {root}; set images=DIR to a folder above", line=line
            ) from error
        if not image.is_file():
            raise AnnotationError(
                listing, f"no image {show(entry)} in {root}; expected a path relative to it", line=line
            )
        yield image
