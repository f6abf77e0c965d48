"""Sizes and content hashes of many image files, read ahead and given in order.

A few files are read by threads. For more, each thread asks a process of its own: a thread that reads files while
another one parses labels spends most of its time waiting for the interpreter.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

from tl_datasets.errors import ImageError
from tl_datasets.formats.common.place import Place
from tl_datasets.images import probe_image
from tl_datasets.taxonomy import PixelFormat

Item = TypeVar("Item")

_WORKERS = 4
_CHUNK = 32
_CHUNKS_AHEAD = 8
# Starting a process takes about as long as reading this many files.
_FEW = 2000
_WORKER_COMMAND = (sys.executable, "-m", "tl_datasets.formats.common.probe_worker")


class ImageFacts(NamedTuple):
    """What a file says about itself."""

    width_px: int
    height_px: int
    content_hash: str


def probe_ahead(
    items: Iterable[Item],
    path_of: Callable[[Item], Path | None],
    pixel_format: PixelFormat | None = None,
) -> Iterator[tuple[Item, ImageFacts | ImageError | None]]:
    """Probe the image of each item.

    Args:
        items: Consumed a little ahead of what is yielded.
        path_of: Image file of an item; None = the item has no file.
        pixel_format: How raw sensor frames are coded; None = ordinary images.

    Yields:
        Each item with the facts of its image, or the error of one that does not open, or None where it has no file.
    """
    source = iter(items)
    workers = _Workers(pixel_format)
    n_submitted = 0
    with ThreadPoolExecutor(min(_WORKERS, os.cpu_count() or 1), thread_name_prefix="probe") as pool:

        def submit() -> Iterator[tuple[list[Item], Future]]:
            """The next chunk, if there is one."""
            nonlocal n_submitted
            chunk = list(islice(source, _CHUNK))
            if chunk:
                paths = [path_of(item) for item in chunk]
                yield chunk, pool.submit(workers.probe if n_submitted >= _FEW else _probe_here, paths, pixel_format)
                n_submitted += sum(path is not None for path in paths)

        queue: deque[tuple[list[Item], Future]] = deque()
        try:
            for _ in range(_CHUNKS_AHEAD):
                queue.extend(submit())
            while queue:
                chunk, future = queue.popleft()
                yield from zip(chunk, future.result(), strict=True)
                queue.extend(submit())
        finally:
            for _, future in queue:
                future.cancel()
            workers.close()


Probed = list[ImageFacts | ImageError | None]


def _probe_here(paths: Sequence[Path | None], pixel_format: PixelFormat | None) -> Probed:
    return [None if path is None else _probe(path, pixel_format) for path in paths]


def _probe(path: Path, pixel_format: PixelFormat | None) -> ImageFacts | ImageError:
    try:
        return ImageFacts(*probe_image(path, pixel_format))
    except ImageError as error:
        return error


class _Workers:
    """One process per thread that asks; see `probe_worker` for what is said."""

    def __init__(self, pixel_format: PixelFormat | None):
        self._pixel_format = pixel_format
        self._own = threading.local()
        self._all: list[subprocess.Popen[str]] = []

    def probe(self, paths: Sequence[Path | None], pixel_format: PixelFormat | None) -> Probed:
        """Probe files in the process of this thread; without one, here."""
        files = [str(path) for path in paths if path is not None]
        try:
            answers = iter(self._ask(files) if files else [])
        except (OSError, ValueError):  # it could not start, or has ended
            return _probe_here(paths, pixel_format)
        return [None if path is None else _answer(next(answers)) for path in paths]

    def _ask(self, files: list[str]) -> list:
        worker = getattr(self._own, "worker", None)
        if worker is None:
            # In a session of its own, so that Ctrl-C in a terminal reaches the reader alone, which then closes it.
            worker = self._own.worker = subprocess.Popen(  # noqa: S603  (our own module)
                _WORKER_COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )
            self._all.append(worker)
        if worker.stdin is None or worker.stdout is None:
            raise OSError("a worker without pipes")
        worker.stdin.write(json.dumps([self._pixel_format, files]) + "\n")
        worker.stdin.flush()
        answers = json.loads(worker.stdout.readline())
        if len(answers) != len(files):
            raise ValueError("a worker lost its place")
        return answers

    def close(self) -> None:
        """End the processes."""
        for worker in self._all:
            worker.kill()
            worker.communicate()


def _answer(answer: list | str) -> ImageFacts | ImageError:
    return ImageError(answer) if isinstance(answer, str) else ImageFacts(*answer)


def check_size(facts: ImageFacts, width_px: int, height_px: int, image: str, where: Place) -> None:
    """Compare the size that an annotation file declares with that of the image.

    Raises:
        AnnotationError: They differ.
    """
    if (facts.width_px, facts.height_px) != (width_px, height_px):
        raise where.error(
            f"declares {width_px}x{height_px} for {image}, which is {facts.width_px}x{facts.height_px}; "
            "expected the same size (was the image resized or rotated after labelling?)"
        )
