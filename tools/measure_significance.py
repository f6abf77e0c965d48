"""How often `tl compare` calls a difference real: of two equal detectors, and of two that differ.

python tools/measure_significance.py [--sequences 8 20 60] [--data-sets 300] [--replicates 1000] [--better 0.15]

Drives of three frames with red and green lights are drawn; some drives are hard for every detector. Two detectors find
and mistake lights at random with the same chances, or the second finds more of them. Each data set goes through the
comparison of the command, once with operating scores chosen on the same frames and once with given ones.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from tl_datasets.catalog import Catalog
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_space import LabelSpace, Rule
from tl_datasets.taxonomy import State
from tl_detection.evaluation.compare.differences import Scored, measure_differences
from tl_detection.evaluation.detection_table import DetectionTable
from tl_detection.evaluation.ground_truth import GroundTruth, ground_truth_from_catalog
from tl_detection.evaluation.matching import match
from tl_detection.evaluation.scores import score

LABEL_SPACE = LabelSpace(classes={"red": Rule(state=[State.RED]), "green": Rule(state=[State.GREEN])}, otherwise="drop")
FRAMES_PER_DRIVE = 3
MEASURES = ("ap", "ap50", "recall", "precision", "f1", "red_as_green", "phantoms")
LEVEL = 0.05
GIVEN_SCORE = 0.5


def draw_frames(n_sequences: int, rng: np.random.Generator) -> tuple[GroundTruth, np.ndarray]:
    """Frames with one to four lights each, and (F,) how easy the drive of each is."""
    frames, ease = [], []
    for drive in range(n_sequences):
        skill = rng.normal(0, 0.8)
        for index in range(FRAMES_PER_DRIVE):
            lefts = 60 * np.arange(rng.integers(1, 5))
            heights = rng.uniform(12, 48, len(lefts))
            boxes = tuple(
                Annotation(
                    xyxy=(float(left), 10.0, float(left + height / 2.5), float(10 + height)),
                    state=State.RED if rng.random() < 0.5 else State.GREEN,
                )
                for left, height in zip(lefts, heights, strict=True)
            )
            name = f"{drive:04}-{index}"
            frames.append(
                Frame(
                    frame_id=name,
                    path=f"{name}.png",
                    width_px=640,
                    height_px=480,
                    annotations=boxes,
                    sequence=f"{drive}",
                )
            )
            ease.append(skill)
    catalog = Catalog.from_frames(frames, source="drawn", root=Path())
    truth = ground_truth_from_catalog(catalog, LABEL_SPACE)
    return truth, np.array(ease)[truth.rows]


def draw_detections(truth: GroundTruth, ease: np.ndarray, better: float, rng: np.random.Generator) -> DetectionTable:
    """What a detector says; it finds a share of the lights that is larger by `better`."""
    of_box = ease[truth.frame_index]
    quality = of_box + rng.normal(0, 1, len(of_box))
    found = np.flatnonzero(rng.random(len(of_box)) < np.clip(0.65 + 0.12 * quality + better, 0, 1))
    box = truth.xyxy[found]
    moved = box + rng.normal(0, 0.04, box.shape) * np.tile(box[:, 2:] - box[:, :2], 2)
    said = np.where(rng.random(len(found)) < 0.04, 1 - truth.class_id[found], truth.class_id[found])
    confidence = 1 / (1 + np.exp(-0.8 - 0.5 * quality[found] - rng.normal(0, 0.7, len(found))))
    wrong = np.repeat(np.arange(len(truth)), rng.poisson(0.4 * np.exp(-0.4 * ease)))
    corner = rng.uniform(100, 400, (len(wrong), 2))
    return DetectionTable(
        frame_index=np.concatenate([truth.frame_index[found], wrong]),
        class_id=np.concatenate([said, rng.integers(0, 2, len(wrong))]),
        score=np.concatenate([confidence, rng.beta(2, 2.5, len(wrong))]),
        xyxy=np.concatenate([moved, np.hstack([corner, corner + np.array([10.0, 25.0])])]),
    )


def measure(
    n_sequences: int, data_sets: int, replicates: int, better: float, *, given: bool, seed: int
) -> dict[str, float]:
    """The share of data sets in which p is below 0.05, by measure; "any, corrected" of p after Holm's correction."""
    counts = dict.fromkeys((*MEASURES, "any, corrected"), 0)
    for number in range(data_sets):
        rng = np.random.default_rng([seed, n_sequences, number])
        truth, ease = draw_frames(n_sequences, rng)
        scored = []
        for letter, more in (("A", 0.0), ("B", better)):
            matched = match(truth, draw_detections(truth, ease, more, rng))
            scores = (GIVEN_SCORE,) * len(truth.names) if given else score(matched).operating_scores
            scored.append(Scored(letter=letter, matched=matched, operating_scores=scores))
        found = measure_differences(scored, (), names=MEASURES, replicates=replicates, seed=number)
        for item in found:
            if item.measure in counts and item.significance is not None:
                counts[item.measure] += item.significance.p < LEVEL
        corrected = [item.p_holm for item in found if item.family == "all frames" and item.p_holm is not None]
        counts["any, corrected"] += min(corrected, default=1.0) < LEVEL
    return {name: count / data_sets for name, count in counts.items()}


def main() -> None:
    """Draw data sets and write the shares as a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sequences", type=int, nargs="+", default=[8, 20, 60])
    parser.add_argument("--data-sets", type=int, default=300)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--better", type=float, default=0.15, help="how much more lights the second one finds")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    columns = (*MEASURES, "any, corrected")
    sys.stdout.write("| detectors | operating scores | sequences | " + " | ".join(columns) + " |\n")
    sys.stdout.write("|---|---|---:|" + "---:|" * len(columns) + "\n")
    for better in (0.0, args.better):
        for given in (False, True):
            for n_sequences in args.sequences:
                found = measure(n_sequences, args.data_sets, args.replicates, better, given=given, seed=args.seed)
                what = "equal" if not better else f"second finds {better:g} more"
                cells = " | ".join(f"{found[name]:.3f}" for name in columns)
                sys.stdout.write(f"| {what} | {'given' if given else 'chosen'} | {n_sequences} | {cells} |\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
