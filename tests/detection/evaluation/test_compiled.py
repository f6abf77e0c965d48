"""Machine code is made when it is first needed, and without a cache where there is no place for one."""

from __future__ import annotations

import subprocess
import sys

import numba
import pytest

from tl_detection.evaluation import compiled


def test_nothing_is_translated_or_loaded_before_it_is_needed():
    modules = "predictions, scores, slice_intervals"
    code = f"import sys; from tl_detection.evaluation import {modules}; print('numba' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_without_a_place_for_the_cache_a_function_is_translated_all_the_same(monkeypatch):
    asked = []

    def njit(*function, **options):
        asked.append(options.get("cache", False))
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return numba_njit(*function, **options)

    numba_njit = numba.njit
    monkeypatch.setattr(compiled.numba, "njit", njit)
    assert compiled.compiled(lambda n: n + 1)(1) == 2
    assert asked[:2] == [True, False]


@pytest.mark.parametrize("make", [compiled.compiled, compiled.compiled_with_any_order_of_sums])
def test_division_by_nothing_gives_no_number_instead_of_an_error(make):
    assert str(make(lambda a, b: a / b)(0.0, 0.0)) == "nan"
