"""Rows of separated text, one record per line, each with its place.

A quoted field does not run over several lines: one forgotten quote would otherwise swallow the rest of the file.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from tl_datasets.errors import AnnotationError
from tl_datasets.formats.common.place import Place
from tl_datasets.parsing import read_text


def iter_rows(
    path: Path, delimiters: str, *, quote: str = '"', comment: str | None = None
) -> Iterator[tuple[Place, list[str]]]:
    """Yield the fields of each line that is not empty.

    Args:
        path: A UTF-8 file, with any line ends.
        delimiters: What may separate the fields; of several the one that the first line has most of.
        quote: Encloses a field that holds the delimiter.
        comment: Lines that begin with it are passed over.

    Raises:
        AnnotationError: The file cannot be read, or a line does not follow the quoting.
    """
    delimiter = None
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        text = line.strip()
        if not text or (comment is not None and text.startswith(comment)):
            continue
        if delimiter is None:
            delimiter = max(delimiters, key=text.count)
        rows = csv.reader([text], delimiter=delimiter, quotechar=quote, skipinitialspace=True, strict=True)
        try:
            fields = next(rows)
        except csv.Error as error:
            raise AnnotationError(
                path, f"{error}; expected fields between {delimiter!r}, quoted by {quote} or not", line=number
            ) from error
        yield Place(path, line=number), fields
