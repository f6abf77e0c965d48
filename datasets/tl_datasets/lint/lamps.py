"""The signal heads that a policy is measured on: windows of the user's own frames, each around one labelled head.

A window is scaled as the letterbox scales its frame, since a blur of five pixels is another one for a head of half the
size. A head counts only if place and colour of its lit lens agree with its label before anything is done: what is
misread from the start would say nothing. How many were read rightly is reported with every measurement.

A window is a small image, so what depends on the whole frame (histograms, a sun that stands somewhere in it) is met
more often. On 100 lamps of DTLD, what survives in windows and in whole frames, always applied: night 86 and 86 %, fog
78 and 81 %, JPEG 76 and 80 %, sensor noise 83 and 89 %, a low sun 64 and 73 %.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from tl_datasets.augment.labelled import Labelled
from tl_datasets.catalog import BOX_COLUMNS, Catalog
from tl_datasets.checks.settings import CheckSettings
from tl_datasets.checks.state_rules import readable_lamps
from tl_datasets.effects.scene import FOCAL, HORIZON, View
from tl_datasets.errors import ImageError
from tl_datasets.lamps.state import READABLE
from tl_datasets.letterbox import place
from tl_datasets.lint.head_reading import HeadBefore, HeadBuild, Unreadable, lens_hues, locate_lenses, what_is_unclear
from tl_datasets.lint.lens_colour import RED_YELLOW_DEG, fit_red_yellow
from tl_datasets.taxonomy import Orientation, State

logger = logging.getLogger(__name__)

# Side of a window, and how much of it a head may fill: what a transform does depends on the surroundings.
WINDOW_PX = 128
_MOST_FILLED = 0.6
# More are looked at than needed, because some are misread.
_TRIED = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lamp:
    """A signal head to measure on.

    Attributes:
        sample: Its window with one box, and the conditions of its frame.
        head: What it shows, and where.
        frame_id: Where it comes from; the seed for a drawn one.
        is_drawn: Whether it was drawn.
    """

    sample: Labelled
    head: HeadBefore
    frame_id: str
    is_drawn: bool = False

    @property
    def length_px(self) -> float:
        """Length of the head in the window."""
        x1, y1, x2, y2 = self.sample.xyxy[0]
        return float(max(x2 - x1, y2 - y1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lamps:
    """What was collected.

    Attributes:
        lamps: To measure on.
        red_yellow_deg: Border of the hues of red and yellow among them.
        tried: Labelled heads that were looked at, by state.
        misread: Those of them that were left out, by state and reason.
    """

    lamps: tuple[Lamp, ...]
    red_yellow_deg: float
    tried: Mapping[State, int]
    misread: Mapping[tuple[State, Unreadable], int]

    def count(self, state: State, *, drawn: bool) -> int:
        """Lamps of a state, the drawn or the real ones."""
        return sum(lamp.head.state is state and lamp.is_drawn == drawn for lamp in self.lamps)


NO_LAMPS = Lamps(lamps=(), red_yellow_deg=RED_YELLOW_DEG, tried={}, misread={})


def collect_lamps(
    catalog: Catalog,
    *,
    per_state: int,
    min_height_px: float,
    seed: int,
    class_ids: NDArray[np.int64] | None = None,
    input_size: tuple[int, int] | None = None,
    horizon: float = HORIZON,
    skip_broken: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Lamps:
    """Cut windows around labelled heads.

    Args:
        catalog: The user's frames.
        per_state: Most lamps of a state; they are spread over weathers, times of day and sequences.
        min_height_px: Shortest head, in pixels of the window.
        seed: Decides which.
        class_ids: (boxes,) class of each box; those below 0 are left out. None = all belong to class 0.
        input_size: Width and height of the network's input, to whose scale windows are brought; None = as they are.
        horizon: Row of the horizon as a share of a frame's height.
        skip_broken: Do without frames whose image cannot be read; each is named in a warning.
        progress: Called with the number of frames read, and how many there are to read.

    Raises:
        ImageError: An image cannot be read, and none shall be skipped.
    """
    chosen = _choose(catalog, per_state, min_height_px, seed, class_ids, input_size)
    groups = chosen.partition_by("frame", maintain_order=True) if len(chosen) else []

    def cut(rows: pl.DataFrame) -> list[tuple[int, Lamp | tuple[State, Unreadable]]]:
        try:
            image = catalog.read_rgb(rows["frame"][0])
        except ImageError as error:
            if not skip_broken:
                raise
            logger.warning("no lamp is taken from an image that cannot be read: %s", error)
            return []
        return [
            (row["rank"], _lamp(image, row, catalog.frames.row(row["frame"], named=True), horizon))
            for row in rows.iter_rows(named=True)
        ]

    found: list[tuple[int, Lamp | tuple[State, Unreadable]]] = []
    # Threads: decoding leaves Python's lock alone.
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        try:
            for done, some in enumerate(pool.map(cut, groups), start=1):
                found += some
                if progress is not None:
                    progress(done, len(groups))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    found.sort(key=lambda item: item[0])
    return _clear_ones([item for _, item in found], per_state)


def head_crop(image: NDArray[np.uint8], xyxy: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The pixels of a box, rounded to whole ones; may be empty."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = np.floor(xyxy + 0.5).astype(int).tolist()
    return image[max(0, y1) : min(height, max(y2, y1 + 1)), max(0, x1) : min(width, max(x2, x1 + 1))]


def _choose(
    catalog: Catalog,
    per_state: int,
    min_height_px: float,
    seed: int,
    class_ids: NDArray[np.int64] | None,
    input_size: tuple[int, int] | None,
) -> pl.DataFrame:
    """Rows of heads to look at: conditions and sequences take turns, the order within them is random."""
    frame_of_box = np.repeat(np.arange(len(catalog)), np.diff(catalog.offsets))
    scales = np.array(
        [
            1.0 if input_size is None else place(width, height, *input_size).scale
            for width, height in catalog.frames.select("width_px", "height_px").iter_rows()
        ]
    )
    classes = np.zeros(len(frame_of_box), dtype=np.int64) if class_ids is None else class_ids
    least = CheckSettings(lamp_min_height_px=max(1.0, min_height_px / max(scales.max(initial=1.0), 1.0)))
    rows = readable_lamps(catalog, least).filter(pl.col("state").is_in(list(READABLE)))
    index = rows["row"].to_numpy()
    frame = frame_of_box[index]
    rows = rows.with_columns(
        frame=pl.Series(frame, dtype=pl.Int64),
        scale=pl.Series(scales[frame], dtype=pl.Float64),
        class_id=pl.Series(classes[index], dtype=pl.Int64),
        random=pl.Series(np.random.default_rng(seed).random(len(index))),
    ).filter(pl.col("class_id") >= 0)
    length = pl.max_horizontal(pl.col("x2") - pl.col("x1"), pl.col("y2") - pl.col("y1")) * pl.col("scale")
    rows = rows.filter(length >= pl.when(pl.col("lenses") == 1).then(min_height_px / 2).otherwise(min_height_px))
    about = catalog.frames.select(
        pl.int_range(pl.len()).alias("frame"),
        pl.coalesce("sequence", "frame_id").alias("sequence"),
        pl.concat_str("weather", "time_of_day", separator="/", ignore_nulls=True).alias("condition"),
    )
    rows = rows.join(about, on="frame", how="left").sort("random")
    rows = rows.with_columns(turn=pl.int_range(pl.len()).over("state", "condition", "sequence"))
    rows = rows.sort("turn", "random").with_columns(turn=pl.int_range(pl.len()).over("state", "condition"))
    rows = rows.sort("turn", "random").with_row_index("rank")
    return rows.filter(pl.int_range(pl.len()).over("state") < int(_TRIED * per_state)).sort("frame")


def _lamp(image: NDArray[np.uint8], row: dict, frame: dict, horizon: float) -> Lamp | tuple[State, Unreadable]:
    state = State(row["state"])
    orientation = None if row["orientation"] is None else Orientation(row["orientation"])
    build = HeadBuild(orientation=orientation, n_lenses=row["lenses"], with_red_yellow=row["with_red_yellow"])
    sample = _window(image, np.array([row[name] for name in BOX_COLUMNS]), row["scale"], horizon)
    head = locate_lenses(head_crop(sample.image, sample.xyxy[0]), state, build)
    if isinstance(head, Unreadable):
        return state, head
    sample = replace(
        sample,
        class_id=np.array([row["class_id"]], dtype=np.int64),
        weather=frame["weather"],
        time_of_day=frame["time_of_day"],
    )
    return Lamp(sample=sample, head=head, frame_id=frame["frame_id"])


def _window(image: NDArray[np.uint8], xyxy: NDArray[np.float64], scale: float, horizon: float) -> Labelled:
    """A part of a frame around a box, at a scale; at the frame's border it is shifted inwards."""
    height, width = image.shape[:2]
    length = max(xyxy[2] - xyxy[0], xyxy[3] - xyxy[1])
    side = int(np.ceil(max(WINDOW_PX / scale, length / _MOST_FILLED)))
    cut_width, cut_height = min(side, width), min(side, height)
    left = int(np.clip((xyxy[0] + xyxy[2] - cut_width) / 2, 0, width - cut_width))
    top = int(np.clip((xyxy[1] + xyxy[3] - cut_height) / 2, 0, height - cut_height))
    window = image[top : top + cut_height, left : left + cut_width].copy()
    if scale != 1:
        size = max(1, round(cut_width * scale)), max(1, round(cut_height * scale))
        window = np.asarray(cv2.resize(window, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    across, down = window.shape[1] / cut_width, window.shape[0] / cut_height
    view = View(
        x1=0,
        y1=0,
        x2=window.shape[1],
        y2=window.shape[0],
        horizon_px=(horizon * height - top) * down,
        focal_px=FOCAL * width * across,
    )
    box = (xyxy - np.array([left, top, left, top])) * np.array([across, down, across, down])
    box = np.clip(box, 0, np.array([window.shape[1], window.shape[0]] * 2))
    return Labelled(image=window, xyxy=box[None], class_id=np.zeros(1, np.int64), views=(view,))


def _clear_ones(found: list[Lamp | tuple[State, Unreadable]], per_state: int) -> Lamps:
    tried: Counter[State] = Counter()
    misread: Counter[tuple[State, Unreadable]] = Counter()
    located = [item for item in found if isinstance(item, Lamp)]
    hues = {id(lamp): lens_hues(head_crop(lamp.sample.image, lamp.sample.xyxy[0]), lamp.head) for lamp in located}
    of_state = {
        state: [hues[id(lamp)][0][0] for lamp in located if lamp.head.state is state]
        for state in (State.RED, State.YELLOW)
    }
    border = fit_red_yellow(of_state[State.RED], of_state[State.YELLOW])
    lamps: list[Lamp] = []
    kept: Counter[State] = Counter()
    for item in found:
        state = item.head.state if isinstance(item, Lamp) else item[0]
        tried[state] += 1
        if not isinstance(item, Lamp):
            misread[item] += 1
            continue
        fault = what_is_unclear(hues[id(item)], state, border)
        if fault is not None:
            misread[state, fault] += 1
        elif kept[state] < per_state:
            kept[state] += 1
            lamps.append(item)
    return Lamps(lamps=tuple(lamps), red_yellow_deg=border, tried=tried, misread=misread)
