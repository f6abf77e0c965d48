"""Where the images, label files and class names of a YOLO data set lie: a data.yaml, an obj.data, or plain folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tl_datasets.errors import AnnotationError, ImageError, UsageError
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.yolo_darknet import FILE_NAME
from tl_datasets.formats.yolo_data_yaml import class_names_from, read_data_yaml
from tl_datasets.formats.yolo_items import Item, Layout, label_file_of, label_folder_of
from tl_datasets.images import IMAGE_SUFFIXES, about_links, scan_images


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
        source: A data.yaml or an obj.data of Darknet, a folder with one, or a folder with images and labels.
        images: For a data.yaml the folder that its paths are relative to; else the folder with the images.
        labels: Folder with the label files; with it, a data.yaml in the folder is not looked at.
        names: Class names, given by hand.
        parts: Keys of the data.yaml to read; None = all that it names.

    Raises:
        AnnotationError: The data.yaml or the file of class names is wrong.
        ImageError: There is no image.
        UsageError: A folder does not exist.
    """
    given = None if names is None else class_names_from(names, "names")
    if source.is_dir() and labels is None:
        named = (source / name for name in ("data.yaml", FILE_NAME))
        source = next((file for file in named if file.is_file()), source)
    if source.suffix.lower() in {".yaml", ".yml", ".data"} and not source.is_dir():
        if labels is not None:
            raise UsageError("labels: applies to plain folders; a data.yaml finds its label files by itself")
        return read_data_yaml(source, images, given, parts)
    if parts is not None:
        raise UsageError(f"parts: only a data.yaml has parts, {source} is no data.yaml; leave it out")
    if not source.is_dir():
        raise UsageError(f"{source}: expected a folder or a data.yaml")
    return _from_folders(source, images, labels, given)


def _from_folders(
    source: Path, images: Path | None, labels: Path | None, class_names: tuple[str, ...] | None
) -> Layout:
    default = source / "images"
    image_root = _folder(source, images, "images") if images else default if default.is_dir() else source
    if labels is None and (source / "labels").is_dir() and image_root == default:
        labels = Path("labels")
    label_root = None if labels is None else _folder(source, labels, "labels")
    names_file = next((file for file in _name_files(source, label_root) if file.is_file()), None)
    if class_names is None and names_file is not None:
        try:
            class_names = class_names_from(str(names_file), "names")
        except UsageError as error:
            raise AnnotationError(names_file, str(error)) from error
    items = []
    found, left_out = scan_images(image_root)
    for image in found:
        relative = image.relative_to(image_root)
        label_file = label_root / relative.with_suffix(".txt") if label_root else label_file_of(image)
        items.append(
            Item(
                path=relative.as_posix(),
                frame_id=relative.as_posix().rpartition(".")[0],
                label_file=label_file,
                split=None,
                is_labelled=True,
                labelled_categories=(),
                where=Place(image_root),
            )
        )
    if not items:
        expected = ", ".join(sorted(IMAGE_SUFFIXES))
        raise ImageError(f"{image_root}: no image in it; expected {expected}; set images=DIR{about_links(left_out)}")
    return Layout(
        root=image_root,
        items=tuple(items),
        label_roots=frozenset([label_root] if label_root else [label_folder_of(image, image_root) for image in found]),
        left_out=tuple(left_out),
        class_names=class_names,
        names_from="names" if names_file is None else str(names_file),
    )


def _name_files(source: Path, label_root: Path | None) -> list[Path]:
    """Where labelling tools put the class names, one per line."""
    folders = [source] if label_root is None else [label_root, source]
    return [folder / name for folder in folders for name in ("classes.txt", "obj.names")]


def _folder(source: Path, folder: Path, option: str) -> Path:
    for candidate in (source / folder, folder):
        if candidate.is_dir():
            return candidate
    raise UsageError(f"{option}: no folder '{folder}' in {source} or in the working directory")
