"""Opening an exported file with onnxruntime: what it refuses, and the plain call behind `Detector`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from tl_runtime.checksum import read_bytes, require_digest
from tl_runtime.contract import INPUT_NAME, NOT_FINITE, OUTPUT_NAMES, REMEDY, THRESHOLDS_NAME, Contract, read_contract
from tl_runtime.errors import BrokenOutputError, ModelError

_CPU = "CPUExecutionProvider"
# More is a slip of the finger, and onnxruntime would start as many.
_MOST_THREADS = 1024
_FATAL_ONLY = 4
# Weights in another file are outside of what was hashed. Each names its file under this key, a text of 8 letters in the
# encoding of ONNX; and newer versions of onnxruntime (1.20 does not) look for them where they are told to: nowhere.
_LOCATION_KEY = b"\x0a\x08location"
_EXTERNAL_DATA_FOLDER = "session.model_external_initializers_file_folder_path"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Boxes:
    """What was found in one frame. The arrays belong to whoever holds them; no later frame changes them.

    Attributes:
        xyxy: (N, 4) float32, left, top, right, bottom in the frame's pixels, inside the frame.
        scores: (N,) float32 in [0, 1], highest first.
        labels: (N,) int64, 0-based positions in the classes of the contract.
    """

    xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)


class Session:
    """An opened file. It may be run from several threads at once.

    Attributes:
        path: The file.
        contract: What the file says of itself.
        providers: The onnxruntime providers that run it.
    """

    def __init__(
        self,
        path: Path | str,
        providers: str | Sequence[str] | None = None,
        threads: int | None = None,
        *,
        sha256: str | None = None,
    ):
        """Open a file.

        Args:
            path: A file that `tl export` made.
            providers: Name of an onnxruntime provider, or several in order of preference; None = the CPU.
            threads: Threads within an operation, 1 or more; None = onnxruntime's choice.
            sha256: What its SHA-256 must be, 64 hex digits; None = not looked at.

        Raises:
            ModelError: The file is missing, has another SHA-256, is no ONNX file, or is not of this contract; or
                there is no such provider, or it does not start.
        """
        self.path = Path(path)
        # Hashed and opened are the same bytes, so that no other file can take the place of the one that was looked at.
        data = read_bytes(self.path)
        if sha256 is not None:
            require_digest(self.path, data, sha256)
        self._session = open_session(self.path, data, providers, threads)
        try:
            entries = self._session.get_modelmeta().custom_metadata_map
            inputs = [(node.name, node.type, node.shape) for node in self._session.get_inputs()]
            outputs = [(node.name, node.type, node.shape) for node in self._session.get_outputs()]
            free = [(node.name, node.type, node.shape) for node in self._session.get_overridable_initializers()]
        except UnicodeDecodeError as error:
            raise ModelError(f"{path}: its names or metadata are damaged ({error.reason}); {REMEDY}") from error
        self.contract: Contract = read_contract(entries, str(path))
        if self.contract.variant != "detector":
            raise ModelError(
                f"{path}: holds the network alone (variant {self.contract.variant}), for other runtimes; export it "
                "without --raw"
            )
        _require(self.path, "inputs", inputs, [(INPUT_NAME, "tensor(uint8)", _input_shape(self.contract))])
        _require(self.path, "initializers", free, [(THRESHOLDS_NAME, "tensor(float)", [len(self.contract.classes)])])
        _require(self.path, "outputs", outputs, _outputs(self.contract))
        self.providers: tuple[str, ...] = tuple(self._session.get_providers())
        self._all_scores = np.zeros(len(self.contract.classes), np.float32)

    def run(self, frames: NDArray[np.uint8], *, low_scores: bool = False) -> list[Boxes]:
        """Detect in as many frames as the file takes at once.

        Args:
            frames: (B, H, W, 3) uint8 in the file's order of colours, C-contiguous. They must not change meanwhile.
            low_scores: Give what is below the thresholds of the file, too, down to its score floor.

        Returns:
            For each frame its lights.

        Raises:
            BrokenOutputError: The network's output is not finite, or beyond the contract.
            ModelError: onnxruntime failed.
        """
        inputs: dict[str, NDArray] = {INPUT_NAME: frames}
        if low_scores:
            inputs[THRESHOLDS_NAME] = self._all_scores
        try:
            outputs = self._session.run(list(OUTPUT_NAMES), inputs)
        # Whatever a library below raises, beyond its own kinds of errors such as MemoryError: the vehicle goes on.
        except Exception as error:
            raise ModelError(f"{self.path}: onnxruntime failed ({_first_line(error)})") from error
        found = tuple(np.asarray(output) for output in outputs)
        expected = [tuple(shape) for _, _, shape in _outputs(self.contract)]
        if [values.shape for values in found] != expected:
            raise BrokenOutputError(f"{self.path}: outputs {[v.shape for v in found]}, expected {expected}; {REMEDY}")
        height, width = frames.shape[1:3]
        count, xyxy, scores, labels = found
        return [self._boxes(*row, width, height) for row in zip(count[:, 0], xyxy, scores, labels, strict=True)]

    def _boxes(self, count: int, xyxy: NDArray, scores: NDArray, labels: NDArray, width: int, height: int) -> Boxes:
        if count == NOT_FINITE:
            raise BrokenOutputError(
                f"{self.path}: the network gave numbers that are not finite; a damaged or badly quantised file"
            )
        if not 0 <= count <= len(scores):
            raise BrokenOutputError(f"{self.path}: {count} detections, expected 0 to {len(scores)}")
        n = int(count)
        # Copies: what onnxruntime hands out holds every row, and is its memory.
        found = Boxes(xyxy=xyxy[:n].copy(), scores=scores[:n].copy(), labels=labels[:n].astype(np.int64))
        corner, far = found.xyxy[:, :2], found.xyxy[:, 2:]
        # Each comparison is false for what is not a number.
        if not (
            ((found.labels >= 0) & (found.labels < len(self.contract.classes))).all()
            and ((found.scores >= 0) & (found.scores <= 1)).all()
            and (found.scores[:-1] >= found.scores[1:]).all()
            and ((corner >= 0) & (corner < far) & (far <= (width, height))).all()
        ):
            raise BrokenOutputError(
                f"{self.path}: boxes, scores or classes beyond the contract; a damaged or badly quantised file"
            )
        return found


def open_session(
    path: Path, data: bytes, providers: str | Sequence[str] | None, threads: int | None
) -> onnxruntime.InferenceSession:
    """Open any ONNX file that is whole in itself.

    Args:
        path: Named in messages.
        data: What is in it.
        providers: Names of onnxruntime providers, in order of preference; None = the CPU.
        threads: Threads within an operation; None = onnxruntime's choice.

    Raises:
        ModelError: It cannot be opened, there is no such provider, or the provider cannot start.
    """
    wanted = [providers] if isinstance(providers, str) else list(providers or [_CPU])
    available = onnxruntime.get_available_providers()
    absent = [name for name in wanted if name not in available]
    if absent:
        raise ModelError(f"{path}: onnxruntime has no {absent[0]} here; choose from {', '.join(available)}")
    if threads is not None and not 1 <= threads <= _MOST_THREADS:
        raise ModelError(f"{path}: {threads} threads, expected 1 to {_MOST_THREADS}")
    if _LOCATION_KEY in data:
        raise ModelError(f"{path}: has weights in another file, which nobody verified; {REMEDY}")
    options = onnxruntime.SessionOptions()
    # Warnings of the library are no news to the driver of a vehicle; errors arrive as exceptions.
    options.log_severity_level = _FATAL_ONLY
    # One plan of memory would be kept for every size of frame that was ever seen. No time was lost without.
    options.enable_mem_pattern = False
    options.add_session_config_entry(_EXTERNAL_DATA_FOLDER, os.devnull)
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        # Else a provider that fails is replaced in the middle of a drive, at another speed and other roundings.
        session = onnxruntime.InferenceSession(data, options, providers=wanted, enable_fallback=0)
    except Exception as error:
        raise ModelError(f"{path}: onnxruntime cannot open it ({_first_line(error)}); {REMEDY}") from error
    # Where a provider does not start, onnxruntime goes on with the CPU.
    if wanted[0] not in session.get_providers():
        raise ModelError(f"{path}: {wanted[0]} is installed but does not start here; look at its driver and libraries")
    return session


_Nodes = list[tuple[str, str, list]]


def _input_shape(contract: Contract) -> list[int | str]:
    size = ("width", "height") if contract.frame_size is None else contract.frame_size
    return [contract.batch, size[1], size[0], 3]


def _outputs(contract: Contract) -> _Nodes:
    batch, most = contract.batch, contract.max_detections
    types = ("tensor(int32)", "tensor(float)", "tensor(float)", "tensor(int32)")
    shapes = ([batch, 1], [batch, most, 4], [batch, most], [batch, most])
    return list(zip(OUTPUT_NAMES, types, shapes, strict=True))


def _require(path: Path, what: str, found: _Nodes, expected: _Nodes) -> None:
    if found != expected:
        named = [", ".join(f"{name} {kind} {shape}" for name, kind, shape in nodes) for nodes in (found, expected)]
        raise ModelError(f"{path}: {what} {named[0] or 'none'}, expected {named[1]}, as its metadata say; {REMEDY}")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
