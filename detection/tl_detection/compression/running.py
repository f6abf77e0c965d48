"""Runs files that exist only in memory, on frames as a camera gives them."""

from __future__ import annotations

import json

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from tl_detection.detector import Image
from tl_runtime.contract import METADATA_KEY


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


def feed_of(session: onnxruntime.InferenceSession, image: Image) -> dict[str, NDArray[np.uint8]]:
    """One RGB frame as the input of a file, in its order of colours; who takes several at once takes it as often."""
    asked = session.get_inputs()[0]
    if is_bgr(session):
        image = image[..., ::-1]
    batch = asked.shape[0] if isinstance(asked.shape[0], int) else 1
    return {asked.name: np.ascontiguousarray(np.broadcast_to(image, (batch, *image.shape)))}


def is_bgr(session: onnxruntime.InferenceSession) -> bool:
    """Whether a file takes frames with blue first."""
    entry = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY, "{}")
    return json.loads(entry).get("color_order") == "BGR"
