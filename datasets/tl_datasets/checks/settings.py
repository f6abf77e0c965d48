"""Thresholds of the checks, each with where it comes from.

"The samples" are 2,086 lights of nine sets: DTLD re-labelled, BDD100K, Bosch, Udacity (site and simulator), two
Roboflow sets, a sequence from Tuebingen, drawn scenes. "Bosch" are the 24,555 boxes of its complete label files.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class CheckSettings(BaseModel):
    """Thresholds of the checks.

    Attributes:
        one_colour_std: Largest standard deviation of the pixels of an "image of one colour", of 255; the samples: 19.
        grey_chroma: Largest mean difference between the channels of an "image without colour", of 255; the samples:
            3.2, in overcast DTLD. A grey image has 0, as JPEG too.
        near_duplicate_iou: From this overlap on, two boxes of a category are one object. The samples: two pairs among
            5,204 boxes, a sign and a walker boxed twice; pedestrians behind each other reach 0.63.
        whole_image_share: Share of the image that no light covers. The samples: 0.29, in a close-up.
        height_min_px: Lower lights are mistakes or cannot be seen. Bosch: 0.2 % of train, none of test.
        width_min_px: The same. Bosch: 0.07 %.
        length_max_share: Longer side by the image's height. Driving frames: 0.29, a simulator: 0.35.
        length_max_medians: A light must also be this many times as long as the median of its source to be reported as
            large: close-ups reach 0.86 of the image's height, and 5 times their median. Driving frames: up to 11.
        aspect_min: Width by height. The samples: 0.17; Bosch: 0.1 % below 0.2.
        aspect_max: Five lenses in a row are 4.5; the samples: 3.05.
        lamp_min_height_px: Length of a housing from which its state is read; half of it for a box around one lamp.
            DTLD's Berlin from 12 px on: no false alarm among 259 lamps, 0.85 of changed labels found.
        state_margin: By how much another state must fit better than the label. Wrongly reported lamps of DTLD's tuning
            cities (487) and of Berlin (259): one and two at 1, none and two at 1.5, none at 2 and 3.
        dark_margin: How well a state must fit to contradict "off". 21 dark drawn heads reach 1.1, six real ones -0.5.
        night_max_luminance: Mean grey level of a night frame, of 255. BDD100K: 72 night frames reach 77.
        day_min_luminance: Mean grey level of a daytime frame. BDD100K: 37 frames from 81 on; a dim DTLD frame has 32.
        rare_boxes: Fewer boxes of a class than this are reported.
        rare_frames: Fewer frames of a condition than this are reported: the 95 % interval of a rate on 30 frames is
            up to 0.36 wide.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    one_colour_std: float = Field(default=3.0, ge=0)
    grey_chroma: float = Field(default=0.8, ge=0)
    near_duplicate_iou: float = Field(default=0.8, gt=0, le=1)
    whole_image_share: float = Field(default=0.5, gt=0, le=1)
    height_min_px: float = Field(default=4.0, ge=0)
    width_min_px: float = Field(default=2.0, ge=0)
    length_max_share: float = Field(default=0.4, gt=0)
    length_max_medians: float = Field(default=8.0, ge=1)
    aspect_min: float = Field(default=0.15, gt=0)
    aspect_max: float = Field(default=5.0, gt=0)
    lamp_min_height_px: float = Field(default=12.0, ge=1)
    state_margin: float = Field(default=2.0, gt=0)
    dark_margin: float = Field(default=1.5, ge=0)
    night_max_luminance: float = Field(default=85.0, gt=0, lt=255)
    day_min_luminance: float = Field(default=40.0, ge=0, lt=255)
    rare_boxes: int = Field(default=50, ge=1)
    rare_frames: int = Field(default=30, ge=1)
