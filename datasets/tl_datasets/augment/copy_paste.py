"""Copy-paste that cannot lie about a light: signal heads of other frames, in plausible places, rare classes first.

A donor's housing is cut out along its sides and hung over an existing head of like size, beside one, or where the
training frames have heads. Brightness is matched by one factor for all channels, so that hue stays, and so is blur. A
paste is taken back if its rim would show, or if what it shows afterwards is not read as the donor's state.

What it does not do: draw poles, or keep the heads of one junction in the same phase.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from tl_datasets.augment.labelled import Labelled
from tl_datasets.augment.lamp_bank import ConditionMatch, LampBank
from tl_datasets.augment.lamp_blend import blur_around, resized, seam, soft_mask
from tl_datasets.augment.lamp_cutout import Housing, find_housing
from tl_datasets.augment.lamp_looks import LARGEST_GLOW, LampLooks, Look, ReadImage, exposure_of
from tl_datasets.augment.paste_places import Mode, Place, PlaceLimits, places

# Donors that are drawn for one paste, and how many of them are looked at for each kind of place.
_DONORS_DRAWN, _DONORS_TRIED = 8, 3
_PLACES_TRIED = 3
# Largest ratio of the brightness of two frames between which heads move.
_LARGEST_RATIO = 4.0
# Added to the linear brightness of black housings before they are compared.
_BLACK = 0.01
# The smallest housing that is hung.
_LEAST_PX = 5


class CopyPasteConfig(BaseModel):
    """How often and where heads of other frames are shown.

    Attributes:
        p: Share of frames that get any; 0 = off.
        max_per_frame: Up to so many.
        modes: `replace` an existing head, hang one `beside` an existing head, or hang one `free` where the data has
            heads; drawn alike, the others follow where one finds no place.
        rare_power: A class is drawn by 1 / count^rare_power.
        repeat_cap: No donor is drawn more than this many times as often as if all were drawn alike.
        min_height_px: Lower heads are no donors, in pixels of their frame.
        scale: Range of the factor by which a donor may be resized.
        aspect_tolerance: Largest relative difference in width by height of a donor and the head that it replaces.
        condition_match: What donor and frame must have in common.
        gain: Range of the brightness factor, in linear light.
        max_seam: Largest mean difference along the rim of what is laid over a housing, of 255.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    p: float = Field(default=0.0, ge=0, le=1)
    max_per_frame: int = Field(default=2, ge=1, le=20)
    modes: tuple[Mode, ...] = Field(default=("replace", "beside", "free"), min_length=1)
    rare_power: float = Field(default=0.5, ge=0, le=4)
    repeat_cap: float = Field(default=20.0, ge=1)
    min_height_px: float = Field(default=16.0, ge=4)
    scale: tuple[float, float] = (0.5, 1.5)
    aspect_tolerance: float = Field(default=0.3, ge=0)
    condition_match: ConditionMatch = "time_and_weather"
    gain: tuple[float, float] = (0.5, 2.0)
    max_seam: float = Field(default=20.0, ge=0, le=255)

    @field_validator("scale", "gain")
    @classmethod
    def _is_a_range(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 < value[0] <= value[1]:
            raise ValueError(f"{list(value)}, expected two positive factors, lower first")
        return value


class CopyPaste:
    """Shows heads of a bank in frames.

    What is made of a frame follows from the bank, the settings and the generator alone.
    """

    def __init__(self, bank: LampBank, config: CopyPasteConfig):
        """Take donors and settings."""
        self.bank, self.config = bank, config
        self._limits = PlaceLimits(scale=config.scale, aspect_tolerance=config.aspect_tolerance)
        self._looks = LampLooks(bank)

    def paste(
        self, frame: Labelled, row: int, read: ReadImage, rng: np.random.Generator, reduction: int = 1
    ) -> Labelled:
        """Show heads of other frames in a frame.

        Args:
            frame: Before any geometry; not changed.
            row: Its row in the bank's catalog, which says from where donors may come.
            read: Gives the whole image of a row, (H, W, 3) uint8 RGB, not reduced; it is not changed.
            rng: Decides everything.
            reduction: By how much the frame was reduced when it was decoded (`reduced_images`).

        Returns:
            The frame with the heads that found a place, each with the class of its donor, and `copy_paste` among what
            was made; the frame itself where none did.

        Raises:
            ImageError: A donor's image cannot be read.
        """
        config = self.config
        if not config.p or rng.random() >= config.p:
            return frame
        donors = self.bank.fitting(row, config.condition_match)
        if not len(donors):
            return frame
        chances = self.bank.weights(donors, config.rare_power, config.repeat_cap)
        made = frame
        for _ in range(int(rng.integers(1, config.max_per_frame + 1))):
            drawn = rng.choice(donors, size=_DONORS_DRAWN, p=chances)
            made = self._paste_one(made, row, drawn.tolist(), read, rng, reduction)
        return made if made is frame else replace(made, made=(*frame.made, "copy_paste"))

    def _paste_one(
        self,
        frame: Labelled,
        row: int,
        donors: list[int],
        read: ReadImage,
        rng: np.random.Generator,
        reduction: int,
    ) -> Labelled:
        """The frame with one of some donors, or the same frame where none fits."""
        exposure = exposure_of(frame.image)
        for mode in rng.permutation(len(self.config.modes)):
            tried = 0
            for donor in donors:
                if tried == _DONORS_TRIED:
                    break
                found = places(self.config.modes[mode], frame, row, self.bank, donor, self._limits, rng, reduction)
                options = list(islice(found, _PLACES_TRIED))
                if not options:
                    continue
                tried += 1
                look = self._looks.look(donor, read)
                if look is None or not 1 / _LARGEST_RATIO <= exposure / look.exposure <= _LARGEST_RATIO:
                    continue
                for place in options:
                    made = self._hang(frame, place, donor, look, exposure)
                    if made is not None:
                        return made
        return frame

    def _hang(self, frame: Labelled, place: Place, donor: int, look: Look, exposure: float) -> Labelled | None:
        """Blend a donor into its place; None where it would stand out or lie."""
        neighbour = None if place.neighbour is None else find_housing(frame.image, frame.xyxy[place.neighbour])
        window = self._window(frame, place, donor, look, neighbour)
        if window is None:
            return None
        x1, y1, x2, y2 = window
        ratio = exposure / look.exposure
        if neighbour is not None:
            ratio = (neighbour.darkness + _BLACK) / (look.housing.darkness + _BLACK)
        own_blur = look.blur_px * (y2 - y1) / look.housing.height_px
        blur = math.sqrt(max(0.0, blur_around(frame.image, place.xyxy) ** 2 - own_blur**2))
        patch = resized(look.pixels, x2 - x1, y2 - y1, float(np.clip(ratio, *self.config.gain)), blur)
        under = frame.image[y1:y2, x1:x2]
        if place.mode == "replace" and neighbour is not None:
            outline = [bool(own and other) for own, other in zip(look.housing.steps, neighbour.steps, strict=True)]
            if seam(patch, under, outline) > self.config.max_seam:
                return None
        image = frame.image.copy()
        mask = soft_mask(x2 - x1, y2 - y1)
        image[y1:y2, x1:x2] = np.rint(mask * patch + (1 - mask) * under).astype(np.uint8)
        if not self._looks.is_shown(look, donor, image, place.xyxy):
            return None
        class_id = self.bank.class_id[donor]
        if place.mode == "replace":
            classes = frame.class_id.copy()
            classes[place.neighbour] = class_id
            return replace(frame, image=image, class_id=classes)
        return replace(
            frame,
            image=image,
            xyxy=np.concatenate([frame.xyxy, place.xyxy[None]]),
            class_id=np.append(frame.class_id, class_id),
            visible=np.append(frame.visible, 1.0),
        )

    def _window(
        self, frame: Labelled, place: Place, donor: int, look: Look, neighbour: Housing | None
    ) -> tuple[int, int, int, int] | None:
        """Where the housing comes to lie, in whole pixels; None where it would be distorted or not cut out clean."""
        own = look.housing
        if place.mode == "replace":
            if neighbour is None or neighbour.glow > LARGEST_GLOW:
                return None
            stretch = (neighbour.width_px / neighbour.height_px) / (own.width_px / own.height_px)
            tolerance = 1 + self.config.aspect_tolerance
            return neighbour.xyxy if 1 / tolerance <= stretch <= tolerance else None
        if not own.is_outlined:
            return None
        box = self.bank.xyxy[donor]
        scale = (place.xyxy[2:] - place.xyxy[:2]) / (box[2:] - box[:2])
        corners = (np.array(own.xyxy).reshape(2, 2) - box[:2]) * scale + place.xyxy[:2]
        x1, y1, x2, y2 = np.floor(corners + 0.5).astype(int).ravel().tolist()
        height, width = frame.image.shape[:2]
        is_inside = x1 >= 0 and y1 >= 0 and x2 <= width and y2 <= height
        return (x1, y1, x2, y2) if is_inside and min(x2 - x1, y2 - y1) >= _LEAST_PX else None
