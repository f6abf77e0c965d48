"""Checks of a catalog: what is wrong with its images, boxes, states, conditions, sequences and parts."""
