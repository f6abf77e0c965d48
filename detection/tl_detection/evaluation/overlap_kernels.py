"""The loops over what detections lie on; `overlaps` says what they measure."""

from __future__ import annotations

import numpy as np

from tl_detection.evaluation.compiled import compiled


@compiled
def _iou(x, y, width, height, box):
    """Overlap of a detection with a box; left + width instead of right, as the COCO tools calculate."""
    box_width, box_height = box[2] - box[0], box[3] - box[1]
    overlap_width = min(x + width, box[0] + box_width) - max(x, box[0])
    overlap_height = min(y + height, box[1] + box_height) - max(y, box[1])
    if overlap_width <= 0 or overlap_height <= 0:
        return 0.0
    intersection = overlap_width * overlap_height
    return intersection / (width * height + box_width * box_height - intersection)


@compiled
def most_overlapped(frame_index, class_id, xyxy, size_px, object_xyxy, object_class, position, bounds):
    """The most overlapped object of the own class and of the others.

    Args:
        frame_index: (D,) frame of each detection.
        class_id: (D,) its class.
        xyxy: (D, 4) its box.
        size_px: (D, 2) its width and height.
        object_xyxy: (M, 4) objects by frame; of equal overlaps the first one is taken.
        object_class: (M,) their classes.
        position: (M,) what is given back for each.
        bounds: (F + 1,) the objects of frame f are bounds[f] to bounds[f + 1].

    Returns:
        (D,) position in the own class or -1, (D,) its overlap, and the same for the other classes.
    """
    n = len(frame_index)
    own_object, other_object = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    own_iou, other_iou = np.zeros(n), np.zeros(n)
    for i in range(n):
        for at in range(bounds[frame_index[i]], bounds[frame_index[i] + 1]):
            iou = _iou(xyxy[i, 0], xyxy[i, 1], size_px[i, 0], size_px[i, 1], object_xyxy[at])
            if object_class[at] == class_id[i]:
                if iou > own_iou[i]:
                    own_iou[i], own_object[i] = iou, position[at]
            elif iou > other_iou[i]:
                other_iou[i], other_object[i] = iou, position[at]
    return own_object, own_iou, other_object, other_iou


@compiled
def paired_overlaps(xyxy, size_px, object_xyxy, object_index):
    """(D,) overlap of each detection with the object of its index; 0 where that is negative."""
    overlap = np.zeros(len(object_index))
    for i in range(len(object_index)):
        if object_index[i] >= 0:
            overlap[i] = _iou(xyxy[i, 0], xyxy[i, 1], size_px[i, 0], size_px[i, 1], object_xyxy[object_index[i]])
    return overlap
