"""What the first batch teaches a Faster R-CNN: read where torchvision's matchers join lights and boxes."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.models.detection import FasterRCNN

from tl_datasets.torch_dataset import Batch
from tl_detection.training.faster_rcnn import to_network
from tl_detection.training.start_check import HeadStart, StartCheck, tally, untouched


def check_faster_rcnn_start(network: FasterRCNN, batch: Batch) -> StartCheck:
    """Count what a batch teaches a Faster R-CNN. Weights, statistics, modes and random numbers stay as they are.

    A light is taught to the proposals if an anchor overlaps it as well as a positive has to; one that has only the best
    of bad anchors is not. Proposals are those beside the lights themselves, which are added to them: a fresh network
    has hardly any, so that part never fails.

    One of several ranks calls this inside `distributed.alone`: joined norms would wait for the others.

    Args:
        network: From `build_faster_rcnn`, on its device, in training.
        batch: From the loader.
    """
    rpn, box_head = cast(Any, network.rpn), cast(Any, network.roi_heads)
    device = next(network.parameters()).device
    images, targets = to_network(batch, device)
    lights = [len(target["boxes"]) for target in targets]
    # Lights themselves come last among the proposals of their image; images without lights are matched with nothing.
    recorders = [_Recorder(rpn.proposal_matcher, 0), _Recorder(box_head.proposal_matcher, 1)]
    try:
        rpn.proposal_matcher, box_head.proposal_matcher = recorders
        with untouched(network), torch.autocast(device.type, enabled=False):
            network(images, targets)
    finally:
        rpn.proposal_matcher, box_head.proposal_matcher = (recorder.matcher for recorder in recorders)
    xyxy = torch.cat([target["boxes"] for target in targets]).cpu()
    height = (xyxy[:, 3] - xyxy[:, 1]).numpy()
    return StartCheck(
        frames=len(lights),
        lights=sum(lights),
        heads=(
            recorders[0].head(
                height,
                name="proposal network",
                unit="anchors",
                lack=f"an anchor that overlaps it by {rpn.proposal_matcher.high_threshold:g}",
            ),
            recorders[1].head(height, name="box head", unit="proposals", lack="a proposal", can_fail=False),
        ),
        remedy="enlarge model.input, or fit the anchors (model.anchors: fit) if they are not",
    )


class _Recorder:
    """A matcher that remembers what it gave each light."""

    def __init__(self, matcher: Any, own_boxes: int):
        """Stand before a matcher.

        Args:
            matcher: Torchvision's.
            own_boxes: 1 where each light is itself among the boxes, at their end.
        """
        self.matcher, self.own_boxes = matcher, own_boxes
        self.positives: list[NDArray[np.int64]] = []
        self.overlap: list[NDArray[np.float64]] = []
        self.best: list[NDArray[np.float64]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.matcher, name)

    def __call__(self, overlaps: torch.Tensor) -> torch.Tensor:
        """Match (lights, boxes) overlaps: the light of each box, or a negative number."""
        matched = self.matcher(overlaps)
        lights, boxes = overlaps.shape
        of_box = matched[: boxes - self.own_boxes * lights]
        box = (of_box >= 0).nonzero()[:, 0]
        light, overlap = of_box[box], overlaps[of_box[box], box].double()
        zero = torch.zeros(lights, dtype=torch.float64, device=overlaps.device)
        self.positives.append(torch.bincount(light, minlength=lights).cpu().numpy())
        self.overlap.append(zero.index_add(0, light, overlap).cpu().numpy())
        self.best.append(zero.scatter_reduce(0, light, overlap, "amax").cpu().numpy())
        return matched

    def head(self, height_px: NDArray[np.floating], **about: Any) -> HeadStart:
        """What was counted, by size."""
        positives = np.concatenate([*self.positives, np.empty(0, np.int64)])
        overlap, best = (np.concatenate([*values, np.empty(0)]) for values in (self.overlap, self.best))
        taught = (best >= self.matcher.high_threshold) & (positives > 0)
        return tally(height_px, positives, overlap, taught, **about)
