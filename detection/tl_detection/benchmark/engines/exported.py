"""An exported file through the in-vehicle runtime: what a vehicle does with a frame. It imports what a vehicle has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tl_runtime.session import Session


def limit_threads(threads: int) -> None:
    """The runtime takes its number of threads when it opens."""


def as_input(frame: NDArray[np.uint8], settings: dict[str, Any]) -> NDArray[np.uint8]:
    """In the order of colours that the file takes."""
    return frame if settings.get("color_order", "RGB") == "RGB" else frame[..., ::-1]


def open_engine(settings: dict[str, Any]) -> tuple[Callable[..., Any], Callable[[], str]]:
    """Open `settings["path"]` with `settings["provider"]`.

    Raises:
        RuntimeError: onnxruntime took another provider.
    """
    provider = settings["provider"]
    session = Session(settings["path"], [provider], settings["threads"])
    check_provider(provider, session.providers[0])

    def run(frame: NDArray[np.uint8]) -> tuple[NDArray, NDArray, NDArray]:
        found = session.run(frame[None], low_scores=True)[0]
        return found.xyxy, found.scores, found.labels

    return run, lambda: session.providers[0]


def check_provider(wanted: str, taken: str) -> None:
    """Refuse another provider: where one's libraries are missing, onnxruntime takes the CPU without an error.

    Raises:
        RuntimeError: It did.
    """
    if taken != wanted:
        raise RuntimeError(f"{wanted} did not start and onnxruntime took {taken}; are the libraries it needs there?")
