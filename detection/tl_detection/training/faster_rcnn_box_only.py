"""The box head's losses with boxes of which no more is known than that each is one of some candidate classes.

A sample of a known class has that class alone as a candidate, one of background the background; then both losses are
torchvision's. Where there are several,

- the class loss is -log of the sum of their probabilities (the marginal likelihood of a partial label: Cour, Sapp and
  Taskar, "Learning from partial labels", JMLR 2011): background and other classes lose, and what is gained is shared
  among the candidates in proportion to the probabilities that they have, so that their odds stay;
- the box is learned by the offsets of each candidate, with the mean of their losses: a light's box is the same
  whichever class it has, so that nothing is guessed and the weight is that of one box.
"""

from __future__ import annotations

import torch
from torch.nn import functional

# Torchvision's, of `fastrcnn_loss`.
_BETA = 1 / 9


def candidates_of(labels: torch.Tensor, sets: torch.Tensor) -> torch.Tensor:
    """What each sample of an image may be.

    Args:
        labels: (N,) 0 background, 1 to C a class, C + 1 and above a row of the sets.
        sets: (K, C) candidate classes of the image's boxes without a class.

    Returns:
        (N, C + 1) bool, the background first.
    """
    n_classes = sets.shape[1]
    own = torch.eye(n_classes + 1, dtype=torch.bool, device=sets.device)
    return torch.cat([own, functional.pad(sets, (1, 0))])[labels]


def box_head_losses(
    logits: torch.Tensor,
    said: torch.Tensor,
    candidates: torch.Tensor,
    offsets: torch.Tensor,
    class_weights: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The losses of classes and boxes, each divided by the number of samples.

    Args:
        logits: (N, C + 1) the background first.
        said: (N, 4 * (C + 1)) predicted offsets of each class.
        candidates: (N, C + 1) bool, at least one in each row; the background alone or not at all.
        offsets: (N, 4) offsets to learn; those of background do not matter.
        class_weights: (C + 1,) how much each class counts; a box of several counts as its likeliest ones do.
    """
    logits, said = logits.float(), said.float().reshape(len(logits), -1, 4)
    of_candidates = logits.masked_fill(~candidates, -torch.inf)
    of_class = logits.logsumexp(dim=1) - of_candidates.logsumexp(dim=1)
    if class_weights is not None:
        of_class = of_class * (of_candidates.detach().softmax(dim=1) @ class_weights.to(logits))
    rows = ~candidates[:, 0]
    wanted = offsets[rows, None].expand(-1, logits.shape[1], -1).float()
    of_box = functional.smooth_l1_loss(said[rows], wanted, beta=_BETA, reduction="none").sum(dim=2)
    share = candidates[rows] / candidates[rows].sum(dim=1, keepdim=True)
    return of_class.sum() / len(logits), (of_box * share).sum() / len(logits)
