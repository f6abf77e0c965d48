"""What can be configured about augmentation: the section `augment` of a run. Defaults live here."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tl_datasets.augment.copy_paste import CopyPasteConfig
from tl_datasets.effects.scene import HORIZON
from tl_datasets.lint.settings import LintConfig

Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]


class Transform(BaseModel):
    """One step of the list `transforms`, by its name and its arguments.

    A CamelCase name is a transform of albumentations with albumentations' own arguments. A lower-case name is an effect
    of ours, with `severity`, one number or a range in [1, 5]; or `one_of` with a list `of`, of which one is drawn in
    proportion to its p.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    p: float = Field(default=0.5, ge=0, le=1)

    @field_validator("name")
    @classmethod
    def _has_a_name(cls, value: str) -> str:
        if not value.strip():
            raise ValueError(f"'{value}', expected the name of a step, such as fog or RandomGamma")
        return value

    @property
    def arguments(self) -> dict[str, Any]:
        """Everything but name and p."""
        return dict(self.model_extra or {})


def _light_safe() -> tuple[Transform, ...]:
    """What cameras do, by factors that are the same for all channels: hue is the label."""
    camera = [
        {"name": "exposure", "severity": [1, 3]},
        {"name": "sensor_noise", "severity": [1, 3]},
        {"name": "jpeg", "severity": [1, 2]},
        {"name": "motion_blur", "severity": [1, 2]},
        {"name": "defocus", "severity": [1, 2]},
    ]
    steps = [
        {"name": "RandomBrightnessContrast", "p": 0.5, "brightness_limit": 0.2, "contrast_limit": 0.2},
        {"name": "RandomGamma", "p": 0.2, "gamma_limit": [80, 125]},
        {"name": "one_of", "p": 0.2, "of": camera},
    ]
    return tuple(Transform.model_validate(step) for step in steps)


class AugmentConfig(BaseModel):
    """What is done to a training sample. Nothing is done to a validation sample.

    The defaults are configs/augment/light_safe.yaml. A list in the place of this section is its `transforms`.

    Attributes:
        mosaic: Share of samples made of four crops.
        mosaic_off_epochs: Number of last epochs without mosaic and mix-up.
        mosaic_block: The frames of a mosaic come from the same block of this many samples of the epoch's order, so
            that each image is decoded once or twice per epoch.
        crop: Share of the other samples that are a crop around a light.
        crop_scale: Range of the factor on top of the letterbox scale for these crops.
        scale: Range of the random factor on top of the letterbox scale.
        max_stretch: By how much pixels of a frame that was reduced while it was decoded may be enlarged again. 1 loses
            nothing; at 1.5 most frames are decoded at half their size, and small lights get softer (ultralytics, which
            first shrinks every frame to the input size, does so).
        translate: Largest shift as a share of the input size.
        mix_up: Share of samples that are blended with another one; signal heads keep their own pixels.
        flip_lr: Share of mirrored samples; left and right classes are exchanged.
        no_flip_countries: Frames recorded there are not mirrored (text on plates, the side of the road), as two-letter
            codes of ISO 3166.
        countries: Source name of the catalog -> country, needed with no_flip_countries.
        copy_paste: Signal heads of other frames in plausible places.
        transforms: Steps on the finished canvas, in order.
        horizon: Row of the horizon as a share of a frame's height; fog, rain and sun go by it.
        min_visible: A signal head keeps its label if at least this share of its area is visible: the place of the lamp
            in the housing says what it shows, so a cut housing would lie.
        min_visible_other: The same for boxes of other categories.
        min_size_px: and if both sides are at least this long in network pixels.
        allow_unsafe: Names of steps that may run although lamps do not survive them.
        lint: How survival is measured before training, and what is refused.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mosaic: float = Field(default=0.5, ge=0, le=1)
    mosaic_off_epochs: int = Field(default=5, ge=0)
    mosaic_block: int = Field(default=16, ge=4)
    crop: float = Field(default=0.2, ge=0, le=1)
    crop_scale: tuple[float, float] = (1.0, 2.0)
    scale: tuple[float, float] = (0.7, 1.5)
    max_stretch: float = Field(default=1.0, ge=1, le=2)
    translate: float = Field(default=0.1, ge=0, le=0.5)
    mix_up: float = Field(default=0.0, ge=0, le=1)
    flip_lr: float = Field(default=0.5, ge=0, le=1)
    no_flip_countries: tuple[Country, ...] = ()
    countries: dict[str, Country] = {}
    copy_paste: CopyPasteConfig = CopyPasteConfig()
    transforms: tuple[Transform, ...] = Field(default_factory=_light_safe)
    horizon: float = Field(default=HORIZON, ge=0, le=1)
    min_visible: float = Field(default=0.9, ge=0, le=1)
    min_visible_other: float = Field(default=0.3, ge=0, le=1)
    min_size_px: float = Field(default=2.0, ge=0)
    allow_unsafe: tuple[str, ...] = ()
    lint: LintConfig = LintConfig()

    @model_validator(mode="before")
    @classmethod
    def _a_list_is_its_transforms(cls, data: Any) -> Any:
        """A key with nothing behind it: an empty section is the defaults, an empty list no steps."""
        if data is None:
            return {}
        if isinstance(data, list | tuple):
            return {"transforms": data}
        if isinstance(data, dict) and "transforms" in data and data["transforms"] is None:
            return {**data, "transforms": ()}
        return data

    @field_validator("scale", "crop_scale")
    @classmethod
    def _is_a_range(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 < value[0] <= value[1] < float("inf"):
            raise ValueError(f"{list(value)}, expected two positive factors, lower first")
        return value
