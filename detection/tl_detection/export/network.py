"""The torch part of an exported file: a module with fixed shapes becomes ONNX nodes, the same on every machine."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Sequence

import onnx
import torch

# Registers the ONNX form of torchvision's operators, which the exporter looks up.
import torchvision  # noqa: F401

from tl_detection.export.graph import OPSET


def trace(module: torch.nn.Module, inputs: Sequence[torch.Tensor], outputs: Sequence[str]) -> onnx.ModelProto:
    """Turn a module into ONNX.

    Args:
        module: In eval mode; every shape follows from the example inputs alone.
        inputs: Examples.
        outputs: Names of what it gives.

    Returns:
        A model of opset 18 without names of files, times, or traces of the program that made it.
    """
    quiet = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in quiet]
    try:
        for logger in quiet:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
            # The exporter warns of its own deprecated parts.
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module.eval(),
                tuple(inputs),
                dynamo=True,
                opset_version=OPSET,
                input_names=[f"input_{i}" for i in range(len(inputs))],
                output_names=list(outputs),
                verbose=False,
            )
    finally:
        for logger, level in zip(quiet, levels, strict=True):
            logger.setLevel(level)
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    return strip(program.model_proto)


def strip(model: onnx.ModelProto) -> onnx.ModelProto:
    """Remove doc strings, stack traces and the producer, so that one checkpoint always gives the same bytes."""
    model.doc_string = model.producer_name = model.producer_version = ""
    del model.metadata_props[:]
    graph = model.graph
    graph.doc_string = ""
    del graph.metadata_props[:]
    for part in (*graph.node, *graph.initializer, *graph.input, *graph.output, *graph.value_info):
        part.doc_string = ""
        del part.metadata_props[:]
    return model
