"""An exported file through the in-vehicle runtime: what a vehicle does with a frame. It imports what a vehicle has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tl_runtime.session import Runtime


def limit_threads(threads: int) -> None:
    """The runtime takes its number of threads when it opens."""


def as_input(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB, as it is."""
    return frame


def open_engine(settings: dict[str, Any]) -> tuple[Callable[..., Any], Callable[[], str]]:
    """Open `settings["path"]` with `settings["provider"]`.

    Raises:
        RuntimeError: onnxruntime took another provider.
    """
    provider = settings["provider"]
    runtime = Runtime(settings["path"], [provider], settings["threads"])
    check_provider(provider, runtime.providers[0])

    def run(frame: NDArray[np.uint8]) -> tuple[NDArray, NDArray, NDArray]:
        return runtime.detect(frame, low_scores=True)

    return run, lambda: runtime.providers[0]


def check_provider(wanted: str, taken: str) -> None:
    """Refuse another provider: where one's libraries are missing, onnxruntime takes the CPU without an error.

    Raises:
        RuntimeError: It did.
    """
    if taken != wanted:
        raise RuntimeError(f"{wanted} did not start and onnxruntime took {taken}; are the libraries it needs there?")
