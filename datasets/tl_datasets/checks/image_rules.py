"""Rules about image files: what is there, whether it decodes whole, and whether it shows anything."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.catalog import Catalog
from tl_datasets.checks.findings import Finding
from tl_datasets.checks.rules import Rule
from tl_datasets.checks.settings import CheckSettings
from tl_datasets.errors import ImageError
from tl_datasets.images import probe_image, read_rgb
from tl_datasets.taxonomy import PixelFormat

Image = NDArray[np.uint8]

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
# Byte of a PNG that holds its bit depth: signature 8, length 4, "IHDR" 4, width 4, height 4.
_PNG_DEPTH_AT = 24
# What libjpeg fills rows with that it has no data for, and the share of rows that are no accident.
_FILL_LEVEL, _FILLED_SHARE = 128, 0.03
# Statistics need no more pixels than this; every n-th row and column is taken.
_SAMPLED_SIDE = 360


def check_image(catalog: Catalog, index: int, settings: CheckSettings) -> tuple[list[Finding], Image | None]:
    """Read the image of one frame and say what is wrong with it.

    Args:
        catalog: The catalog.
        index: Row of the frame.
        settings: Thresholds.

    Returns:
        The findings, and the image as (H, W, 3) RGB; None where nothing can be read from it.
    """
    row = catalog.frames.row(index, named=True)
    frame_id = row["frame_id"]

    def found(rule: Rule, message: str) -> Finding:
        return Finding(rule, message, frame_id)

    try:
        path = catalog.image_path(index)
    except ImageError as error:
        return [found(Rule.IMAGE_MISSING, str(error))], None
    if not path.is_file():
        return [found(Rule.IMAGE_MISSING, f"no file {path}")], None
    pixel_format = None if row["pixel_format"] is None else PixelFormat(row["pixel_format"])
    try:
        width, height, _ = probe_image(path, pixel_format)
        image = read_rgb(path, pixel_format)
    except ImageError as error:
        rule = Rule.IMAGE_TRUNCATED if _is_cut_off(path) else Rule.IMAGE_UNREADABLE
        return [found(rule, str(error))], None
    findings = []
    declared = (row["width_px"], row["height_px"])
    if declared != (width, height) or declared != (image.shape[1], image.shape[0]):
        message = f"{image.shape[1]}x{image.shape[0]} pixels, declared {declared[0]}x{declared[1]}"
        return [found(Rule.IMAGE_SIZE, message)], None
    if pixel_format is None and _is_16_bit(path):
        findings.append(found(Rule.IMAGE_16_BIT, "16 bits per channel, of which the upper 8 are used"))
    if (rows := _filled_rows(image)) and path.suffix.lower() in {".jpg", ".jpeg"}:
        findings.append(found(Rule.IMAGE_TRUNCATED, f"the lower {rows} rows are the grey of missing JPEG data"))
    small = _sampled(image)
    spread = float(cv2.meanStdDev(small)[1].max())
    chroma = _mean_chroma(small)
    if spread <= settings.one_colour_std:
        level = ", ".join(f"{value:.0f}" for value in small.reshape(-1, 3).mean(axis=0))
        return [*findings, found(Rule.IMAGE_ONE_COLOUR, f"standard deviation {spread:.1f} around RGB {level}")], None
    if chroma <= settings.grey_chroma:
        findings.append(found(Rule.IMAGE_GREY, f"channels differ by {chroma:.2f} of 255 on average"))
    return findings, image


def mean_luminance(image: Image) -> float:
    """Mean grey level of an RGB image, 0 to 255."""
    return float(cv2.cvtColor(_sampled(image), cv2.COLOR_RGB2GRAY).mean())


def _mean_chroma(image: Image) -> float:
    """Mean difference between the largest and the smallest channel, 0 to 255."""
    red, green, blue = cv2.split(image)
    largest, smallest = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    return cv2.mean(cv2.subtract(largest, smallest))[0]


def _sampled(image: Image) -> Image:
    step = max(1, min(image.shape[:2]) // _SAMPLED_SIDE)
    return np.ascontiguousarray(image[::step, ::step])


def _is_cut_off(path: Path) -> bool:
    """Whether a file begins as a JPEG or PNG and lacks the mark of its end."""
    try:
        data = path.read_bytes()
    except OSError:
        return False
    end = data[-4096:]
    return (data.startswith(_JPEG) and b"\xff\xd9" not in end) or (data.startswith(_PNG) and b"IEND" not in end)


def _is_16_bit(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_PNG_DEPTH_AT + 1)
    if head.startswith(_PNG):
        return len(head) > _PNG_DEPTH_AT and head[_PNG_DEPTH_AT] == 16
    if head[:4] not in (b"II*\0", b"MM\0*"):
        return False
    decoded = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    return decoded is not None and decoded.dtype == np.uint16


def _filled_rows(image: Image) -> int:
    """Number of rows at the bottom that hold nothing but the grey of missing data; 0 for a few."""
    rows = 0
    for row in image[::-1]:
        if int(row.min()) < _FILL_LEVEL - 1 or int(row.max()) > _FILL_LEVEL + 1:
            break
        rows += 1
    return rows if rows >= _FILLED_SHARE * len(image) else 0
