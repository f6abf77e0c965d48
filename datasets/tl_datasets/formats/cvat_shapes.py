"""One shape of a CVAT file: where it lies, and what its attributes say.

Coordinates are continuous pixels from 0. `rotation` turns a box clockwise about its centre, in degrees. `occluded` is
a switch that every shape has; our attribute of that name only says that nobody looked (null).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tl_datasets.errors import show
from tl_datasets.formats.common.attribute_words import read_annotation_attributes
from tl_datasets.formats.common.attributed_box import upright
from tl_datasets.formats.common.box_policy import XYXY
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.values import read_flag, read_number
from tl_datasets.label_maps import normalise_word

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

# Free texts: empty says None, and the word `null` is a text as any other.
TEXT_FIELDS = frozenset({"source_label", "track_id", "frame_id", "sequence", "split"})
_NOT_SAID = frozenset({"", "null"})


class Geometry(NamedTuple):
    """A box before it is turned.

    Attributes:
        xyxy: Pixels, half-open.
        rotation_deg: Clockwise about the centre.
        is_polygon: It bounds a polygon.
    """

    xyxy: XYXY
    rotation_deg: float = 0.0
    is_polygon: bool = False

    def upright(self) -> XYXY:
        """The bounding box of the turned box."""
        if not self.rotation_deg:
            return self.xyxy
        angle = math.radians(self.rotation_deg % 360)
        return upright(self.xyxy, math.cos(angle), math.sin(angle))


def read_geometry(shape: Element, where: Place) -> Geometry | None:
    """The box of a `box` or `polygon`; None for a shape that has none.

    Raises:
        AnnotationError: A coordinate is missing or no finite number.
    """
    if shape.tag == "box":
        x1, y1, x2, y2 = (read_number(shape.get(name), name, where) for name in ("xtl", "ytl", "xbr", "ybr"))
        return Geometry((x1, y1, x2, y2), read_number(shape.get("rotation", "0"), "rotation", where))
    if shape.tag == "polygon":
        text = shape.get("points") or ""
        points = [point.split(",") for point in text.split(";")]
        if len(points) < 3 or any(len(point) != 2 for point in points):
            raise where.error(f"points are {show(text)}, expected three or more as x,y;x,y;x,y")
        xs = [read_number(x, "points", where) for x, _ in points]
        ys = [read_number(y, "points", where) for _, y in points]
        return Geometry((min(xs), min(ys), max(xs), max(ys)), is_polygon=True)
    return None


def read_label(element: Element, where: Place) -> str:
    """The label of a shape, track or tag.

    Raises:
        AnnotationError: It has none.
    """
    label = element.get("label")
    if not label:
        raise where.error(f"{element.tag} has no label; expected the attribute label")
    return label


def read_attributes(element: Element, where: Place) -> dict[str, str | None]:
    """The `attribute` elements of a shape or tag, by name in normal form; `null` and empty are None.

    Raises:
        AnnotationError: One has no name, or occurs twice.
    """
    found: dict[str, str | None] = {}
    for item in element.iterfind("attribute"):
        name = normalise_word(item.get("name") or "")
        if not name or name in found:
            raise where.error(f"attribute {show(item.get('name'))}: expected a name, and each once")
        text = (item.text or "").strip()
        found[name] = None if not text or (text in _NOT_SAID and name not in TEXT_FIELDS) else text
    return found


def box_fields(attributes: Mapping[str, str | None], occluded: str | None, where: Place) -> dict[str, Any]:
    """The fields of an annotation that a shape gives.

    Args:
        attributes: As `read_attributes` gives them.
        occluded: The switch of the shape.
        where: For messages.

    Raises:
        AnnotationError: A field of ours has a value that is none of its words.
    """
    fields = read_annotation_attributes(attributes, where)
    if "ignore" in attributes:
        fields["ignore"] = bool(read_flag(attributes["ignore"], "attribute ignore", where))
    if "track_id" in attributes:
        fields["track_id"] = attributes["track_id"]
    switch = read_flag(occluded, "occluded", where)
    if switch or "occluded" not in fields:
        fields["occluded"] = switch
    return fields
