"""Sizes and content hashes of many image files, read ahead by a few threads, given in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tl_datasets.errors import DataError, ImageError, show
from tl_datasets.images import probe_image

Item = TypeVar("Item")

_WORKERS = 4
_AHEAD = 64
# More pixels on a side than any camera has: a declared size beyond is a fault of the file.
_MAX_SIDE_PX = 100_000


class ImageFacts(NamedTuple):
    """What a file says about itself."""

    width_px: int
    height_px: int
    content_hash: str


def probe_ahead(
    items: Iterable[Item], path_of: Callable[[Item], Path | None]
) -> Iterator[tuple[Item, ImageFacts | None]]:
    """Probe the image of each item.

    Args:
        items: Consumed a little ahead of what is yielded.
        path_of: Image file of an item; None = the item has no file.

    Yields:
        Each item with the facts of its image, or None where it has no file.

    Raises:
        ImageError: A file is missing or does not open.
    """
    source = iter(items)
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="probe") as pool:

        def submit(item: Item) -> tuple[Item, Future | None]:
            path = path_of(item)
            return item, None if path is None else pool.submit(probe_image, path)

        queue = deque(submit(item) for item in islice(source, _AHEAD))
        try:
            while queue:
                item, future = queue.popleft()
                facts = None if future is None else ImageFacts(*future.result())
                yield item, facts
                queue.extend(submit(following) for following in islice(source, 1))
        finally:
            for _, future in queue:
                if future is not None:
                    future.cancel()


def declared_side(value: Any, where: str) -> int | None:
    """A width or height as an annotation file declares it: a whole number, also as 1280.0 or "1280"; None stays None.

    Raises:
        DataError: It is anything else, or no number of pixels that an image can have.
    """
    if value is None:
        return None
    number = None
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = None
    if number is None or not 1 <= number <= _MAX_SIDE_PX or number != int(number):
        raise DataError(f"{where} is {show(value)}, expected a whole number of pixels from 1 to {_MAX_SIDE_PX}")
    return int(number)


def check_size(facts: ImageFacts, width_px: int, height_px: int, image: Path, where: object) -> None:
    """Compare the size that an annotation file declares with that of the image.

    Raises:
        ImageError: They differ.
    """
    if (facts.width_px, facts.height_px) != (width_px, height_px):
        raise ImageError(
            f"{where}: declares {width_px}x{height_px} for {image}, which is {facts.width_px}x{facts.height_px}; "
            "expected the same size (was the image resized or rotated after labelling?)"
        )
