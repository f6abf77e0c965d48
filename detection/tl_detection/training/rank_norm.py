"""Batch norm over all ranks: what one device with the whole batch would compute, on CPU and CUDA alike.

Torch's own runs on CUDA alone, and counts every sample; here a rank may hold one that only keeps step with the
others. Means and variances are joined as in Chan, Golub and LeVeque (1979), which loses no digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import nn

from tl_detection.distributed import speaks

# Of the forward pass that is computed: False where this rank's samples have no part in the statistics.
_counts = True


@contextmanager
def samples_count(counts: bool) -> Iterator[None]:
    """Say whether the samples of the forward passes in the block are part of the statistics."""
    global _counts
    before, _counts = _counts, counts
    try:
        yield
    finally:
        _counts = before


def join_batch_norms(network: nn.Module) -> int:
    """Let the batch norms of a network take their statistics over all ranks; weights and names stay.

    Returns:
        How many there are.
    """
    norms = [module for module in network.modules() if type(module) is nn.BatchNorm2d]
    for norm in norms:
        norm.__class__ = RankBatchNorm
    return len(norms)


@torch.no_grad()
def take_statistics_of_first(network: nn.Module) -> None:
    """Where each rank's norms keep statistics of their own, those of the first rank are scored and kept."""
    if speaks():
        for buffer in network.buffers():
            dist.broadcast(buffer, 0)


class RankBatchNorm(nn.BatchNorm2d):
    """A batch norm whose statistics are those of all ranks' samples while it learns."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
        """Normalise (B, C, H, W)."""
        if not (self.training and speaks()):
            return super().forward(input)
        exact = torch.promote_types(input.dtype, torch.float32)
        count = input.new_full((1,), input.numel() / input.shape[1] if _counts else 0.0, dtype=exact)
        output, mean, variance, total = cast(
            Any, _Normalise.apply(input, self.weight, self.bias, count, float(self.eps), _counts)
        )
        if self.track_running_stats and self.running_mean is not None and self.running_var is not None:
            with torch.no_grad():
                if self.num_batches_tracked is not None:
                    self.num_batches_tracked += 1
                momentum = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked or 1)
                self.running_mean.lerp_(mean, momentum)
                # As torch: normalised with the biased variance, remembered with the unbiased.
                self.running_var.lerp_(variance * total / (total - 1).clamp(min=1), momentum)
        return output


class _Normalise(torch.autograd.Function):
    """Normalisation by joint statistics; its gradient flows through them to all ranks."""

    @staticmethod
    def forward(
        ctx: Any,
        images: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        count: torch.Tensor,
        eps: float,
        counts: bool,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        values = images.to(count.dtype)
        if values.numel():
            variance, mean = torch.var_mean(values, dim=(0, 2, 3), correction=0)
        else:  # a box head without a proposal
            variance = mean = values.new_zeros(values.shape[1])
        own = torch.cat([mean, variance, count])
        gathered = own.new_empty(dist.get_world_size() * len(own))
        dist.all_gather_into_tensor(gathered, own)
        means, variances, sizes = gathered.view(-1, len(own)).split([len(mean), len(mean), 1], dim=1)
        total = sizes.sum().clamp(min=1)
        shares = sizes / total
        joint_mean = (means * shares).sum(0)
        joint_variance = ((variances + (means - joint_mean) ** 2) * shares).sum(0)
        scale = torch.rsqrt(joint_variance + eps)
        # The images as they came, in half precision it may be: what is normed is made again for the gradient.
        ctx.save_for_backward(images, weight, joint_mean, scale, total)
        ctx.counts = counts
        output = (_norm(values, joint_mean, scale) * weight[:, None, None] + bias[:, None, None]).to(images.dtype)
        ctx.mark_non_differentiable(joint_mean, joint_variance, total)
        return output.contiguous(memory_format=_layout(images)), joint_mean, joint_variance, total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        images, weight, mean, scale, total = ctx.saved_tensors
        normed = _norm(images.to(scale.dtype), mean, scale)
        gradient = gradients[0].to(scale.dtype)
        to_bias = gradient.sum((0, 2, 3))
        to_weight = (gradient * normed).sum((0, 2, 3))
        # Every rank's samples moved the statistics, so what all ranks' outputs say comes back to each.
        sums = torch.cat([to_bias, to_weight])
        dist.all_reduce(sums)
        by_mean, by_scale = (sums / total).split(len(weight))
        to_images = gradient
        if ctx.counts:
            to_images = gradient - by_mean[:, None, None] - normed * by_scale[:, None, None]
        to_images = to_images * (weight * scale)[:, None, None]
        layout = _layout(gradients[0])
        return to_images.to(gradients[0].dtype).contiguous(memory_format=layout), to_weight, to_bias, None, None, None


def _norm(values: torch.Tensor, mean: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return (values - mean[:, None, None]) * scale[:, None, None]


def _layout(images: torch.Tensor) -> torch.memory_format:
    is_last = images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()
    return torch.channels_last if is_last else torch.contiguous_format
