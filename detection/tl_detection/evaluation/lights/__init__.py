"""What was said of each traffic light: states taken for others, lights where there are none, lights that were missed.

The road: `overlaps` (once) -> `answers` (once per set of operating scores) -> `confusion`, `mistakes`, `phantoms` and
`missed` of every selection, which `scores` puts together. numpy and numba, no torch.
"""
