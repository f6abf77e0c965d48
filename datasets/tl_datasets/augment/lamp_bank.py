"""`LampBank`: the signal heads of the training frames that can be shown again in other frames, and where heads hang.

Only tables are held, so that loader workers share them; pixels are read when a head is drawn. A donor is a whole head
seen from the front, large enough, away from the frame's border, that no other box touches. It stands or lies as most
heads of its source do: where heads stand, a lying box is a sign for pedestrians. Of a source whose boxes lie around the
lit lamp alone there are no donors: the lamp's place in the housing would be lost.

Classes are drawn by 1 / count^power, heads of a class alike. Without a bound a class with two heads would be learned by
heart, so that no head is drawn more than `repeat_cap` times as often as if all heads were drawn alike.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tl_datasets.catalog import Catalog
from tl_datasets.taxonomy import TRAFFIC_LIGHT, Facing, State, TimeOfDay, Weather

ConditionMatch = Literal["time_and_weather", "time", "none"]

# A source whose boxes are this square on the median draws them around the lit lamp (as in checks/state_rules.py).
_LAMP_BOX_LENGTH = 1.35
# Longer side by shorter side of a housing of two to four lenses in a loosely drawn box.
_HOUSING_LENGTH = (1.2, 4.5)
# Free pixels around a donor: up to the border and to other boxes.
_CLEAR_PX = 2.0
_USUAL_LENSES = 3
# Lower than this share of the heads of a source, none is hung: the lowest of BDD100K are mistakes.
_LOWEST = 0.95
# Groups of conditions between which heads may move. What nobody knows is its own group, which day goes into as well.
_UNKNOWN, _DAY, _NIGHT = 0, 1, 2
_TIME_GROUP = {TimeOfDay.DAYTIME: _DAY, TimeOfDay.DAWN_DUSK: _DAY, TimeOfDay.NIGHT: _NIGHT}
_DRY = 1
_WEATHER_GROUP = {
    Weather.CLEAR: _DRY,
    Weather.PARTLY_CLOUDY: _DRY,
    Weather.OVERCAST: _DRY,
    Weather.RAINY: 2,
    Weather.SNOWY: 3,
    Weather.FOGGY: 4,
    Weather.SANDSTORM: 5,
}


class LampBank:
    """Donors, and the places and sizes of the heads of a catalog.

    Attributes:
        row: (D,) frame of each donor, as a row of the catalog.
        xyxy: (D, 4) its box in pixels of that frame.
        class_id: (D,) its class.
        state: (D,) the word of `State` that it is labelled with; None = the source says nothing.
        orientation: (D,) the word of `Orientation`, or None.
        lenses: (D,) number of lenses; 3 where nobody says.
        has_red_yellow: Whether the catalog has that state.
        counts: (classes,) boxes to learn from in the whole catalog, by class; of traffic lights alone.
        places: (P, 4) of all heads: centre x and y as shares of the frame's width and height, width and height of the
            box as shares of the frame's height.
    """

    def __init__(
        self,
        catalog: Catalog,
        class_id: NDArray[np.int64],
        ignored: NDArray[np.bool_],
        *,
        min_height_px: float = 16.0,
    ):
        """Choose the donors.

        Args:
            catalog: The training frames.
            class_id: (boxes,) class of each annotation; negative = none.
            ignored: (boxes,) true where the box is an ignore area.
            min_height_px: Lower heads are no donors.
        """
        self.catalog = catalog
        frame = np.repeat(np.arange(len(catalog)), np.diff(catalog.offsets))
        xyxy = catalog.xyxy
        size = xyxy[:, 2:] - xyxy[:, :2]
        frame_size = catalog.frames.select("width_px", "height_px").to_numpy().astype(np.float64)[frame]
        table = catalog.annotations
        is_light = (table["category"] == TRAFFIC_LIGHT).to_numpy() & (class_id >= 0) & ~ignored
        self.counts: NDArray[np.int64] = np.bincount(class_id[is_light])
        self._source = _codes(catalog.frames["source"])
        self._time = _groups(catalog.frames["time_of_day"], _TIME_GROUP)
        self._weather = _groups(catalog.frames["weather"], _WEATHER_GROUP)
        long_by_short = size.max(axis=1, initial=0) / np.maximum(size.min(axis=1, initial=np.inf), 1e-9)
        stands = size[:, 1] >= size[:, 0]
        is_housing = np.zeros(len(frame), dtype=bool)
        for source in np.unique(self._source[frame]):
            of_source = is_light & (self._source[frame] == source)
            if of_source.any() and np.median(long_by_short[of_source]) >= _LAMP_BOX_LENGTH:
                usual = np.median(stands[of_source]) >= 0.5
                is_housing |= of_source & (stands == usual)
        low, high = _HOUSING_LENGTH
        inside = (xyxy[:, :2] >= _CLEAR_PX).all(axis=1) & (xyxy[:, 2:] <= frame_size - _CLEAR_PX).all(axis=1)
        chosen = (
            is_housing
            & inside
            & (size[:, 1] >= min_height_px)
            & (long_by_short >= low)
            & (long_by_short <= high)
            & (table["aspects"].fill_null(_USUAL_LENSES) > 1).to_numpy()
            & _seen_from_front(table)
        )
        chosen[chosen] = [
            not _touched(xyxy, catalog.offsets, int(frame[box]), int(box)) for box in np.flatnonzero(chosen)
        ]
        donors = np.flatnonzero(chosen)
        self.row: NDArray[np.int64] = frame[donors]
        self.xyxy = xyxy[donors]
        self.class_id = class_id[donors]
        self.state: list[str | None] = table["state"][donors].to_list()
        self.orientation: list[str | None] = table["orientation"][donors].to_list()
        self.lenses: list[int] = table["aspects"].fill_null(_USUAL_LENSES)[donors].to_list()
        self.has_red_yellow = bool((table["state"] == State.RED_YELLOW).any())
        hung = np.flatnonzero(is_housing)
        centre = (xyxy[hung, :2] + xyxy[hung, 2:]) / 2
        self.places = np.concatenate([centre / frame_size[hung], size[hung] / frame_size[hung, 1:]], axis=1)
        self._place_source = self._source[frame[hung]]
        self._lowest = {
            int(source): float(np.quantile(self.places[self._place_source == source, 1], _LOWEST))
            for source in np.unique(self._place_source)
        }

    def __len__(self) -> int:
        return len(self.row)

    def is_light(self, class_id: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(N,) true where a class is one of traffic lights."""
        known = np.append(self.counts > 0, False)
        return known[np.clip(class_id, -1, len(self.counts))]

    def places_of(self, row: int) -> NDArray[np.float64]:
        """Rows of `places` that come from the same source as a frame."""
        return self.places[self._place_source == self._source[row]]

    def lowest_of(self, row: int) -> float:
        """Where nearly all heads of the source of a frame have their centre above, as a share of the height."""
        return self._lowest[int(self._source[row])]

    def fitting(self, row: int, match: ConditionMatch = "time_and_weather") -> NDArray[np.int64]:
        """The donors that a frame may get: of its own source and conditions, and from other frames.

        Heads of the night stay in the night. Heads of the day go into frames of the day, of dawn and dusk, and into
        those of which nobody knows; heads of which nobody knows stay among these. Rain, snow, fog and sandstorm keep
        their heads; clear to overcast exchange them, also with frames of which nobody knows.
        """
        fits = (self._source[self.row] == self._source[row]) & (self.row != row)
        if match != "none":
            time = self._time[self.row]
            fits &= (time == self._time[row]) | ((time == _DAY) & (self._time[row] == _UNKNOWN))
        if match == "time_and_weather":
            weather = self._weather[self.row]
            known = max(self._weather[row], _DRY)
            fits &= np.maximum(weather, _DRY) == known
        return np.flatnonzero(fits)

    def weights(self, donors: NDArray[np.int64], rare_power: float, repeat_cap: float) -> NDArray[np.float64]:
        """Chances of donors to be drawn.

        Args:
            donors: (K,) positions in the bank, at least one.
            rare_power: Chance of a class by 1 / count^rare_power, its count in the catalog; 0 = all classes alike.
            repeat_cap: No donor's chance is more than this many times 1 / K; at least 1.

        Returns:
            (K,) chances that sum to 1.
        """
        classes, inverse, held = np.unique(self.class_id[donors], return_inverse=True, return_counts=True)
        wanted = self.counts[classes] ** -float(rare_power)
        most = repeat_cap * held / len(donors)
        chance = np.zeros(len(classes))
        free = np.ones(len(classes), dtype=bool)
        # What a bounded class cannot take goes to the others, which may then meet their own bound.
        while free.any():
            share = (1 - chance[~free].sum()) * wanted / wanted[free].sum()
            over = free & (share > most)
            if not over.any():
                chance[free] = share[free]
                break
            chance[over] = most[over]
            free &= ~over
        return (chance / chance.sum() / held)[inverse]


