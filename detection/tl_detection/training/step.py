"""One step of the optimiser: batches in pieces that fit into memory, gradients added up over pieces and ranks.

Whatever the pieces, ranks and accumulated batches, the gradient is that of the mean loss over all frames of the step
(times their number where a model sums). Only a norm over the batch sees the pieces.
"""

from __future__ import annotations

import inspect
import logging
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from tl_datasets.errors import TrainingError
from tl_datasets.torch_dataset import Batch
from tl_detection.config import TrainConfig
from tl_detection.distributed import Ranks, alone, gather, split_evenly, sum_over_ranks
from tl_detection.training.ema import Ema
from tl_detection.training.learner import Learner
from tl_detection.training.optimizers import set_rates

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One rank's part of a batch.

    Attributes:
        batch: Its frames; at least one.
        counts: Frames of it that count, for each rank; 0 where a rank's frame only keeps step.
    """

    batch: Batch
    counts: list[int]


@dataclass(slots=True, kw_only=True)
class Stepper:
    """Everything that changes the weights.

    Attributes:
        learner: The model.
        settings: Rates, clipping, precision.
        optimizer: Of its parameters.
        scaler: For fp16; does nothing otherwise.
        ema: The moving average; None = none.
        ranks: Of this process.
        device: Of this rank.
        dtype: Of mixed precision; None = full precision.
        micro_batch: Most frames at a time on a device.
        sums: Loss name -> sum of this rank's parts, on the device.
        steps: How many of them.
    """

    learner: Learner
    settings: TrainConfig
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    ema: Ema | None
    ranks: Ranks
    device: torch.device
    dtype: torch.dtype | None
    micro_batch: int
    sums: dict[str, torch.Tensor] = field(default_factory=dict)
    steps: int = 0
    _module: nn.Module = field(init=False)

    def __post_init__(self):
        self._module = self.learner.losses

    def join_ranks(self) -> None:
        """Add up gradients over the ranks from now on."""
        if self.ranks.are_several:
            # Buffers are kept equal by the norms themselves; the word for that has changed in torch 2.13.
            is_new = "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
            words: dict[str, Any] = {"forward_sync_buffers" if is_new else "broadcast_buffers": False}
            self._module = DistributedDataParallel(self.learner.losses, gradient_as_bucket_view=True, **words)

    def fit_memory(self, share: Share, epoch: int) -> None:
        """Find a size of the pieces that every rank has memory for; weights, statistics and gradients stay.

        Among several ranks one that runs out of memory in the middle of a step cannot go back alone.
        """
        network = self.learner.network
        buffers = {name: value.clone() for name, value in network.named_buffers()}
        own = Share(batch=share.batch, counts=[len(share.batch["frame_ids"])])
        with alone():
            while True:
                try:
                    self._add_gradients([own], epoch, Ranks(), self.learner.losses, {})
                    break
                except RuntimeError as error:
                    self._shrink(error, len(own.batch["frame_ids"]))
        for name, value in network.named_buffers():
            value.copy_(buffers[name])
        self.optimizer.zero_grad(set_to_none=True)
        self.micro_batch = min(gather(self.micro_batch))

    def step(self, group: list[Share], epoch: int, factor: float, where: str, *, asks: bool = False) -> bool:
        """Learn from the batches of one step.

        Args:
            group: This rank's shares of the batches whose gradients are added up.
            epoch: 0-based.
            factor: On the highest learning rates.
            where: Epoch and step, for messages.
            asks: This rank wants something to be done after the step.

        Returns:
            True, on every rank, if any rank asks. It travels with what the ranks tell each other anyway.

        Raises:
            TrainingError: A loss or the gradient is not finite; or there is no memory for a single frame.
        """
        set_rates(self.optimizer, factor)
        while True:
            sums: dict[str, torch.Tensor] = {}
            try:
                finite = self._add_gradients(group, epoch, self.ranks, self._module, sums)
                break
            except RuntimeError as error:
                self._shrink(error, max(len(share.batch["frame_ids"]) for share in group))
        self.scaler.unscale_(self.optimizer)
        norm = self._clip_gradient()
        is_asked = self._require_finite(finite, norm, group, where, asks=asks)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.ema:
            self.ema.update(self.learner.network)
        for name, value in sums.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
        self.steps += 1
        return is_asked

    def _clip_gradient(self) -> torch.Tensor:
        """The norm of the gradient as it was."""
        parameters = list(self.learner.network.parameters())
        if self.settings.clip_norm is not None:
            return nn.utils.clip_grad_norm_(parameters, self.settings.clip_norm)
        return nn.utils.get_total_norm([each.grad for each in parameters if each.grad is not None])

    def sums_over_ranks(self) -> dict[str, float]:
        """The sum over the steps so far of each loss, joined over the ranks."""
        if not self.sums:
            return {}
        values = sum_over_ranks(torch.stack([value.double() for value in self.sums.values()]))
        return dict(zip(self.sums, values.tolist(), strict=True))

    def mean_losses(self) -> dict[str, float]:
        """The mean of each loss over the steps so far."""
        return {name: value / self.steps for name, value in self.sums_over_ranks().items()}

    def restore_losses(self, sums: dict[str, float], steps: int) -> None:
        """Go on with sums as they were; the first rank has them for all."""
        own = float(self.ranks.is_first)
        self.sums = {name: torch.tensor(value * own, device=self.device) for name, value in sums.items()}
        self.steps = steps

    def forget_losses(self) -> None:
        """Begin the means anew."""
        self.sums, self.steps = {}, 0

    def _add_gradients(
        self, group: list[Share], epoch: int, ranks: Ranks, module: nn.Module, sums: dict[str, torch.Tensor]
    ) -> list[tuple[torch.Tensor, Batch]]:
        """Run every piece forward and back; give, for each, whether its loss is finite."""
        frames = sum(sum(share.counts) for share in group)
        scale = frames if self.learner.loss_scale == "sum" else 1
        work = [piece for share in group for piece in self._pieces(share, ranks)]
        finite = []
        for number, (batch, together) in enumerate(work):
            waits = number + 1 < len(work) and isinstance(module, DistributedDataParallel)
            with module.no_sync() if waits else nullcontext():  # type: ignore[operator]
                with torch.autocast(self.device.type, self.dtype) if self.dtype else nullcontext():
                    parts = module(batch, epoch)
                # Gradients of several ranks are averaged; the parts of a mean must be added.
                weight = together / frames
                self.scaler.scale(parts["loss"] * (weight * scale * ranks.size)).backward()
            finite.append((torch.isfinite(parts["loss"].detach()), batch))
            for name, value in parts.items():
                part = value.detach() * weight
                sums[name] = sums[name] + part if name in sums else part
        return finite

    def _pieces(self, share: Share, ranks: Ranks) -> list[tuple[Batch, int]]:
        """A share in pieces that memory suffices for, each with the number of frames that all ranks hold with it.

        All ranks have equally many; one without a frame of its own for a piece keeps step with one that does not count.
        """
        count = -(-max(share.counts) // self.micro_batch)
        sizes = [split_evenly(of_rank, count) for of_rank in share.counts]
        pieces, start = [], 0
        for number in range(count):
            own = sizes[ranks.rank][number]
            batch = take(share.batch, start, start + own) if own else take(share.batch, 0, 1)
            batch["counts"] = bool(own)
            pieces.append((batch, sum(of_rank[number] for of_rank in sizes)))
            start += own
        return pieces

    def _shrink(self, error: RuntimeError, frames: int) -> None:
        """Answer an error of memory with smaller pieces; raise any other."""
        if not is_out_of_memory(error):
            raise error
        at_once = min(self.micro_batch, frames)
        several = self.ranks.are_several and not alone.is_on
        if several or at_once == 1:
            rank = f"rank {self.ranks.rank}: " if self.ranks.are_several else ""
            remedy = (
                f"go on with: tl train --resume RUN train.micro_batch={max(1, at_once // 2)}"
                if several
                else "make model.input smaller, or take a smaller model"
            )
            raise TrainingError(
                f"{rank}out of memory with {at_once} frame{'s' * (at_once > 1)} at a time; {remedy}"
            ) from error
        # The error holds the frames of the failed pass, and they their tensors.
        error.__traceback__ = None
        self.optimizer.zero_grad(set_to_none=True)
        self.micro_batch = -(-at_once // 2)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        logger.warning(
            "out of memory with %d frames at a time: %d from now on, gradients are added up, so that a step learns "
            "from as many frames as before (batch norms see smaller batches)",
            at_once,
            self.micro_batch,
        )

    def _require_finite(
        self,
        finite: list[tuple[torch.Tensor, Batch]],
        norm: torch.Tensor,
        group: list[Share],
        where: str,
        *,
        asks: bool,
    ) -> bool:
        """Raise where a loss or the gradient is not finite on any rank; else say whether any rank asks."""
        flags = torch.stack([flag for flag, _ in finite])
        # With fp16 a gradient may be too large: the scaler skips such a step and lowers its scale.
        has_good_gradient = torch.isfinite(norm) | self.scaler.is_enabled()
        own_asks = torch.tensor(int(asks), device=flags.device)
        counted = torch.stack([(~flags).sum(), (~has_good_gradient).long(), own_asks]).to(torch.float32)
        losses, gradients, asking = sum_over_ranks(counted).tolist()
        if not losses and not gradients:
            return bool(asking)
        batches = [batch for flag, batch in finite if not bool(flag)] if losses else [share.batch for share in group]
        own = [frame_id for batch in batches if batch.get("counts", True) for frame_id in batch["frame_ids"]]
        named = [frame_id for of_rank in gather(own) for frame_id in of_rank]
        raise TrainingError(
            f"{where}: {'the loss' if losses else 'the gradient'} is not finite; frames: {', '.join(named)}; "
            f"lower train.lr (now {self.settings.lr:g}), or check the boxes of these frames"
        )


def take(batch: Batch, start: int, stop: int) -> Batch:
    """Some samples of a batch."""
    values: dict[str, Any] = dict(batch)
    return {name: value[start:stop] for name, value in values.items() if name != "counts"}  # type: ignore[return-value]


def is_out_of_memory(error: BaseException) -> bool:
    """True if an error says that memory, of a device or of the machine, did not suffice."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or any(
        word in text for word in ("out of memory", "can't allocate memory", "cublas_status_alloc_failed")
    )
