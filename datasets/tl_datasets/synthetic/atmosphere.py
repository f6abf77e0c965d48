"""`Atmosphere`: what weather and time of day do to colours, sight, lamps and the sensor."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from tl_datasets.taxonomy import TimeOfDay, Weather

Colour = tuple[float, float, float]
Pixel = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Atmosphere:
    """The light of one sequence. Colours are RGB in 0..255, light is a factor per channel.

    Attributes:
        sky_top: Colour of the zenith side of the sky.
        haze: Colour of the horizon, into which distant things fade.
        light: Factor on the colour of every surface that is not a lamp.
        sun: Contrast between sunlit and shaded sides, 0..1.
        visibility_m: Distance at which 2% of the contrast is left.
        cloud: Share of the sky under cloud, 0..1.
        cloud_light: Colour of lit cloud.
        cloud_contrast: How far clouds stand out, 0..1; 0 in fog.
        wet: Reflection of the road, 0..1.
        snow_cover: Whiteness of the ground, 0..1.
        rain: Density of rain streaks, 0..1.
        snowfall: Density of flakes, 0..1.
        lamps_on: Whether street lamps, headlights and tail lamps burn.
        lit_window_share: Share of windows with light.
        bloom: Strength of the glow around lamps.
        halo: Extra wide glow, from fog, rain and snow.
        noise_sigma: Sensor noise in grey levels.
        blur_sigma_px: Lens blur at 1280 px image width.
    """

    sky_top: Colour
    haze: Colour
    light: Colour
    sun: float
    visibility_m: float
    cloud: float
    cloud_light: Colour
    cloud_contrast: float = 1.0
    wet: float = 0.0
    snow_cover: float = 0.0
    rain: float = 0.0
    snowfall: float = 0.0
    lamps_on: bool = False
    lit_window_share: float = 0.04
    bloom: float = 0.2
    halo: float = 0.0
    noise_sigma: float = 2.0
    blur_sigma_px: float = 0.6

    def transmission(self, depth_m: float) -> float:
        """Share of a surface's own light that reaches the camera from a distance (Koschmieder)."""
        return math.exp(-3.9 * depth_m / self.visibility_m)

    def shade(self, albedo: Colour, depth_m: float, factor: float = 1.0) -> Pixel:
        """Give the pixel colour of a surface at a distance; `factor` is its share of the light."""
        share = self.transmission(depth_m)
        lit = (albedo[0] * self.light[0], albedo[1] * self.light[1], albedo[2] * self.light[2])
        return _mix(lit, self.haze, factor * share, 1 - share)

    def glow(self, colour: Colour, depth_m: float) -> Pixel:
        """Give the pixel colour of a lamp at a distance; a lamp pierces haze further than a surface does."""
        share = math.sqrt(self.transmission(depth_m))
        return _mix(colour, self.haze, share, 1 - share)


def _mix(first: Colour, second: Colour, first_share: float, second_share: float) -> Pixel:
    return (
        min(255, int(first[0] * first_share + second[0] * second_share)),
        min(255, int(first[1] * first_share + second[1] * second_share)),
        min(255, int(first[2] * first_share + second[2] * second_share)),
    )


_BY_TIME: dict[TimeOfDay, Atmosphere] = {
    TimeOfDay.DAYTIME: Atmosphere(
        sky_top=(74, 130, 205),
        haze=(196, 216, 234),
        light=(1.0, 0.99, 0.96),
        sun=1.0,
        visibility_m=2400,
        cloud=0.18,
        cloud_light=(250, 251, 253),
        bloom=0.16,
        noise_sigma=1.8,
    ),
    TimeOfDay.DAWN_DUSK: Atmosphere(
        sky_top=(72, 88, 138),
        haze=(233, 172, 124),
        light=(0.56, 0.46, 0.42),
        sun=0.55,
        visibility_m=1500,
        cloud=0.3,
        cloud_light=(238, 158, 128),
        lamps_on=True,
        lit_window_share=0.22,
        bloom=0.5,
        noise_sigma=3.0,
        blur_sigma_px=0.65,
    ),
    TimeOfDay.NIGHT: Atmosphere(
        sky_top=(7, 10, 22),
        haze=(34, 33, 42),
        light=(0.19, 0.185, 0.21),
        sun=0.0,
        visibility_m=1500,
        cloud=0.15,
        cloud_light=(34, 34, 42),
        lamps_on=True,
        lit_window_share=0.34,
        bloom=1.0,
        noise_sigma=5.0,
        blur_sigma_px=0.75,
    ),
}


