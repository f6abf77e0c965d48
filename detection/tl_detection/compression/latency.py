"""How long files take for a frame, measured in turn in one run, so that a busy machine slows down both."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from tl_detection.compression.running import feed_of, open_bytes
from tl_detection.detector import Image

ROUNDS = 40
_WARM_UP = 5


def median_latencies_ms(files: Mapping[str, bytes], image: Image, rounds: int = ROUNDS) -> dict[str, float]:
    """The median time for one frame, in milliseconds, on one thread of this CPU.

    Args:
        files: Name -> file.
        image: (H, W, 3) uint8 RGB.
        rounds: Times that each file runs after its warm-up.
    """
    sessions = {name: open_bytes(data, threads=1) for name, data in files.items()}
    taken: dict[str, list[float]] = {name: [] for name in sessions}
    for turn in range(_WARM_UP + rounds):
        for name, session in sessions.items():
            feed = feed_of(session, image)
            start = time.perf_counter()
            session.run(None, feed)
            if turn >= _WARM_UP:
                taken[name].append(time.perf_counter() - start)
    return {name: float(np.median(seconds)) * 1000 for name, seconds in taken.items()}
