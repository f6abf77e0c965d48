"""int8 and fp16 as they are written, with the ONNX reference implementation as a second judge of what they compute."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from tl_datasets.errors import DataError, WeightsError
from tl_detection.compression.float16 import too_large, write_float16
from tl_detection.compression.int8 import weight_scales, write_int8
from tl_detection.compression.ranges import measure_ranges
from tl_detection.compression.region import data_values, find_region
from tl_detection.compression.running import feed_of, open_bytes
from tl_detection.compression.trials import require_sound


def run(model: onnx.ModelProto, image: np.ndarray) -> np.ndarray:
    session = open_bytes(model.SerializeToString())
    return session.run(["scores"], feed_of(session, image))[0]


def named(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    return {node.name: node for node in model.graph.node}


@pytest.fixture
def ranges(small_model, scene):
    region = find_region(small_model, "small.onnx")
    return measure_ranges(small_model, region, [(str(seed), scene(seed)) for seed in range(4)])


def test_ranges_are_those_of_the_values(small_model, scene, ranges):
    region = find_region(small_model, "small.onnx")
    nodes = [node for node in small_model.graph.node if node.name in set(region.nodes)]
    values = data_values(nodes)
    assert list(ranges) == values
    assert values[0] == "tl/unit_chw"
    judge = onnx.ModelProto()
    judge.CopyFrom(small_model)
    judge.graph.output.extend(onnx.helper.make_tensor_value_info(value, 1, None) for value in values)
    reference = ReferenceEvaluator(judge)
    seen = [reference.run(values, {"image": scene(seed)[None]}) for seed in range(4)]
    for position, value in enumerate(values):
        arrays = [frame[position] for frame in seen]
        expected = min(array.min() for array in arrays), max(array.max() for array in arrays)
        assert ranges[value] == pytest.approx(expected, rel=1e-4, abs=1e-5), value


def test_a_file_that_wants_blue_first_is_calibrated_with_blue_first(small_model, scene):
    region = find_region(small_model, "small.onnx")
    red = np.zeros_like(scene(0))
    red[..., 0] = 200
    plain = measure_ranges(small_model, region, [("red", red)])
    blue = measure_ranges(small_model, region, [("red", red[..., ::-1])])
    onnx.helper.set_model_props(small_model, {"tl": '{"color_order": "BGR"}'})
    assert measure_ranges(small_model, region, [("red", red)]) == blue != plain


def test_a_network_that_is_not_finite_cannot_be_calibrated(small_model, scene):
    weight = next(each for each in small_model.graph.initializer if each.name == "tl/network/net.left.bias")
    weight.CopyFrom(numpy_helper.from_array(np.array([0, np.nan, 0, 0], np.float32), weight.name))
    region = find_region(small_model, "small.onnx")
    with pytest.raises(DataError, match="frame 7: the float network gives numbers that are not finite on this frame"):
        measure_ranges(small_model, region, [("frame 7", scene(7))])
    with pytest.raises(DataError, match="calibration: no frame"):
        measure_ranges(small_model, region, [])
    with pytest.raises(WeightsError, match=r"small\.onnx: 1 of 1 outputs of the network are not finite; a bad calibr"):
        require_sound(small_model, region, [scene(1)], "small.onnx")


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_only_the_chosen_nodes_change(small_model, ranges, precision):
    region = find_region(small_model, "small.onnx")
    chosen = set(region.nodes) - {"tl/network/node_left", "tl/network/node_relu"}
    made = write_int8(small_model, chosen, ranges) if precision == "int8" else write_float16(small_model, chosen)
    onnx.checker.check_model(made, full_check=True)
    before, after = named(small_model), named(made)
    outside = [name for name in before if not name.startswith("tl/network/")]
    assert outside
    for name in [*outside, "tl/network/node_relu", "tl/network/node_distance", "tl/network/node_bins"]:
        same = onnx.NodeProto()
        same.CopyFrom(after[name])
        if name == "tl/scores" or name == "tl/network/node_bins":
            same.input[0] = before[name].input[0]  # the layer's outputs, back from int8
        assert same == before[name], name
    assert [item.name for item in made.graph.input] == [item.name for item in small_model.graph.input]
    assert "score_thresholds" in {item.name for item in made.graph.initializer}
    left = after["tl/network/node_left"]
    assert left.input[1] == "tl/network/net.left.weight"
    assert "tl/network/net.stem.weight" not in {item.name for item in made.graph.initializer}


def test_int8_comes_near_to_float_and_computes_as_the_standard_says(small_model, ranges, scene):
    region = find_region(small_model, "small.onnx")
    made = write_int8(small_model, set(region.nodes), ranges)
    image = scene(2)
    expected, actual = run(small_model, image), run(made, image)
    spread = expected.std()
    assert np.abs(actual - expected).mean() < 0.02 * spread
    judge = onnx.ModelProto()
    judge.CopyFrom(made)
    judge.opset_import[0].version = 19  # the oldest that the judge knows; of these operators nothing changed
    reference = ReferenceEvaluator(judge).run(["scores"], {"image": image[None]})[0]
    # Rounding halves differently moves single values by a step.
    step = (max(0, expected.max()) - min(0, expected.min())) / 255
    assert np.abs(actual - reference).max() < 3 * step
    assert np.abs(actual - reference).mean() < 0.1 * step
    assert write_int8(small_model, set(region.nodes), ranges).SerializeToString() == made.SerializeToString()


def test_int8_weights_have_a_scale_per_output_and_sums_are_fused(small_model, ranges):
    region = find_region(small_model, "small.onnx")
    made = write_int8(small_model, set(region.nodes), ranges)
    constants = {each.name: numpy_helper.to_array(each) for each in made.graph.initializer}
    original = {each.name: numpy_helper.to_array(each) for each in small_model.graph.initializer}
    rounded, scale = (constants[f"tl/network/node_left/weight/{word}"] for word in ("quantised", "scale"))
    assert (rounded.dtype, scale.shape) == (np.int8, (4,))
    assert np.abs(rounded).reshape(4, -1).max(axis=1).tolist() == [127] * 4
    error = np.abs(rounded * scale.reshape(4, 1, 1, 1) - original["tl/network/net.left.weight"])
    assert (error.reshape(4, -1).max(axis=1) <= 0.5001 * scale).all()
    # Between a layer and its Relu nothing is rounded, so that runtimes make one operation of them.
    assert named(made)["tl/network/node_relu"].input[0] == "tl/network/left"
    # A pooling gives some of its numbers on: in the same scale.
    assert constants["tl/network/pooled/scale"] == constants["tl/network/silu/scale"]
    assert constants["tl/network/stem_gate/scale"] == np.float32(1 / 255)


def test_the_runtime_runs_the_region_in_whole_numbers(small_model, ranges, tmp_path):
    import onnxruntime

    region = find_region(small_model, "small.onnx")
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    data = write_int8(small_model, set(region.nodes), ranges).SerializeToString()
    onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert kinds.count("QLinearConv") == 3
    assert {"QLinearSigmoid", "QLinearMul", "QLinearConcat"} <= set(kinds)
    assert "Relu" not in kinds


def test_weights_and_values_that_are_all_zero_or_tiny_have_a_scale(small_model, ranges, scene):
    for each in small_model.graph.initializer:
        if each.name == "tl/network/net.left.weight":
            each.CopyFrom(numpy_helper.from_array(np.zeros(each.dims, np.float32), each.name))
    region = find_region(small_model, "small.onnx")
    dead = {**ranges, "tl/network/relu": (0.0, 0.0), "tl/network/silu": (0.0, 0.0)}
    made = write_int8(small_model, set(region.nodes), dead)
    require_sound(made, region, [scene(1)], "dead.onnx")
    assert np.isfinite(run(made, scene(1))).all()
    with pytest.raises(DataError, match=r"value tl/network/silu lies between nan and 1.0; expected finite numbers"):
        write_int8(small_model, set(region.nodes), {**ranges, "tl/network/silu": (np.nan, 1.0)})


def test_a_bias_far_beyond_its_weights_fits_into_the_sums():
    weight, bias = np.full((2, 1, 1, 1), 1e-6, np.float32), np.array([1e4, 0], np.float32)
    scale = weight_scales(weight, 0, bias, input_scale=0.01)
    assert abs(bias[0] / (scale[0] * 0.01)) <= 2**30
    assert scale[1] == pytest.approx(1e-6 / 127)


def test_halves_come_near_to_float_and_what_does_not_fit_stays(small_model, ranges, scene):
    region = find_region(small_model, "small.onnx")
    assert too_large(small_model, region, ranges) == frozenset()
    made = write_float16(small_model, set(region.nodes))
    assert np.abs(run(made, scene(2)) - run(small_model, scene(2))).max() < 0.02
    kinds = {each.name: each.data_type for each in made.graph.initializer}
    assert kinds["tl/network/net.left.weight/half"] == onnx.TensorProto.FLOAT16
    assert kinds["tl/network/dfl.weight"] == onnx.TensorProto.FLOAT
    large = too_large(small_model, region, {**ranges, "tl/network/silu": (-1.0, 40_000.0)})
    assert large == {f"tl/network/node_{name}" for name in ("silu", "left", "pooled")}
