"""Whose predictions these are: image and category ids of a file -> rows of a catalog and classes of a label space."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tl_datasets.catalog import Catalog
from tl_datasets.errors import AnnotationError
from tl_datasets.label_space import LabelSpace

_SHOWN = 12


def _file_name(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]


def _stem(path: str) -> str:
    name = _file_name(path)
    before, dot, _ = name.rpartition(".")
    return before if dot and before else name


# How a frame may be named, from the most to the least certain; a name that is shared is only an error when it is asked
# for.
_LEVELS: dict[str, Callable[[str], str]] = {"frame_id": str, "path": str, "file name": _file_name, "stem": _stem}


class FrameLookup:
    """Image ids of a file -> rows of a catalog."""

    def __init__(self, path: Path | str, catalog: Catalog, images: Sequence[Any] | None):
        self.path = path
        self.images = None if images is None else {image.get("id"): image for image in images}
        self.found: dict[int | str, int] = {}
        self.named_by: dict[int, int | str] = {}
        self.frames = catalog.frames
        self.levels: dict[str, dict[str, list[int]]] = {}

    def _rows(self, level: str, text: str) -> list[int]:
        """Rows that have this name; the table of a level is made when it is first needed."""
        if level not in self.levels:
            column = self.frames["frame_id" if level == "frame_id" else "path"].to_list()
            self.levels[level] = _rows_by(map(_LEVELS[level], column))
        return self.levels[level].get(_LEVELS[level](text), [])

    def find(self, index: int, image_id: Any) -> int:
        """The row; `index` is the prediction that asks, for the message."""
        if not is_id(image_id):
            raise AnnotationError(
                self.path, f"prediction {index}: image_id {short(image_id)}, expected a number or text"
            )
        if image_id not in self.found:
            row = self._look_up(index, image_id)
            other = self.named_by.setdefault(row, image_id)
            if other != image_id:
                raise AnnotationError(
                    self.path,
                    f"prediction {index}: image_id {short(image_id)} names the frame "
                    f"'{self.frames['frame_id'][row]}', and so does {short(other)}; expected one id per frame: do "
                    "images of several folders or cameras have one file name?",
                )
            self.found[image_id] = row
        return self.found[image_id]

    def _look_up(self, index: int, image_id: int | str) -> int:
        image = (self.images or {}).get(image_id)
        if image is not None:
            names = [image[key] for key in ("frame_id", "file_name") if isinstance(image.get(key), str)]
        elif isinstance(image_id, str):
            names = [image_id]
        else:
            known = "is not among the images" if self.images is not None else "is a number, and no images define it"
            raise AnnotationError(
                self.path,
                f"prediction {index}: image_id {short(image_id)} {known}; expected a frame id as text, or a COCO file "
                "with that image (--coco)",
            )
        for name in names:
            for level in _LEVELS:
                rows = self._rows(level, name)
                if len(rows) == 1:
                    return rows[0]
                if rows:
                    raise self._fault(
                        index,
                        image_id,
                        names if image is not None else [],
                        f"{len(rows)} frames are named '{_LEVELS[level](name)}'; expected a whole frame id or path",
                    )
        raise self._fault(
            index,
            image_id,
            names if image is not None else [],
            f"no such frame in the catalog; expected ids such as '{next(iter(self.frames['frame_id']), '')}'",
        )

    def _fault(self, index: int, image_id: int | str, names: Sequence[str], fault: str) -> AnnotationError:
        listed = f" ({', '.join(names)})" if names else ""
        return AnnotationError(self.path, f"prediction {index}: image_id {short(image_id)}{listed}: {fault}")


class ClassLookup:
    """Category ids of a file -> class ids of a label space, by name."""

    def __init__(self, path: Path | str, label_space: LabelSpace, categories: Sequence[Any] | None):
        self.path = path
        self.names = label_space.names
        self.categories = None if categories is None else {item.get("id"): item.get("name") for item in categories}
        self.found: dict[int | str, int] = {}
        self.asked_for: Sequence[int | str] = ()

    def expect(self, category_ids: Sequence[int | str]) -> None:
        """Name the ids that will be asked for, so that a message can say how many of them do not fit."""
        self.asked_for = category_ids

    def _what_is_there(self) -> str:
        table: Mapping[Any, Any] = self.categories or {}
        names = [str(table.get(each, each) if isinstance(each, int) else each) for each in self.asked_for]
        strange = sorted(set(names) - set(self.names))
        shown = ", ".join([*strange[:_SHOWN], *(["..."] if len(strange) > _SHOWN else [])])
        return f"{len(strange)} of the {len(set(names))} classes of the predictions do not fit: {shown}"

    def find(self, index: int, category_id: Any) -> int:
        """The class id; `index` is the prediction that asks, for the message."""
        if not is_id(category_id):
            raise AnnotationError(
                self.path, f"prediction {index}: category_id {short(category_id)}, expected a number or a class name"
            )
        if category_id not in self.found:
            self.found[category_id] = self._look_up(index, category_id)
        return self.found[category_id]

    def _look_up(self, index: int, category_id: int | str) -> int:
        where = f"prediction {index}: category_id {short(category_id)}"
        name = category_id
        if isinstance(category_id, int):
            if self.categories is None:
                raise AnnotationError(
                    self.path, f"{where} is a number, and no categories name it; expected a class name, or give --coco"
                )
            if category_id not in self.categories:
                known = ", ".join(map(short, list(self.categories)[:_SHOWN]))
                more = ", ..." if len(self.categories) > _SHOWN else ""
                raise AnnotationError(
                    self.path, f"{where}: not among the categories; expected one of {known or 'none'}{more}"
                )
            name = self.categories[category_id]
            where += f" ({name})"
        if name not in self.names:
            raise AnnotationError(
                self.path,
                f"{where}: no such class in the label space; expected one of {', '.join(self.names)}; "
                f"{self._what_is_there()}; were these predictions made with another label space?",
            )
        return self.names.index(str(name))


def _rows_by(names: Iterable[str]) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(name, []).append(row)
    return rows


def is_id(value: Any) -> bool:
    """True for a number or text, of which ids are made."""
    return isinstance(value, int | str) and not isinstance(value, bool)


def short(value: Any) -> str:
    """A value as it stands in a message."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
