"""The in-vehicle runtime: an exported file in, traffic lights out; numpy and onnxruntime are all that it imports."""

from tl_runtime.contract import CONTRACT_VERSION, Contract, LightClass
from tl_runtime.detector import CameraStatus, Detector, Result
from tl_runtime.errors import BrokenOutputError, ModelError, NoResultError, TlRuntimeError
from tl_runtime.watch import Health, WatchRules

__all__ = [
    "CONTRACT_VERSION",
    "BrokenOutputError",
    "CameraStatus",
    "Contract",
    "Detector",
    "Health",
    "LightClass",
    "ModelError",
    "NoResultError",
    "Result",
    "TlRuntimeError",
    "WatchRules",
]
