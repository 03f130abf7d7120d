"""One vector per text and per video, for the first step of a search."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from diffusionret_mm.search.schema import FRAME_WEIGHTS, FRAMES, MASK, POOLED
from diffusionret_mm.structures import TextFeatures, VideoFeatures

if TYPE_CHECKING:
    from diffusionret_mm.models.retrievers import TextVideoRetriever


@torch.no_grad()
def frame_weights(model: TextVideoRetriever, videos: VideoFeatures) -> Tensor:
    """Weigh frames: by the similarity's own weights if it has any, else equally.

    Args:
        model: the retriever.
        videos: M videos on its device.

    Returns:
        Weights that sum to 1 over the real frames of a video, [M, F]; 0 for padding.
    """
    weights = model.similarity.frame_weights(videos)
    if weights is None:
        return videos.mask / videos.mask.sum(dim=1, keepdim=True).clamp(min=1)
    return weights


@torch.no_grad()
def pool_videos(videos: VideoFeatures, weights: Tensor) -> Tensor:
    """Pool videos: the weighted mean of their normalised frames.

    Args:
        videos: M videos.
        weights: `frame_weights` of them, [M, F].

    Returns:
        Unit vectors, [M, D].
    """
    frames = F.normalize(videos.frames, dim=-1)
    return F.normalize(torch.einsum('mf,mfd->md', weights, frames), dim=-1)


@torch.no_grad()
def span_arrays(model: TextVideoRetriever, videos: VideoFeatures) -> dict[str, np.ndarray]:
    """Return the arrays of a gallery for spans.

    Weights and pooled vectors are made of the frames as they are kept, in half precision.

    Args:
        model: the retriever.
        videos: n spans on its device.

    Returns:
        The arrays by name, [n, ...].
    """
    kept = videos.to(videos.frames.half()).to(videos.frames)
    weights = frame_weights(model, kept)
    tensors = {
        POOLED: pool_videos(kept, weights),
        FRAMES: kept.frames.half(),
        FRAME_WEIGHTS: weights,
        MASK: kept.mask,
    }
    return {name: tensor.cpu().numpy() for name, tensor in tensors.items()}


@torch.no_grad()
def pool_texts(model: TextVideoRetriever, texts: TextFeatures) -> Tensor:
    """Pool texts: the weighted mean of their normalised words, or the end-of-text token.

    With WTI's word weights a_t and frame weights b_f the inner product of a text and a video is
    proportional to sum_tf a_t b_f c_tf, which is WTI with means in place of its maxima. A
    similarity without word weights compares the end-of-text token with frames.

    Args:
        model: the retriever.
        texts: N texts on its device.

    Returns:
        Unit vectors, [N, D].
    """
    weights = model.similarity.word_weights(texts)
    if weights is None:
        return F.normalize(texts.pooled, dim=-1)
    words = F.normalize(texts.words, dim=-1)
    return F.normalize(torch.einsum('nl,nld->nd', weights, words), dim=-1)
