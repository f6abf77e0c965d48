"""Which of overlapping boxes stay: one lamp shows one state.

Boxes of classes that exclude each other (`LabelSpace.groups`) suppress each other as boxes of one class do: the one
with the highest score stays. `tl export` writes the same into its graph, from the same limits.
Deliberately absent: merging of boxes or scores, and a choice between pictograms.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torchvision.ops import nms

# Boxes of exclusive states that overlap by more are one lamp. Measured on 267 lamps of a city that was held out:
# YOLO26n alone leaves two states with scores over 0.05 on 40 of them, Faster R-CNN on 134; at 0.7 it is 3 and 102, at
# 0.5 none and 31, at 0.4 none and 5. AP50 falls from 0.540 to 0.530 and from 0.282 to 0.245: a second guess no longer
# counts. Of 25 917 annotated lamps (DTLD, BSTLD, LISA) none overlaps one of another state by more than 0.1.
STATE_IOU = 0.4


def overlap_limits(groups: Sequence[int], class_iou: float) -> dict[int, float]:
    """By how much boxes of each group may overlap.

    Args:
        groups: Group of each class, `LabelSpace.groups`.
        class_iou: What a detector allows boxes of one class.

    Returns:
        Group -> IoU, in the order in which equal scores are told apart: first the classes without a partner, which
        keep `class_iou`, then the groups of exclusive states.
    """
    members = list(groups)
    alone = {group: class_iou for group in sorted(set(members)) if members.count(group) == 1}
    return alone | {group: STATE_IOU for group in sorted(set(members)) if group not in alone}


def suppress(
    xyxy: torch.Tensor, score: torch.Tensor, class_id: torch.Tensor, groups: Sequence[int], class_iou: float
) -> torch.Tensor:
    """Keep each box that no better box of its group overlaps by more than the group's limit.

    Args:
        xyxy: (N, 4) boxes.
        score: (N,) their scores; of equal ones the earlier is the better.
        class_id: (N,) their 0-based classes.
        groups: Group of each class, `LabelSpace.groups`.
        class_iou: What boxes of a class without a partner may overlap by.

    Returns:
        (M,) int64 positions of those that stay, highest score first.
    """
    group = torch.tensor(groups, device=class_id.device)[class_id]
    xyxy, score = xyxy.float(), score.float()
    kept = []
    for number, limit in overlap_limits(groups, class_iou).items():
        rows = (group == number).nonzero().flatten()
        kept.append(rows[nms(xyxy[rows], score[rows], limit)])
    keep = torch.cat(kept)
    return keep[score[keep].argsort(descending=True, stable=True)]
