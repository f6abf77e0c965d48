"""Learning rate as a pure function of the step: linear warm-up, then cosine, linear, step or constant; or one cycle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

Schedule = Literal["cosine", "linear", "step", "constant", "one_cycle"]

# Of the one-cycle policy (Smith and Topin 2018), as torch's OneCycleLR has them: share of the run that rises, and the
# first rate as a part of the highest.
_RISE, _FIRST_FRACTION = 0.3, 1 / 25


def lr_factor(
    step: int,
    total_steps: int,
    *,
    schedule: Schedule = "cosine",
    warmup_steps: int = 0,
    final_fraction: float = 0.01,
    step_at: Sequence[int] = (),
    step_factor: float = 0.1,
) -> float:
    """Give the factor on the highest learning rate for one step of the optimiser.

    Args:
        step: 0-based number of the step.
        total_steps: Steps of the whole run.
        schedule: Its form after the warm-up; "step" and "constant" do not use `final_fraction`. "one_cycle" rises by a
            cosine over three tenths of the run, from a 25th, and then falls by one; `warmup_steps` is not used.
        warmup_steps: Steps of the linear rise; the first takes 1 / warmup_steps, the last the full rate.
        final_fraction: Where cosine and linear end.
        step_at: Steps at which the step schedule multiplies by `step_factor`.
        step_factor: See `step_at`.

    Returns:
        A factor in (0, 1], or 0 where `final_fraction` is 0 and the run is over.
    """
    if schedule == "one_cycle":
        top = _RISE * total_steps - 1
        if step < top:
            return _FIRST_FRACTION + (1 - _FIRST_FRACTION) * (1 - math.cos(math.pi * step / top)) / 2
        share = min(1.0, (step - top) / max(1e-9, total_steps - 1 - top))
        return final_fraction + (1 - final_fraction) * (1 + math.cos(math.pi * share)) / 2
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if schedule == "constant":
        return 1.0
    if schedule == "step":
        return step_factor ** sum(step >= at for at in step_at)
    # The last step of the run takes exactly the final fraction.
    share = min(1.0, (step - warmup_steps) / max(1, total_steps - 1 - warmup_steps))
    fall = (1 + math.cos(math.pi * share)) / 2 if schedule == "cosine" else 1 - share
    return final_fraction + (1 - final_fraction) * fall
