"""ultralytics' losses with boxes of which no more is known than that each is one of some candidate classes.

To the assigner such a box is of a class of its own, which a point is as sure of as of the likeliest candidate there.
The points that it gets learn the box as others do, and other classes are background to them. Their candidates have one
loss together: that of a class whose odds are the sum of theirs, for a light shows one of them (the marginal likelihood
of a partial label: Cour, Sapp and Taskar, "Learning from partial labels", JMLR 2011). So a point learns that a light is
there, and what is gained is shared among the candidates in proportion to the odds that they have: none is preferred.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional


def assign_with_candidates(
    assigner: Any,
    sets: torch.Tensor,
    scores: torch.Tensor,
    xyxy: torch.Tensor,
    points: torch.Tensor,
    *truth: Any,
    **extra: Any,
) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
    """Ask the assigner which points learn which box.

    Args:
        assigner: Ultralytics'.
        sets: (K, C) candidate classes.
        scores: (B, A, C) in [0, 1].
        xyxy: (B, A, 4) predicted boxes.
        points: (A, 2).
        truth: Labels (B, M, 1), of which C and above are rows of the sets, boxes and their mask.
        extra: What else the assigner is given.

    Returns:
        What the assigner gives, scores over C classes, of which the candidates of a point have equal parts; and
        (B, A, C) true for the candidates of points whose box has no class.
    """
    n_classes = assigner.num_classes
    surest = torch.stack([scores[..., of_set].amax(dim=2) for of_set in sets], dim=2)
    assigner.num_classes = n_classes + len(sets)
    try:
        labels, boxes, targets, is_positive, light = assigner(
            torch.cat([scores, surest], dim=2), xyxy, points, *truth, **extra
        )
    finally:
        assigner.num_classes = n_classes
    known, of_sets = targets.split([n_classes, len(sets)], dim=2)
    parts = (sets / sets.sum(dim=1, keepdim=True)).to(of_sets)
    is_open = is_positive & (labels >= n_classes)
    candidates = sets[(labels - n_classes).clamp(min=0)] & is_open[..., None]
    return (labels, boxes, known + of_sets @ parts, is_positive, light), candidates


def join_candidates(
    loss: torch.Tensor, logits: torch.Tensor, targets: torch.Tensor, candidates: torch.Tensor
) -> torch.Tensor:
    """Put the joint loss of a point's candidates in the place of their own losses.

    Args:
        loss: (B, A, C) of each class.
        logits: (B, A, C).
        targets: (B, A, C) in [0, 1].
        candidates: (B, A, C) true for the candidates of points whose box has no class.

    Returns:
        (B, A, C); a joint loss is divided among the candidates as their odds are, so that weights of the classes count.
    """
    where = candidates.any(dim=2).nonzero(as_tuple=True)
    may_be = candidates[where]
    of_candidates = logits[where].masked_fill(~may_be, -torch.inf)
    target = (targets[where] * may_be).sum(dim=1).to(logits.dtype)
    joint = functional.binary_cross_entropy_with_logits(of_candidates.logsumexp(dim=1), target, reduction="none")
    shared = of_candidates.detach().softmax(dim=1) * joint[:, None]
    return loss.index_put(where, torch.where(may_be, shared.to(loss.dtype), loss[where]))
