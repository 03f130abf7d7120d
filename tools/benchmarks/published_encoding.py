"""The encoding of a split as the released DiffusionRet code does it.

A plain transcription of what its data loaders and encoders do (`dataloader_msvd_retrieval.py`,
`modeling.py` 257-347), for comparison only: an item is a caption with its video, so a video is
encoded once for each of its captions, and padded frames are encoded like any other.
"""

from __future__ import annotations

import torch
from torch import Tensor

from diffusionret_mm.models.retrievers import TextVideoRetriever


@torch.no_grad()
def published_encoding(
    model: TextVideoRetriever,
    texts: tuple[Tensor, Tensor],
    videos: tuple[Tensor, Tensor],
    video_of_text: Tensor,
    batch: int,
) -> tuple[Tensor, Tensor]:
    """Encode every caption, each with its video.

    Args:
        model: whose weights to use.
        texts: ids and mask of N captions, [N, L].
        videos: M videos [M, F, 3, H, W], zero where there is padding, and mask [M, F].
        video_of_text: video of each caption, shape [N], int64.
        batch: items at a time.

    Returns:
        Words [N, L, D], and the frames of each caption's video [N, F, D].
    """
    words, frames = [], []
    for start in range(0, len(video_of_text), batch):
        items = slice(start, start + batch)
        ids, mask = (part[items] for part in texts)
        images, real = (part[video_of_text[items]] for part in videos)
        encoded = model.backbone.clip.encode_image(images.flatten(0, 1)).unflatten(0, real.shape)
        words.append(model.backbone.encode_words(ids, mask)[0])
        frames.append(model.temporal(encoded, real))
    return torch.cat(words), torch.cat(frames)
