"""`PredictionColumns`: what a JSON file of predictions says, as columns.

A large file of the usual form is read in one pass over its bytes (`prediction_scan`): a quarter of a second per million
boxes. Any other is decoded in pieces into typed records, a second per million boxes and some megabytes beside the
columns. Where a piece does not fit the types, the whole file is read once more value by value, which finds the place
and says what is wrong with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tl_datasets.errors import AnnotationError
from tl_detection.evaluation.pairs import FloatArray, IntArray
from tl_detection.evaluation.prediction_lookup import is_id, short

# No image is that large; a coordinate beyond it, or one that is no number, is a mistake.
LARGEST_PX = 1e6
_TABLES = ("images", "categories")
# Ids from here on are no numbers of an array.
_LARGEST_ID = 1 << 63
# Bytes that are decoded together.
_PIECE = 1 << 23
_LIST = re.compile(rb"\s*\[")
_BETWEEN = re.compile(rb"\}\s*,\s*\{")


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionColumns:
    """D predictions.

    Attributes:
        image: (D,) position in `image_ids`.
        image_ids: Each id once, a number or text.
        category: (D,) position in `category_ids`.
        category_ids: Each id once, a number or text.
        xywh: (D, 4) left, top, width and height in pixels, finite.
        score: (D,) in [0, 1].
        tables: The lists "images" and "categories" of the file, where it has them.
    """

    image: IntArray
    image_ids: tuple[int | str, ...]
    category: IntArray
    category_ids: tuple[int | str, ...]
    xywh: FloatArray
    score: FloatArray
    tables: Mapping[str, Sequence[Any]]


class _Prediction(msgspec.Struct, gc=False):
    """One prediction; other fields are passed over."""

    image_id: int | str
    category_id: int | str
    bbox: tuple[float, float, float, float]
    score: float
    id: int | str | None = None


class _File(msgspec.Struct, gc=False):
    """An object of lists, which stay text at first."""

    annotations: msgspec.Raw
    images: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    categories: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Numbers(dict[Any, int]):
    """Numbers its keys in the order in which they are first asked for."""

    def __missing__(self, key: Any) -> int:
        self[key] = number = len(self)
        return number


def read_prediction_columns(path: Path | str) -> PredictionColumns:
    """Read a list of results, or an object with "annotations" and perhaps "images" and "categories".

    Raises:
        AnnotationError: The file is broken, or a prediction lacks a field or has a malformed box, a score outside
            [0, 1] or the id of another.
    """
    text = _bytes_of(path)
    try:
        columns, ids = _fast(path, text)
    except (msgspec.MsgspecError, OverflowError, UnicodeDecodeError, RecursionError):
        columns, ids = _thorough(path, text)
    _check_ids(path, ids)
    _check_values(path, columns)
    return columns


def read_tables(path: Path | str) -> dict[str, Sequence[Any]]:
    """The lists "images" and "categories" of a COCO file.

    Raises:
        AnnotationError: The file is broken, or a list is missing or malformed.
    """
    text = _bytes_of(path)
    try:
        content: Any = {
            name: msgspec.json.decode(raw)
            for name, raw in msgspec.json.decode(text, type=dict[str, msgspec.Raw]).items()
            if name in _TABLES
        }
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        content = _parse(path, text)
    return {name: _rows_of(path, content, name) for name in _TABLES}


def _fast(path: Path | str, text: bytes) -> tuple[PredictionColumns, list[Any]]:
    tables: dict[str, Sequence[Any]] = {}
    annotations = memoryview(text)
    if _LIST.match(text) is None:
        file = msgspec.json.decode(text, type=_File)
        annotations = memoryview(file.annotations)
        if _stands_twice(text, annotations):
            raise msgspec.ValidationError
        for name in _TABLES:
            if getattr(file, name) is not msgspec.UNSET:
                tables[name] = _rows_of(path, {name: msgspec.json.decode(getattr(file, name))}, name)
    if len(annotations) > 2 * _PIECE:
        from tl_detection.evaluation.prediction_scan import scan

        scanned = scan(annotations)
        if scanned is not None:
            image, category, xywh, score, own_ids = scanned
            image_ids, image = _numbered(image)
            category_ids, category = _numbered(category)
            return PredictionColumns(
                image=image,
                image_ids=image_ids,
                category=category,
                category_ids=category_ids,
                xywh=xywh,
                score=score,
                tables=tables,
            ), [own_ids]
    image_numbers, category_numbers = _Numbers(), _Numbers()
    parts: list[tuple[Any, ...]] = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0))]
    ids: list[Any] = []
    decoder = msgspec.json.Decoder(list[_Prediction])
    for piece in _pieces(annotations):
        found = decoder.decode(piece)
        n = len(found)
        parts.append(
            (
                np.fromiter(map(image_numbers.__getitem__, map(attrgetter("image_id"), found)), np.int64, n),
                np.fromiter(map(category_numbers.__getitem__, map(attrgetter("category_id"), found)), np.int64, n),
                np.fromiter(chain.from_iterable(map(attrgetter("bbox"), found)), np.float64, 4 * n).reshape(-1, 4),
                np.fromiter(map(attrgetter("score"), found), np.float64, n),
            )
        )
        named = [each.id for each in found if each.id is not None]
        if named:
            ids.append(
                np.array(named) if all(type(each) is int and abs(each) < _LARGEST_ID for each in named) else named
            )
    image, category, xywh, score = (np.concatenate(column) for column in zip(*parts, strict=True))
    return PredictionColumns(
        image=image,
        image_ids=tuple(image_numbers),
        category=category,
        category_ids=tuple(category_numbers),
        xywh=xywh,
        score=score,
        tables=tables,
    ), ids


def _stands_twice(text: bytes, annotations: memoryview) -> bool:
    """True where the name of the list may stand before or after it, too: a parser keeps one of the lists alone."""
    start = np.frombuffer(annotations, np.uint8).ctypes.data - np.frombuffer(text, np.uint8).ctypes.data
    name = b'"annotations"'
    return text.count(name, 0, start) + text.count(name, start + len(annotations)) > 1


def _numbered(ids: IntArray) -> tuple[tuple[int, ...], IntArray]:
    """Each id once, and the number of each prediction's."""
    lowest, span = int(ids.min(initial=0)), int(ids.max(initial=0)) - int(ids.min(initial=0)) + 1
    if span > 4 * len(ids):
        found, number = np.unique(ids, return_inverse=True)
        return tuple(found.tolist()), number
    # Ids that lie close together need no sorting.
    occurs = np.zeros(span, np.bool_)
    occurs[ids - lowest] = True
    return tuple((np.flatnonzero(occurs) + lowest).tolist()), (np.cumsum(occurs) - 1)[ids - lowest]


