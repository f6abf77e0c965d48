"""COCO-style scores, overall and per driving condition. numpy only, no torch.

The road: `ground_truth` -> `matching` (once) -> `conditions` (which frames) -> `scores` (per slice) -> `report`.
Beside it: `replicates` -> `intervals` (how sure a score is), `measures` -> `readings` (one number to judge a run by).
"""
