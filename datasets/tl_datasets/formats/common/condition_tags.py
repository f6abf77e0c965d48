"""Tags on whole images, as annotation tools have them, read as the fields of a frame.

A tag may carry our fields as attributes (`frame` with weather, split ...), name a condition and give its word in one
attribute (`weather` with value: rainy), or be the word itself (`rainy`). Words of conditions go through the label map,
else they are our own words. A tag that is none of these says nothing about the frame: it is counted and left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tl_datasets.catalog import CONDITIONS
from tl_datasets.errors import show
from tl_datasets.formats.common.attribute_words import CONDITION_WORDS, read_image_attributes
from tl_datasets.formats.common.place import Place
from tl_datasets.label_maps import LabelMap, normalise_word
from tl_datasets.read_report import Event, ReadReport

IMAGE_FIELDS = frozenset(
    {
        *CONDITION_WORDS,
        "frame_id",
        "sequence",
        "split",
        "timestamp_ns",
        "fog_beta_per_m",
        "label_status",
        "labelled_categories",
    }
)
_OTHER_NAMES = {"timeofday": "time_of_day"}


def field_name(name: object) -> str:
    """The name of a field as attributes are compared: `Time of day` and `timeofday` are `time_of_day`."""
    word = normalise_word(name)
    return _OTHER_NAMES.get(word, word)


def read_tags(
    tags: Iterable[tuple[str, Mapping[str, Any]]], label_map: LabelMap, report: ReadReport, where: Place
) -> dict[str, Any]:
    """What the tags of one image say, as keyword arguments of `Frame`, and `label_status`.

    Args:
        tags: Type of each tag, and its attributes by name.
        label_map: Its words of conditions come before our own.
        report: Takes the tags that say nothing.
        where: For messages.

    Raises:
        AnnotationError: A field of ours has a value that is none of its words, or two tags contradict each other.
    """
    found: dict[str, Any] = {}
    for kind, attributes in tags:
        fields = _fields_of(kind, attributes, label_map)
        if fields is None:
            report.add(Event.TAG_LEFT_OUT, where, detail=kind)
            continue
        for name, value in fields.items():
            if name in CONDITIONS and value is not None:
                value = getattr(label_map.conditions, name).get(normalise_word(value), value)
            if name in found and found[name] != value:
                raise where.error(f"{name} is {show(str(found[name]))} and {show(str(value))}; expected one of them")
            found[name] = value
    return read_image_attributes(found, where)


def _fields_of(kind: str, attributes: Mapping[str, Any], label_map: LabelMap) -> dict[str, Any] | None:
    fields = {field: value for name, value in attributes.items() if (field := field_name(name)) in IMAGE_FIELDS}
    if fields:
        return fields
    word = field_name(kind)
    if word in CONDITIONS:
        values = list(attributes.values())
        return {word: values[0]} if len(values) == 1 else None
    names = [name for name in CONDITIONS if word in getattr(label_map.conditions, name)]
    return {names[0]: word} if len(names) == 1 else None  # `undefined` is a word of several conditions
