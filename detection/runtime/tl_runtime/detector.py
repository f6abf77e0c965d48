"""`Detector`: what a vehicle calls, frame by frame.

    lights = Detector("lights.onnx")
    result = lights.detect(frame)
    if result.is_usable: ...  # result.xyxy, result.scores, result.labels

A frame in which nothing can be detected gives no exception and no empty list, which would look like a road without
lights: it gives a result that is not usable, whose lights cannot be read.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tl_runtime.checksum import read_hash_file
from tl_runtime.contract import Contract
from tl_runtime.errors import BrokenOutputError, ModelError, NoResultError
from tl_runtime.session import Boxes, Session
from tl_runtime.watch import CameraWatch, Health, WatchRules, check_form

# A vehicle has fewer. Whoever names a camera anew for every frame would fill the memory, and nothing would be watched.
_MOST_CAMERAS = 64
# Of the frame that is run when a file is opened; the colour of the padding.
_GREY = 114
# So many frames in a row without a result, and the camera or the file counts as failed.
_FAILED_AFTER = 10
_RECENT = 100


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Result:
    """What one frame gave.

    Attributes:
        health: OK, or why there is no result.
        reason: A line about it; empty where it is OK.
        latency_ms: From the call to the result, waiting for the frame before it of the same camera included.
        is_late: Whether that was more than the time budget. The result is given all the same: what an old picture is
            worth is for the caller to know.
        camera: Which camera's frame it was.
    """

    health: Health
    reason: str
    latency_ms: float
    is_late: bool
    camera: str
    _boxes: Boxes | None = field(repr=False)

    @property
    def is_usable(self) -> bool:
        """Whether anything is known of the lights in this frame."""
        return self._boxes is not None

    @property
    def xyxy(self) -> NDArray[np.float32]:
        """(N, 4) left, top, right, bottom in the frame's pixels; NoResultError where there is no result."""
        return self._usable().xyxy

    @property
    def scores(self) -> NDArray[np.float32]:
        """(N,) in [0, 1], highest first; NoResultError where there is no result."""
        return self._usable().scores

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) positions in `Detector.classes`; NoResultError where there is no result."""
        return self._usable().labels

    def _usable(self) -> Boxes:
        if self._boxes is None:
            raise NoResultError(f"camera {self.camera}: no result ({self.health}: {self.reason}); ask is_usable first")
        return self._boxes


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraStatus:
    """How a camera has been doing.

    Attributes:
        state: "ok"; "degraded" where one of the last 100 frames gave no result or was late; "failed" where the last 10
            gave none; "no frame" before the first.
        frames: Frames handed in.
        late: Frames whose result took longer than the time budget.
        by_health: Frames by how they went.
        last: How the last one went.
    """

    state: str
    frames: int
    late: int
    by_health: Mapping[str, int]
    last: Health | None


class _Camera:
    """The memory of one camera."""

    def __init__(self, rules: WatchRules):
        # Held while a frame is worked on: its watch and its pictures are for one frame at a time.
        self.turn = threading.Lock()
        self.watch = CameraWatch(rules)
        # Held for a moment: the status can be asked for while a frame is worked on.
        self._lock = threading.Lock()
        self._by_health: Counter[Health] = Counter()
        self._late = 0
        self._last: Health | None = None
        self._bad_in_a_row = 0
        self._since_bad = _RECENT

    def remember(self, health: Health, *, is_late: bool) -> None:
        with self._lock:
            self._by_health[health] += 1
            self._late += is_late
            self._last = health
            self._bad_in_a_row = 0 if health is Health.OK else self._bad_in_a_row + 1
            is_good = health is Health.OK and not is_late
            self._since_bad = min(self._since_bad + 1, _RECENT) if is_good else 0

    def status(self) -> CameraStatus:
        with self._lock:
            state = "ok" if self._since_bad >= _RECENT else "degraded"
            if self._bad_in_a_row >= _FAILED_AFTER:
                state = "failed"
            return CameraStatus(
                state=state,
                frames=self._by_health.total(),
                late=self._late,
                by_health={str(health): count for health, count in sorted(self._by_health.items())},
                last=self._last,
            )


class Detector:
    """An exported detector in a vehicle. It may be called from several threads at once, one per camera.

    Attributes:
        contract: What the file says of itself.
        classes: `contract.classes`; labels are positions in it.
        providers: The onnxruntime providers that run it.
        budget_ms: The time that a frame may take; None = any.
        first_frame_ms: What the first frame took, a grey one that is run when the file is opened.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        sha256: str | None = None,
        providers: str | Sequence[str] | None = None,
        threads: int | None = 1,
        budget_ms: float | None = None,
        rules: WatchRules | None = None,
    ):
        """Open a file, make sure that it is the proven one, and run a grey frame, the slowest because it is the first.

        Args:
            path: A file that `tl export` made, for one frame at a time.
            sha256: What its SHA-256 must be, 64 hex digits; None = what the hash file beside it says.
            providers: Name of an onnxruntime provider, or several in order of preference; None = the CPU.
            threads: Threads within an operation; None = onnxruntime's choice.
            budget_ms: The time that a frame may take, counted where it takes longer; None = any. No frame is broken
                off: onnxruntime comes back when it is done.
            rules: When a camera counts as dead; None = the same picture three times in a row.

        Raises:
            ModelError: The file or its hash file is missing or wrong, or the file is of another contract, or takes
                several frames at once, or does not run; or there is no such provider, or it does not start.
            ValueError: `budget_ms` is not positive.
        """
        if budget_ms is not None and not budget_ms > 0:
            raise ValueError(f"budget_ms={budget_ms}: expected more than 0, or None")
        path = Path(path)
        digest = read_hash_file(path) if sha256 is None else sha256
        self._session = Session(path, providers, threads, sha256=digest)
        self.contract: Contract = self._session.contract
        if self.contract.batch != 1:
            raise ModelError(
                f"{path}: takes {self.contract.batch} frames at once; a detector of single frames is exported with "
                "--batch 1, several frames run with tl_runtime.session.Session"
            )
        self.classes = self.contract.classes
        self.providers = self._session.providers
        self.budget_ms = budget_ms
        self._rules = rules or WatchRules()
        self._cameras: dict[str, _Camera] = {}
        self._lock = threading.Lock()
        self.first_frame_ms = self._run_first()

    def detect(
        self, frame: Any, *, camera: str = "camera", taken_ns: int | None = None, now_ns: int | None = None
    ) -> Result:
        """Detect in one frame. No frame makes it raise: what cannot be detected in is told by `Result.health`.

        Args:
            frame: (H, W, 3) uint8 in the file's order of colours. It is copied first, and not kept.
            camera: Which camera it is from; what one sent before says nothing of another. Frames of one camera are
                worked on one after the other, those of several at once.
            taken_ns: When it was taken, nanoseconds of a clock that does not go back; None = not known.
            now_ns: The same clock now; None = `taken_ns` is of `time.monotonic_ns()`. Asked for only where the rules
                have a `max_age_ms`.

        Returns:
            The lights from their thresholds on, or why there are none to be known.

        Raises:
            ValueError: `camera` is the 65th name: it names a camera, not a frame.
        """
        start = time.perf_counter()
        memory = self._camera(camera)
        boxes = None
        with memory.turn:
            try:
                health, reason = check_form(frame, self.contract)
                if health is Health.OK:
                    picture = memory.watch.take(frame)
                    health, reason = memory.watch.look(picture, taken_ns, now_ns)
                    if health is Health.OK:
                        boxes = self._session.run(picture[None])[0]
            except BrokenOutputError as error:
                health, reason = Health.BROKEN_OUTPUT, str(error)
            except ModelError as error:
                health, reason = Health.FAILED, str(error)
            except MemoryError:
                health, reason = Health.FAILED, f"no memory for a frame of shape {tuple(frame.shape)}"
            latency_ms = (time.perf_counter() - start) * 1e3
            is_late = self.budget_ms is not None and latency_ms > self.budget_ms
            memory.remember(health, is_late=is_late)
        return Result(health=health, reason=reason, latency_ms=latency_ms, is_late=is_late, camera=camera, _boxes=boxes)

    def status(self, camera: str = "camera") -> CameraStatus:
        """How a camera has been doing since its first frame."""
        with self._lock:
            memory = self._cameras.get(camera)
        if memory is None:
            return CameraStatus(state="no frame", frames=0, late=0, by_health={}, last=None)
        return memory.status()

    @property
    def cameras(self) -> tuple[str, ...]:
        """The cameras that sent a frame, in the order of their first ones."""
        with self._lock:
            return tuple(self._cameras)

    def forget(self, camera: str = "camera") -> None:
        """Begin anew with a camera: after it was started again, with another clock, or exchanged."""
        with self._lock:
            self._cameras.pop(camera, None)

    def _camera(self, name: str) -> _Camera:
        with self._lock:
            if name not in self._cameras:
                if len(self._cameras) >= _MOST_CAMERAS:
                    raise ValueError(
                        f"camera={name!r}: there are {_MOST_CAMERAS} cameras already; give the name of the camera, the "
                        "same for all its frames"
                    )
                self._cameras[name] = _Camera(self._rules)
            return self._cameras[name]

    def _run_first(self) -> float:
        """Run a grey frame, so that a file that cannot run is refused before the drive; gives milliseconds."""
        width, height = self.contract.frame_size or self.contract.network_size
        frame = np.full((1, height, width, 3), _GREY, np.uint8)
        start = time.perf_counter()
        try:
            self._session.run(frame)
        except BrokenOutputError as error:
            raise ModelError(f"{error} (in a grey frame, when it was opened)") from error
        return (time.perf_counter() - start) * 1e3
