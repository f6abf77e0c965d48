"""Pascal VOC, out: the devkit's folders, one XML file per labelled image, our fields as `attributes`.

The class name says category, state and pictogram, as in the YOLO files. These and whatever else VOC has no element
for stand in `attributes/attribute{name, value}`, which CVAT and Datumaro read too. An unlabelled frame has no file,
since one without objects would make it a true negative everywhere.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from xml.etree import ElementTree

import polars as pl

from tl_datasets.catalog import Catalog
from tl_datasets.formats.common.attribute_words import box_attributes, frame_attributes
from tl_datasets.formats.common.image_names import image_names
from tl_datasets.formats.common.split_lists import write_split_lists
from tl_datasets.formats.common.write_report import FRAME_FIELDS, WriteReport
from tl_datasets.formats.voc_origin import ATTRIBUTE
from tl_datasets.formats.voc_xml import SIDES
from tl_datasets.formats.yolo_write import class_name
from tl_datasets.frame import Annotation, Frame
from tl_datasets.images import write_whole
from tl_datasets.taxonomy import LabelStatus

IMAGES, ANNOTATIONS, LISTS = "JPEGImages", "Annotations", "ImageSets/Main"
# No XML document can hold these, not even as a reference.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# VOC has an element of its own for them.
_ELEMENTS = ("truncated", "occluded")


def write(
    catalog: Catalog, out: Path, *, report: WriteReport, origin: Literal["1", "0"] = "1", flat: bool = False
) -> list[str]:
    """Write the annotation files and the lists of parts; the images are the caller's to copy.

    Args:
        catalog: What to write.
        out: An existing empty folder.
        report: Takes what is lost: the fields of unlabelled frames, and texts that XML cannot hold.
        origin: "1" = 1-based inclusive as in the standard, where a box narrower than a pixel looks reversed; "0" =
            0-based continuous, as most labelling tools write. Our reader is told by an attribute.
        flat: Write sub-folders of frame ids as `__`, for tools that look into one folder only.

    Returns:
        Where the image of each frame belongs, relative to `out`.
    """
    unlabelled = pl.col("label_status") == LabelStatus.UNLABELLED
    report.lose_fields(catalog.filter(unlabelled), frame=FRAME_FIELDS, box=())
    # A changed id is lost only where no attribute keeps it, so it is counted below.
    places = image_names(catalog, WriteReport(), IMAGES, flat=flat)
    listed: list[tuple[str, str | None]] = []
    for frame, place in zip(catalog.iter_frames(), places, strict=True):
        name = place.removeprefix(f"{IMAGES}/").removesuffix(PurePosixPath(frame.path).suffix)
        if frame.annotations is None:
            report.lose("frame.frame_id", name != frame.frame_id)
            continue
        listed.append((name, frame.split))
        path = out / ANNOTATIONS / f"{name}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        root = _document(frame, PurePosixPath(place).name, name, int(origin), report)
        ElementTree.indent(root)
        # A parser turns a bare carriage return into a line feed.
        text = ElementTree.tostring(root, encoding="unicode").replace("\r", "&#13;")
        write_whole(path, f"{text}\n")
    write_split_lists(out / LISTS, listed)
    return places


def _document(frame: Frame, filename: str, name: str, offset: int, report: WriteReport) -> ElementTree.Element:
    root = ElementTree.Element("annotation")
    _add(root, "folder", IMAGES)
    _add(root, "filename", filename)
    size = ElementTree.SubElement(root, "size")
    for tag, value in (("width", frame.width_px), ("height", frame.height_px), ("depth", 3)):
        _add(size, tag, str(value))
    _add(root, "segmented", "0")
    fields: dict[str, Any] = {ATTRIBUTE: offset}
    for field, value in frame_attributes(frame).items():
        is_default = value is None or value == [] or (field == "label_status" and value == LabelStatus.LABELLED)
        if not is_default and (field, value) != ("frame_id", name):
            fields[field] = ", ".join(value) if isinstance(value, list) else value
    _add_attributes(root, fields, report, "frame")
    for annotation in frame.annotations or ():
        _add_object(root, annotation, offset, report)
    return root


def _add_object(root: ElementTree.Element, annotation: Annotation, offset: int, report: WriteReport) -> None:
    item = ElementTree.SubElement(root, "object")
    name = class_name(annotation.category, annotation.state, annotation.pictogram)
    _add(item, "name", name)
    _add(item, "pose", "Unspecified")
    for tag in _ELEMENTS:
        if (flag := getattr(annotation, tag)) is not None:
            _add(item, tag, str(int(flag)))
    _add(item, "difficult", str(int(annotation.ignore)))
    x1, y1, x2, y2 = annotation.xyxy
    box = ElementTree.SubElement(item, "bndbox")
    for side, value in zip(SIDES, (x1 + offset, y1 + offset, x2, y2), strict=True):
        _add(box, side, str(int(value)) if value == int(value) else repr(value))
    # The class name is the source's word where nothing else is said; an empty value says that there is none.
    fields = {
        field: value
        for field, value in {**box_attributes(annotation), "track_id": annotation.track_id}.items()
        if field not in _ELEMENTS and value is not None and (field, value) != ("source_label", name)
    }
    if annotation.source_label is None:
        fields["source_label"] = None
    _add_attributes(item, fields, report, "box")


def _add_attributes(element: ElementTree.Element, fields: dict[str, Any], report: WriteReport, what: str) -> None:
    group = ElementTree.SubElement(element, "attributes") if fields else None
    for field, value in fields.items():
        text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        kept = _NOT_XML.sub("_", text)
        report.lose(f"{what}.{field}", kept != text or value == "")
        if group is None or (field == "frame_id" and kept != text):
            continue  # the file name is as good an id as a changed one
        attribute = ElementTree.SubElement(group, "attribute")
        _add(attribute, "name", field)
        _add(attribute, "value", kept)


def _add(element: ElementTree.Element, tag: str, text: str) -> None:
    ElementTree.SubElement(element, tag).text = text
