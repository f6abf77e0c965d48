"""`write_dataset`: drawn sequences as JPEG files and frames."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.errors import DataError
from tl_datasets.frame import Frame
from tl_datasets.synthetic.render import render_sequence
from tl_datasets.synthetic.spec import SequenceSpec

_LOGGER = logging.getLogger(__name__)


def write_dataset(
    specs: Sequence[SequenceSpec],
    out_dir: Path | str,
    quality: int = 92,
    progress: Callable[[int, int], None] | None = None,
) -> list[Frame]:
    """Draw sequences and store their images as `out_dir/images/<sequence>/<nnnn>.jpg`; they appear all together.

    Args:
        specs: Sequences with different names.
        out_dir: A folder that is absent or empty.
        quality: JPEG quality, 1 to 100.
        progress: Called after every frame with the number of frames done and in all.

    Returns:
        The frames in the order of the specs; their paths are relative to `out_dir`.

    Raises:
        DataError: The folder holds something, two sequences share a name, or the quality is out of range.
    """
    out_dir = Path(out_dir)
    if out_dir.exists() and (not out_dir.is_dir() or any(out_dir.iterdir())):
        raise DataError(
            f"{out_dir}: exists and is not an empty folder; expected none; name another folder or remove it"
        )
    names = [spec.sequence for spec in specs]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(f"{out_dir}: sequence name {repeated[0]!r} is used twice; expected a different name for each")
    if not 1 <= quality <= 100:
        raise DataError(f"{out_dir}: JPEG quality {quality}, expected 1 to 100")
    n_frames = sum(spec.n_frames for spec in specs)
    frames: list[Frame] = []
    target = out_dir.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        for spec in specs:
            for frame, image in render_sequence(spec):
                _write_jpeg(temporary / frame.path, image, quality)
                frames.append(frame)
                if progress is not None:
                    progress(len(frames), n_frames)
        temporary.chmod(0o755)
        temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _LOGGER.info("drew %d frames of %d sequences into %s", len(frames), len(specs), out_dir)
    return frames


def _write_jpeg(path: Path, image: NDArray[np.uint8], quality: int) -> None:
    """Store an RGB image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise DataError(f"{path}: the image of {image.shape} could not be encoded as JPEG")
    path.write_bytes(data.tobytes())
