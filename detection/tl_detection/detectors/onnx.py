"""An exported file as a `Detector`: what is scored is what is shipped. No torch here; the work is in `runtime.py`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from tl_datasets.errors import WeightsError
from tl_datasets.label_space import LabelSpace
from tl_detection.detector import Detections, Image
from tl_runtime.errors import ModelError
from tl_runtime.session import Runtime


class OnnxDetector:
    """A file of `tl export`.

    Attributes:
        runtime: The opened file; `runtime.metadata` says how it was made.
    """

    def __init__(self, path: Path | str, providers: Sequence[str] | None = None, threads: int | None = None):
        """Open a file.

        Args:
            path: The file.
            providers: Names of onnxruntime providers in order of preference; None = the CPU.
            threads: Threads within an operation; None = onnxruntime's choice.

        Raises:
            WeightsError: The file is missing, foreign, of another contract, or its classes contradict each other.
        """
        try:
            self.runtime = Runtime(path, providers, threads)
        except ModelError as error:
            raise WeightsError(str(error)) from error
        try:
            self._label_space = LabelSpace.model_validate(self.runtime.metadata["label_space"])
        except (KeyError, ValidationError) as error:
            raise WeightsError(f"{path}: its label space cannot be read; export it again with: tl export") from error
        if self._label_space.names != self.runtime.names:
            raise WeightsError(
                f"{path}: classes {list(self.runtime.names)}, its label space has {list(self._label_space.names)}; "
                "export it again with: tl export"
            )

    @property
    def label_space(self) -> LabelSpace:
        """The classes that it was trained on."""
        return self._label_space

    @property
    def description(self) -> dict[str, str]:
        """Engine, input size, file and fingerprints, for reports."""
        metadata = self.runtime.metadata
        size = metadata.get("input")
        return {
            "engine": "onnx",
            "architecture": str(metadata.get("architecture")),
            **({"input": f"{size['width_px']}x{size['height_px']}"} if size else {}),
            "weights": str(self.runtime.path),
            "checkpoint_fingerprint": str(metadata.get("checkpoint_fingerprint")),
            "run": str(metadata.get("run")),
            **{key: str(metadata[key]) for key in ("run_fingerprint",) if key in metadata},
            "providers": ",".join(self.runtime.providers),
        }

    @property
    def operating_scores(self) -> tuple[float, ...] | None:
        """From which score on a detection of each class counts in a vehicle; None where the file says nothing."""
        return self.runtime.operating_scores

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """Detect in (H, W, 3) uint8 RGB images of any size, one after the other; low scores included."""
        results = []
        for image in images:
            xyxy, score, class_id = self.runtime.detect(image, low_scores=True)
            results.append(Detections(xyxy=xyxy, score=score, class_id=class_id))
        return results
