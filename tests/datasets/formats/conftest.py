"""Catalogs with every field filled at random, and what comes back of them from a format."""

from __future__ import annotations

import dataclasses
import hashlib
import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.frame import Annotation, Frame
from tl_datasets.read_report import ReadReport
from tl_datasets.taxonomy import (
    CATEGORIES,
    ConditionSource,
    Facing,
    Orientation,
    Pictogram,
    Relevance,
    Scene,
    State,
    TimeOfDay,
    Weather,
)

SIZE_PX = (640, 360)


@pytest.fixture
def random_catalog(tmp_path: Path, draw_image) -> Callable[..., Catalog]:
    """Frames of 640x360 pixels with every field at random, None, unknown and off among the values.

    Arguments: seed, n_frames, and per field of a frame or box the values to choose from, such as state=(State.RED,)
    or occluded=(None,). `category` defaults to all, `ignore` to both.
    """

    def make(seed: int = 0, n_frames: int = 12, **choices: Collection[Any]) -> Catalog:
        rng = random.Random(seed)

        def pick(name: str, values: Collection[Any]) -> Any:
            return rng.choice(list(choices.get(name, values)))

        def box() -> Annotation:
            x1, y1 = rng.uniform(0, 600), rng.uniform(0, 330)
            return Annotation(
                xyxy=(x1, y1, x1 + rng.uniform(1.5, SIZE_PX[0] - x1), y1 + rng.uniform(1.5, SIZE_PX[1] - y1)),
                category=pick("category", CATEGORIES),
                state=pick("state", [*State, None]),
                pictogram=pick("pictogram", [*Pictogram, None]),
                relevance=pick("relevance", [*Relevance, None]),
                facing=pick("facing", [*Facing, None]),
                orientation=pick("orientation", [*Orientation, None]),
                aspects=pick("aspects", [1, 2, 3, 4, None]),
                occluded=pick("occluded", [True, False, None]),
                truncated=pick("truncated", [True, False, None]),
                reflection=pick("reflection", [True, False, None]),
                ignore=pick("ignore", [True, False]),
                track_id=pick("track_id", ["7", "B1_17", None]),
                source_label=pick("source_label", ["RedLeft", "traffic light", None]),
            )

        frames = []
        root = tmp_path / "original"
        for number in range(n_frames):
            frame_id = f"drive_{number % 3}/{number:06d}"
            draw_image(root / f"{frame_id}.png", *SIZE_PX)
            status = pick("label_status", ["labelled", "labelled", "negative", "unlabelled", "partial"])
            boxes = tuple(box() for _ in range(rng.randint(1, 5)))
            frames.append(
                Frame(
                    frame_id=frame_id,
                    path=f"{frame_id}.png",
                    width_px=SIZE_PX[0],
                    height_px=SIZE_PX[1],
                    annotations={"unlabelled": None, "negative": ()}.get(status, boxes),
                    labelled_categories=("traffic_light", "car") if status == "partial" else (),
                    weather=pick("weather", [*Weather, None]),
                    scene=pick("scene", [*Scene, None]),
                    time_of_day=pick("time_of_day", [*TimeOfDay, None]),
                    sequence=pick("sequence", [f"drive_{number % 3}"]),
                    split=pick("split", ["train", "val", "test", None]),
                    timestamp_ns=pick("timestamp_ns", [None, 1_600_000_000_000_000_000 + number]),
                    condition_source=pick("condition_source", [*ConditionSource, None]),
                    fog_beta_per_m=pick("fog_beta_per_m", [None, 0.01]),
                )
            )
        hashes = {frame.frame_id: hashlib.sha256((root / frame.path).read_bytes()).hexdigest() for frame in frames}
        return Catalog.from_frames(frames, source="drawn", root=root, content_hashes=hashes)

    return make


@pytest.fixture
def losses_between() -> Callable[[Catalog, Catalog], dict[str, int]]:
    """What differs between a catalog and what came back of it, in the words of a `WriteReport`.

    Frames are matched by frame id, else by the bytes of their image, boxes by order; boxes must agree to 1e-6 px. A
    frame that did not come back is a loss of "frame" alone.
    """

    def compare(before: Catalog, after: Catalog) -> dict[str, int]:
        losses: Counter[str] = Counter()
        back = {frame.frame_id: frame for frame in after.iter_frames()}
        by_content = dict(zip(after.frames["content_hash"], after.iter_frames(), strict=True))
        assert len(after) <= len(before)
        for frame, content in zip(before.iter_frames(), before.frames["content_hash"], strict=True):
            other = back.get(frame.frame_id) or by_content.get(content)
            if other is None:
                losses["frame"] += 1
                continue
            losses["frame.frame_id"] += frame.frame_id != other.frame_id
            assert (other.width_px, other.height_px) == (frame.width_px, frame.height_px)
            for field in dataclasses.fields(Frame):
                if field.name in {"frame_id", "path", "width_px", "height_px", "annotations"}:
                    continue
                losses[f"frame.{field.name}"] += getattr(frame, field.name) != getattr(other, field.name)
            losses["frame.label_status"] += (frame.annotations is None) != (other.annotations is None)
            own, others = frame.annotations or (), other.annotations or ()
            losses["box"] += len(own) - len(others)
            if len(own) != len(others):
                continue
            for one, two in zip(own, others, strict=True):
                assert one.xyxy == pytest.approx(two.xyxy, abs=1e-6), frame.frame_id
                for field in dataclasses.fields(Annotation):
                    if field.name != "xyxy":
                        losses[f"box.{field.name}"] += getattr(one, field.name) != getattr(two, field.name)
        return {name: number for name, number in losses.items() if number}

    return compare


@pytest.fixture
def read_back() -> Callable[..., Catalog]:
    """Put the images of a catalog where its writer wants them, and read what it wrote with a reader."""

    def read(catalog: Catalog, places: list[str], out: Path, reader, source: Path, **options: Mapping) -> Catalog:
        assert len(set(places)) == len(catalog)
        for row, place in enumerate(places):
            target = out / place
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(catalog.image_path(row).read_bytes())
        report = ReadReport()
        frames = reader(source, report=report, **options)
        frames = list(frames)
        return Catalog.from_frames(frames, source="back", root=report.root, content_hashes=report.content_hashes)

    return read
