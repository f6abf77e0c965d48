"""Every value of a label file replaced by junk, one at a time: a reader answers with one line, never a traceback."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tl_datasets.errors import TlError
from tl_datasets.index import index

LABEL = {
    "id": 1,
    "category": "traffic light",
    "attributes": {"occluded": True, "trafficLightColor": "R"},
    "box2d": {"x1": 1, "y1": 2, "x2": 5, "y2": 9},
}
DOCUMENTS: dict[str, tuple[str, Any]] = {
    "coco": (
        "coco",
        {
            "images": [
                {
                    "id": 1,
                    "file_name": "a.png",
                    "width": 64,
                    "height": 48,
                    "attributes": {
                        "weather": "clear",
                        "sequence": "s",
                        "labelled_categories": ["car"],
                        "timestamp_ns": 4,
                    },
                }
            ],
            "annotations": [
                {
                    "id": 1,
                    "image_id": 1,
                    "category_id": 1,
                    "bbox": [1, 2, 3, 4],
                    "iscrowd": 0,
                    "track_id": 3,
                    "attributes": {"state": "red", "occluded": True, "aspects": 3},
                }
            ],
            "categories": [{"id": 1, "name": "car"}],
        },
    ),
    "bdd100k list": (
        "bdd100k",
        [{"name": "a.png", "attributes": {"weather": "clear"}, "size": {"width": 64, "height": 48}, "labels": [LABEL]}],
    ),
    "bdd100k per image": ("bdd100k", {"name": "a.png", "attributes": {}, "frames": [{"objects": [LABEL]}]}),
}
JUNK = [None, -1, float("inf"), "", "x\0", "9" * 5000, 2**70, [], [None], {}, {"a": 1}]


def places(node: Any, place: tuple = ()) -> Iterator[tuple]:
    yield place
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield from places(child, (*place, key))


def replaced(document: Any, place: tuple, junk: Any) -> Any:
    if not place:
        return junk
    result = copy.deepcopy(document)
    node = result
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = junk
    return result


@pytest.mark.parametrize("name", DOCUMENTS)
def test_junk_is_answered_with_one_line(tmp_path, draw_image, name):
    format_name, document = DOCUMENTS[name]
    draw_image(tmp_path / "images" / "a.png", 64, 48)
    path = tmp_path / "labels.json"
    refused = 0
    for place in places(document):
        for junk in JUNK:
            path.write_text(json.dumps(replaced(document, place, junk)))
            try:
                index(path, format_name)
            except TlError as error:
                assert "\n" not in str(error), place
                refused += 1
    assert refused > 50
    path.write_text(json.dumps(document))
    assert len(index(path, format_name)[0]) == 1
