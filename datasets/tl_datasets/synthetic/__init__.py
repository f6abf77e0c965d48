"""Drawn road scenes with signal heads, for the demonstration, the documentation and the tests.

    specs = plan_sequences(30, 8, seed=0)
    frames = write_dataset(specs, "drawn")

A scene is drawn, not photographed: what a detector scores on it says nothing about a street.
"""

from __future__ import annotations

from tl_datasets.synthetic.dataset import write_dataset
from tl_datasets.synthetic.render import render_sequence
from tl_datasets.synthetic.spec import SequenceSpec, plan_sequences

__all__ = ["SequenceSpec", "plan_sequences", "render_sequence", "write_dataset"]
