"""One global batch from those of all processes, with exact gradients."""

from __future__ import annotations

import torch
from mmengine.dist import get_world_size
from torch import Tensor
from torch.distributed.nn.functional import all_gather

from diffusionret_mm.structures import TextFeatures, VideoFeatures


def gather_batch(
    texts: TextFeatures, videos: VideoFeatures, video_of_text: Tensor, video_index: Tensor
) -> tuple[TextFeatures, VideoFeatures, Tensor, Tensor]:
    """Join the batches of all processes; every process gets the same global batch.

    The backward pass sums the gradients of all processes. Each computes the whole loss, and
    `DistributedDataParallel` averages, so the result is the gradient of one process that holds the
    global batch. (The published gather keeps the local slice only, which scales the encoders'
    gradients by 1 / number of processes.) Every process must hold equally many texts and videos,
    which a training loader with `drop_last` gives.

    Args:
        texts: N local texts.
        videos: M local videos.
        video_of_text: row of each text's video, shape [N], int64.
        video_index: identity of each video, shape [M], int64.

    Returns:
        The four arguments of the global batch.
    """
    world_size = get_world_size()
    if world_size == 1:
        return texts, videos, video_of_text, video_index
    first_row = torch.arange(world_size, device=video_of_text.device) * len(videos)
    gathered_rows = torch.stack(all_gather(video_of_text)) + first_row[:, None]
    return (
        TextFeatures(**{name: _join(value) for name, value in texts.tensors().items()}),
        VideoFeatures(**{name: _join(value) for name, value in videos.tensors().items()}),
        gathered_rows.flatten(),
        _join(video_index),
    )


def _join(value: Tensor) -> Tensor:
    if value.dtype == torch.bool:  # gloo does not gather bool
        return torch.cat(all_gather(value.to(torch.uint8))).bool()
    return torch.cat(all_gather(value))
