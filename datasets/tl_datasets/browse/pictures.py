"""The pictures of the page: a thumbnail per frame, crops of lights, and larger views.

A larger view is made where a browser cannot show the frame's own file. Boxes are not drawn in; the page lays them over.
All are JPEG without colour subsampling: halving the colour resolution would wash a lamp of a few pixels out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.catalog import Catalog
from tl_datasets.errors import ImageError
from tl_datasets.network_size import FARTHEST_PX

THUMBNAIL_WIDTH_PX = 320
THUMBNAIL_QUALITY = 80
# Wide enough to find a light by eye, small enough to keep ten thousand of them.
VIEW_WIDTH_PX = 1600
VIEW_QUALITY = 85
CROP_SIDE_PX = 160
CROP_QUALITY = 92
# A crop shows this many times the longer side of its box, and never less than the second number in pixels.
CROP_CONTEXT = 2.5
CROP_LEAST_SIDE_PX = 32

_SHOWN_BY_BROWSERS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """What was written.

    Attributes:
        unreadable: Why an image could not be read, by row of the frames table.
        viewed: Rows of the frames that have a picture in `views/`.
        crops: Region of each crop in pixels of its frame (left, top, side x, side y), by row of the annotations table.
    """

    unreadable: Mapping[int, str]
    viewed: frozenset[int]
    crops: Mapping[int, tuple[int, int, int, int]]


def write_pictures(
    catalog: Catalog,
    folder: Path,
    crops: Sequence[int] | NDArray[np.int64],
    progress: Callable[[int, int], None] | None = None,
) -> Pictures:
    """Write `thumbs/`, `crops/` and `views/`; files are named by row, so nothing of the catalog becomes a file name.

    Args:
        catalog: The frames.
        folder: Where the three folders are made.
        crops: Rows of the boxes to cut out.
        progress: Called after every frame with the number of frames done and in all.
    """
    for name in ("thumbs", "crops", "views"):
        (folder / name).mkdir()
    frame_of_crop = np.searchsorted(catalog.offsets, np.asarray(crops), side="right") - 1
    crops_of_frame: dict[int, list[int]] = {}
    for box, row in zip(crops, frame_of_crop, strict=True):
        crops_of_frame.setdefault(int(row), []).append(int(box))
    unreadable: dict[int, str] = {}
    viewed: set[int] = set()
    regions: dict[int, tuple[int, int, int, int]] = {}

    def write_frame(row: int) -> None:
        try:
            image = catalog.read_rgb(row)
        except ImageError as error:
            unreadable[row] = str(error)
            return
        _write_jpeg(folder / "thumbs" / f"{row}.jpg", _at_most(image, THUMBNAIL_WIDTH_PX), THUMBNAIL_QUALITY)
        if not is_shown_by_browsers(catalog, row):
            _write_jpeg(folder / "views" / f"{row}.jpg", _at_most(image, VIEW_WIDTH_PX), VIEW_QUALITY)
            viewed.add(row)
        for box in crops_of_frame.get(row, ()):
            left, top, width, height = region = crop_region(catalog.xyxy[box], image.shape[1], image.shape[0])
            cut = image[top : top + height, left : left + width]
            _write_jpeg(folder / "crops" / f"{box}.jpg", _at_most(cut, CROP_SIDE_PX), CROP_QUALITY)
            regions[box] = region

    # Threads: decoding and scaling leave Python's lock alone.
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        futures = [pool.submit(write_frame, row) for row in range(len(catalog))]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                if progress is not None:
                    progress(done, len(futures))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return Pictures(unreadable=unreadable, viewed=frozenset(viewed), crops=regions)


def is_shown_by_browsers(catalog: Catalog, row: int) -> bool:
    """Whether a browser shows the frame's own file as it is; raw sensor frames and TIFF it does not."""
    suffix = PurePosixPath(catalog.frames["path"][row]).suffix.lower()
    return catalog.frames["pixel_format"][row] is None and suffix in _SHOWN_BY_BROWSERS


def crop_region(xyxy: NDArray[np.float64], width_px: int, height_px: int) -> tuple[int, int, int, int]:
    """A square around a box, cut at the image's edges: left, top, width, height in whole pixels, at least 1 each."""
    x1, y1, x2, y2 = (float(value) for value in np.clip(xyxy, -FARTHEST_PX, FARTHEST_PX))
    side = max(CROP_CONTEXT * max(x2 - x1, y2 - y1), CROP_LEAST_SIDE_PX)
    centre_x, centre_y = (x1 + x2) / 2, (y1 + y2) / 2
    left = min(max(round(centre_x - side / 2), 0), width_px - 1)
    top = min(max(round(centre_y - side / 2), 0), height_px - 1)
    right = min(max(round(centre_x + side / 2), left + 1), width_px)
    bottom = min(max(round(centre_y + side / 2), top + 1), height_px)
    return left, top, right - left, bottom - top


def _at_most(image: NDArray[np.uint8], width_px: int) -> NDArray[np.uint8]:
    """The image, or a smaller one of that width; never enlarged."""
    height, width = image.shape[:2]
    if width <= width_px:
        return image
    size = (width_px, max(1, round(height * width_px / width)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _write_jpeg(path: Path, image: NDArray[np.uint8], quality: int) -> None:
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ImageError(f"{path}: the picture of shape {image.shape} could not be encoded as JPEG")
    path.write_bytes(data.tobytes())
