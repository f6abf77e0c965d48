"""At which score a detection counts: `rules` -> `choice` (one score per class, with intervals) -> `thresholds_out`."""
