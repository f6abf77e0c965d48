"""An exported file as a `Detector`: what is scored is what is shipped. No torch here; the work is in `tl_runtime`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from tl_datasets.errors import ImageError, WeightsError
from tl_datasets.label_space import LabelSpace
from tl_detection.detector import Detections, Image
from tl_runtime.checksum import hash_file_of, read_hash_file
from tl_runtime.errors import BrokenOutputError, ModelError
from tl_runtime.session import Boxes, Session
from tl_runtime.watch import Health, check_form


class OnnxDetector:
    """A file of `tl export`.

    Attributes:
        session: The opened file; `session.contract` says how it was made.
    """

    def __init__(self, path: Path | str, providers: str | Sequence[str] | None = None, threads: int | None = None):
        """Open a file; where its hash file lies beside it, it must be the file that was hashed.

        Args:
            path: The file.
            providers: Names of onnxruntime providers in order of preference; None = the CPU.
            threads: Threads within an operation; None = onnxruntime's choice.

        Raises:
            WeightsError: The file is missing, foreign, of another contract, not the one that was hashed, or its classes
                contradict each other.
        """
        path = Path(path)
        try:
            digest = read_hash_file(path) if hash_file_of(path).exists() else None
            self.session = Session(path, providers, threads, sha256=digest)
        except ModelError as error:
            raise WeightsError(str(error)) from error
        contract = self.session.contract
        try:
            self._label_space = LabelSpace.model_validate(contract.metadata["label_space"])
        except (KeyError, ValidationError) as error:
            raise WeightsError(f"{path}: its label space cannot be read; export it again with: tl export") from error
        names = tuple(item.name for item in contract.classes)
        if self._label_space.names != names:
            raise WeightsError(
                f"{path}: classes {list(names)}, its label space has {list(self._label_space.names)}; "
                "export it again with: tl export"
            )

    @property
    def label_space(self) -> LabelSpace:
        """The classes that it was trained on."""
        return self._label_space

    @property
    def description(self) -> dict[str, str]:
        """Engine, input size, file and fingerprints, for reports."""
        contract = self.session.contract
        metadata, (width, height) = contract.metadata, contract.network_size
        return {
            "engine": "onnx",
            "architecture": str(metadata.get("architecture")),
            "precision": str(metadata.get("precision")),
            "input": f"{width}x{height}",
            "weights": str(self.session.path),
            "checkpoint_fingerprint": str(metadata.get("checkpoint_fingerprint")),
            "run": str(metadata.get("run")),
            **{key: str(metadata[key]) for key in ("run_fingerprint",) if key in metadata},
            "providers": ",".join(self.session.providers),
        }

    @property
    def operating_scores(self) -> tuple[float, ...] | None:
        """From which score on a detection of each class counts in a vehicle; None where nobody chose any."""
        contract = self.session.contract
        return tuple(item.threshold for item in contract.classes) if contract.has_thresholds else None

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """Detect in (H, W, 3) uint8 RGB images, low scores included.

        Raises:
            ImageError: An image has another size than the file takes.
            ValueError: An array is no (H, W, 3) uint8 image.
            WeightsError: The file gave what no detector gives.
        """
        results: list[Detections] = []
        batch = self.session.contract.batch
        for start in range(0, len(images), batch):
            part = [self._frame(image) for image in images[start : start + batch]]
            try:
                found = self._run(part)
            except (BrokenOutputError, ModelError) as error:
                raise WeightsError(str(error)) from error
            results += [Detections(xyxy=item.xyxy, score=item.scores, class_id=item.labels) for item in found]
        return results

    def _run(self, frames: list[Image]) -> list[Boxes]:
        """Run a batch; one that is not full, or of frames of several sizes, is filled up with its first frame."""
        batch = self.session.contract.batch
        if len({frame.shape for frame in frames}) > 1:
            return [found for frame in frames for found in self._run([frame])]
        filled = [*frames, *frames[:1] * (batch - len(frames))]
        return self.session.run(np.ascontiguousarray(np.stack(filled)), low_scores=True)[: len(frames)]

    def _frame(self, image: Image) -> Image:
        contract = self.session.contract
        health, reason = check_form(image, contract)
        if health is Health.WRONG_SIZE and contract.frame_size is not None:
            width, height = contract.frame_size
            raise ImageError(
                f"{self.session.path}: takes frames of {width}x{height} px, got an array of shape {image.shape}; "
                "export one for this camera with --frame-size, or for any with --frame-size any"
            )
        if health is not Health.OK:
            raise ValueError(f"image: {reason}")
        return image if contract.color_order == "RGB" else image[..., ::-1]
