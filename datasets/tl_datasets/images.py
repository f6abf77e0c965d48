"""Image files in and out. RGB from the moment of reading, EXIF orientation applied.

Raw sensor frames, which need to be told how they are coded, are decoded by `raw_images`.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.errors import LFS_POINTER, ImageError, show
from tl_datasets.raw_images import LARGEST_12_BIT, rgb_from_raw
from tl_datasets.taxonomy import PixelFormat

if TYPE_CHECKING:
    from PIL import Image

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v"})

# What both libraries open: Pillow, which tells the size, and OpenCV, which decodes. JPEG includes MPO.
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF")
# Raw frames may also be portable grey maps, which nobody uses for pictures.
_RAW_FORMATS = ("PPM", "TIFF", "PNG")
# Pillow opens a grey map of more than 8 bits with 32.
_RAW_MODES = frozenset({"I;16", "I;16B", "I"})
_UNDECODED_TIFF_MODES = frozenset({"F", "I"})
_UNDECODED_TIFF_COMPRESSIONS = frozenset({"zstd", "lzma"})

_POINTER_BYTES = 64
_EXIF_ORIENTATION = 0x0112
_EXIF_SWAPS_AXES = frozenset({5, 6, 7, 8})


def read_rgb(path: Path | str, pixel_format: PixelFormat | None = None) -> NDArray[np.uint8]:
    """Read an image file as (H, W, 3) uint8 RGB.

    Args:
        path: The file.
        pixel_format: How a raw sensor frame is coded; None = an ordinary image. Of 16 bits the upper 8 are taken.

    Raises:
        ImageError: The file is missing, does not decode, or holds 12 bits in 16 and nobody says how they are coded:
            their upper 8 bits would be a nearly black picture.
    """
    if pixel_format is not None:
        return rgb_from_raw(decode(path, cv2.IMREAD_UNCHANGED), pixel_format, path)
    bgr = decode(path, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if bgr.dtype == np.uint16:
        if bgr.max(initial=0) <= LARGEST_12_BIT:
            raise ImageError(
                f"{path}: 16-bit image with values of 12 bits or fewer, which would turn out nearly black; save it "
                "with 8 bits, or index raw frames with a format that knows their coding"
            )
        bgr = (bgr >> 8).astype(np.uint8)
    if bgr.dtype != np.uint8:
        raise ImageError(f"{path}: image of {bgr.dtype} numbers; save it with 8 bits as PNG")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)  # type: ignore[return-value]


def decode(path: Path | str, flags: int) -> NDArray:
    """Decode an image file with OpenCV, with the channels and the depth that the flags ask for.

    Raises:
        ImageError: The file is missing or does not decode.
    """
    return decode_data(read_file(path), flags, path)


def read_file(path: Path | str) -> NDArray[np.uint8]:
    """The bytes of an image file.

    Raises:
        ImageError: The file is missing, or its content has not been fetched.
    """
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}); expected an image file") from error
    _refuse_pointer(data[:_POINTER_BYTES].tobytes(), path)
    return data


def decode_data(data: NDArray[np.uint8], flags: int, path: Path | str) -> NDArray:
    """Decode the bytes of an image file as `decode` does.

    Args:
        data: As `read_file` gives them.
        flags: OpenCV's IMREAD flags.
        path: The file, for messages.

    Raises:
        ImageError: The bytes do not decode.
    """
    try:
        image = cv2.imdecode(data, flags) if data.size else None
    except cv2.error:  # a header that promises more pixels than the decoder allows
        image = None
    if image is None:
        raise ImageError(f"{path}: {data.size} bytes that do not decode as an image; replace or remove the file")
    return image


def _refuse_pointer(start: bytes, path: Path | str) -> None:
    if start.startswith(LFS_POINTER):
        raise ImageError(f"{path}: a Git LFS pointer, not the image itself; fetch it with: git lfs pull")


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


def probe_image(path: Path | str, pixel_format: PixelFormat | None = None) -> tuple[int, int, str]:
    """Give (width_px, height_px, sha256 of the bytes) of an image without decoding its pixels, but for PNG.

    Args:
        path: The file.
        pixel_format: How a raw sensor frame is coded; None = an ordinary image.

    Raises:
        ImageError: The file is missing, is no image, is of a kind that `read_rgb` does not decode, or is a JPEG or PNG
            whose end is missing, or promises more pixels than any camera has (Pillow's limit, about 90 million); or a
            raw sensor frame is not one channel of 16 bits.
    """
    from PIL import Image, UnidentifiedImageError

    path = Path(path)
    formats = _FORMATS if pixel_format is None else _RAW_FORMATS
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror}); expected an image file") from error
    _refuse_pointer(data[:_POINTER_BYTES], path)
    try:
        from io import BytesIO

        with Image.open(BytesIO(data), formats=formats) as image:
            width, height = image.size
            kind = image.format
            if kind in {"PNG", "PPM"}:
                image.load()  # the EXIF block may lie behind the pixels; broken and missing pixels show too
            undecoded = kind == "TIFF" and (
                image.mode in _UNDECODED_TIFF_MODES or image.info.get("compression") in _UNDECODED_TIFF_COMPRESSIONS
            )
            if pixel_format is not None:
                _check_raw_mode(image, pixel_format, path)
            # Pillow has turned the size of a TIFF already.
            swaps = kind != "TIFF" and _exif_orientation(image) in _EXIF_SWAPS_AXES
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{path}: does not open as an image (no known image format, {len(data)} bytes); "
            f"expected {', '.join(formats)}; replace or remove the file"
        ) from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{path}: does not open as an image ({error}); replace or remove the file") from error
    if undecoded:
        raise ImageError(f"{path}: TIFF of 32-bit numbers or of a rare compression; save it with 8 bits as PNG")
    # Some cameras pad the file after the end marker, so it is searched for near the end rather than at it.
    if kind == "JPEG" and b"\xff\xd9" not in data[-4096:]:
        raise ImageError(f"{path}: JPEG without an end marker, the file is cut off; copy it again or remove it")
    if kind == "PNG" and b"IEND" not in data[-4096:]:
        raise ImageError(f"{path}: PNG without its end chunk, the file is cut off; copy it again or remove it")
    if swaps:
        width, height = height, width
    return width, height, hashlib.sha256(data).hexdigest()


def jpeg_header(data: NDArray[np.uint8]) -> tuple[int, int, int] | None:
    """Give (width_px, height_px, EXIF orientation from 1 to 8) of a JPEG as stored, that is before it is turned.

    Args:
        data: The bytes of the file.

    Returns:
        None for any other file, and for a header that does not open.
    """
    from io import BytesIO

    from PIL import Image

    try:
        with Image.open(BytesIO(data.data), formats=("JPEG",)) as image:
            return *image.size, _exif_orientation(image) or 1
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None


def _check_raw_mode(image: Image.Image, pixel_format: PixelFormat, path: Path) -> None:
    if image.mode not in _RAW_MODES:
        raise ImageError(
            f"{path}: pixels of the kind {image.mode}, expected a raw frame of one 16-bit channel ({pixel_format}); "
            "was the image converted already?"
        )
    if image.getexif().get(_EXIF_ORIENTATION, 1) != 1:
        raise ImageError(
            f"{path}: a raw frame with an orientation, by which its colour mosaic would turn too; expected one as the "
            "sensor gave it: remove the orientation from the file"
        )


def _exif_orientation(image: Image.Image) -> int | None:
    """The orientation as OpenCV sees it: from the EXIF block alone, where Pillow would also look into XMP."""
    from PIL import Image

    block = image.info.get("exif")
    if not isinstance(block, bytes):
        return None
    exif = Image.Exif()
    exif.load(block)
    return exif.get(_EXIF_ORIENTATION)


def list_images(folder: Path) -> list[Path]:
    """All image files below a folder, sorted by path; links that leave the folder are left out.

    Raises:
        ImageError: A file name is not UTF-8.
    """
    return scan_images(folder)[0]


def scan_images(folder: Path, suffixes: Collection[str] | None = None) -> tuple[list[Path], list[Path]]:
    """All image files below a folder, and the links that are left out; both sorted by path.

    Args:
        folder: Searched with all its sub-folders.
        suffixes: Of the files to find, in lower case; None = `IMAGE_SUFFIXES`.

    Returns:
        The image files, and the links to an image or folder outside, or to nothing.

    Raises:
        ImageError: A file name is not UTF-8, or a sub-folder cannot be read.
    """
    root = folder.resolve()
    wanted = IMAGE_SUFFIXES if suffixes is None else suffixes
    found, left_out = [], []
    for path in sorted(_walk(folder)):
        is_image = path.suffix.lower() in wanted
        if path.is_symlink() and (is_image or path.is_dir()) and not (path.exists() and _is_below(path, root)):
            left_out.append(path)
        elif is_image and path.is_file():
            if not _is_utf8(str(path.relative_to(folder))):
                raise ImageError(f"{path}: the file name is not UTF-8; rename the file or folder")
            found.append(path)
    return found, left_out


def _walk(folder: Path) -> Iterator[Path]:
    """Every file and link below a folder; unlike `rglob`, it does not pass over a folder that it may not read."""

    def refuse(error: OSError) -> None:
        raise ImageError(f"{error.filename}: cannot be read ({error.strerror}); expected a folder; check its rights")

    for place, folders, files in os.walk(folder, onerror=refuse):
        base = Path(place)
        # os.walk lists a link to a folder among the folders and does not follow it.
        yield from (base / name for name in (*files, *(name for name in folders if (base / name).is_symlink())))


def about_links(left_out: Sequence[Path]) -> str:
    """What to add to a message about missing images; empty without links."""
    if not left_out:
        return ""
    return f"; {len(left_out)} links that leave the folder were left out, such as {left_out[0]}: copy their files"


def _is_below(path: Path, root: Path) -> bool:
    return path.resolve().is_relative_to(root)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


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
            f"path {show(relative)} cannot be a file ({error.args[-1]}); expected a path below {root}"
        ) from error
    if not candidate.is_relative_to(root.resolve()):
        raise ImageError(f"path {show(relative)} leaves its root {root}; expected a path below it")
    return candidate
