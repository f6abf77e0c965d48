"""A training that is killed at any moment and resumed ends with the bits of one that was never interrupted.

Real processes, killed with SIGKILL at random places: in a step, in a validation, while a checkpoint is being written.
All runs are in one folder in memory and stem from one program that has imported everything already.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tl_datasets.config import dump_config
from tl_detection.checkpoint import load_checkpoint
from tl_detection.config import RunConfig

# Only Linux has a folder in memory, and processes that can be forked after torch was imported.
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks processes")

KINDS = ("yolo", "faster_rcnn")
EPOCHS, STEPS = 3, 3
# What a row says of the machine and not of the run.
OF_THE_MACHINE = {"seconds", "images_per_s", "wait_share", "gpu_mem_gb", "host_mem_gb"}
_WAIT_S = 300


class Commands:
    """Runs `tl` commands as processes of their own, one at a time; see forked_commands.py."""

    def __init__(self, log: Path):
        self.log = log
        self.program = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "forked_commands.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def start(self, *arguments: object) -> int:
        """Begin a command; gives the number of its process."""
        line = json.dumps({"arguments": [str(argument) for argument in arguments], "log": str(self.log)})
        self.program.stdin.write(line + "\n")
        self.program.stdin.flush()
        return int(self.program.stdout.readline())

    def wait(self) -> int:
        """Exit code of the command; negative = the signal that ended it."""
        return os.waitstatus_to_exitcode(int(self.program.stdout.readline()))

    def finish(self, *arguments: object) -> None:
        """Run a command to its end."""
        self.start(*arguments)
        assert self.wait() == 0, self.log.read_text()[-3000:]

    def close(self) -> None:
        self.program.stdin.close()
        assert self.program.wait(_WAIT_S) == 0
        self.program.stdout.close()


class Place:
    """Where all runs of these tests are."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.commands = Commands(folder / "log.txt")

    def config(self, kind: str) -> Path:
        return self.folder / f"{kind}.yaml"

    def runs(self, kind: str) -> list[Path]:
        return sorted((self.folder / "runs" / kind).glob("*"))


@pytest.fixture(scope="module")
def place(lamp_run_config: Callable[..., RunConfig]) -> Iterator[Place]:
    in_memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="tl-test-", dir=in_memory if os.access(in_memory, os.W_OK) else None))
    # Eight frames, six of them to learn from; every kind of random choice in them, and a lint of no time or opinion.
    lint = {"lamps_per_state": 10, "least_lamps": 10, "draws": 1, "min_kept": 0, "max_other": 1}
    augment = {
        "mosaic": 0.5,
        "mosaic_off_epochs": 1,
        "mosaic_block": 4,
        "crop": 0.3,
        "flip_lr": 0.5,
        "scale": [0.8, 1.2],
        "transforms": [{"name": "sensor_noise", "p": 0.7}, {"name": "RandomBrightnessContrast", "p": 0.5}],
        "lint": lint | {"min_kept_together": 0, "max_other_together": 1},
    }
    train = {"epochs": EPOCHS, "batch_size": 2, "deterministic": True, "checkpoint_minutes": 0, "warmup_epochs": 0.5}
    base = lamp_run_config(folder, overfit=False, augment=augment, **train)
    models: dict[str, dict[str, Any]] = {
        "yolo": {"kind": "yolo", "architecture": "yolo26n"},
        "faster_rcnn": {"kind": "faster_rcnn", "backbone": "mobilenet_v3_small"},
    }
    try:
        made = Place(folder)
        for kind, model in models.items():
            values = base.model_dump(mode="json") | {
                "name": kind,
                "model": model | {"input": {"width_px": 128, "height_px": 64}},
                "track": {"tensorboard": False, "pictures": 0},
            }
            made.config(kind).write_text(dump_config(RunConfig.model_validate(values)))
        yield made
        made.commands.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module", params=KINDS)
def undisturbed(request: pytest.FixtureRequest, place: Place) -> Path:
    """The folder of a run that nobody interrupted."""
    place.commands.finish("train", place.config(request.param))
    (run,) = place.runs(request.param)
    return run


# --- interruptions


def newest(run: Path) -> tuple[int, int] | None:
    """What changes with every checkpoint; None before the first."""
    try:
        found = (run / "weights" / "last.pt").stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def wait_until(is_reached: Callable[[], bool], process: int) -> bool:
    """Look every half millisecond; False if the process has ended before."""
    end = time.monotonic() + _WAIT_S
    while not is_reached():
        # A process that has ended, and that its parent has not yet asked about, is a zombie.
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return False
        except FileNotFoundError:
            return False
        if time.monotonic() > end:
            os.kill(process, signal.SIGKILL)
            pytest.fail("the run does nothing")
        time.sleep(0.0005)
    return True


