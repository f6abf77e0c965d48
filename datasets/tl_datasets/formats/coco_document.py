"""A COCO file as found in the wild, checked: ids, references, categories, and where its images lie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tl_datasets.errors import AnnotationError, ImageError, UsageError, show
from tl_datasets.images import resolve_inside
from tl_datasets.label_maps import DROP, LabelFields, Translator, load_label_map
from tl_datasets.parsing import load_json

# So many file names are looked for until one image tells where all lie.
_NAMES_TRIED = 300
# How the writer names it.
DOCUMENT_NAME = "annotations.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoDocument:
    """The parts of a COCO file, by id as text, so that 1 and "1" are the same.

    Attributes:
        path: The file.
        images: Image objects by id, in the order of the file.
        annotations: Annotation objects by image id.
        meanings: Category id -> its name and what it means; "drop" leaves its boxes out.
    """

    path: Path
    images: dict[str, dict[str, Any]]
    annotations: dict[str, list[dict[str, Any]]]
    meanings: dict[str, tuple[str, LabelFields | str]]


def find_document(source: Path) -> Path:
    """The file itself, or the one in a folder that the writer made.

    Raises:
        AnnotationError: The folder has no such file.
    """
    if not source.is_dir():
        return source
    if (source / DOCUMENT_NAME).is_file():
        return source / DOCUMENT_NAME
    other = next((str(path) for path in sorted(source.rglob("*.json"))), None)
    hint = "" if other is None else f", such as {other}"
    raise AnnotationError(source, f"a folder without {DOCUMENT_NAME}; expected the path of one COCO file{hint}")


def load_document(path: Path, label_map: str | Path) -> CocoDocument:
    """Read and check a COCO file.

    Raises:
        AnnotationError: It is no COCO file, an id occurs twice or does not exist, or a category that a box uses has no
            meaning in the label map.
    """
    document = load_json(path)
    if not isinstance(document, dict) or not isinstance(document.get("images"), list):
        raise AnnotationError(path, "expected a COCO document with images, annotations and categories")
    images = _by_id(document["images"], "image", path)
    if not isinstance(document.get("annotations"), list):
        found = show(document["annotations"]) if "annotations" in document else "absent"
        raise AnnotationError(
            path,
            f"annotations: {found}, expected a list; write [] only if every image was looked at and holds no object",
        )
    annotations = _boxes_by_image(document["annotations"], images, path)
    return CocoDocument(
        path=path, images=images, annotations=annotations, meanings=_meanings(document, label_map, path)
    )


def find_image_root(document: CocoDocument, images: Path | None, *, required: bool) -> Path:
    """The folder that `file_name` is relative to: as given, or one near the file that has an image of the document.

    Raises:
        UsageError: The given one is no folder.
        AnnotationError: There is none and it is required.
    """
    if images is not None:
        if not images.is_dir():
            raise UsageError(f"images: no folder '{images}'")
        return images
    folder = document.path.resolve().parent
    names = [record["file_name"] for record in islice(document.images.values(), _NAMES_TRIED)]
    for name in names:
        for candidate in (folder, folder / "images", folder.parent, folder.parent / "images"):
            if _has_image(candidate, name):
                return candidate
    if required and names:
        raise AnnotationError(document.path, f"no image {show(names[0])} beside or above the file; set images=DIR")
    return folder


def _has_image(folder: Path, name: str) -> bool:
    try:
        return resolve_inside(folder, name).is_file()
    except ImageError:
        return False


def _by_id(items: Any, kind: str, path: Path) -> dict[str, dict[str, Any]]:
    if not isinstance(items, list):
        raise AnnotationError(path, f"the objects of kind {kind} are {type(items).__name__}, expected a list")
    result: dict[str, dict[str, Any]] = {}
    needed = {"image": "file_name", "category": "name"}[kind]
    for number, item in enumerate(items):
        if not isinstance(item, dict) or "id" not in item or not isinstance(item.get(needed), str):
            raise AnnotationError(path, f"{kind} number {number}: expected an object with id and {needed}")
        key = str(item["id"])
        if key in result:
            raise AnnotationError(path, f"{kind} id {key[:80]} occurs twice; expected unique ids")
        result[key] = item
    return result


def _boxes_by_image(items: Any, records: Mapping[str, Any], path: Path) -> dict[str, list[dict[str, Any]]]:
    if not isinstance(items, list):
        raise AnnotationError(path, f"annotations: {type(items).__name__}, expected a list")
    result: dict[str, list[dict[str, Any]]] = {}
    seen: set[str] = set()
    for number, item in enumerate(items):
        if not isinstance(item, dict) or "image_id" not in item or "category_id" not in item:
            raise AnnotationError(path, f"annotation number {number}: expected an object with image_id and category_id")
        if "id" in item:
            if str(item["id"]) in seen:
                raise AnnotationError(path, f"annotation id {str(item['id'])[:80]} occurs twice; expected unique ids")
            seen.add(str(item["id"]))
        image_id = str(item["image_id"])
        if image_id not in records:
            raise AnnotationError(
                path,
                f"annotation {str(item.get('id', number))[:80]}: image {image_id[:80]} does not exist; "
                "expected an id of images",
            )
        result.setdefault(image_id, []).append(item)
    return result


def _meanings(
    document: Mapping[str, Any], label_map: str | Path, path: Path
) -> dict[str, tuple[str, LabelFields | str]]:
    # An unknown name is an error only where a box uses it.
    categories = _by_id(document.get("categories") or [], "category", path)
    used = Counter(str(item["category_id"]) for item in document.get("annotations") or [])
    absent = sorted(set(used) - set(categories))
    if absent:
        raise AnnotationError(
            path,
            f"category {absent[0][:80]} of {used[absent[0]]} annotations does not exist; expected an id of categories",
        )
    words = Translator(load_label_map(label_map), path)
    result: dict[str, tuple[str, LabelFields | str]] = {}
    for category_id, category in categories.items():
        meaning = words.label_map.label(category["name"])
        if meaning is None and used[category_id]:
            words.unknown["label", category["name"]] += used[category_id]
        result[category_id] = (category["name"], meaning or DROP)
    words.check()
    return result
