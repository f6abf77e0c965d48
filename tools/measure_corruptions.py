"""Measure what each corruption does to images, here or in the original package, as one line of JSON per severity.

    python tools/measure_corruptions.py a.jpg b.jpg --draws 24
    python tools/measure_corruptions.py a.jpg b.jpg --draws 24 --original

`--original` asks for imagecorruptions 1.1.2 and scikit-image beside this project, in an environment made for the
purpose; what newer numpy and scikit-image took away from it is given back first. The figures of
tests/datasets/corruptions/test_against_imagecorruptions.py were made so.

Columns: mean absolute difference from the image and mean, standard deviation (grey levels), peak signal-to-noise ratio
(dB, mean over images and draws), and the shortest time (ms).
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.corruptions.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from tl_datasets.images import read_rgb

Image = NDArray[np.uint8]
# Of the others one draw is like the next.
VARY = ("motion_blur", "frost", "fog")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, nargs="+")
    parser.add_argument("--corruptions", default=",".join(CORRUPTIONS))
    parser.add_argument("--severities", default=",".join(map(str, SEVERITIES)))
    parser.add_argument("--draws", type=int, default=1, help=f"per image, of {', '.join(VARY)} (default 1)")
    parser.add_argument("--original", action="store_true")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    apply = original() if options.original else ours
    images = [read_rgb(path) for path in options.images]
    for name in options.corruptions.split(","):
        for severity in map(int, options.severities.split(",")):
            rows = [
                measure(apply, image, name, severity, draw)
                for image in images
                for draw in range(options.draws if name in VARY else 1)
            ]
            *means, _ = np.mean(rows, axis=0)
            shortest = min(row[-1] for row in rows)
            print(json.dumps([name, severity, *(round(float(value), 3) for value in means), round(shortest, 1)]))


def measure(apply: Callable[..., Image], image: Image, name: str, severity: int, draw: int) -> tuple[float, ...]:
    """Mean absolute difference, mean, standard deviation, PSNR, and milliseconds."""
    start = time.perf_counter()
    made = apply(image, name, severity, draw)
    took_ms = 1000 * (time.perf_counter() - start)
    difference = made.astype(np.float64) - image
    psnr = 10 * np.log10(255**2 / np.mean(difference**2))
    return float(np.abs(difference).mean()), float(made.mean()), float(made.std()), float(psnr), took_ms


def ours(image: Image, name: str, severity: int, draw: int) -> Image:
    """This project's corruption."""
    return corrupt(image, name, severity, np.random.default_rng(draw))


def original() -> Callable[..., Image]:
    """The package's corruption, mended for numpy 2 and scikit-image 0.26."""
    if not hasattr(np, "float_"):
        np.float_ = np.float64  # type: ignore[attr-defined]  # noqa: NPY201
    package = importlib.import_module("imagecorruptions")
    functions = importlib.import_module("imagecorruptions.corruptions")
    gaussian = importlib.import_module("skimage.filters").gaussian

    def with_old_argument(image, sigma, multichannel: bool = False, **rest):
        return gaussian(image, sigma, channel_axis=-1 if multichannel else None, **rest)

    functions.gaussian = with_old_argument  # type: ignore[attr-defined]

    def apply(image: Image, name: str, severity: int, draw: int) -> Image:
        np.random.seed(draw)  # noqa: NPY002  the package draws from the global generator
        return package.corrupt(image, severity, name)

    return apply


if __name__ == "__main__":
    main()
