"""Image files in and out. RGB from the moment of reading, EXIF orientation applied.

Deliberately absent: raw sensor decoding (12/16 bit, Bayer), which belongs to the format that has it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.errors import ImageError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v"})

_EXIF_ORIENTATION = 0x0112
_EXIF_SWAPS_AXES = frozenset({5, 6, 7, 8})


def read_rgb(path: Path | str) -> NDArray[np.uint8]:
    """Read an image file as (H, W, 3) uint8 RGB.

    Raises:
        ImageError: The file is missing or does not decode.
    """
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}); expected an image file") from error
    bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if bgr is None:
        raise ImageError(f"{path}: {data.size} bytes that do not decode as an image; replace or remove the file")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)  # type: ignore[return-value]


def write_rgb(path: Path | str, image: NDArray[np.uint8], quality: int = 92) -> None:
    """Write (H, W, 3) uint8 RGB to a file whose suffix names the format; the file appears whole.

    Args:
        path: Target; its folder must exist.
        image: (H, W, 3) uint8 RGB.
        quality: JPEG quality, 1 to 100.

    Raises:
        ImageError: The format is unknown to the encoder.
    """
    path = Path(path)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if path.suffix.lower() in {".jpg", ".jpeg"} else []
    try:
        ok, data = cv2.imencode(path.suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    except cv2.error:
        ok, data = False, None
    if not ok or data is None:
        raise ImageError(f"{path}: no encoder for '{path.suffix}'; use .jpg or .png")
    write_whole(path, data.tobytes())


def write_whole(path: Path | str, data: bytes | str) -> None:
    """Write a file so that it appears whole or not at all (temporary name in the same folder, then a move)."""
    path = Path(path)
    raw = data.encode() if isinstance(data, str) else data
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def probe_image(path: Path | str) -> tuple[int, int, str]:
    """Give (width_px, height_px, sha256 of the bytes) of an image without decoding its pixels.

    Raises:
        ImageError: The file is missing, is no image, or is a JPEG or PNG whose end is missing.
    """
    from PIL import Image, UnidentifiedImageError

    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}); expected an image file") from error
    try:
        from io import BytesIO

        with Image.open(BytesIO(data)) as image:
            width, height = image.size
            kind = image.format
            swaps = image.getexif().get(_EXIF_ORIENTATION) in _EXIF_SWAPS_AXES
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path}: does not open as an image ({error}); replace or remove the file") from error
    # Some cameras pad the file after the end marker, so it is searched for near the end rather than at it.
    if kind == "JPEG" and b"\xff\xd9" not in data[-4096:]:
        raise ImageError(f"{path}: JPEG without an end marker, the file is cut off; copy it again or remove it")
    if kind == "PNG" and b"IEND" not in data[-4096:]:
        raise ImageError(f"{path}: PNG without its end chunk, the file is cut off; copy it again or remove it")
    if swaps:
        width, height = height, width
    return width, height, hashlib.sha256(data).hexdigest()


def list_images(folder: Path) -> list[Path]:
    """All image files below a folder, sorted by path; links that leave the folder are left out."""
    root = folder.resolve()
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and path.resolve().is_relative_to(root)
    )


def resolve_inside(root: Path, relative: str) -> Path:
    """Join a path from an untrusted file to its root.

    Raises:
        ImageError: The path is absolute or leaves the root.
    """
    try:
        candidate = (root / relative.replace("\\", "/")).resolve()
        candidate.is_file()  # a name that is too long shows only here
    except (OSError, ValueError) as error:
        raise ImageError(
            f"path '{relative[:60]}' cannot be a file ({error.args[-1]}); expected a path below {root}"
        ) from error
    if not candidate.is_relative_to(root.resolve()):
        raise ImageError(f"path '{relative}' leaves its root {root}; expected a path below it")
    return candidate
