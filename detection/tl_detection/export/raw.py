"""The network alone (`tl export --raw`) as a detector: the recipe for who brings letterbox and suppression along.

It exists to prove that variant by the same comparison as the whole file, and says in Python what a TensorRT or OpenVINO
pipeline has to do around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torchvision.ops import batched_nms

from tl_datasets.label_space import LabelSpace
from tl_detection.detector import Detections, Image
from tl_detection.detectors import faster_rcnn, yolo
from tl_detection.detectors.suppression import suppress
from tl_detection.detectors.torch_frames import to_batch, to_detections
from tl_runtime.checksum import read_bytes
from tl_runtime.contract import RAW_INPUT_NAME, RAW_OUTPUT_NAMES
from tl_runtime.session import open_session


class RawDetector:
    """A raw file with everything around it.

    Attributes:
        max_detections: Most lights in a frame.
    """

    def __init__(self, path: Path, checkpoint: yolo.YoloDetector | faster_rcnn.FasterRcnnDetector, batch: int):
        """Open a file.

        Args:
            path: Made by `tl export --raw`.
            checkpoint: What it was made from: says sizes, classes and limits.
            batch: Pictures that it takes at once.
        """
        self._session = open_session(path, read_bytes(path), None, None)
        self._size = checkpoint.width_px, checkpoint.height_px
        self._label_space = checkpoint.label_space
        self._batch = batch
        if isinstance(checkpoint, yolo.YoloDetector):
            self._class_iou = yolo.TWIN_IOU if checkpoint.end_to_end else yolo.NMS_IOU
            self._first_iou, self._floor, self.max_detections = None, yolo.SCORE_THRESHOLD, checkpoint.max_detections
        else:
            heads = checkpoint.network.roi_heads
            self._class_iou = faster_rcnn.NMS_IOU
            self._first_iou, self._floor = float(heads.nms_thresh), float(heads.score_thresh)  # type: ignore[arg-type]
            self.max_detections = int(heads.detections_per_img)  # type: ignore[arg-type]

    @property
    def label_space(self) -> LabelSpace:
        """The classes of the checkpoint."""
        return self._label_space

    @property
    def description(self) -> dict[str, str]:
        """The engine."""
        return {"engine": "onnx, network alone"}

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        """Detect in (H, W, 3) uint8 RGB images of any size, low scores included."""
        results = []
        for start in range(0, len(images), self._batch):
            part = list(images[start : start + self._batch])
            tensor, placements = to_batch(
                [*part, *part[:1] * (self._batch - len(part))], *self._size, torch.device("cpu")
            )
            boxes, scores = self._session.run(list(RAW_OUTPUT_NAMES), {RAW_INPUT_NAME: tensor.numpy()})
            for row, image in enumerate(part):
                found = self._choose(
                    torch.from_numpy(np.asarray(boxes)[row]), torch.from_numpy(np.asarray(scores)[row])
                )
                results.append(to_detections(*found, placements[row], image))
        return results

    def _choose(self, boxes: torch.Tensor, scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(A, 4) boxes and (A, C) scores to the lights that stay, highest score first."""
        n_classes = scores.shape[1]
        best = scores.numel() if self._first_iou is not None else min(yolo.MAX_CANDIDATES, scores.numel())
        score, position = scores.flatten().topk(best)
        position = position[score > self._floor]
        xyxy, score, class_id = boxes[position // n_classes], score[: len(position)], position % n_classes
        if self._first_iou is not None:
            keep = batched_nms(xyxy, score, class_id, self._first_iou)[: self.max_detections]
            xyxy, score, class_id = xyxy[keep], score[keep], class_id[keep]
        keep = suppress(xyxy, score, class_id, self._label_space.groups, self._class_iou)[: self.max_detections]
        return xyxy[keep], score[keep], class_id[keep]
