"""What a drive would have been like: flicker, first sight, time to a stable state, and misses of each lamp.

The road: `frame_order` (frames of a sequence one after the other) -> `lamp_tracks` (boxes of one lamp) ->
`track_results` (what was said of it, frame by frame) -> `drive_scores` (all lamps of a selection, with intervals).
numpy only, no torch.
"""
