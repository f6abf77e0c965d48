"""`compiled`: loops over millions of records in machine code, by numba.

Nothing is compiled on import: numba translates a function at its first call (about 15 s for all of an evaluation's) and
keeps the result beside the source, or in the user's cache folder where the package cannot be written to
(`NUMBA_CACHE_DIR` chooses another). Later runs and other processes load it in under half a second; each entry is
written to a temporary name and moved, so processes that start together do not disturb each other. A change of the
source file makes its entries anew, which is why no kernel calls one of another file. Where no folder can be written to,
every process translates for itself.

Importing numba takes half a second, so modules with kernels are imported where they are called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

# Numba knows the types of what it is given, type checkers do not.
Kernel = Callable[..., Any]


def compiled(function: Kernel) -> Kernel:
    """The function in machine code; its loops run without the interpreter lock."""
    return _compiled(function, frozenset())


def compiled_with_any_order_of_sums(function: Kernel) -> Kernel:
    """As `compiled`; sums may be taken in any order, as vector registers need it."""
    return _compiled(function, frozenset({"reassoc", "nsz"}))


def _compiled(function: Kernel, freedoms: frozenset[str]) -> Kernel:
    options = {"nogil": True, "error_model": "numpy", "fastmath": set(freedoms)}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba finds no place for its cache
        return numba.njit(**options)(function)
