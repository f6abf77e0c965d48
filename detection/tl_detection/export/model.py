"""The whole exported file: letterbox, network, suppression and metadata in one ONNX model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import onnx
from onnx import TensorProto, helper
from torchvision.models.detection.roi_heads import RoIHeads

from tl_datasets.errors import WeightsError
from tl_detection.detector import Detector
from tl_detection.detectors.faster_rcnn import FasterRcnnDetector
from tl_detection.detectors.yolo import YoloDetector
from tl_detection.export.graph import IR_VERSION, OPSET, GraphWriter
from tl_detection.export.network import strip
from tl_detection.export.postprocess import write_outputs
from tl_detection.export.preprocess import write_preprocess
from tl_runtime.session import INPUT_NAME, OUTPUT_NAMES


def build_model(detector: Detector, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """Write a detector as one ONNX model that takes one camera frame of any size.

    Args:
        detector: A `YoloDetector` or `FasterRcnnDetector` on the CPU, in eval mode.
        metadata: Entries of the file.

    Returns:
        Input `image` uint8 (1, H, W, 3) RGB; outputs `num_detections` int32 (1, 1), `detection_boxes` float32
        (1, K, 4) xyxy in the frame's pixels, `detection_scores` float32 (1, K), `detection_classes` int32 (1, K).

    Raises:
        WeightsError: The detector is of another kind.
    """
    graph = GraphWriter("tl")
    if isinstance(detector, YoloDetector):
        from tl_detection.export.yolo_graph import write_yolo

        tensor, placement = write_preprocess(graph, INPUT_NAME, detector.width_px, detector.height_px)
        found, n_rows = write_yolo(graph, tensor, detector), detector.max_detections
    elif isinstance(detector, FasterRcnnDetector):
        from tl_detection.export.faster_rcnn_graph import write_faster_rcnn

        tensor, placement = write_preprocess(graph, INPUT_NAME, detector.width_px, detector.height_px)
        found = write_faster_rcnn(graph, tensor, detector)
        n_rows = cast(RoIHeads, detector.network.roi_heads).detections_per_img
    else:
        raise WeightsError(f"{type(detector).__name__} cannot be exported; expected a YOLO or Faster R-CNN checkpoint")
    for name, value in write_outputs(graph, found, placement, n_rows).items():
        graph.rename(value, name)
    float32, int32 = TensorProto.FLOAT, TensorProto.INT32
    shapes = {
        "num_detections": (int32, [1, 1]),
        "detection_boxes": (float32, [1, n_rows, 4]),
        "detection_scores": (float32, [1, n_rows]),
        "detection_classes": (int32, [1, n_rows]),
    }
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "tl",
            [helper.make_tensor_value_info(INPUT_NAME, TensorProto.UINT8, [1, "height", "width", 3])],
            [helper.make_tensor_value_info(name, *shapes[name]) for name in OUTPUT_NAMES],
            list(graph.constants.values()),
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    strip(model)
    helper.set_model_props(model, dict(metadata))
    return model
