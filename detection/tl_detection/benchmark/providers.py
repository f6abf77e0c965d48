"""Execution providers by the names that people use, as far as onnxruntime has them installed."""

from __future__ import annotations

from tl_datasets.errors import UsageError

PROVIDERS = {
    "CPU": "CPUExecutionProvider",
    "CUDA": "CUDAExecutionProvider",
    "TensorRT": "TensorrtExecutionProvider",
    "OpenVINO": "OpenVINOExecutionProvider",
}
ALL = "all"
_SOURCES = {"CUDA": "onnxruntime-gpu", "TensorRT": "onnxruntime-gpu and TensorRT", "OpenVINO": "onnxruntime-openvino"}
# Where torch runs what stands beside a file on that provider.
TORCH_DEVICES = {"CPU": "cpu", "CUDA": "cuda:0", "TensorRT": "cuda:0", "OpenVINO": "cpu"}


def installed_providers() -> list[str]:
    """Those of `PROVIDERS` that onnxruntime has here."""
    import onnxruntime

    available = onnxruntime.get_available_providers()
    return [name for name, full in PROVIDERS.items() if full in available]


def choose_providers(name: str) -> list[str]:
    """What `--provider` means here.

    Raises:
        UsageError: onnxruntime has no such provider here.
    """
    installed = installed_providers()
    if name == ALL:
        return installed
    if name not in installed:
        raise UsageError(
            f"--provider {name}: onnxruntime has {', '.join(installed)} here; "
            f"choose one of these, or install {_SOURCES.get(name, 'onnxruntime')}"
        )
    return [name]
