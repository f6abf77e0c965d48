"""The whole exported file: letterbox, network, suppression and metadata in one ONNX model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torchvision.models.detection.roi_heads import RoIHeads

from tl_datasets.errors import WeightsError
from tl_detection.detector import Detector
from tl_detection.detectors.faster_rcnn import FasterRcnnDetector
from tl_detection.detectors.yolo import YoloDetector
from tl_detection.export.camera import Camera
from tl_detection.export.graph import IR_VERSION, OPSET, GraphWriter
from tl_detection.export.network import strip
from tl_detection.export.postprocess import write_outputs
from tl_detection.export.preprocess import write_preprocess
from tl_runtime.contract import INPUT_NAME, OUTPUT_NAMES, RAW_INPUT_NAME, RAW_OUTPUT_NAMES, THRESHOLDS_NAME


def build_model(
    detector: Detector, metadata: Mapping[str, str], camera: Camera, thresholds: Sequence[float]
) -> onnx.ModelProto:
    """Write a detector as one ONNX model that takes camera frames.

    Args:
        detector: A `YoloDetector` or `FasterRcnnDetector` on the CPU, in eval mode.
        metadata: Entries of the file.
        camera: The frames.
        thresholds: Lowest score of each class that is given, by id. They stand in the file as the initializer
            `score_thresholds`, which whoever runs it may override: an evaluation sees the low scores of the same file.

    Returns:
        Input `image` uint8 (B, H, W, 3); outputs `num_detections` int32 (B, 1), `detection_boxes` float32
        (B, K, 4) xyxy in the frame's pixels, `detection_scores` float32 (B, K), `detection_classes` int32 (B, K).

    Raises:
        WeightsError: The detector is of another kind.
    """
    graph, batch = GraphWriter("tl"), camera.batch
    if isinstance(detector, YoloDetector):
        from tl_detection.export.yolo_graph import write_yolo

        tensor, placement = write_preprocess(graph, INPUT_NAME, detector.width_px, detector.height_px, camera)
        found, n_rows = write_yolo(graph, tensor, detector, batch), detector.max_detections
    elif isinstance(detector, FasterRcnnDetector):
        from tl_detection.export.faster_rcnn_graph import write_faster_rcnn

        tensor, placement = write_preprocess(graph, INPUT_NAME, detector.width_px, detector.height_px, camera)
        found = write_faster_rcnn(graph, tensor, detector, batch)
        n_rows = cast(RoIHeads, detector.network.roi_heads).detections_per_img
    else:
        raise _cannot(detector)
    for name, value in write_outputs(graph, found, placement, n_rows, THRESHOLDS_NAME).items():
        graph.rename(value, name)
    float32, int32 = TensorProto.FLOAT, TensorProto.INT32
    width, height = camera.frame_size or ("width", "height")
    lowest = numpy_helper.from_array(np.array(thresholds, np.float32), THRESHOLDS_NAME)
    return _finish(
        graph,
        inputs={
            INPUT_NAME: (TensorProto.UINT8, [batch, height, width, 3]),
            THRESHOLDS_NAME: (float32, [len(thresholds)]),
        },
        outputs=dict(
            zip(
                OUTPUT_NAMES,
                [
                    (int32, [batch, 1]),
                    (float32, [batch, n_rows, 4]),
                    (float32, [batch, n_rows]),
                    (int32, [batch, n_rows]),
                ],
                strict=True,
            )
        ),
        constants=[lowest],
        metadata=metadata,
    )


def build_raw_model(detector: Detector, metadata: Mapping[str, str], batch: int) -> onnx.ModelProto:
    """Write the network alone, for runtimes with a letterbox and a suppression of their own.

    Args:
        detector: A `YoloDetector` or `FasterRcnnDetector` on the CPU, in eval mode.
        metadata: Entries of the file.
        batch: Pictures at once.

    Returns:
        Input `images` float32 (B, 3, H, W) RGB in [0, 1], letterboxed; outputs `boxes` float32 (B, A, 4) xyxy in the
        pixels of that input, `scores` float32 (B, A, C).

    Raises:
        WeightsError: The detector is of another kind.
    """
    graph, n_classes = GraphWriter("tl"), len(detector.label_space)
    if isinstance(detector, YoloDetector):
        from tl_detection.export.yolo_graph import write_raw_yolo

        width, height = detector.width_px, detector.height_px
        values = write_raw_yolo(graph, RAW_INPUT_NAME, detector, batch)
    elif isinstance(detector, FasterRcnnDetector):
        from tl_detection.export.faster_rcnn_graph import write_raw_faster_rcnn

        width, height = detector.width_px, detector.height_px
        values = write_raw_faster_rcnn(graph, RAW_INPUT_NAME, detector, batch)
    else:
        raise _cannot(detector)
    for name, value in zip(RAW_OUTPUT_NAMES, values, strict=True):
        graph.rename(value, name)
    float32 = TensorProto.FLOAT
    boxes, scores = RAW_OUTPUT_NAMES
    return _finish(
        graph,
        inputs={RAW_INPUT_NAME: (float32, [batch, 3, height, width])},
        outputs={boxes: (float32, [batch, "boxes", 4]), scores: (float32, [batch, "boxes", n_classes])},
        constants=[],
        metadata=metadata,
    )


def _finish(
    graph: GraphWriter,
    *,
    inputs: Mapping[str, tuple[int, Sequence[int | str]]],
    outputs: Mapping[str, tuple[int, Sequence[int | str]]],
    constants: Sequence[onnx.TensorProto],
    metadata: Mapping[str, str],
) -> onnx.ModelProto:
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "tl",
            [helper.make_tensor_value_info(name, *what) for name, what in inputs.items()],
            [helper.make_tensor_value_info(name, *what) for name, what in outputs.items()],
            [*graph.used_constants(), *constants],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    strip(model)
    helper.set_model_props(model, dict(metadata))
    return model


def _cannot(detector: Detector) -> WeightsError:
    return WeightsError(f"{type(detector).__name__} cannot be exported; expected a YOLO or Faster R-CNN checkpoint")
