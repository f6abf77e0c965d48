"""A hand-made network of a few layers, and an exported YOLO with frames that it is right about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from tl_datasets.catalog import Catalog
from tl_datasets.frame import Annotation, Frame
from tl_datasets.images import write_whole
from tl_datasets.label_space import LabelSpace
from tl_datasets.taxonomy import State, TimeOfDay, Weather
from tl_detection.checkpoint import Checkpoint, save_checkpoint
from tl_detection.detectors.onnx import OnnxDetector
from tl_detection.export.export import export

CLASSES = ("red", "green")
WIDTH_PX, HEIGHT_PX = 320, 192


def constant(name: str, array: np.ndarray) -> TensorProto:
    return numpy_helper.from_array(array, name)


@pytest.fixture
def small_model() -> onnx.ModelProto:
    """An exported file in small: bytes in; a stem, two branches that join, a head; a decoding with pixels."""
    rng = np.random.default_rng(0)
    prefix = "tl/network/"

    def weight(name: str, *shape: int) -> TensorProto:
        return constant(f"{prefix}net.{name}.weight", rng.normal(0, 0.5, shape).astype(np.float32))

    def bias(name: str, size: int) -> TensorProto:
        return constant(f"{prefix}net.{name}.bias", rng.normal(0, 0.2, size).astype(np.float32))

    def node(kind: str, name: str, *inputs: str, **attributes) -> onnx.NodeProto:
        return helper.make_node(kind, list(inputs), [f"{prefix}{name}"], f"{prefix}node_{name}", **attributes)

    def conv(name: str, value: str, pads: int = 1) -> onnx.NodeProto:
        names = (f"{prefix}net.{name}.weight", f"{prefix}net.{name}.bias")
        return node("Conv", name, value, *names, pads=[pads] * 4)

    nodes = [
        helper.make_node("Cast", ["image"], ["tl/cast"], "tl/cast", to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["tl/cast"], ["tl/chw"], "tl/chw", perm=[0, 3, 1, 2]),
        helper.make_node("Mul", ["tl/chw", "tl/unit"], ["tl/unit_chw"], "tl/scaled"),
        conv("stem", "tl/unit_chw"),
        node("Sigmoid", "stem_gate", f"{prefix}stem"),
        node("Mul", "silu", f"{prefix}stem", f"{prefix}stem_gate"),
        conv("left", f"{prefix}silu"),
        node("Relu", "relu", f"{prefix}left"),
        node("MaxPool", "pooled", f"{prefix}silu", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Concat", "joined", f"{prefix}relu", f"{prefix}pooled", axis=1),
        conv("head.out", f"{prefix}joined", pads=0),
        # The decoding: a mean over bins as a layer with one output, and a product with pixels.
        node("Softmax", "bins", f"{prefix}head.out", axis=1),
        helper.make_node(
            "Conv", [f"{prefix}bins", f"{prefix}dfl.weight"], [f"{prefix}distance"], f"{prefix}node_distance"
        ),
        node("Mul", "pixels", f"{prefix}distance", f"{prefix}strides"),
        helper.make_node("Identity", [f"{prefix}pixels"], ["boxes"], "tl/boxes"),
        helper.make_node("Add", [f"{prefix}head.out", "score_thresholds"], ["scores"], "tl/scores"),
    ]
    constants = [
        constant("tl/unit", np.float32(1 / 255)),
        weight("stem", 8, 3, 3, 3),
        bias("stem", 8),
        weight("left", 4, 8, 3, 3),
        bias("left", 4),
        weight("head.out", 16, 12, 1, 1),
        bias("head.out", 16),
        constant(f"{prefix}dfl.weight", np.arange(16, dtype=np.float32).reshape(1, 16, 1, 1)),
        constant(f"{prefix}strides", np.float32(8)),
        constant("score_thresholds", np.zeros(1, np.float32)),
    ]
    graph = helper.make_graph(
        nodes,
        "tl",
        [
            helper.make_tensor_value_info("image", TensorProto.UINT8, [1, "height", "width", 3]),
            helper.make_tensor_value_info("score_thresholds", TensorProto.FLOAT, [1]),
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, "c", "h", "w"]) for name in ("boxes", "scores")],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def draw(seed: int, width: int = WIDTH_PX, height: int = HEIGHT_PX) -> np.ndarray:
    """Colour clouds with hard-edged boxes."""
    rng = np.random.default_rng(seed)
    image = cv2.resize(rng.integers(0, 256, (5, 8, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(10):
        x, y, box_width, box_height = (int(rng.integers(0, limit)) for limit in (width, height, 20, 40))
        colour = tuple(int(value) for value in rng.integers(0, 256, 3))
        cv2.rectangle(image, (x, y), (x + 2 + box_width, y + 4 + box_height), colour, -1)
    return image


@pytest.fixture
def scene() -> Callable[[int], np.ndarray]:
    """Small frames, for the small network."""
    return lambda seed: draw(seed, 48, 32)


def _set_spread(layer: nn.Conv2d, run: Callable[[], object], mean: float, spread: float) -> None:
    """Rescale a layer so that its outputs have this mean and deviation per channel."""
    seen: list[torch.Tensor] = []
    hook = layer.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()))
    run()
    hook.remove()
    factor = spread / (seen[0].std((0, 2, 3)) + 1e-9)
    layer.weight.data *= factor.view(-1, 1, 1, 1)
    if layer.bias is not None:
        layer.bias.data = (layer.bias.data - seen[0].mean((0, 2, 3))) * factor + mean


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A float file and the catalog that it is right about."""

    path: Path
    catalog: Path