def _pieces(text: memoryview) -> Iterator[bytes | memoryview]:
    """A list of objects as several; pieces that are cut inside an object do not decode, and the caller notices."""
    start = 0
    while len(text) - start > 2 * _PIECE:
        cut = _BETWEEN.search(text, start + _PIECE)
        if cut is None:
            break
        yield b"".join((b"[" if start else b"", text[start : cut.start() + 1], b"]"))
        start = cut.end() - 1
    yield b"".join((b"[", text[start:])) if start else text


def _thorough(path: Path | str, text: bytes) -> tuple[PredictionColumns, list[Any]]:
    """What `_fast` yields, value by value.

    Raises:
        AnnotationError: Names the first value that is wrong.
    """
    results, tables = _results_and_tables(path, _parse(path, text))
    image_numbers, category_numbers = _Numbers(), _Numbers()
    image, category, xywh, score, ids = [], [], [], [], []
    for index, result in enumerate(results):
        if not isinstance(result, dict) or not {"image_id", "category_id", "bbox", "score"} <= result.keys():
            raise AnnotationError(
                path,
                f"prediction {index}: found {short(result)}, expected an object with image_id, category_id, bbox "
                "and score; is this a file of predictions, not of ground truth?",
            )
        for name, words in (("image_id", "a number or text"), ("category_id", "a number or a class name")):
            if not is_id(result[name]):
                raise AnnotationError(path, f"prediction {index}: {name} {short(result[name])}, expected {words}")
        image.append(image_numbers[result["image_id"]])
        category.append(category_numbers[result["category_id"]])
        xywh.append(_checked_box(path, index, result["bbox"]))
        score.append(_checked_score(path, index, result["score"]))
        if is_id(result.get("id")):
            ids.append(result["id"])
    return PredictionColumns(
        image=np.array(image, np.int64),
        image_ids=tuple(image_numbers),
        category=np.array(category, np.int64),
        category_ids=tuple(category_numbers),
        xywh=np.array(xywh, np.float64).reshape(-1, 4),
        score=np.array(score, np.float64),
        tables=tables,
    ), [ids]