def kill_after(place: Place, process: int, run: Callable[[], Path | None], checkpoints: int, delay_s: float) -> int:
    """Kill a run some time after it has written a number of checkpoints; gives its exit code."""
    seen: set[tuple[int, int]] = set()

    def is_reached() -> bool:
        folder = run()
        mark = None if folder is None else newest(folder)
        if mark is not None and mark not in before:
            seen.add(mark)
        return len(seen) >= checkpoints

    folder = run()
    before = set() if folder is None else {newest(folder)}
    if wait_until(is_reached, process):
        time.sleep(delay_s)
        os.kill(process, signal.SIGKILL)
    return place.commands.wait()


def kill_in_a_write(place: Place, process: int, run: Path, after: int) -> int:
    """Kill a run while it writes a checkpoint."""
    part = run / "weights" / ".last.pt.part"
    part.unlink(missing_ok=True)
    written = 0

    def is_reached() -> bool:
        nonlocal written
        if part.exists():
            if written >= after:
                return True
            written += 1
            wait_until(lambda: not part.exists(), process)
        return False

    if wait_until(is_reached, process):
        os.kill(process, signal.SIGKILL)
    return place.commands.wait()


def begin(place: Place, undisturbed: Path) -> tuple[int, Callable[[], Path | None]]:
    """Start a run; gives its process, and a call that gives its folder as soon as there is one."""
    kind = undisturbed.parent.name
    before = set(place.runs(kind))
    process = place.commands.start("train", place.config(kind))
    return process, lambda: next((run for run in place.runs(kind) if run not in before), None)


def interrupted(place: Place, undisturbed: Path, rng: random.Random) -> Path:
    """The folder of a run that was killed at a random moment."""
    process, folder = begin(place, undisturbed)
    count = rng.randint(1, EPOCHS * STEPS)
    delay_s = rng.uniform(0, step_seconds(undisturbed)) * (count < EPOCHS * STEPS)
    assert kill_after(place, process, folder, count, delay_s) == -signal.SIGKILL
    run = folder()
    assert run is not None
    return run


def step_seconds(undisturbed: Path) -> float:
    """Time that a step, its checkpoint and its share of a validation took."""
    rows = [json.loads(line) for line in (undisturbed / "metrics.jsonl").read_text().splitlines()]
    return sum(row["seconds"] for row in rows) / (EPOCHS * STEPS)


# --- comparison


