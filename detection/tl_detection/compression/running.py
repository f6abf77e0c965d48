"""Runs files that exist only in memory, on frames as a camera gives them."""

from __future__ import annotations

import json

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from tl_datasets.errors import DataError
from tl_detection.detector import Image
from tl_runtime.session import METADATA_KEY


def open_bytes(model: bytes, threads: int | None = None) -> onnxruntime.InferenceSession:
    """Open a file from memory, on the CPU.

    Args:
        model: The file.
        threads: Within an operation; None = onnxruntime's choice.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def frame_size(session: onnxruntime.InferenceSession) -> tuple[int, int] | None:
    """Height and width of the frames that a file takes; None of a file that takes any."""
    height, width = session.get_inputs()[0].shape[1:3]
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def feed_of(session: onnxruntime.InferenceSession, image: Image) -> dict[str, NDArray[np.uint8]]:
    """One RGB frame as the input of a file, in its order of colours; who takes several at once takes it as often.

    Raises:
        DataError: The file takes frames of another size only.
    """
    asked, size = session.get_inputs()[0], frame_size(session)
    if size is not None and size != image.shape[:2]:
        raise DataError(
            f"a frame of {image.shape[1]}x{image.shape[0]}, the file takes {size[1]}x{size[0]}; "
            "choose frames of the camera that it was exported for"
        )
    if is_bgr(session):
        image = image[..., ::-1]
    batch = asked.shape[0] if isinstance(asked.shape[0], int) else 1
    return {asked.name: np.ascontiguousarray(np.broadcast_to(image, (batch, *image.shape)))}


def is_bgr(session: onnxruntime.InferenceSession) -> bool:
    """Whether a file takes frames with blue first."""
    entry = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY, "{}")
    return json.loads(entry).get("color_order") == "BGR"
