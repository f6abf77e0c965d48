"""One Pascal VOC XML file as it stands: names, numbers and flags checked, nothing interpreted.

What is beyond the devkit: `occluded`, which most tools write, and `attributes/attribute{name, value}` of objects and
of the image, which CVAT and Datumaro write. A `part` of an object has a box of its own and is no object.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tl_datasets.errors import show
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.values import declared_side, read_flag, read_number
from tl_datasets.parsing import load_xml

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

SIDES = ("xmin", "ymin", "xmax", "ymax")
# Labelling tools write it into `pose`, and some into the flags too.
_NOT_SAID = "unspecified"


@dataclass(frozen=True, slots=True, kw_only=True)
class VocObject:
    """One `object`.

    Attributes:
        name: Class word without the spaces around it.
        box: xmin, ymin, xmax, ymax as written, in whatever convention.
        parts: Number of its `part` elements.
        attributes: Name -> value; None = an empty value.
        where: For messages.
    """

    name: str
    box: tuple[float, float, float, float]
    difficult: bool | None
    truncated: bool | None
    occluded: bool | None
    parts: int
    attributes: dict[str, str | None]
    where: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class VocFile:
    """One XML file.

    Attributes:
        filename: The image that it names, without folders; None = none.
        declared: (width, height) in pixels; None where it is absent or 0, as hand-made files have it.
        attributes: Of the image; None = an empty value.
        where: For messages.
    """

    filename: str | None
    declared: tuple[int | None, int | None]
    objects: tuple[VocObject, ...]
    attributes: dict[str, str | None]
    where: Place


def load_voc(path: Path) -> VocFile:
    """Read one file.

    Raises:
        AnnotationError: The file does not follow the format.
    """
    root, where = load_xml(path), Place(path)
    if root.tag != "annotation":
        raise where.error(
            f"the document is <{root.tag[:80]}>, expected <annotation> of Pascal VOC; is it of another format? "
            "Name the folder of the VOC files with annotations=DIR"
        )
    objects = root.findall("object")
    strays = sum(element.tag.lower() == "object" for element in root.iter()) - len(objects)
    if strays:
        raise where.error(f"{strays} objects that are no <object> directly in <annotation>; expected all of them there")
    size = _child(root, "size", where)
    filename = _text(root, "filename", where)
    return VocFile(
        filename=None if filename is None else filename.replace("\\", "/").rpartition("/")[2] or None,
        declared=(None, None) if size is None else (_side(size, "width", where), _side(size, "height", where)),
        objects=tuple(_object(element, where.at("object", n)) for n, element in enumerate(objects, 1)),
        attributes=_attributes(root, where),
        where=where,
    )


def _object(element: Element, where: Place) -> VocObject:
    name = _text(element, "name", where)
    if name is None:
        raise where.error("no name; expected the word of its class")
    where = where.at(f"({name})")
    box = _child(element, "bndbox", where)
    if box is None:
        raise where.error("no bndbox; expected xmin, ymin, xmax, ymax (rotated boxes and outlines are not read)")
    x1, y1, x2, y2 = (read_number(_text(box, side, where), side, where) for side in SIDES)
    return VocObject(
        name=name,
        box=(x1, y1, x2, y2),
        difficult=_flag(element, "difficult", where),
        truncated=_flag(element, "truncated", where),
        occluded=_flag(element, "occluded", where),
        parts=len(element.findall("part")),
        attributes=_attributes(element, where),
        where=where,
    )


def _child(element: Element, tag: str, where: Place) -> Element | None:
    found = element.findall(tag)
    if len(found) > 1:
        raise where.error(f"{len(found)} elements <{tag}>, expected one")
    return found[0] if found else None


def _text(element: Element, tag: str, where: Place) -> str | None:
    child = _child(element, tag, where)
    return None if child is None else (child.text or "").strip() or None


def _side(size: Element, tag: str, where: Place) -> int | None:
    text = _text(size, tag, where)
    return None if text is None or not text.strip("0.") else declared_side(text, tag, where)


def _flag(element: Element, tag: str, where: Place) -> bool | None:
    text = _text(element, tag, where)
    return None if text is None or text.lower() == _NOT_SAID else read_flag(text, tag, where)


def _attributes(element: Element, where: Place) -> dict[str, str | None]:
    group = _child(element, "attributes", where)
    found: dict[str, str | None] = {}
    for attribute in () if group is None else group.findall("attribute"):
        name = _text(attribute, "name", where)
        if name is None:
            raise where.error("an attribute without a name; expected name and value")
        if name in found:
            raise where.error(f"attribute {show(name)} occurs twice; expected one value")
        value = _child(attribute, "value", where)
        # Spaces around a text are part of it; every other value is stripped by whoever reads it.
        found[name] = None if value is None else value.text or None
    return found