def _codes(words: pl.Series) -> NDArray[np.int64]:
    known = {word: code for code, word in enumerate(words.unique().sort())}
    return np.array([known[word] for word in words], dtype=np.int64)


def _groups(words: pl.Series, groups: dict) -> NDArray[np.int64]:
    return np.array([_UNKNOWN if word is None else groups.get(word, _UNKNOWN) for word in words], dtype=np.int64)


def _seen_from_front(table: pl.DataFrame) -> NDArray[np.bool_]:
    hidden = pl.any_horizontal(pl.col(name).fill_null(False) for name in ("occluded", "truncated", "reflection"))
    front = pl.col("facing").is_null() | pl.col("facing").is_in([Facing.FRONT, Facing.UNKNOWN])
    return table.select(front & ~hidden).to_series().to_numpy()


def _touched(xyxy: NDArray[np.float64], offsets: NDArray[np.int64], frame: int, box: int) -> bool:
    """Whether another box of the frame, of any category, lies within a few pixels of a box."""
    others = np.delete(xyxy[offsets[frame] : offsets[frame + 1]], box - offsets[frame], axis=0)
    near = (others[:, :2] < xyxy[box, 2:] + _CLEAR_PX) & (others[:, 2:] > xyxy[box, :2] - _CLEAR_PX)
    return bool(near.all(axis=1).any())