@pytest.fixture(scope="session")
def exported(tmp_path_factory) -> Exported:
    """A YOLO with start values; its own certain detections on drawn frames are what is labelled there."""
    from tl_detection.detectors.yolo import build_yolo

    torch.manual_seed(0)
    model = {"architecture": "yolo11n", "width_px": WIDTH_PX, "height_px": HEIGHT_PX, "max_detections": 50}
    module = build_yolo(model, len(CLASSES))
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight)
    image = torch.from_numpy(draw(1000).transpose(2, 0, 1)[None].copy()).float() / 255
    with torch.no_grad():
        module.train()
        for _ in range(15):  # running means of the batch norms
            module(torch.cat([image, image.flip(3)]))
        module.eval()
        for branches, mean, spread in ((module.model[-1].cv2, 2.0, 1.0), (module.model[-1].cv3, -3.0, 2.0)):
            for branch in branches:
                _set_spread(branch[-1], lambda: module(image), mean, spread)
    folder = tmp_path_factory.mktemp("compression")
    space = LabelSpace.model_validate({"classes": {name: {"state": name} for name in CLASSES}})
    save_checkpoint(
        folder / "best.pt",
        Checkpoint(kind="yolo", model=model, label_space=space, state=module.state_dict(), meta={"run": "r"}),
    )
    export(folder / "best.pt", folder / "float.onnx", frames=[draw(0)])
    catalog = _catalog_of(OnnxDetector(folder / "float.onnx"), folder / "images")
    catalog.save(folder / "catalog")
    return Exported(path=folder / "float.onnx", catalog=folder / "catalog")


def _catalog_of(detector: OnnxDetector, images: Path) -> Catalog:
    images.mkdir()
    made = []
    for number in range(36):
        image = draw(number)
        _, png = cv2.imencode(".png", image[..., ::-1])
        write_whole(images / f"{number}.png", png.tobytes())
        found = detector.detect([image])[0].above(0.3)
        lights = tuple(
            Annotation(xyxy=tuple(box), state=State(CLASSES[each]))  # type: ignore[arg-type]
            for box, each in zip(found.xyxy.tolist(), found.class_id.tolist(), strict=True)
        )
        made.append(
            Frame(
                frame_id=f"frame{number}",
                path=f"{number}.png",
                width_px=WIDTH_PX,
                height_px=HEIGHT_PX,
                annotations=lights,
                weather=Weather.CLEAR if number % 2 else Weather.RAINY,
                time_of_day=TimeOfDay.NIGHT if number % 3 == 0 else TimeOfDay.DAYTIME,
                sequence=f"drive{number // 2}",
                split="val" if number % 4 < 2 else "train",
            )
        )
    return Catalog.from_frames(made, source="drawn", root=images)
