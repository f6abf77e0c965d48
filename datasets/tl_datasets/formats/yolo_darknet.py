"""An obj.data of Darknet, which CVAT writes too: `key = value` lines that name lists of images and a file of names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tl_datasets.errors import ImageError, show
from tl_datasets.formats.common.place import Place
from tl_datasets.images import resolve_inside
from tl_datasets.parsing import read_text

FILE_NAME = "obj.data"
# The folder that Darknet is started beside; its paths begin with it, though the files may lie elsewhere.
_DATA = "data/"
_PARTS = ("train", "valid", "test")


def load_darknet(path: Path, *, with_names: bool) -> dict[str, Any]:
    """The lists and class names of an obj.data, under the keys of a data.yaml.

    Args:
        path: The file.
        with_names: Read the file of class names, which must lie below the folder.

    Raises:
        AnnotationError: A line is no `key = value`, a key occurs twice, or the file of names is not there or has not as
            many names as `classes` says.
    """
    values: dict[str, str] = {}
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        if not text.strip() or text.lstrip().startswith("#"):
            continue
        where = Place(path, line=line)
        key, sign, value = (part.strip() for part in text.partition("="))
        if not sign or not key:
            raise where.error(f"{show(text)}, expected key = value, such as train = train.txt")
        if key in values:
            raise where.error(f"key {show(key)} occurs twice; expected it once")
        values[key] = value
    data: dict[str, Any] = {part: values[part] for part in _PARTS if values.get(part)}
    if with_names and values.get("names"):
        data["names"] = names = _class_names(values["names"], Place(path))
        classes = values.get("classes", len(names))
        if str(classes) != str(len(names)):
            raise Place(path).error(
                f"classes is {show(classes)} but {values['names']} has {len(names)} names; expected the same number"
            )
    return data


def without_data_folder(entry: str) -> list[str]:
    """Ways to read a path: as it stands, and without the folder that only Darknet's own place has."""
    return [entry, entry.removeprefix(_DATA)] if entry.startswith(_DATA) else [entry]


def _class_names(entry: str, where: Place) -> list[str]:
    folder = where.file.parent
    for text in without_data_folder(entry.replace("\\", "/")):
        try:
            file = resolve_inside(folder, text)
        except ImageError as error:
            raise where.error(f"names: {error}; or give names=red,green") from error
        if file.is_file():
            return [name.strip() for name in read_text(file).splitlines() if name.strip()]
    raise where.error(f"names: no file {show(entry)} in {folder}; add it, or give names=red,green")