def bits(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return str(value.dtype), tuple(value.shape), value.contiguous().numpy().tobytes()
    if isinstance(value, dict):
        return {key: bits(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [bits(item) for item in value]
    return value


def require_same_end(run: Path, undisturbed: Path) -> None:
    """Weights, averages, optimiser, generators, measures and the report, bit by bit."""
    for name in ("last.pt", "best.pt"):
        ours, theirs = load_checkpoint(run / "weights" / name), load_checkpoint(undisturbed / "weights" / name)
        assert bits(ours.state) == bits(theirs.state), f"{name}: averaged weights"
        assert ours.model == theirs.model
        assert meta_of_the_run(ours.meta) == meta_of_the_run(theirs.meta)
        if name == "last.pt":
            assert ours.training is not None and theirs.training is not None
            assert set(ours.training) == set(theirs.training)
            for part in ours.training:
                assert bits(ours.training[part]) == bits(theirs.training[part]), part
    rows, expected = (
        [
            {key: value for key, value in json.loads(line).items() if key not in OF_THE_MACHINE}
            for line in (folder / "metrics.jsonl").read_text().splitlines()
        ]
        for folder in (run, undisturbed)
    )
    assert len(expected) == EPOCHS and rows == expected
    assert (run / "result.json").read_text() == (undisturbed / "result.json").read_text()
    overall = [
        json.loads((folder / "evaluation" / "report.json").read_text())["overall"] for folder in (run, undisturbed)
    ]
    assert overall[0] == overall[1]
    left = sorted(path.name for path in (run / "weights").iterdir())
    assert left == ["best.pt", "last.before.pt", "last.pt"]


def meta_of_the_run(meta: dict[str, Any]) -> dict[str, Any]:
    """Without the name of its folder, and without the sources: somebody may edit them while the tests run."""
    kept = {key: value for key, value in meta.items() if key not in ("run", "fingerprint")}
    of_sources = {"short", "revision", "sources"}
    return kept | {key: value for key, value in meta["fingerprint"].items() if key not in of_sources}


def tensors(value: Any) -> int:
    if isinstance(value, dict):
        return sum(map(tensors, value.values()))
    if isinstance(value, list):
        return sum(map(tensors, value))
    return int(isinstance(value, torch.Tensor))


def test_the_undisturbed_run_is_worth_comparing(undisturbed):
    """It learns in every step, with an average, buffers of the optimiser, and random choices."""
    last = load_checkpoint(undisturbed / "weights" / "last.pt")
    assert last.training is not None
    assert bits(last.state) != bits(last.training["weights"])
    assert tensors(last.training["optimizer"]) > 100
    rows = [json.loads(line) for line in (undisturbed / "metrics.jsonl").read_text().splitlines()]
    assert len({row["train"]["loss"] for row in rows}) == EPOCHS
    assert all(row["seen"]["made"] for row in rows)


def test_one_fingerprint_in_console_environment_checkpoints_and_report(undisturbed):
    meta = load_checkpoint(undisturbed / "weights" / "last.pt").meta
    short = meta["fingerprint"]["short"]
    assert load_checkpoint(undisturbed / "weights" / "best.pt").meta["fingerprint"] == meta["fingerprint"]
    assert f"fingerprint {short}: catalog " in (undisturbed / "log.txt").read_text()
    assert json.loads((undisturbed / "environment.json").read_text())["fingerprint"] == meta["fingerprint"]
    report = json.loads((undisturbed / "evaluation" / "report.json").read_text())
    assert report["model"]["run_fingerprint"] == short
    assert f"- run_fingerprint: {short}\n" in (undisturbed / "evaluation" / "report.md").read_text()


def require_refusal_of_another_run(place: Place, run: Path) -> None:
    """A run that was interrupted goes on as it began, or not at all; one line says so, and nothing is lost."""
    before = {path: path.read_bytes() for path in (run / "weights").iterdir()}
    logged = len(place.commands.log.read_text())
    place.commands.start("train", "--resume", run, "train.lr=0.5", "train.epochs=9")
    assert place.commands.wait() == 1
    line = place.commands.log.read_text()[logged:].splitlines()[-1]
    assert line.startswith(f"tl train: {run}: this is another run than the one that was interrupted: ")
    assert f"train.epochs was {EPOCHS}, is 9; train.lr was 0.01, is 0.5; put it back" in line
    assert {path: path.read_bytes() for path in (run / "weights").iterdir()} == before


def test_killed_at_a_random_moment_and_again_and_resumed(place, undisturbed):
    rng = random.Random(undisturbed.parent.name)
    process, folder = begin(place, undisturbed)
    assert kill_after(place, process, folder, rng.randint(1, 3), rng.uniform(0, step_seconds(undisturbed))) < 0
    run = folder()
    require_refusal_of_another_run(place, run)
    process = place.commands.start("train", "--resume", run)
    assert kill_after(place, process, folder, rng.randint(1, 3), rng.uniform(0, step_seconds(undisturbed))) < 0
    place.commands.finish("train", "--resume", run)
    require_same_end(run, undisturbed)


def test_killed_while_a_checkpoint_is_written_and_resumed_with_another_number_of_workers(place, undisturbed):
    process, folder = begin(place, undisturbed)
    assert kill_after(place, process, folder, 2, 0) == -signal.SIGKILL
    run = folder()
    for _ in range(10):
        process = place.commands.start("train", "--resume", run)
        assert kill_in_a_write(place, process, run, after=1) == -signal.SIGKILL
        if (run / "weights" / ".last.pt.part").exists():
            break
    else:
        pytest.fail("no kill has met a checkpoint that was being written")
    place.commands.finish("train", "--resume", run, "train.workers=1")
    require_same_end(run, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_killed_at_twenty_random_moments(seed, place, undisturbed):
    rng = random.Random(seed)
    run = interrupted(place, undisturbed, rng)
    place.commands.finish("train", "--resume", run, f"train.workers={rng.choice([0, 0, 1, 2])}")
    require_same_end(run, undisturbed)
    shutil.rmtree(run)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 4])
def test_a_checkpoint_that_was_damaged_since_costs_steps_and_no_bits(count, place, undisturbed):
    process, folder = begin(place, undisturbed)
    assert kill_after(place, process, folder, count + 1, 0) == -signal.SIGKILL
    run = folder()
    last = run / "weights" / "last.pt"
    last.write_bytes(last.read_bytes()[: 1_000_000 * (count - 1)])
    place.commands.finish("train", "--resume", run)
    require_same_end(run, undisturbed)
