"""Checkpoints of both trainers: plain tensors, numbers and text, read back without running anything from the file.

`best.pt` holds what a detector needs; `last.pt` adds what resuming needs under `training`. A checkpoint from a stranger
is data, not code. How the file shows damage is the subject of `checkpoint_file`.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tl_datasets.errors import WeightsError, show
from tl_datasets.label_space import LabelSpace
from tl_detection.checkpoint_file import read_archive, write_archive

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
        training: What going on needs beside the weights, see `training.state`; None in a checkpoint that is only used.
    """

    kind: str
    model: dict[str, Any]
    label_space: LabelSpace
    state: dict[str, torch.Tensor]
    meta: dict[str, Any]
    training: dict[str, Any] | None = None

    @property
    def origin(self) -> dict[str, str]:
        """Name, run, epoch and fingerprint of the run that made it, as far as it says so; for reports."""
        found = {key: str(self.meta[key]) for key in ("name", "run", "epoch") if key in self.meta}
        fingerprint = self.meta.get("fingerprint")
        if isinstance(fingerprint, dict) and "short" in fingerprint:
            found["run_fingerprint"] = str(fingerprint["short"])
        return found


def save_checkpoint(
    path: Path,
    checkpoint: Checkpoint,
    *,
    remedy: str = "free space, or choose another folder, and try again",
    former: Path | None = None,
) -> None:
    """Write a checkpoint; the file appears whole, and has been read back.

    Nothing is copied in memory: tensors on a device go to the disk one by one.

    Args:
        path: The file.
        checkpoint: What it shall hold.
        remedy: What to do if it cannot be written.
        former: Name under which what lay at `path` stays, so that one of both is whole at every moment; None = it goes.

    Raises:
        TrainingError: The disk is full, or the file cannot be written; what lay at `path` is still there.
    """
    write_archive(
        path,
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
        remedy=remedy,
        former=former,
    )


def load_checkpoint(path: Path | str, *, kind: str | None = None) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: The file.
        kind: The kind of model that is wanted.

    Raises:
        WeightsError: The file is missing, cut off, damaged, foreign, or of another kind.
    """
    path = Path(path)
    data = read_archive(path)
    if not isinstance(data, dict) or not _is_text(data, "format", FORMAT):
        raise WeightsError(f"{path}: not a checkpoint of tl; expected RUN/weights/best.pt")
    version, found = data.get("version"), data.get("kind")
    if not isinstance(version, int) or version != VERSION:
        raise WeightsError(f"{path}: checkpoint version {show(version)}, expected {VERSION}; use the tl that wrote it")
    if kind is not None and not _is_text(data, "kind", kind):
        raise WeightsError(f"{path}: a {found} checkpoint, expected {kind}; choose another file or model.kind")
    try:
        model, label_space = json.loads(data["model"]), LabelSpace.from_json(data["label_space"])
        state, training = data["state"], data["training"]
        if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
            raise TypeError("state holds something else than tensors")
        if not isinstance(training, dict | None):
            raise TypeError(f"training is a {type(training).__name__}")
        return Checkpoint(
            kind=data["kind"],
            model=model,
            label_space=label_space,
            state=state,
            meta=json.loads(data["meta"]),
            training=training,
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise WeightsError(
            f"{path}: a checkpoint of tl with a part missing or damaged ({error!r}); copy it anew"
        ) from error


def _is_text(data: Mapping[str, Any], key: str, expected: str) -> bool:
    """True if an entry is this text; a comparison with a tensor would be a tensor."""
    return isinstance(data.get(key), str) and data[key] == expected


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
