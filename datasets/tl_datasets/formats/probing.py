"""Sizes and content hashes of many image files, read ahead by a few threads, given in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

from tl_datasets.errors import ImageError
from tl_datasets.formats.place import Place
from tl_datasets.images import probe_image
from tl_datasets.taxonomy import PixelFormat

Item = TypeVar("Item")

_WORKERS = 4
_AHEAD = 64


class ImageFacts(NamedTuple):
    """What a file says about itself."""

    width_px: int
    height_px: int
    content_hash: str


def probe_ahead(
    items: Iterable[Item],
    path_of: Callable[[Item], Path | None],
    pixel_format: PixelFormat | None = None,
    keep_faults: bool = False,
) -> Iterator[tuple[Item, ImageFacts | ImageError | None]]:
    """Probe the image of each item.

    Args:
        items: Consumed a little ahead of what is yielded.
        path_of: Image file of an item; None = the item has no file.
        pixel_format: How raw sensor frames are coded; None = ordinary images.
        keep_faults: Give the error of an image that does not open instead of raising it.

    Yields:
        Each item with the facts of its image, or None where it has no file.

    Raises:
        ImageError: A file is missing or does not open.
    """
    source = iter(items)
    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="probe") as pool:

        def submit(item: Item) -> tuple[Item, Future | None]:
            path = path_of(item)
            return item, None if path is None else pool.submit(probe_image, path, pixel_format)

        queue = deque(submit(item) for item in islice(source, _AHEAD))
        try:
            while queue:
                item, future = queue.popleft()
                facts = None if future is None else _facts(future, keep_faults)
                yield item, facts
                queue.extend(submit(following) for following in islice(source, 1))
        finally:
            for _, future in queue:
                if future is not None:
                    future.cancel()


def _facts(future: Future, keep_faults: bool) -> ImageFacts | ImageError:
    try:
        return ImageFacts(*future.result())
    except ImageError as error:
        if not keep_faults:
            raise
        return error


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