def atmosphere(weather: Weather, time_of_day: TimeOfDay, rng: np.random.Generator) -> Atmosphere:
    """Draw the light of a sequence: the table's value for the condition, varied a little."""
    air = _BY_TIME[time_of_day]
    night = time_of_day == TimeOfDay.NIGHT
    grey = _grey(air, night)
    if weather == Weather.PARTLY_CLOUDY:
        air = replace(air, cloud=0.55, sun=air.sun * 0.8)
    elif weather == Weather.OVERCAST:
        air = replace(air, **grey, cloud=1.0, sun=0.0, light=_scale(air.light, 0.86), visibility_m=1100)
    elif weather == Weather.RAINY:
        air = replace(
            air,
            **{name: _scale(colour, 0.82) for name, colour in grey.items()},
            cloud=1.0,
            sun=0.0,
            light=_scale(air.light, 0.7),
            visibility_m=float(rng.uniform(300, 480)),
            wet=0.85,
            rain=float(rng.uniform(0.6, 1.0)),
            lamps_on=True,
            lit_window_share=max(air.lit_window_share, 0.14),
            bloom=air.bloom * 1.2 + 0.06,
            halo=0.22,
            noise_sigma=air.noise_sigma + 0.6,
            blur_sigma_px=air.blur_sigma_px + 0.12,
        )
    elif weather == Weather.SNOWY:
        air = replace(
            air,
            **grey,
            cloud=1.0,
            sun=0.0,
            light=_scale(air.light, 0.9),
            visibility_m=float(rng.uniform(300, 480)),
            snow_cover=float(rng.uniform(0.7, 1.0)),
            snowfall=float(rng.uniform(0.5, 1.0)),
            lamps_on=True,
            halo=0.25,
        )
    elif weather == Weather.FOGGY:
        air = replace(
            air,
            **{name: _scale(colour, 1.25 if night else 0.98) for name, colour in grey.items()},
            cloud=1.0,
            cloud_contrast=0.0,
            sun=0.0,
            light=_scale(air.light, 0.85),
            visibility_m=float(rng.uniform(160, 250)),
            wet=0.15,
            lamps_on=True,
            bloom=air.bloom * 1.1 + 0.05,
            halo=0.6,
        )
    gain = float(rng.uniform(0.92, 1.06))
    return replace(air, light=_scale(air.light, gain))


def _grey(air: Atmosphere, night: bool) -> dict[str, Colour]:
    """Sky colours under a closed cloud cover: grey by day, dull at dusk, city glow at night."""
    if night:
        return {"sky_top": (22, 21, 24), "haze": (46, 42, 44), "cloud_light": (44, 40, 42)}
    mean = sum(air.haze) / 3
    level = 0.76 * mean + 0.24 * sum(air.sky_top) / 3
    cool = (0.0, 1.0, 4.0)
    # An eighth of the hue of the open sky is left.
    red, green, blue = (0.12 * (channel - mean) + shift for channel, shift in zip(air.haze, cool, strict=True))
    haze = (min(255.0, level * 1.06 + red), min(255.0, level * 1.06 + green), min(255.0, level * 1.06 + blue))
    top = (level * 0.93 + red, level * 0.93 + green, level * 0.93 + blue)
    return {"sky_top": top, "haze": haze, "cloud_light": haze}


def _scale(colour: Colour, factor: float) -> Colour:
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)
