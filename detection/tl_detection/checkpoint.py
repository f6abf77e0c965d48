"""Checkpoints of both trainers: plain tensors, numbers and text, read back without running anything from the file.

`best.pt` holds what a detector needs; `last.pt` adds what resuming needs under `training`. Files are loaded with
`weights_only=True`: a checkpoint from a stranger is data, not code.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tl_datasets.errors import WeightsError
from tl_datasets.images import write_whole
from tl_datasets.label_space import LabelSpace

logger = logging.getLogger(__name__)

FORMAT = "tl-checkpoint"
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A trained model as data.

    Attributes:
        kind: "yolo" or "faster_rcnn".
        model: What `build` needs beside the weights, JSON values only (architecture, input size, anchors ...).
        label_space: The classes.
        state: State dict of the weights to use (the moving average, where the run had one).
        meta: Fingerprints, epoch, scores, versions; JSON values only.
        training: Optimiser, schedule, raw weights, random states; None in a checkpoint that is only to be used.
    """

    kind: str
    model: dict[str, Any]
    label_space: LabelSpace
    state: dict[str, torch.Tensor]
    meta: dict[str, Any]
    training: dict[str, Any] | None = None


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; the file appears whole."""
    buffer = io.BytesIO()
    torch.save(
        {
            "format": FORMAT,
            "version": VERSION,
            "kind": checkpoint.kind,
            "model": json.dumps(checkpoint.model),
            "label_space": checkpoint.label_space.to_json(),
            "state": checkpoint.state,
            "meta": json.dumps(checkpoint.meta),
            "training": checkpoint.training,
        },
        buffer,
    )
    write_whole(path, buffer.getvalue())


def load_checkpoint(path: Path | str, *, kind: str | None = None) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: The file.
        kind: The kind of model that is wanted.

    Raises:
        WeightsError: The file is missing, cut off, foreign, or of another kind.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            # A pickle of another program may also warn before it fails.
            warnings.simplefilter("ignore")
            data = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise WeightsError(
            f"{path}: cannot be read ({error.strerror}); expected a checkpoint such as RUN/weights/best.pt"
        ) from error
    # Bytes of anything else raise a dozen kinds of errors in the unpickler.
    except Exception as error:
        raise WeightsError(f"{path}: not a checkpoint of tl, or cut off; expected RUN/weights/best.pt") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise WeightsError(f"{path}: not a checkpoint of tl; expected RUN/weights/best.pt")
    if data.get("version") != VERSION:
        raise WeightsError(
            f"{path}: checkpoint version {data.get('version')}, expected {VERSION}; use the tl that wrote it"
        )
    if kind is not None and data.get("kind") != kind:
        raise WeightsError(
            f"{path}: a {data.get('kind')} checkpoint, expected {kind}; choose another file or model.kind"
        )
    try:
        return Checkpoint(
            kind=data["kind"],
            model=json.loads(data["model"]),
            label_space=LabelSpace.from_json(data["label_space"]),
            state=data["state"],
            meta=json.loads(data["meta"]),
            training=data["training"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{path}: a checkpoint of tl with a part missing or damaged ({error!r}); copy it anew"
        ) from (error)


def transfer_state(model: torch.nn.Module, state: Mapping[str, torch.Tensor], source: str) -> tuple[int, list[str]]:
    """Copy the weights that fit into a model; the others keep their start values.

    Args:
        model: Changed in place.
        state: State dict of another model.
        source: Named in messages.

    Returns:
        Number of copied tensors, and the names that were not copied.

    Raises:
        WeightsError: Less than half of the model's parameters fit: the file is of another architecture.
    """
    own = model.state_dict()
    fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    total = sum(value.numel() for value in own.values())
    copied = sum(own[name].numel() for name in fitting)
    if copied < total / 2:
        raise WeightsError(
            f"{source}: only {copied / max(total, 1):.0%} of the model's values fit; "
            "the file is of another architecture, set model.architecture or model.backbone to match it"
        )
    model.load_state_dict(fitting, strict=False)
    missing = [name for name in own if name not in fitting]
    if missing:
        logger.info(
            "%s: %d tensors copied, %d start anew: %s", source, len(fitting), len(missing), ", ".join(missing[:8])
        )
    return len(fitting), missing


def file_fingerprint(path: Path | str) -> str:
    """16 hex digits of the SHA-256 of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
