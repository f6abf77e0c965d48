"""Limits of the linter, and how much it measures."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

# Shares are measured on so many lamps at least before they speak against a policy.
LEAST_TO_JUDGE = 10


class LintConfig(BaseModel):
    """Limits of the linter, and how much it measures.

    The limits hold for every state on its own. Measured on 540 lamps of DTLD, `tl lint --known-policies`: what every
    trainer needs, albumentations' RandomBrightnessContrast with p 0.5, keeps 98.4 % of the worst state and makes 1.4 %
    another; of everything that shifts colours the mildest, YOLOX's HSV, keeps 93.6 % and makes 4.5 % another.

    Attributes:
        min_kept: Least share of a state's lamps that still show it after a transform, with the probability that it is
            configured with. What is not kept is mostly greyed or too dark to be read, which wastes a label.
        max_other: Largest share that shows another state: a wrong label, which is worse.
        min_kept_together: Least share after all transforms, each with its probability.
        max_other_together: Largest share that shows another state after all of them.
        lamps_per_state: Most lamps of each state, spread over sequences, weathers and times of day.
        least_lamps: With fewer real lamps of a state, drawn ones are added up to this number.
        draws: Random draws per lamp and transform; fewer for one with p under 0.5, whose share counts less.
        min_height_px: Lowest housing, in pixels of the network's input. Lower ones are not read reliably; a housing of
            more than 64 px does not leave enough of a window of 128 px for its surroundings.
        max_turn_deg: Largest turn of the image; in a head that leans more, "above" no longer says which lens is lit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    min_kept: float = Field(default=0.95, ge=0, le=1)
    max_other: float = Field(default=0.03, ge=0, le=1)
    min_kept_together: float = Field(default=0.9, ge=0, le=1)
    max_other_together: float = Field(default=0.05, ge=0, le=1)
    lamps_per_state: int = Field(default=80, ge=LEAST_TO_JUDGE)
    least_lamps: int = Field(default=30, ge=LEAST_TO_JUDGE)
    draws: int = Field(default=4, ge=1)
    min_height_px: float = Field(default=12.0, ge=6, le=64)
    max_turn_deg: float = Field(default=10.0, ge=0, le=90)
