"""The other side of `probing`: a process that probes images.

It reads lines `[pixel format or null, [path, ...]]` as JSON and answers each with a line of as many results: [width in
pixels, height in pixels, SHA-256], or the text of the error. It ends with its input.
"""

from __future__ import annotations

import json
import sys
from typing import TextIO

from tl_datasets.errors import ImageError
from tl_datasets.images import probe_image
from tl_datasets.taxonomy import PixelFormat


def main(questions: TextIO, answers: TextIO) -> None:
    """Answer until the input ends."""
    for line in questions:
        word, paths = json.loads(line)
        pixel_format = None if word is None else PixelFormat(word)
        answers.write(json.dumps([_result(path, pixel_format) for path in paths]) + "\n")
        answers.flush()


def _result(path: str, pixel_format: PixelFormat | None) -> list | str:
    try:
        return list(probe_image(path, pixel_format))
    except ImageError as error:
        return str(error)


if __name__ == "__main__":
    main(sys.stdin, sys.stdout)
