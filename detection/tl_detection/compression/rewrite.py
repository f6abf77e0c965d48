"""Small steps that every rewriting of a file needs."""

from __future__ import annotations

import onnx


def without_unused(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove the constants that no node reads any more; what may be set from outside stays."""
    used = {value for node in model.graph.node for value in node.input}
    used |= {value.name for value in (*model.graph.output, *model.graph.input)}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    return model
