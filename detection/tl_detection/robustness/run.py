"""Corrupt, detect, score. Frame by frame: an image is decoded once, and all its corruptions are made in memory.

In memory are the images of a batch and the frames they were made of, and all that was found: about 3 kB per image, so
0.4 MB per frame for both sets at five severities.

Deliberately absent: any judgement of its own. Matching and scoring are those of `tl evaluate`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tl_datasets.catalog import Catalog
from tl_datasets.effects.scene import Scene
from tl_datasets.errors import DataError, UsageError
from tl_datasets.taxonomy import TRAFFIC_LIGHT, State
from tl_detection.detector import Detections, Detector, Image
from tl_detection.evaluation.conditions import check_columns, slices_by
from tl_detection.evaluation.ground_truth import ground_truth_from_catalog
from tl_detection.evaluation.matching import Matched, match
from tl_detection.evaluation.protocol import COCO, CocoProtocol
from tl_detection.evaluation.report import Progress
from tl_detection.evaluation.scores import score
from tl_detection.robustness.choice import Corruption
from tl_detection.robustness.results import CorruptionScores, Measured, Robustness

# Key and severity of a corruption, and of the frames as they are.
_Variant = tuple[str, int]
_CLEAN: _Variant = ("clean", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """One image to make and to detect in."""

    frame: int
    variant: _Variant
    make: Callable[[], Image]


def measure_robustness(
    detector: Detector,
    catalog: Catalog,
    *,
    corruptions: Sequence[Corruption],
    severities: Sequence[int],
    n_frames: int | None = None,
    seed: int = 0,
    by: Sequence[str] = (),
    protocol: CocoProtocol = COCO,
    batch_size: int = 8,
    workers: int = 1,
    progress: Progress | None = None,
) -> Robustness:
    """Score a detector on the frames of a catalog, clean and corrupted.

    Args:
        detector: Any; its own label space is scored.
        catalog: The frames, already filtered to the split that is to be scored.
        corruptions: At least one.
        severities: Of 1 to 5, at least one.
        n_frames: So many frames, evenly spread over those that can be scored; None = all of them.
        seed: Of the place of the first frame, and of everything random in a corruption.
        by: Columns to slice by, as in `evaluate`.
        protocol: The rules.
        batch_size: Images in memory and handed to the detector at a time.
        workers: Threads that make images; they do not change what is made.
        progress: Called after each batch with (images done, images in all).

    Raises:
        UsageError: A number is out of range, or a column to slice by is unknown.
        DataError: No frame can be scored, or none has an object of the label space.
        ImageError: An image cannot be read, or has another size than the catalog says.
    """
    if n_frames is not None and n_frames < 1:
        raise UsageError(f"--frames {n_frames}: expected 1 or more; leave it out to take all")
    if workers < 1:
        raise UsageError(f"--workers {workers}: expected 1 or more")
    offered = ground_truth_from_catalog(catalog, detector.label_space)
    if not len(offered):
        raise DataError(
            f"robustness: none of the {len(catalog)} frames can be scored ({offered.frames_unlabelled} unlabelled, "
            f"{offered.frames_partial} without labels of a class's category); choose another catalog or split"
        )
    chosen = catalog.with_frames(catalog.frames[spread_rows(offered.rows, n_frames, seed).tolist()])
    truth = ground_truth_from_catalog(chosen, detector.label_space)
    if truth.is_ignored.all():
        raise DataError(
            f"robustness: {len(truth)} frames hold no object of the classes {', '.join(truth.names)}: there is no "
            "score that corruptions could lower; choose another catalog or split, or more --frames"
        )
    check_columns(by, of_frames=True)
    slices = slices_by(truth, by)

    variants = [_CLEAN, *((item.key, severity) for item in corruptions for severity in severities)]
    found = {variant: [Detections.empty()] * len(chosen) for variant in variants}
    n_images = len(chosen) + len(severities) * sum(int(_fits(item, chosen).sum()) for item in corruptions)
    jobs = _jobs(chosen, corruptions, severities, seed)
    _detect(detector, jobs, n_images, found, batch_size=batch_size, workers=workers, progress=progress)

    clean_matched = match(truth, found.pop(_CLEAN), protocol)
    clean = score(clean_matched)
    measured = []
    for item in corruptions:
        fits = _fits(item, chosen)
        matched = [match(truth, found.pop((item.key, severity)), protocol) for severity in severities]

        def measure(mask: NDArray[np.bool_], matched: Sequence[Matched] = matched) -> Measured:
            return Measured(
                clean=score(clean_matched, mask, clean.operating_scores),
                corrupted=tuple(score(part, mask, clean.operating_scores) for part in matched),
            )

        measured.append(
            CorruptionScores(
                corruption=item,
                frames_left_out=int((~fits).sum()),
                overall=measure(fits),
                slices={part.name: measure(fits & part.frame_mask) for part in slices},
            )
        )
    return Robustness(
        clean=clean,
        corruptions=tuple(measured),
        severities=tuple(severities),
        slice_names=tuple(part.name for part in slices),
        label_space=detector.label_space,
        protocol=protocol,
        operating_scores=clean.operating_scores,
        seed=seed,
        frames=len(chosen),
        frames_offered=len(offered),
        frames_unlabelled=offered.frames_unlabelled,
        frames_partial=offered.frames_partial,
        catalog_fingerprint=catalog.fingerprint,
        model=dict(detector.description),
    )


def spread_rows(rows: NDArray[np.int64], n: int | None, seed: int) -> NDArray[np.int64]:
    """At most n of the rows at equal distances, the first one at a seeded place; all of them for None."""
    if n is None or n >= len(rows):
        return rows
    offset = np.random.default_rng(seed).random()
    return rows[np.floor((np.arange(n) + offset) * len(rows) / n).astype(np.int64)]


def image_seed(seed: int, key: str, severity: int, frame_id: str) -> int:
    """Seed of one corrupted image: the same whatever else is measured, in whatever order."""
    text = f"{seed}|{key}|{severity}|{frame_id}"
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big")


def _detect(
    detector: Detector,
    jobs: Iterator[_Job],
    n_images: int,
    found: dict[_Variant, list[Detections]],
    *,
    batch_size: int,
    workers: int,
    progress: Progress | None,
) -> None:
    """Do the jobs, and write what was found at its variant and frame."""
    done = 0
    with ThreadPoolExecutor(workers) as pool:
        while batch := list(islice(jobs, batch_size)):
            images = list(pool.map(lambda job: job.make(), batch))
            results = detector.detect(images)
            if len(results) != len(images):
                raise DataError(f"detector: {len(results)} results for {len(images)} images; expected one per image")
            for job, result in zip(batch, results, strict=True):
                found[job.variant][job.frame] = result
            done += len(batch)
            if progress is not None:
                progress(done, n_images)


def _jobs(catalog: Catalog, corruptions: Sequence[Corruption], severities: Sequence[int], seed: int) -> Iterator[_Job]:
    is_light = (catalog.annotations["category"] == TRAFFIC_LIGHT).to_numpy()
    states = [None if word is None else State(word) for word in catalog.annotations["state"]]
    fits = {item.key: _fits(item, catalog) for item in corruptions}
    for frame, frame_id in enumerate(catalog.frames["frame_id"]):
        image = catalog.read_rgb(frame)
        boxes = slice(catalog.offsets[frame], catalog.offsets[frame + 1])
        light = is_light[boxes]
        shown = [state for state, seen in zip(states[boxes], light, strict=True) if seen]
        scene = Scene.of_frame(image, catalog.xyxy[boxes][light], lights_state=shown)
        yield _Job(frame=frame, variant=_CLEAN, make=lambda image=image: image)
        for item in corruptions:
            if fits[item.key][frame]:
                for severity in severities:
                    yield _Job(
                        frame=frame,
                        variant=(item.key, severity),
                        make=_maker(item, scene, severity, image_seed(seed, item.key, severity, frame_id)),
                    )


def _maker(item: Corruption, scene: Scene, severity: int, seed: int) -> Callable[[], Image]:
    def make() -> Image:
        image = scene.image
        made = item.apply(scene, severity, np.random.default_rng(seed))
        if made.shape != image.shape or made.dtype != np.uint8:
            raise DataError(f"corruption {item.key}: gave {made.dtype} of shape {made.shape} for {image.shape}")
        return made

    return make


def _fits(item: Corruption, catalog: Catalog) -> NDArray[np.bool_]:
    """(F,) true for the frames that a corruption can be made of."""
    conditions = catalog.frames.select(pl.col("weather"), pl.col("time_of_day"))
    return np.array([item.fits(weather, time_of_day) for weather, time_of_day in conditions.iter_rows()], np.bool_)
