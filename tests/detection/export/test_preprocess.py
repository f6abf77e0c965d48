"""The letterbox inside the file against `tl_datasets.letterbox`, which is what networks are trained with."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from tl_datasets.letterbox import letterbox, place
from tl_detection.export.camera import Camera
from tl_detection.export.graph import IR_VERSION, OPSET, GraphWriter
from tl_detection.export.preprocess import write_preprocess

WIDTH_PX, HEIGHT_PX = 160, 96
SIZES = {
    "same": (96, 160),
    "half": (48, 80),
    "double": (192, 320),
    "wide": (50, 400),
    "high": (400, 50),
    "odd": (333, 517),
    "one less": (95, 159),
    "one pixel": (1, 1),
    "one row": (1, 900),
    "one column": (900, 1),
    "camera": (720, 1280),
}


def session_of(camera: Camera) -> onnxruntime.InferenceSession:
    graph = GraphWriter("t")
    tensor, placement = write_preprocess(graph, "image", WIDTH_PX, HEIGHT_PX, camera)
    graph.rename(tensor, "tensor")
    names = ("scale", "left", "top")
    for name in names:
        graph.rename(getattr(placement, name), name)
    outputs = [helper.make_tensor_value_info("tensor", TensorProto.FLOAT, [camera.batch, 3, HEIGHT_PX, WIDTH_PX])]
    outputs += [helper.make_tensor_value_info(name, TensorProto.DOUBLE, []) for name in names]
    width, height = camera.frame_size or ("w", "h")
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "t",
            [helper.make_tensor_value_info("image", TensorProto.UINT8, [camera.batch, height, width, 3])],
            outputs,
            graph.used_constants(),
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    onnx.checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def session() -> onnxruntime.InferenceSession:
    return session_of(Camera(frame_size=None))


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
def test_gives_the_bytes_of_the_letterbox(session, size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    tensor = session.run(["tensor"], {"image": image[None]})[0]
    expected = letterbox(image, WIDTH_PX, HEIGHT_PX)[0]
    difference = np.abs(tensor[0].transpose(1, 2, 0).astype(int) - expected.astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 1e-4
    assert (tensor == np.round(tensor)).all()


@pytest.mark.parametrize("size", [*SIZES.values(), (1050, 1920), (600, 608), (719, 1279)])
def test_places_as_the_letterbox_does(session, size):
    height, width = size
    image = np.zeros((height, width, 3), np.uint8)
    scale, left, top = session.run(["scale", "left", "top"], {"image": image[None]})
    expected = place(width, height, WIDTH_PX, HEIGHT_PX)
    assert (float(scale), int(left), int(top)) == (expected.scale, expected.left, expected.top)


@pytest.mark.parametrize("order", ["RGB", "BGR"])
@pytest.mark.parametrize("size", [*SIZES.values(), (288, 480), (384, 640), (360, 640), (480, 800), (200, 320)])
def test_a_file_for_one_size_gives_the_bytes_of_the_letterbox(size, order):
    """Sizes that are a whole multiple, from 1 to 5, go another way than the rest."""
    height, width = size
    session = session_of(Camera(frame_size=(width, height), color_order=order, batch=2))
    images = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    shown = images if order == "RGB" else np.ascontiguousarray(images[..., ::-1])
    tensor, scale, left, top = session.run(["tensor", "scale", "left", "top"], {"image": shown})
    for image, found in zip(images, tensor, strict=True):
        wanted = letterbox(image, WIDTH_PX, HEIGHT_PX)[0].transpose(2, 0, 1).astype(np.float32)
        assert np.abs(found - wanted).max() <= 1
        assert (found != wanted).mean() <= 1e-4
    expected = place(width, height, WIDTH_PX, HEIGHT_PX)
    assert (float(scale), int(left), int(top)) == (expected.scale, expected.left, expected.top)
