"""Errors pass between processes as they are."""

from __future__ import annotations

import pickle

import pytest

from tl_datasets.errors import AnnotationError, ConfigError, ImageError, TlError


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("train.lr", ["0 is too small", "a second fault"]),
        AnnotationError("labels.json", "no boxes", line=3),
        ImageError("frame.png: cannot be read"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_passes_between_processes(error: TlError):
    found = pickle.loads(pickle.dumps(error))
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert vars(found) == vars(error)
