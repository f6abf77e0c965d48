"""`EFFECTS`: every effect by its name."""

from __future__ import annotations

from tl_datasets.effects.blur import DEFOCUS, MOTION_BLUR
from tl_datasets.effects.exposure import EXPOSURE
from tl_datasets.effects.fog import FOG
from tl_datasets.effects.jpeg import JPEG
from tl_datasets.effects.lens_drops import LENS_DROPS
from tl_datasets.effects.low_sun import LOW_SUN
from tl_datasets.effects.night import NIGHT
from tl_datasets.effects.rain import RAIN
from tl_datasets.effects.scene import Effect
from tl_datasets.effects.sensor_noise import SENSOR_NOISE
from tl_datasets.effects.snow import SNOW
from tl_datasets.effects.wet_road import WET_ROAD

EFFECTS: dict[str, Effect] = {
    "night": NIGHT,
    "low_sun": LOW_SUN,
    "exposure": EXPOSURE,
    "motion_blur": MOTION_BLUR,
    "defocus": DEFOCUS,
    "sensor_noise": SENSOR_NOISE,
    "jpeg": JPEG,
    "fog": FOG,
    "rain": RAIN,
    "lens_drops": LENS_DROPS,
    "wet_road": WET_ROAD,
    "snow": SNOW,
}
