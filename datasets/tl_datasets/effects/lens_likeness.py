"""How much a bright place in a small picture of a signal head looks like a lit lens.

Of each place eleven numbers are taken: does every way out of it lead through the dark of a housing, which edges,
stripes and boards do not have; how coloured, red or green, and bluish it is beside the dark parts; how bright it is,
how dark and how even the housing is, how much it stands out, how even it is, and how far off the axis. They are weighed
together with all their products, by a logistic regression on lamps of DTLD and BDD100K at full and half size against
places in their frames away from lamps.

What it does not do: say which state is shown (see tl_datasets/lamps/state.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tl_datasets.effects.lens_weights import MEAN, SPREAD, WEIGHTS

Floats = NDArray[np.float32]

# Heads are looked at in this many pixels, three square cells upright.
WIDTH, HEIGHT = 12, 36
# A lens has about this radius in them, down and across: the cells of a head are wider than its lenses.
_RADIUS = (4.5, 3.8)
_INNER, _CORE, _OUTER = 0.75, 0.5, 1.25
# Columns of the axis: the housing without its sides.
_AXIS = slice(3, 9)
# Ways out of a place: eight directions, from 2 to 7 px.
_STEPS = np.arange(2, 8)
_ANGLES = np.pi / 4 * np.arange(8)
_RAY_ROWS = np.rint(1.05 * np.outer(np.sin(_ANGLES), _STEPS)).astype(np.intp)
_RAY_COLUMNS = np.rint(0.95 * np.outer(np.cos(_ANGLES), _STEPS)).astype(np.intp)


def likeness(heads: Floats, salience: Floats, smooth: Floats, places: NDArray[np.intp]) -> NDArray[np.float64]:
    """(K,) how much places look like a lit lens: below 0 rather not, above 0 rather so.

    Args:
        heads: (N, 36, 12, 3) RGB of the heads, in bytes.
        salience: (N, 36, 12) brightness and colour.
        smooth: The same, averaged over 3 x 3 pixels.
        places: (K, 3) head, row and column.
    """
    values = np.clip((features(heads, salience, smooth, places) - MEAN) / SPREAD, -3, 3)
    values = np.concatenate([values, np.ones((len(values), 1))], axis=1)
    return np.einsum("ki,ij,kj->k", values, WEIGHTS, values)


def features(heads: Floats, salience: Floats, smooth: Floats, places: NDArray[np.intp]) -> NDArray[np.float64]:
    """(K, 11) what is weighed; arguments as for `likeness`."""
    head, row, column = places.T
    own, colour, soft = salience[head] / 255, heads[head] / 255, smooth[head] / 255
    down = (np.arange(HEIGHT) - row[:, None]) / _RADIUS[0]
    across = (np.arange(WIDTH) - column[:, None]) / _RADIUS[1]
    distance = np.hypot(down[:, :, None], across[:, None, :])
    inner, core = distance < _INNER, distance < _CORE
    n_inner = inner.sum(axis=(1, 2))
    bright = (own * inner).sum(axis=(1, 2)) / n_inner
    uneven = np.sqrt(np.maximum((own**2 * inner).sum(axis=(1, 2)) / n_inner - bright**2, 0))
    lens = (colour * inner[..., None]).sum(axis=(1, 2)) / n_inner[:, None]
    rest = np.abs(down) > _OUTER
    dark, middle = _quantile(own[:, :, _AXIS], rest, 0.25), _quantile(own[:, :, _AXIS], rest, 0.5)
    housing = np.stack([_quantile(colour[:, :, _AXIS, channel], rest, 0.5) for channel in range(3)], axis=1)
    excess = lens - housing
    strength = np.maximum(excess.max(axis=1), 0.06)
    tint = (excess[:, 0] - excess[:, 1]) / strength
    blueness = (excess[:, 2] - np.maximum(excess[:, 0], excess[:, 1])) / strength
    contrast = np.maximum(bright - dark, 0.05)
    rows = np.clip(row[:, None, None] + _RAY_ROWS, 0, HEIGHT - 1)
    columns = np.clip(column[:, None, None] + _RAY_COLUMNS, 0, WIDTH - 1)
    ways = np.sort(soft[np.arange(len(places))[:, None, None], rows, columns].min(axis=2), axis=1)
    peak = (soft * core).sum(axis=(1, 2)) / core.sum(axis=(1, 2))
    elsewhere = own[:, :, _AXIS] * rest[:, :, None]
    n_rest = 6 * rest.sum(axis=1)
    variance = (elsewhere**2).sum(axis=(1, 2)) / n_rest - (elsewhere.sum(axis=(1, 2)) / n_rest) ** 2
    return np.stack(
        [
            np.log(np.maximum(peak - ways[:, -1], 0) + 0.02),
            np.clip((peak - ways[:, -2]) / contrast, -1, 2),
            np.log(np.ptp(excess, axis=1) + 0.02),
            np.clip(tint, -1, 1),
            np.clip(blueness, -1, 1),
            (colour.max(axis=-1) * inner).max(axis=(1, 2)),
            np.log(dark + 0.02),
            np.clip((bright - middle) / contrast, -3, 3),
            uneven / contrast,
            np.log(np.sqrt(np.maximum(variance, 0)) + 0.02),
            np.abs(column - (WIDTH - 1) / 2) / (WIDTH / 2),
        ],
        axis=1,
    )


def _quantile(values: NDArray[np.floating], rows: NDArray[np.bool_], share: float) -> NDArray[np.floating]:
    """(K,) quantile of (K, h, w) values over chosen rows (K, h)."""
    ordered = np.sort(np.where(rows[:, :, None], values, np.inf).reshape(len(values), -1), axis=1)
    count = rows.sum(axis=1) * values.shape[2]
    return ordered[np.arange(len(values)), (share * (count - 1)).astype(np.intp)]
