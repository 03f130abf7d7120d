"""One global batch from those of all processes, as one process would hold it."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.dist import all_gather, all_reduce, get_dist_info, get_world_size
from torch import Tensor

from diffusionret_mm.structures import TextFeatures, VideoFeatures

GATHER_RULES = ('exact', 'published')


def gather_batch(
    texts: TextFeatures,
    videos: VideoFeatures,
    video_of_text: Tensor,
    video_index: Tensor,
    rule: str = 'exact',
) -> tuple[TextFeatures, VideoFeatures, Tensor, Tensor]:
    """Join the batches of all processes; every process gets the same global batch.

    Rows are in the order of one process that reads the global batch: a sampler deals items out to
    the ranks in turn. Every process must hold equally many texts and videos, which a training
    loader with `drop_last` gives.

    Args:
        texts: N local texts.
        videos: M local videos.
        video_of_text: row of each text's video, shape [N], int64.
        video_index: identity of each video, shape [M], int64.
        rule: 'exact' sums the gradients of all processes in the backward pass. Each computes the
            whole loss, and `DistributedDataParallel` averages, so the result is the gradient of one
            process that holds the global batch. 'published' keeps those of the own process alone,
            which divides the encoders' gradients by the number of processes.

    Returns:
        The first four arguments, of the global batch.
    """
    world_size = get_world_size()
    if world_size == 1:
        return texts, videos, video_of_text, video_index
    video_order = torch.arange(world_size * len(videos), device=video_index.device)
    video_order = video_order.view(world_size, -1).t().flatten()
    rank = torch.arange(world_size, device=video_of_text.device)
    joined_rows = _join(video_of_text, rule) * world_size + rank.repeat_interleave(len(texts))
    joined_rows, text_order = joined_rows.sort(stable=True)
    return (
        TextFeatures(**{key: _join(x, rule) for key, x in texts.tensors().items()})[text_order],
        VideoFeatures(**{key: _join(x, rule) for key, x in videos.tensors().items()})[video_order],
        joined_rows,
        _join(video_index, rule)[video_order],
    )


def mean_over_ranks(loss: Tensor) -> Tensor:
    """Return the mean of the processes' losses, with the gradient of the own one.

    `DistributedDataParallel` averages the gradients, so they are those of the mean.
    """
    mean = loss.detach().clone()
    all_reduce(mean, op='mean')
    return loss + (mean - loss.detach())


class _Gather(torch.autograd.Function):
    """Rows of all processes, rank by rank, with the gradients of all processes or of the own."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, rule: str) -> Tensor:
        ctx.rule = rule
        return torch.cat(all_gather(value.contiguous()))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        if ctx.rule == 'exact':
            grad = grad.contiguous().clone()
            all_reduce(grad)
        rank, world_size = get_dist_info()
        return grad.chunk(world_size)[rank], None


def _join(value: Tensor, rule: str) -> Tensor:
    if value.dtype == torch.bool:  # gloo does not gather bool
        return _Gather.apply(value.to(torch.uint8), rule).bool()
    return _Gather.apply(value, rule)
