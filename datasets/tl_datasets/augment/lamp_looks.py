"""`LampLooks`: what a bank's donors look like, once their frames have been read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tl_datasets.augment.lamp_bank import LampBank
from tl_datasets.augment.lamp_blend import blur_around
from tl_datasets.augment.lamp_cutout import GAMMA, Housing, find_housing
from tl_datasets.lamps.state import READABLE, read_state
from tl_datasets.taxonomy import Orientation, State

ReadImage = Callable[[int], NDArray[np.uint8]]

# Donors that are kept; a housing of 20x60 pixels has 4 kB.
_KEPT = 8192
# Chroma of a housing's rim, of 255, from which on the lamp's bloom is part of the picture and cannot be cut out.
LARGEST_GLOW = 45.0
# Every so many rows and columns say how bright a frame is; black is not quite 0.
_STEP_PX, _BLACK = 16, 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is known of a donor once its frame has been read.

    Attributes:
        pixels: (h, w, 3) uint8 RGB of the housing.
        housing: Where it is.
        shown: What it has to be read as wherever it is shown: its label, or what its own pixels say where that is no
            state that can be read; `State.OFF` = nothing lit.
        exposure: Of its frame.
        blur_px: Of its surroundings.
    """

    pixels: NDArray[np.uint8]
    housing: Housing
    shown: State
    exposure: float
    blur_px: float


class LampLooks:
    """Looks at donors, and keeps those of late, so that their frames are not read again.

    What it gives does not depend on what it has kept, as long as `read` always gives the same image for a row.
    """

    def __init__(self, bank: LampBank):
        """Take the donors."""
        self.bank = bank
        self._kept: OrderedDict[int, Look | None] = OrderedDict()

    def look(self, donor: int, read: ReadImage) -> Look | None:
        """A donor; None where its housing cannot be cut out, or where it is not labelled as off and yet nothing is lit.

        Args:
            donor: Position in the bank.
            read: Gives the whole image of a row of the catalog, (H, W, 3) uint8 RGB.

        Raises:
            ImageError: The image cannot be read.
        """
        if donor not in self._kept:
            while len(self._kept) >= _KEPT:
                self._kept.popitem(last=False)
            self._kept[donor] = self._fresh(donor, read(int(self.bank.row[donor])))
        return self._kept[donor]

    def is_shown(self, look: Look, donor: int, image: NDArray[np.uint8], xyxy: NDArray[np.float64]) -> bool:
        """Whether a box of an image is read as what a donor shows."""
        return self._read(image, xyxy, donor) is (None if look.shown is State.OFF else look.shown)

    def _fresh(self, donor: int, image: NDArray[np.uint8]) -> Look | None:
        xyxy, label = self.bank.xyxy[donor], self.bank.state[donor]
        housing = find_housing(image, xyxy)
        if housing is None or housing.glow > LARGEST_GLOW:
            return None
        shown = State(label) if label in (*READABLE, State.OFF) else self._read(image, xyxy, donor)
        if shown is None:
            return None
        x1, y1, x2, y2 = housing.xyxy
        return Look(
            pixels=image[y1:y2, x1:x2].copy(),
            housing=housing,
            shown=shown,
            exposure=exposure_of(image),
            blur_px=blur_around(image, xyxy),
        )

    def _read(self, image: NDArray[np.uint8], xyxy: NDArray[np.float64], donor: int) -> State | None:
        x1, y1, x2, y2 = np.floor(xyxy + 0.5).astype(int)
        word = self.bank.orientation[donor]
        return read_state(
            image[y1:y2, x1:x2],
            None if word is None else Orientation(word),
            self.bank.lenses[donor],
            with_red_yellow=self.bank.has_red_yellow,
        ).state


def exposure_of(image: NDArray[np.uint8]) -> float:
    """How bright a frame is, in linear light: its median pixel, above 0."""
    return float((np.median(image[::_STEP_PX, ::_STEP_PX, 1]) / 255) ** GAMMA + _BLACK)
