"""Several processes that train one model: who this one is, and what they say to each other.

`torchrun` starts the processes and tells each its number in the environment; without it there is one rank. CUDA ranks
speak NCCL about tensors on their devices and gloo about everything else, CPU ranks gloo alone. Nothing here waits
for ever: a rank that does not answer within the time of the group ends the others with a `RankLostError`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from tl_datasets.errors import TlError, TrainingError, UsageError

Value = TypeVar("Value")


class RankLostError(TrainingError):
    """Another rank has ended, or does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranks:
    """The processes that train together.

    Attributes:
        rank: Number of this one over all machines, 0-based.
        size: How many there are.
        local_rank: Number of this one on its machine, 0-based.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """True for the one that writes files and speaks."""
        return self.rank == 0

    @property
    def are_several(self) -> bool:
        """True if there is anybody to speak with."""
        return self.size > 1


def ranks_of_environment() -> Ranks:
    """Who this process is, as torchrun tells it.

    Raises:
        UsageError: The environment holds half of what torchrun sets, or nonsense.
    """
    words = {name: os.environ.get(name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    if all(value is None for value in words.values()):
        return Ranks()
    try:
        rank, size, local = (int(value) for value in words.values() if value is not None)
        if not (0 <= local <= rank < size):
            raise ValueError
    except ValueError:
        said = ", ".join(f"{name}={value}" for name, value in words.items())
        raise UsageError(
            f"environment: {said}; expected all three as torchrun sets them, or none: "
            "torchrun --nproc_per_node=N -m tl_detection train CONFIG"
        ) from None
    return Ranks(rank=rank, size=size, local_rank=local)


@contextmanager
def process_group(ranks: Ranks, device: torch.device, timeout_s: float) -> Iterator[None]:
    """Let the ranks speak with each other while the block runs.

    Args:
        ranks: Of this process; nothing happens where it is alone.
        device: Of this rank.
        timeout_s: Longest time to wait for another rank, in seconds.

    Raises:
        RankLostError: The others cannot be reached, or one of them ended or did not answer.
    """
    if not ranks.are_several:
        yield
        return
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    if device.type == "cuda":
        torch.cuda.set_device(device)
    with _lost_ranks_told(ranks, timeout_s):
        dist.init_process_group(backend, rank=ranks.rank, world_size=ranks.size, timeout=timedelta(seconds=timeout_s))
    try:
        with _lost_ranks_told(ranks, timeout_s):
            yield
    finally:
        dist.destroy_process_group()


@contextmanager
def _lost_ranks_told(ranks: Ranks, timeout_s: float) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ConnectionError) as error:
        if not is_of_lost_rank(error):
            raise
        raise RankLostError(
            f"rank {ranks.rank} of {ranks.size}: another rank has ended or has not answered within {timeout_s:g} s "
            f"({' '.join(str(error).split())[:120]}); look at the other ranks' output, then: tl train --resume RUN"
        ) from error


def is_of_lost_rank(error: BaseException) -> bool:
    """True if an error says that a rank is gone: the backends have no type of their own for all of these."""
    if isinstance(error, dist.DistError | ConnectionError):
        return True
    text = str(error).lower()
    return any(
        word in text
        for word in (
            "connection closed by peer",
            "connection reset by peer",
            "connection refused",
            "broken pipe",
            "timed out waiting",
            "socket timeout",
            "gloo/transport",
            "nccl",
            "processgroup",
        )
    )


def device_of_rank(device: torch.device, ranks: Ranks, name: str) -> torch.device:
    """The device of this rank.

    Args:
        device: The one that the configuration's word leads to.
        ranks: Who this is.
        name: That word.

    Raises:
        TrainingError: One device is named for several ranks, or a machine has fewer devices than ranks.
    """
    if not ranks.are_several or device.type != "cuda":
        return device
    if ":" in name:
        raise TrainingError(f"train.device: {name} for {ranks.size} ranks; set train.device=cuda, each takes its own")
    if ranks.local_rank >= torch.cuda.device_count():
        raise TrainingError(
            f"local rank {ranks.local_rank}: this machine has {torch.cuda.device_count()} CUDA devices; "
            "start as many ranks as it has devices (torchrun --nproc_per_node)"
        )
    return torch.device("cuda", ranks.local_rank)


class alone:  # noqa: N801
    """A block in which this rank computes as if it were the only one.

    Attributes:
        is_on: True inside such a block.
    """

    is_on = False

    def __enter__(self) -> None:
        alone.is_on = True

    def __exit__(self, *_: object) -> None:
        alone.is_on = False


def speaks() -> bool:
    """True where there are other ranks to speak with."""
    return dist.is_available() and dist.is_initialized() and not alone.is_on


def split_evenly(count: int, ranks: int) -> list[int]:
    """How many of `count` frames each rank takes: as even as can be, the first ranks one more."""
    return [count // ranks + (rank < count % ranks) for rank in range(ranks)]


def sum_over_ranks(values: torch.Tensor) -> torch.Tensor:
    """The sum of a tensor over all ranks, without gradient; the tensor itself where there is one rank."""
    if not speaks():
        return values
    total = values.detach().clone()
    dist.all_reduce(total)
    return total


def gather(value: Value) -> list[Value]:
    """The values of all ranks in their order, on every rank. Plain data only: it is pickled between the ranks."""
    if not speaks():
        return [value]
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def from_first(make: Callable[[], Value]) -> Value:
    """Do something on the first rank, and give its result, or raise its error, on all.

    Raises:
        TlError: As the first rank met it. Elsewhere the error is marked as told (`is_told`).
    """
    if not speaks():
        return make()
    made: list[Any] = [None, None]
    error: TlError | None = None
    if dist.get_rank() == 0:
        try:
            made[0] = make()
        except TlError as raised:
            error, made[1] = raised, f"{type(raised).__name__}: {raised}"
        except BaseException as raised:
            made[1] = f"{type(raised).__name__}: {raised}"
            dist.broadcast_object_list(made)
            raise
    dist.broadcast_object_list(made)
    if error is not None:
        raise error
    if made[1] is not None:
        raise told(TrainingError(made[1]))
    return made[0]


def on_all(make: Callable[[], Value]) -> Value:
    """Do something on every rank; where it fails on one it fails on all, and the first that failed says so.

    Raises:
        TlError: As this rank met it, or as another did. Marked as told where another rank says it.
    """
    made: Any = None
    error: TlError | None = None
    try:
        made = make()
    except TlError as raised:
        error = raised
    faults = gather(None if error is None else str(error))
    failed = [rank for rank, fault in enumerate(faults) if fault is not None]
    if not failed:
        return made
    if error is None:
        raise told(TrainingError(str(faults[failed[0]])))
    is_first = not speaks() or dist.get_rank() == failed[0]
    raise error if is_first else told(error)


def told(error: TlError) -> TlError:
    """Mark an error as one that the first rank reports; the others end without a word."""
    error.is_told = True  # type: ignore[attr-defined]
    return error


def is_told(error: TlError) -> bool:
    """True if another rank reports this error."""
    return getattr(error, "is_told", False)
