"""Time of bootstrap intervals on a problem of the size of BDD100K's validation part.

python tools/benchmark_intervals.py [--frames 10000] [--detections 100] [--replicates 200]

Drawn at random: every frame is a sequence of its own, as in BDD100K, with 2.7 lights of four states on average and the
given number of detections, of which most are noise of low score.

Processor time with one thread of a Xeon that other work kept busy; 10,000 frames, 1,000,000 detections, 200 replicates:

    match once, all scores overall                              3.2 s
    ap50 of one class, 500,000 detections                       0.32 s
    ap50 of four classes                                        0.63 s
    ap50 of four classes in each of 11 slices                   1.4 s
    ap of four classes at 10 thresholds                         1.9 s
    precision, recall, f1, phantoms or red as green             at most 0.05 s
    all 12 scores, overall and per class, in 12 sets of frames  34 s
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from tl_datasets.catalog import Catalog
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_space import LabelSpace, Rule
from tl_datasets.taxonomy import State, TimeOfDay, Weather
from tl_detection.detector import Detections
from tl_detection.evaluation.conditions import slices_by
from tl_detection.evaluation.ground_truth import ground_truth_from_catalog
from tl_detection.evaluation.intervals import ScoreName, interval
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.replicates import draw_replicates, sequence_numbers
from tl_detection.evaluation.scores import score

STATES = (State.RED, State.GREEN, State.YELLOW, State.OFF)
SHARES = (0.42, 0.5, 0.03, 0.05)
LIGHTS = LabelSpace(classes={state.value: Rule(state=[state]) for state in STATES})
WEATHER = (*Weather, None)


def drawn_problem(n_frames: int, per_frame: int, seed: int = 0) -> tuple[Catalog, list[Detections]]:
    """A catalog without images, and `per_frame` detections for each of its frames."""
    rng = np.random.default_rng(seed)
    frames, detections = [], []
    for index in range(n_frames):
        n = min(int(rng.poisson(2.7)), per_frame)
        corner, size = rng.uniform(0, 1000, (n, 2)), np.exp(rng.normal(2.8, 0.5, (n, 2)))
        boxes, class_id = np.concatenate([corner, corner + size], axis=1), rng.choice(4, n, p=SHARES)
        frames.append(
            Frame(
                frame_id=f"{index:06}",
                path=f"{index:06}.jpg",
                width_px=1280,
                height_px=720,
                annotations=tuple(
                    Annotation(xyxy=tuple(box), state=STATES[number])
                    for box, number in zip(boxes.tolist(), class_id, strict=True)
                ),
                weather=WEATHER[rng.integers(len(WEATHER))],
                time_of_day=(TimeOfDay.DAYTIME, TimeOfDay.NIGHT)[rng.integers(2)],
            )
        )
        noise = per_frame - n
        corner, size = rng.uniform(0, 1000, (noise, 2)), np.exp(rng.normal(2.8, 0.5, (noise, 2)))
        xyxy = np.concatenate([boxes + rng.normal(0, 2, boxes.shape), np.concatenate([corner, corner + size], axis=1)])
        xyxy[:, 2:] = np.maximum(xyxy[:, 2:], xyxy[:, :2] + 1)
        detections.append(
            Detections(
                xyxy=xyxy.astype(np.float32),
                score=np.concatenate([rng.beta(2, 2, n), rng.beta(0.5, 8, noise)]).astype(np.float32),
                class_id=np.concatenate([class_id, rng.choice(4, noise, p=SHARES)]),
            )
        )
    return Catalog.from_frames(frames, source="drawn", root=Path("/nowhere")), detections


@contextlib.contextmanager
def timed(what: str) -> Iterator[None]:
    """Write the processor time that a block took."""
    start = time.process_time()
    yield
    sys.stdout.write(f"{what:<66} {time.process_time() - start:7.3f} s\n")


def main() -> None:
    """Draw the problem and time what a validation does with it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--detections", type=int, default=100, help="per frame")
    parser.add_argument("--replicates", type=int, default=200)
    args = parser.parse_args()
    catalog, detections = drawn_problem(args.frames, args.detections)
    truth = ground_truth_from_catalog(catalog, LIGHTS)
    with timed("match once"):
        matched = match(truth, detections)
    with timed("all scores, overall"):
        operating_scores = score(matched).operating_scores
    with timed("number the sequences"):
        numbers = sequence_numbers(truth)
    every = np.ones(len(truth), np.bool_)
    night = next(item.frame_mask for item in slices_by(truth, ["time_of_day"]) if item.value == "night")
    slices = slices_by(truth, ["weather", "time_of_day"])
    with timed(f"draw {args.replicates} replicates of {len(truth)} sequences"):
        overall = draw_replicates(numbers, every, replicates=args.replicates)

    def run(name: ScoreName, mask: NDArray[np.bool_], class_id: int | None = None) -> None:
        replicates = draw_replicates(numbers, mask, replicates=args.replicates)
        interval(matched, replicates, name, class_id=class_id, operating_scores=operating_scores)

    with timed("ap50 of green, overall"):
        interval(matched, overall, "ap50", class_id=1)
    with timed("ap50 of green at night, with the draw"):
        run("ap50", night, 1)
    with timed("ap50, mean of 4 classes, overall"):
        interval(matched, overall, "ap50")
    with timed("ap, mean of 4 classes at 10 thresholds, overall"):
        interval(matched, overall, "ap")
    for name in get_args(ScoreName)[6:]:
        with timed(f"{name}, overall"):
            interval(matched, overall, name, operating_scores=operating_scores)
    with timed(f"ap50, mean of 4 classes, in {len(slices)} slices of weather and time of day"):
        for item in slices:
            run("ap50", item.frame_mask)
    with timed(f"every score, overall and per class, overall and in {len(slices)} slices"):
        for mask in (every, *(item.frame_mask for item in slices)):
            for name in get_args(ScoreName):
                for class_id in (None, *range(4)) if name != "red_as_green" else (None,):
                    run(name, mask, class_id)
    sys.stdout.write(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB\n")


if __name__ == "__main__":
    main()
