"""From numbers back to grey levels, as the original corruptions do it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

# The last hair of a whole number that float arithmetic left at 99.9999.
_HAIR = 1e-3


def grey_levels(values: NDArray) -> NDArray[np.uint8]:
    """Numbers of 0 to 255 as uint8: those outside are clipped, fractions are cut off.

    Args:
        values: (H, W, 3) of any type of number.
    """
    # Rounding after this step down is cutting off. (Subtracting a scalar takes OpenCV sixty times as long.)
    return cv2.addWeighted(values, 1, values, 0, _HAIR - 0.5, dtype=cv2.CV_8U)  # type: ignore[return-value]