def _check_ids(path: Path | str, ids: list[Any]) -> None:
    """Refuse two predictions of one id."""
    if not ids:
        return
    if all(isinstance(part, np.ndarray) for part in ids):
        found, counts = np.unique(np.concatenate(ids), return_counts=True)
        repeated = found[counts > 1].tolist()
    else:
        seen: set[Any] = set()
        each_id = chain.from_iterable(part.tolist() if isinstance(part, np.ndarray) else part for part in ids)
        repeated = list(dict.fromkeys(each for each in each_id if each in seen or seen.add(each)))
    if repeated:
        others = f", and so do {len(repeated) - 1} more" if len(repeated) > 1 else ""
        raise AnnotationError(
            path,
            f"the id {short(repeated[0])} stands at more than one prediction{others}; expected unique ids, or none: "
            "was a file joined with itself?",
        )


def _check_values(path: Path | str, columns: PredictionColumns) -> None:
    xywh, score = columns.xywh, columns.score
    # What is no number fails every comparison.
    if not (
        xywh.max(initial=0) <= LARGEST_PX and xywh.min(initial=0) >= -LARGEST_PX and xywh[:, 2:].min(initial=0) >= 0
    ):
        wrong = ~(np.abs(xywh) <= LARGEST_PX).all(axis=1) | (xywh[:, 2:] < 0).any(axis=1)
        index = int(np.argmax(wrong))
        _checked_box(path, index, xywh[index].tolist())
    if not (score.min(initial=0) >= 0 and score.max(initial=0) <= 1):
        index = int(np.argmax(~((score >= 0) & (score <= 1))))
        _checked_score(path, index, score[index].item())


def _bytes_of(path: Path | str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise AnnotationError(path, f"cannot be read ({error.strerror}); expected a JSON file") from error


def _parse(path: Path | str, text: bytes) -> Any:
    def checked(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            for name in ("annotations", *_TABLES):
                if names.count(name) > 1:
                    raise AnnotationError(
                        path,
                        f"'{name}' stands there {names.count(name)} times, and only one would be read; join the lists",
                    )
        return found

    try:
        return json.loads(text.decode("utf-8"), object_pairs_hook=checked)
    except json.JSONDecodeError as error:
        raise AnnotationError(path, f"broken JSON ({error.msg}); write the file again", line=error.lineno) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise AnnotationError(path, f"not a JSON text file ({error.__class__.__name__})") from error
    except ValueError as error:
        # Python makes no number of more digits than 4300.
        raise AnnotationError(path, "holds a whole number of thousands of digits; write the file again") from error


def _results_and_tables(path: Path | str, content: Any) -> tuple[list[Any], dict[str, list[Any]]]:
    if isinstance(content, list):
        return content, {}
    if not isinstance(content, Mapping) or not isinstance(content.get("annotations"), list):
        raise AnnotationError(
            path, f"found {short(content)}, expected a list of predictions or an object with 'annotations'"
        )
    present = [name for name in ("images", "categories") if name in content]
    return content["annotations"], {name: _rows_of(path, content, name) for name in present}


def _rows_of(path: Path | str, content: Any, name: str) -> list[Any]:
    rows = content.get(name) if isinstance(content, Mapping) else None
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) and is_id(row.get("id")) for row in rows):
        raise AnnotationError(
            path, f"'{name}' is {short(rows)}, expected a list of objects with an id (number or text)"
        )
    ids = [str(row["id"]) for row in rows]
    if len(set(ids)) != len(ids):
        seen: set[str] = set()
        repeated = next(each for each in ids if each in seen or seen.add(each))
        raise AnnotationError(path, f"'{name}' has the id {repeated} more than once; expected unique ids")
    return rows


def _checked_box(path: Path | str, index: int, bbox: Any) -> list[float]:
    if (
        not isinstance(bbox, list)
        or len(bbox) != 4
        or not all(type(value) in (float, int) and abs(value) <= LARGEST_PX for value in bbox)
        or min(bbox[2:]) < 0
    ):
        raise AnnotationError(
            path, f"prediction {index}: bbox {short(bbox)}, expected [x, y, width, height] in pixels, finite"
        )
    return bbox


def _checked_score(path: Path | str, index: int, score: Any) -> float:
    if type(score) not in (float, int) or not 0 <= score <= 1:
        raise AnnotationError(
            path, f"prediction {index}: score {short(score)}, expected a number from 0 to 1; divide percent by 100"
        )
    return score
