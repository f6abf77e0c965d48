"""What decides the result of a run, in one short word: data, configuration, code and versions.

Two runs of one fingerprint, on one kind of device, learn the same. It stands in the console, in every checkpoint, in
`environment.json` and in reports. Settings without influence on the result are no part of it, see `_WITHOUT_INFLUENCE`.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist

from tl_datasets.errors import WeightsError, show
from tl_detection.checkpoint import file_fingerprint
from tl_detection.config import RunConfig
from tl_detection.devices import pick_device
from tl_detection.environment import source_revision, sources_fingerprint

if TYPE_CHECKING:
    from tl_detection.training.data import TrainingData

logger = logging.getLogger(__name__)

PACKAGES = ("torch", "torchvision", "ultralytics", "albumentations", "opencv-python", "numpy")

# Names and places; how fast, how safely and how visibly a run goes; gates that let it begin or not. What the files
# named here hold is in the fingerprint: the catalog's content, and that of the weights to start from.
_WITHOUT_INFLUENCE = (
    "name",
    "folder",
    "data.catalog",
    "data.duplicates",
    "data.cache",
    "data.broken_share",
    "data.allow_classes_without_boxes",
    "augment.allow_unsafe",
    "augment.lint",
    "model.weights",
    "model.weights_backbone",
    "train.workers",
    "train.device",
    "train.checkpoint_minutes",
    "train.rank_timeout_s",
    "track",
)
# The same sums in another order: an interrupted run may go on with other values of these.
_ROUNDING = ("train.micro_batch", "train.deterministic")
# Settings that may name a file; what the run takes from it stays in its checkpoint.
_START_FILES = ("architecture", "weights", "weights_backbone")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFingerprint:
    """What decides the result of a run.

    Attributes:
        catalog: Fingerprint of the whole catalog: 16 hex digits, as are all that follow.
        frames: Of the frames to learn from and to score and of the boxes to learn from, in their order.
        label_space: Of the classes and rules.
        augmentation: Of what decides how samples look, balance included.
        files: Dotted key -> of the file that it named when the run began: weights, the description of an architecture.
        config: Every setting that decides the result, by dotted key.
        revision: Commit of the program's checkout, with a + if it has uncommitted changes; or the installed version.
        sources: Of the program's own source files: shows a change that no commit holds.
        versions: Package -> version.
        place: Device, and number of ranks. No part of `short`.
    """

    catalog: str
    frames: str
    label_space: str
    augmentation: str
    files: Mapping[str, str]
    config: Mapping[str, Any]
    revision: str
    sources: str
    versions: Mapping[str, str]
    place: Mapping[str, Any]

    @classmethod
    def of_run(cls, data: TrainingData, started: RunFingerprint | None = None) -> RunFingerprint:
        """The fingerprint of a run that begins or goes on now.

        Args:
            data: From `prepare_data`.
            started: Of a run that goes on, as its checkpoint holds it: the files that it began with may be gone.
        """
        config = data.config
        deciding = _deciding(config)
        looks = {key: value for key, value in deciding.items() if key.startswith(("augment.", "data.balance"))}
        return cls(
            catalog=data.fingerprint,
            frames=_frames_fingerprint(data),
            label_space=data.label_space.fingerprint,
            augmentation=_digest(looks),
            files=_start_files(config) if started is None else started.files,
            config=deciding,
            revision=source_revision() or metadata.version("tl-perception"),
            sources=sources_fingerprint(),
            versions={name: metadata.version(name) for name in PACKAGES},
            place=_place(config),
        )

    @property
    def short(self) -> str:
        """12 hex digits over everything that decides the result.

        The sources themselves count, not the commit: a commit that only touches documents changes nothing.
        """
        parts = asdict(self)
        for key in ("revision", "place"):
            del parts[key]
        return _digest(parts)[:12]

    def to_dict(self) -> dict[str, Any]:
        """JSON values, with `short` in front."""
        return {"short": self.short, **asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunFingerprint:
        """The inverse of `to_dict`.

        Raises:
            TypeError: A part is missing, or there is another one.
        """
        return cls(**{key: value for key, value in values.items() if key != "short"})

    def line(self) -> str:
        """One line for the console."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return (
            f"fingerprint {self.short}: catalog {self.catalog}, label space {self.label_space}, augmentation "
            f"{self.augmentation}, code {self.revision} (sources {self.sources}), {versions}"
        )


