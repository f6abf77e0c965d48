"""The in-vehicle runtime: an exported file in, boxes out. It imports numpy and onnxruntime and nothing else.

Everything that happens to a frame is inside the file (letterbox, network, suppression, boxes back to the frame's
pixels), so that this module only opens it, refuses a foreign one, and hands arrays over.
Detections below the operating score of their class are left out where the file names such scores; that alone happens
here and not in the file, which gives everything down to its score floor.
Deliberately absent: tracking, and batches of more than one frame.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors  # type: ignore[attr-defined]

from tl_runtime.errors import ModelError

# Raised when inputs, outputs or the metadata change their meaning.
CONTRACT_VERSION = 1
METADATA_KEY = "tl"
INPUT_NAME = "image"
# Names, shapes and meaning follow TensorRT's EfficientNMS.
OUTPUT_NAMES = ("num_detections", "detection_boxes", "detection_scores", "detection_classes")
_REMEDY = "make one with: tl export RUN --out FILE.onnx"
_LOAD_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoModel,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)


class Runtime:
    """An exported detector.

    Attributes:
        path: The file.
        metadata: What the file says of itself: classes, input size, score floor, fingerprints.
        names: Class names by id.
        states: What the light of each class shows ("red", "off" ...), None for a class without one state.
        operating_scores: From which score on a detection of each class counts, by id; None where the file says nothing.
        providers: The onnxruntime providers that run it.
    """

    def __init__(self, path: Path | str, providers: str | Sequence[str] | None = None, threads: int | None = None):
        """Open a file.

        Args:
            path: A file that `tl export` made.
            providers: Name of an onnxruntime provider, or several in order of preference; None = the CPU.
            threads: Threads within an operation; None = onnxruntime's choice.

        Raises:
            ModelError: The file is missing, is no ONNX file, or is not of this contract.
        """
        self.path = Path(path)
        self._session = _open_session(self.path, providers, threads)
        self.metadata = read_metadata(self._session.get_modelmeta().custom_metadata_map, str(path))
        outputs = tuple(output.name for output in self._session.get_outputs())
        inputs = [(node.name, node.type, node.shape) for node in self._session.get_inputs()]
        any_size = len(inputs) == 1 and len(inputs[0][2]) == 4 and all(isinstance(d, str) for d in inputs[0][2][1:3])
        if not any_size or inputs[0][:2] != (INPUT_NAME, "tensor(uint8)") or outputs != OUTPUT_NAMES:
            raise ModelError(
                f"{path}: inputs {inputs} and outputs {list(outputs)}, expected one uint8 (1, H, W, 3) '{INPUT_NAME}' "
                f"of any height and width, and {list(OUTPUT_NAMES)}; {_REMEDY}"
            )
        self.names: tuple[str, ...] = tuple(entry["name"] for entry in self.metadata["classes"])
        self.states: tuple[str | None, ...] = tuple(entry["state"] for entry in self.metadata["classes"])
        scores: dict[str, float] | None = self.metadata.get("operating_scores")
        self.operating_scores = None if scores is None else tuple(float(scores[name]) for name in self.names)
        self.providers: tuple[str, ...] = tuple(self._session.get_providers())

    def detect(
        self, image: NDArray[np.uint8], *, low_scores: bool = False
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
        """Detect in one frame.

        Args:
            image: (H, W, 3) uint8 RGB of any size.
            low_scores: Give what is below the operating scores of the file, too.

        Returns:
            (N, 4) boxes xyxy in the frame's pixels, (N,) scores, highest first, and (N,) 0-based class ids.

        Raises:
            ValueError: The array is no (H, W, 3) uint8 image.
        """
        if not isinstance(image, np.ndarray):
            raise ValueError(f"image of type {type(image).__name__}, expected a numpy array (H, W, 3) uint8 RGB")
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"image of shape {image.shape} and type {image.dtype}, expected (H, W, 3) uint8 RGB")
        outputs = self._session.run(list(OUTPUT_NAMES), {INPUT_NAME: np.ascontiguousarray(image)[None]})
        count, xyxy, score, class_id = (np.asarray(output) for output in outputs)
        n = int(count[0, 0])
        xyxy, score, class_id = xyxy[0, :n], score[0, :n], class_id[0, :n].astype(np.int64)
        if self.operating_scores is not None and not low_scores:
            keep = score >= np.array(self.operating_scores, np.float32)[class_id]
            xyxy, score, class_id = xyxy[keep], score[keep], class_id[keep]
        return xyxy, score, class_id


def read_metadata(entries: dict[str, str], source: str) -> dict[str, Any]:
    """Read what an exported file says of itself.

    Args:
        entries: The metadata entries of the file.
        source: Named in messages.

    Raises:
        ModelError: The entries are not those of an exported detector, or of another contract.
    """
    if METADATA_KEY not in entries:
        raise ModelError(f"{source}: an ONNX file without tl's metadata, so its classes are unknown; {_REMEDY}")
    try:
        data = json.loads(entries[METADATA_KEY])
        version = data["contract"]
        complete = version != CONTRACT_VERSION or all(
            isinstance(entry["name"], str) and (entry["state"] is None or isinstance(entry["state"], str))
            for entry in data["classes"]
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{source}: the metadata of tl are damaged ({error!r}); {_REMEDY}") from error
    if version != CONTRACT_VERSION:
        raise ModelError(
            f"{source}: contract version {version}, expected {CONTRACT_VERSION}; use the tl that wrote it, or {_REMEDY}"
        )
    if not complete or not data["classes"]:
        raise ModelError(f"{source}: the metadata of tl name no classes; {_REMEDY}")
    if "operating_scores" in data and not _are_scores(data["operating_scores"], [c["name"] for c in data["classes"]]):
        raise ModelError(f"{source}: the operating scores in the metadata are not one per class, 0 to 1; {_REMEDY}")
    if data.get("color_order") != "RGB":
        raise ModelError(f"{source}: the metadata of tl name another order of colours than RGB; {_REMEDY}")
    return data


def _are_scores(scores: Any, names: list[str]) -> bool:
    return (
        isinstance(scores, dict)
        and set(scores) == set(names)
        and all(isinstance(score, float | int) and 0 <= score <= 1 for score in scores.values())
    )


def _open_session(
    path: Path, providers: str | Sequence[str] | None, threads: int | None
) -> onnxruntime.InferenceSession:
    if not path.is_file():
        raise ModelError(f"{path}: no such file; expected an exported detector, {_REMEDY}")
    wanted = [providers] if isinstance(providers, str) else list(providers or ["CPUExecutionProvider"])
    available = onnxruntime.get_available_providers()
    absent = [name for name in wanted if name not in available]
    if absent:
        raise ModelError(f"{path}: onnxruntime has no {absent[0]} here; choose from {', '.join(available)}")
    options = onnxruntime.SessionOptions()
    # Warnings of the library are no news to the driver of a vehicle; errors arrive as exceptions.
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=wanted)
    except _LOAD_ERRORS as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{path}: onnxruntime cannot open it ({reason}); {_REMEDY}") from error
