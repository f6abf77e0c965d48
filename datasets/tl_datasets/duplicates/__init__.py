"""Frames that show the same moment: identical, near-identical, neighbours in time."""