def differences(before: RunFingerprint, now: RunFingerprint) -> list[str]:
    """Why a run must not go on: what decides its result and has changed, each with its dotted key."""
    found = [
        f"{key} was {_value(before.config, key)}, is {_value(now.config, key)}"
        for key in sorted({*before.config, *now.config} - set(_ROUNDING))
        if before.config.get(key, _ABSENT) != now.config.get(key, _ABSENT)
    ]
    if before.catalog != now.catalog:
        found.append(f"data.catalog has changed (its fingerprint was {before.catalog}, is {now.catalog})")
    elif before.frames != now.frames and not any(item.startswith("data.") for item in found):
        found.append("data.catalog holds the same frames in another order")
    return found


def remarks(before: RunFingerprint, now: RunFingerprint) -> list[str]:
    """What has changed since, and may: the run goes on, but the last bits of its weights may differ."""
    pairs = {
        **{key: (before.config.get(key), now.config.get(key)) for key in _ROUNDING},
        "code": (f"{before.revision} ({before.sources})", f"{now.revision} ({now.sources})"),
        **{name: (before.versions.get(name), now.versions.get(name)) for name in {**before.versions, **now.versions}},
        **{name: (before.place.get(name), now.place.get(name)) for name in {**before.place, **now.place}},
    }
    # A commit alone changes no result.
    if before.sources == now.sources:
        del pairs["code"]
    return [f"{name} was {was}, is {is_now}" for name, (was, is_now) in pairs.items() if was != is_now]


def require_same_run(folder: Path, meta: Mapping[str, Any], data: TrainingData) -> RunFingerprint:
    """Make sure that a run goes on as the run that it was; a warning says what else has changed.

    Args:
        folder: The run.
        meta: Of its checkpoint.
        data: What it would go on with.

    Returns:
        The fingerprint of the run as it goes on.

    Raises:
        WeightsError: Something that decides the result has changed; names every key.
    """
    try:
        before = RunFingerprint.from_dict(meta["fingerprint"])
    except (KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{folder}: its checkpoint has no fingerprint of the run, as those of an earlier tl; "
            f"start a new run with model.weights={folder / 'weights' / 'best.pt'}"
        ) from error
    now = RunFingerprint.of_run(data, started=before)
    changed = differences(before, now)
    if changed:
        raise WeightsError(
            f"{folder}: this is another run than the one that was interrupted: {'; '.join(changed)}; "
            f"put it back, or start a new run with model.weights={folder / 'weights' / 'best.pt'}"
        )
    said = remarks(before, now)
    if said:
        logger.warning("%s goes on, perhaps to other last bits: %s", folder, "; ".join(said))
    return now


_ABSENT = object()


def _value(config: Mapping[str, Any], key: str) -> str:
    return show(config[key]) if key in config else "not there"


def _deciding(config: RunConfig) -> dict[str, Any]:
    """Every setting that decides the result, by dotted key."""
    return {
        key: value
        for key, value in _flat(config.model_dump(mode="json"), "")
        if not any(key == word or key.startswith(f"{word}.") for word in _WITHOUT_INFLUENCE)
    }


def _flat(value: Any, key: str) -> Iterator[tuple[str, Any]]:
    """The leaves of nested sections; an empty section, and a list of plain values, is a leaf."""
    if isinstance(value, Mapping) and value:
        for name, item in value.items():
            yield from _flat(item, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value):
            yield from _flat(item, f"{key}.{number}")
    else:
        yield key, value


def _start_files(config: RunConfig) -> dict[str, str]:
    named = {f"model.{name}": getattr(config.model, name, None) for name in _START_FILES}
    return {key: file_fingerprint(path) for key, path in named.items() if path is not None and Path(path).is_file()}


def _frames_fingerprint(data: TrainingData) -> str:
    """Of the frames in their order: the catalog's own fingerprint does not know it, and it decides which come when."""
    digest = hashlib.sha256()
    for catalog in (data.train.catalog, data.val_catalog):
        digest.update(json.dumps(catalog.frames["frame_id"].to_list()).encode())
    digest.update(data.train.catalog.xyxy.tobytes())
    return digest.hexdigest()[:16]


def _place(config: RunConfig) -> dict[str, Any]:
    device = pick_device(config.train.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return {"device": name, "ranks": dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1}


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
