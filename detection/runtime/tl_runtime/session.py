"""Opening an exported file with onnxruntime: what it refuses, and the plain call behind `Detector`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors  # type: ignore[attr-defined]

from tl_runtime.checksum import read_bytes, require_digest
from tl_runtime.contract import INPUT_NAME, NOT_FINITE, OUTPUT_NAMES, REMEDY, THRESHOLDS_NAME, Contract, read_contract
from tl_runtime.errors import BrokenOutputError, ModelError

_ORT_ERRORS = (
    ort_errors.EPFail,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.ModelLoaded,
    ort_errors.NoModel,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)
_CPU = "CPUExecutionProvider"


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxes:
    """What was found in one frame.

    Attributes:
        xyxy: (N, 4) float32, left, top, right, bottom in the frame's pixels.
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
                there is no such provider.
        """
        self.path = Path(path)
        # Hashed and opened are the same bytes, so that no other file can take the place of the one that was looked at.
        data = read_bytes(self.path)
        if sha256 is not None:
            require_digest(self.path, data, sha256)
        self._session = open_session(self.path, data, providers, threads)
        self.contract: Contract = read_contract(self._session.get_modelmeta().custom_metadata_map, str(path))
        if self.contract.variant != "detector":
            raise ModelError(
                f"{path}: holds the network alone (variant {self.contract.variant}), for other runtimes; export it "
                "without --raw"
            )
        self._check_shapes()
        self.providers: tuple[str, ...] = tuple(self._session.get_providers())
        self._all_scores = np.zeros(len(self.contract.classes), np.float32)

    def run(self, frames: NDArray[np.uint8], *, low_scores: bool = False) -> list[Boxes]:
        """Detect in as many frames as the file takes at once.

        Args:
            frames: (B, H, W, 3) uint8 in the file's order of colours, C-contiguous.
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
        except _ORT_ERRORS as error:
            raise ModelError(f"{self.path}: onnxruntime failed ({error})") from error
        count, xyxy, scores, labels = (np.asarray(output) for output in outputs)
        return [self._boxes(*values) for values in zip(count[:, 0], xyxy, scores, labels, strict=True)]

    def _boxes(self, count: int, xyxy: NDArray, scores: NDArray, labels: NDArray) -> Boxes:
        if count == NOT_FINITE:
            raise BrokenOutputError(
                f"{self.path}: the network gave numbers that are not finite; a damaged or badly quantised file"
            )
        if not 0 <= count <= len(scores):
            raise BrokenOutputError(f"{self.path}: {count} detections, expected 0 to {len(scores)}")
        n = int(count)
        found = Boxes(xyxy=xyxy[:n], scores=scores[:n], labels=labels[:n].astype(np.int64))
        in_range = (found.labels >= 0) & (found.labels < len(self.contract.classes))
        if not (in_range.all() and np.isfinite(found.xyxy).all() and ((found.scores >= 0) & (found.scores <= 1)).all()):
            raise BrokenOutputError(
                f"{self.path}: boxes, scores or classes beyond the contract; a damaged or badly quantised file"
            )
        return found

    def _check_shapes(self) -> None:
        contract = self.contract
        inputs = [(node.name, node.type, node.shape) for node in self._session.get_inputs()]
        outputs = tuple(node.name for node in self._session.get_outputs())
        free = [node.name for node in self._session.get_overridable_initializers()]
        size = ["height", "width"] if contract.frame_size is None else [contract.frame_size[1], contract.frame_size[0]]
        shape = [contract.batch, *size, 3]
        if inputs != [(INPUT_NAME, "tensor(uint8)", shape)] or outputs != OUTPUT_NAMES or free != [THRESHOLDS_NAME]:
            raise ModelError(
                f"{self.path}: inputs {inputs} and outputs {list(outputs)}, expected one uint8 {shape} '{INPUT_NAME}' "
                f"as its metadata say, the initializer '{THRESHOLDS_NAME}', and {list(OUTPUT_NAMES)}; {REMEDY}"
            )


def open_session(
    path: Path, data: bytes, providers: str | Sequence[str] | None, threads: int | None
) -> onnxruntime.InferenceSession:
    """Open any ONNX file.

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
    if threads is not None and threads < 1:
        raise ModelError(f"{path}: {threads} threads, expected 1 or more")
    options = onnxruntime.SessionOptions()
    # Warnings of the library are no news to the driver of a vehicle; errors arrive as exceptions.
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(data, options, providers=wanted)
    except _ORT_ERRORS as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{path}: onnxruntime cannot open it ({reason}); {REMEDY}") from error
    # Where a provider does not start, onnxruntime goes on with the CPU, at another speed and other roundings.
    if wanted[0] not in session.get_providers():
        raise ModelError(f"{path}: {wanted[0]} is installed but does not start here; look at its driver and libraries")
    return session
