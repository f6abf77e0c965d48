"""`EpochStatistics`: what an epoch showed, as the networks met it: repeats, augmentation and ignore areas included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tl_datasets.effects.effects import EFFECTS

_NUMBERS = ("samples", "without_boxes", "ignored", "vanished", "box_only")
_COUNTERS = ("boxes", "boxes_by", "samples_by", "made", "made_by", "frames")


class EpochStatistics:
    """Counts of an epoch, sample by sample.

    Attributes:
        samples: Samples that were shown.
        boxes: Boxes that were learned from, by class id.
        boxes_by: (class id, condition, word) -> boxes; "unknown" = nobody knows.
        samples_by: (condition, word) -> samples.
        made: Name of an effect -> samples that it was applied to.
        made_by: (condition, word) -> samples that show it because an effect was applied.
        frames: Frame id -> samples of it.
        without_boxes: Samples without a box.
        ignored: Ignore areas.
        vanished: Of these, boxes that augmentation left too little of.
        box_only: Boxes that were learned from without a class.
    """

    def __init__(self, names: Sequence[str]):
        """Take the names of the classes."""
        self.names = tuple(names)
        self.samples = self.without_boxes = self.ignored = self.vanished = self.box_only = 0
        self.boxes: Counter[int] = Counter()
        self.boxes_by: Counter[tuple[int, str, str]] = Counter()
        self.samples_by: Counter[tuple[str, str]] = Counter()
        self.made: Counter[str] = Counter()
        self.made_by: Counter[tuple[str, str]] = Counter()
        self.frames: Counter[str] = Counter()

    def add(
        self,
        *,
        frame_id: str,
        class_id: Sequence[int] | NDArray[np.integer],
        conditions: Mapping[str, str | None],
        ignored: int = 0,
        vanished: int = 0,
        box_only: int = 0,
        made: Sequence[str] = (),
    ) -> None:
        """Count one sample.

        Args:
            frame_id: Its frame; of a mosaic, the first.
            class_id: (N,) classes of its boxes.
            conditions: Name -> what the sample shows; None = nobody knows, or the parts of a mosaic differ.
            ignored: Its ignore areas.
            vanished: How many of these are boxes that augmentation left too little of.
            box_only: Its boxes of which the class is not known.
            made: Effects that were applied, each counted once.

        Raises:
            ValueError: A class has no name.
        """
        counts = Counter(np.asarray(class_id, dtype=np.int64).tolist())
        if counts and not 0 <= min(counts) <= max(counts) < len(self.names):
            raise ValueError(f"class ids {sorted(counts)}, expected 0 to {len(self.names) - 1}")
        self.samples += 1
        self.without_boxes += not counts and not box_only
        self.ignored += ignored
        self.vanished += vanished
        self.box_only += box_only
        self.frames[frame_id] += 1
        self.boxes.update(counts)
        self.made.update(set(made))
        for name, value in conditions.items():
            word = "unknown" if value in (None, "undefined") else str(value)
            self.samples_by[name, word] += 1
            self.made_by[name, word] += any(getattr(EFFECTS.get(item), name, None) == word for item in made)
            for number, count in counts.items():
                self.boxes_by[number, name, word] += count

    def merge(self, other: EpochStatistics) -> None:
        """Add what another process counted in the same epoch.

        Raises:
            ValueError: The classes differ.
        """
        if self.names != other.names:
            raise ValueError(f"classes {other.names}, expected {self.names}")
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _COUNTERS:
            getattr(self, name).update(getattr(other, name))

    def state(self) -> dict[str, Any]:
        """All counts as JSON values, for an epoch that goes on in another process; `from_state` is the inverse."""
        return {
            "names": list(self.names),
            **{name: getattr(self, name) for name in _NUMBERS},
            # JSON has no keys of two parts, and no keys that are numbers.
            **{name: [[key, count] for key, count in getattr(self, name).items()] for name in _COUNTERS},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> EpochStatistics:
        """The counts that `state` gave, also after they were written as JSON.

        Raises:
            KeyError: A count is missing.
        """
        counts = cls(state["names"])
        for name in _NUMBERS:
            setattr(counts, name, state[name])
        for name in _COUNTERS:
            pairs = ((tuple(key) if isinstance(key, list | tuple) else key, count) for key, count in state[name])
            getattr(counts, name).update(dict(pairs))
        return counts

    @property
    def repeated(self) -> int:
        """Samples beyond the first of their frame."""
        return self.samples - len(self.frames)

    def as_row(self) -> dict[str, Any]:
        """Plain numbers for `metrics.jsonl`: the same keys in every epoch but for conditions and effects not met."""
        by: dict[str, dict[str, Any]] = {}
        for (condition, word), samples in sorted(self.samples_by.items()):
            boxes = {
                name: self.boxes_by[number, condition, word]
                for number, name in enumerate(self.names)
                if self.boxes_by[number, condition, word]
            }
            by.setdefault(condition, {})[word] = {
                "samples": samples,
                "made": self.made_by[condition, word],
                "boxes": boxes,
            }
        return {
            "samples": self.samples,
            "frames": len(self.frames),
            "repeated": self.repeated,
            "without_boxes": self.without_boxes,
            "boxes": {name: self.boxes[number] for number, name in enumerate(self.names)},
            "ignored": self.ignored,
            "vanished": self.vanished,
            "box_only": self.box_only,
            "made": dict(sorted(self.made.items())),
            "by": by,
        }

    def line(self) -> str:
        """One line for a person."""
        boxes = ", ".join(f"{name} {self.boxes[number]}" for number, name in enumerate(self.names))
        parts = [f"{self.samples} samples of {len(self.frames)} frames", f"boxes: {boxes}"]
        parts.append(f"ignore areas {self.ignored} ({self.vanished} vanished)")
        if self.box_only:
            parts.append(f"boxes without a class {self.box_only}")
        made = [f"{word} {count}" for (_, word), count in sorted(self.made_by.items()) if count]
        if made:
            parts.append("made: " + ", ".join(made))
        return "; ".join(parts)
