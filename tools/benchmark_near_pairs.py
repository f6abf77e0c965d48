"""Time and memory of the search for near pairs among a million hashes.

python tools/benchmark_near_pairs.py                    random hashes with planted pairs
python tools/benchmark_near_pairs.py --images FOLDER    hashes like those of real drives, made from a folder of images

Measured with two threads on two cores of a Xeon that other work kept busy (load 11 to 13), so an idle one is faster:

    random, 997 planted pairs      27 s (24 s of processor)  peak 0.29 GB      1,224 near pairs, no planted one missed
    20,000 drives of real frames   31 s (31 s of processor)  peak 0.58 GB  2,132,518 near pairs
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tl_datasets.duplicates.image_hash import HASH_BITS, HASH_WORDS, count_different_bits, hash_image
from tl_datasets.duplicates.near_pairs import find_near_pairs
from tl_datasets.images import list_images, read_rgb

PLANTED = 1000
FRAMES_PER_DRIVE = 50
# Bits that change from one frame of a drive to the next, and from a real frame to the drive that is made of it.
# Consecutive numbers of real drives (DTLD) differ by 19 of 256 bits in the closest twentieth, by 60 in the median.
STEP = 0.08
ANOTHER_PLACE = 0.25


def random_hashes(number: int, rng: np.random.Generator) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """(N, 4) hashes and (PLANTED, 2) rows that were made near: up to 11 bits of the head, up to 79 of the others."""
    hashes = rng.integers(0, 2**64, (number, HASH_WORDS), dtype=np.uint64)
    rows = rng.permutation(number)[: 2 * PLANTED].reshape(PLANTED, 2)
    for one, other in rows:
        flips = np.concatenate(
            [rng.permutation(64)[: rng.integers(0, 12)], 64 + rng.permutation(HASH_BITS - 64)[: rng.integers(0, 80)]]
        )
        bits = np.zeros(HASH_BITS, dtype=np.uint8)
        bits[flips] = 1
        hashes[other] = hashes[one] ^ np.packbits(bits, bitorder="little").view(np.uint64)
    return hashes, np.sort(rows, axis=1)


def drive_hashes(number: int, folder: Path, rng: np.random.Generator) -> NDArray[np.uint64]:
    """(N, 4) hashes of made-up drives: real hashes with noise, changing a little from frame to frame."""
    found = [hash_image(read_rgb(path)) for path in list_images(folder)[:2000]]
    real = np.stack([value for value in found if value is not None])
    drives = -(-number // FRAMES_PER_DRIVE)
    current = real[rng.integers(0, len(real), drives)] ^ noise((drives,), ANOTHER_PLACE, rng)
    frames = []
    for _ in range(FRAMES_PER_DRIVE):
        frames.append(current)
        current = current ^ noise((drives,), STEP, rng)
    return np.stack(frames, axis=1).reshape(-1, HASH_WORDS)[:number]


def noise(shape: tuple[int, ...], share: float, rng: np.random.Generator) -> NDArray[np.uint64]:
    """(..., 4) hashes of which each bit is set with a probability."""
    bits = rng.random((*shape, HASH_BITS), dtype=np.float32) < share
    return np.packbits(bits, axis=-1, bitorder="little").view(np.uint64)


def main() -> None:
    """Search and report."""
    parser = argparse.ArgumentParser(description="Time and memory of the search for near pairs.")
    parser.add_argument("--number", type=int, default=1_000_000, help="hashes (default 1,000,000)")
    parser.add_argument("--images", type=Path, help="make the hashes from the images of this folder")
    parser.add_argument("--workers", type=int, default=2, help="threads (default 2)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    planted = None
    if arguments.images is None:
        hashes, planted = random_hashes(arguments.number, rng)
    else:
        hashes = drive_hashes(arguments.number, arguments.images, rng)
    before_s, before_cpu_s = time.perf_counter(), time.process_time()
    near = find_near_pairs(hashes, workers=arguments.workers)
    spent_s, spent_cpu_s = time.perf_counter() - before_s, time.process_time() - before_cpu_s
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{len(hashes):,} hashes, {arguments.workers} threads: {spent_s:.1f} s ({spent_cpu_s:.1f} s of processor), "
        f"peak {peak_gb:.2f} GB, {len(near.pairs):,} near pairs"
    )
    if planted is not None:
        distance = count_different_bits(hashes[planted[:, 0]], hashes[planted[:, 1]])
        expected = {tuple(pair) for pair in planted[(distance <= 90) & (distance > 0)].tolist()}
        missed = expected - {tuple(pair) for pair in near.pairs.tolist()}
        print(f"planted {len(expected)}, missed {len(missed)}")
        if missed:
            sys.exit(1)


if __name__ == "__main__":
    main()
