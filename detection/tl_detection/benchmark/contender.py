"""One way to go from a frame to boxes: what its process is told, and what it measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

EngineName = Literal["exported", "plain_network", "ultralytics_predict", "torch_checkpoint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """What is run.

    Attributes:
        name: In tables; unlike every other one's.
        engine: File of `engines` that opens it.
        settings: What the engine is told; JSON values only.
        about: What it does in words, with the settings that decide how much work it has.
        compared_with: Name of an earlier one that must find the same; None = there is none.
    """

    name: str
    engine: EngineName
    settings: dict[str, Any]
    about: str
    compared_with: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """What would have been run.

    Attributes:
        name: As in `Contender`.
        reason: Why it was not.
    """

    name: str
    reason: str


@dataclass(slots=True, kw_only=True)
class Measurement:
    """What a contender gave.

    Attributes:
        contender: Who.
        provider: What runs it, as the library says after opening: an onnxruntime provider, or torch's device.
        pinned_to: Cores that its process may use; None where the system has no such choice.
        open_ms: From the file on disk (in the page cache) to a network that can be called; libraries were imported.
        first_frame_ms: `open_ms`, and the boxes of the first frame.
        baseline_mb: Resident memory after the imports, with the frames.
        peak_mb: The most resident memory of the process until its last frame.
        turns_ms: Of each turn the time of each frame.
        cpu_share: Processor time of the process per time that passed, while frames were timed.
        preempted: How often another process took the core meanwhile; None where the system does not say.
    """

    contender: Contender
    provider: str
    pinned_to: list[int] | None
    open_ms: float
    first_frame_ms: float
    baseline_mb: float
    peak_mb: float = 0.0
    turns_ms: list[list[float]] = field(default_factory=list)
    cpu_share: float = 0.0
    preempted: int | None = None

    @property
    def samples_ms(self) -> list[float]:
        """The times of all frames."""
        return [value for turn in self.turns_ms for value in turn]
