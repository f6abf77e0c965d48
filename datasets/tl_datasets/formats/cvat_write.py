"""CVAT 1.1 for images, out: `annotations.xml` and `images/`, to be corrected in CVAT and read back.

The labels of the task are our categories with our fields as attributes, and `frame` for tags with the fields of the
image. A field that is None is not written; `null`, the first choice of a new box, says the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from tl_datasets.catalog import CONDITIONS, Catalog
from tl_datasets.formats.common.attribute_words import (
    ANNOTATION_FLAGS,
    ANNOTATION_WORDS,
    CONDITION_WORDS,
    box_attributes,
    frame_attributes,
)
from tl_datasets.formats.common.image_names import image_names
from tl_datasets.formats.common.write_report import WriteReport
from tl_datasets.formats.cvat_shapes import TEXT_FIELDS
from tl_datasets.frame import Annotation, Frame
from tl_datasets.images import write_whole
from tl_datasets.taxonomy import TRAFFIC_LIGHT, LabelStatus

# What XML 1.0 cannot hold, or changes into a line feed on the way in.
_NO_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FLAG_WORDS = ("null", "false", "true")


def write(catalog: Catalog, out: Path, *, report: WriteReport) -> list[str]:
    """Write a catalog as `annotations.xml` and `images/`.

    Args:
        catalog: What to write.
        out: An existing folder.
        report: Takes the texts that XML cannot hold as they are: control characters, spaces around them, empty texts.

    Returns:
        Where the image of each frame belongs below `out`; images are named in the file relative to `images/`.
    """
    names = _names(catalog)
    ids = _frame_ids(catalog, names, report)
    categories = sorted({TRAFFIC_LIGHT, *catalog.annotations["category"].unique()})
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations>", "<version>1.1</version>"]
    lines += _meta(len(catalog), categories)
    for number, (frame, name, frame_id) in enumerate(zip(catalog.iter_frames(), names, ids, strict=True)):
        lines += _image(frame, number, name, frame_id, report)
    lines.append("</annotations>\n")
    write_whole(out / "annotations.xml", "\n".join(lines))
    return [f"images/{name}" for name in names]


def _names(catalog: Catalog) -> list[str]:
    """Names of the images that XML can hold, no two the same."""
    names: list[str] = []
    taken: set[str] = set()
    for name in image_names(catalog, WriteReport()):
        base = new = _NO_XML.sub("_", name)
        number = 1
        while new in taken:
            number += 1
            stem, dot, suffix = base.rpartition(".")
            new = f"{stem}_{number}{dot}{suffix}"
        taken.add(new)
        names.append(new)
    return names


def _frame_ids(catalog: Catalog, names: list[str], report: WriteReport) -> list[str]:
    """The ids as they will be read back: as they are, or the name of the image where XML cannot hold them."""
    wanted = catalog.frames["frame_id"].to_list()
    held = {frame_id for frame_id in wanted if frame_id and _held(frame_id) == frame_id}
    ids = []
    for frame_id, name in zip(wanted, names, strict=True):
        new = frame_id
        if frame_id not in held:
            new = stem = name.rpartition(".")[0] or name
            number = 1
            while new in held:
                number += 1
                new = f"{stem}_{number}"
            held.add(new)
            report.lose("frame.frame_id")
        ids.append(new)
    return ids


def _meta(size: int, categories: list[str]) -> Iterator[str]:
    yield "<meta><task><name>catalog</name>"
    yield f"<size>{size}</size><mode>annotation</mode><overlap>0</overlap><flipped>False</flipped>"
    yield "<labels>"
    box = [_choice(name, ("null", *words)) for name, words in ANNOTATION_WORDS.items()]
    # New boxes get the first word, and a box that nobody says to be occluded is none.
    box += [
        _choice(name, ("false", "true", "null") if name == "occluded" else _FLAG_WORDS) for name in ANNOTATION_FLAGS
    ]
    box += [_choice("aspects", ("null", "1", "2", "3", "4")), _choice("ignore", ("false", "true"))]
    box += [_text("track_id"), _text("source_label")]
    for category in categories:
        yield _label(category, "rectangle", box)
    image = [_choice(name, ("null", *words)) for name, words in CONDITION_WORDS.items()]
    image.append(_choice("label_status", tuple(LabelStatus)))
    others = ("sequence", "split", "timestamp_ns", "fog_beta_per_m", "labelled_categories", "frame_id")
    yield _label("frame", "tag", [*image, *map(_text, others)])
    yield "</labels></task></meta>"


def _label(name: str, kind: str, attributes: list[str]) -> str:
    return f"<label><name>{name}</name><type>{kind}</type><attributes>{''.join(attributes)}</attributes></label>"


def _choice(name: str, words: tuple[str, ...]) -> str:
    kind = "checkbox" if words == ("false", "true") else "select"
    return (
        f"<attribute><name>{name}</name><mutable>True</mutable><input_type>{kind}</input_type>"
        f"<default_value>{words[0]}</default_value><values>{chr(10).join(words)}</values></attribute>"
    )


def _text(name: str) -> str:
    return (
        f"<attribute><name>{name}</name><mutable>True</mutable><input_type>text</input_type>"
        "<default_value></default_value><values></values></attribute>"
    )


def _image(frame: Frame, number: int, name: str, frame_id: str, report: WriteReport) -> Iterator[str]:
    yield f'<image id="{number}" name={quoteattr(name)} width="{frame.width_px}" height="{frame.height_px}">'
    fields = {key: value for key, value in frame_attributes(frame).items() if value not in (None, [])}
    fields["frame_id"] = frame_id
    if frame_id == (name.rpartition(".")[0] or name):
        del fields["frame_id"]
    if frame.label_status is LabelStatus.LABELLED:
        del fields["label_status"]
    if frame.labelled_categories:
        fields["labelled_categories"] = ",".join(frame.labelled_categories)
    if any(getattr(frame, condition) is not None for condition in CONDITIONS):
        fields.setdefault("condition_source", "null")  # else a person at the tool is taken to have said so
    if fields:
        yield f'<tag label="frame" source="manual">{_attributes(fields, "frame", report)}</tag>'
    for annotation in frame.annotations or ():
        yield _box(annotation, report)
    yield "</image>"


def _box(annotation: Annotation, report: WriteReport) -> str:
    fields: dict[str, Any] = {key: value for key, value in box_attributes(annotation).items() if value is not None}
    if fields.pop("occluded", None) is None:
        fields["occluded"] = "null"
    if annotation.source_label is None:
        fields["source_label"] = None  # without the attribute, the label is its own word
    if annotation.ignore:
        fields["ignore"] = True
    if annotation.track_id is not None:
        fields["track_id"] = annotation.track_id
    x1, y1, x2, y2 = annotation.xyxy
    return (
        f'<box label="{annotation.category}" source="manual" occluded="{int(bool(annotation.occluded))}" '
        f'xtl="{x1!r}" ytl="{y1!r}" xbr="{x2!r}" ybr="{y2!r}" z_order="0">{_attributes(fields, "box", report)}</box>'
    )


def _attributes(fields: Mapping[str, Any], kind: str, report: WriteReport) -> str:
    parts = []
    for name, value in fields.items():
        text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        held = _held(text)
        if name in TEXT_FIELDS and name != "frame_id" and value is not None:
            report.lose(f"{kind}.{name}", held != text or not text)
        parts.append(f'<attribute name="{name}">{escape(held)}</attribute>')
    return "".join(parts)


def _held(text: str) -> str:
    return _NO_XML.sub("_", text).strip()
