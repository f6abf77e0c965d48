"""How far two annotations of the same frames agree: the ceiling of what a score against one of them can mean.

The road: `paired_frames` (the frames that both have) -> `box_agreement` and `state_agreement` -> `label_agreement`.
"""
