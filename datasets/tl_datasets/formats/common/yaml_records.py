"""Label files that are one YAML list of records, read some records at a time.

What the YAML loader builds takes some fifty times the room of the text, and such files have hundreds of thousands of
boxes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tl_datasets.errors import AnnotationError
from tl_datasets.formats.common.place import Place
from tl_datasets.parsing import load_yaml, parse_yaml, read_text

# A record begins at the left margin; nothing inside a record does.
_RECORD = re.compile(r"^-(?=[ \n])", re.MULTILINE)
_PREAMBLE = re.compile(r"(?:\s*(?:#[^\n]*|%[^\n]*|---[ \t]*)\n)*\s*")
# One record may point at what another one defined.
_ALIAS = re.compile(r"(?:^|[\s\[,{:-])\*\w")
_CHUNK_CHARS = 200_000


def iter_yaml_records(path: Path, fields: tuple[str, ...]) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Yield the records of a YAML list with the place of each.

    Args:
        path: The file.
        fields: Keys that every record must have.

    Raises:
        AnnotationError: The file is no YAML list of mappings with these keys.
    """
    number = 0
    for part in _parts(path):
        if not isinstance(part, list):
            raise AnnotationError(path, f"expected a list of records with {' and '.join(fields)}")
        for record in part:
            place = Place(path, ("record", number))
            if not isinstance(record, dict):
                raise place.error(f"{type(record).__name__}, expected a mapping with {' and '.join(fields)}")
            missing = [name for name in fields if name not in record]
            if missing:
                raise place.error(f"no {missing[0]}; expected the keys {', '.join(fields)}")
            yield place, record
            number += 1


def _parts(path: Path) -> Iterator[Any]:
    """The document in lists of some records each, or as a whole where it is not one block list."""
    text = read_text(path)
    preamble = _PREAMBLE.match(text)
    start = preamble.end() if preamble else 0
    if not _RECORD.match(text, start) or _ALIAS.search(text):
        yield load_yaml(path)
        return
    cuts = [start]
    for found in _RECORD.finditer(text, start):
        if found.start() - cuts[-1] >= _CHUNK_CHARS:
            cuts.append(found.start())
    lines = 0
    for begin, end in zip([0, *cuts[1:]], [*cuts[1:], len(text)], strict=True):
        yield parse_yaml(text[begin:end], path, lines_before=lines)
        lines += text.count("\n", begin, end)
