"""The quantities that pictures show, computed from a model and features of an evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from diffusionret_mm.structures import TextFeatures, VideoFeatures
from diffusionret_mm.visualization.attention import WordFrameMatch

if TYPE_CHECKING:
    from diffusionret_mm.models.retrievers import TextVideoRetriever
    from diffusionret_mm.models.retrievers.reranking import DiffusionTrace


class PictureError(ValueError):
    """A picture cannot be made of this model or data."""


def trace_diffusion(
    model: TextVideoRetriever,
    direction: str,
    scores: Tensor,
    queries: TextFeatures | VideoFeatures,
    candidates: VideoFeatures | TextFeatures,
    query_index: Tensor,
) -> DiffusionTrace:
    """Denoise as the evaluation does, and keep every state.

    Args:
        model: a retriever that diffuses over candidates, such as a DiffusionRet in stage
            'generation'.
        direction: 't2v' (queries are texts) or 'v2t' (queries are videos).
        scores: similarities of n queries to C candidates, shape [n, C].
        queries: the n queries.
        candidates: the C candidates.
        query_index: index of each query in its split, shape [n], int64.

    Returns:
        The states over the K best candidates of each query.

    Raises:
        PictureError: if the model does not diffuse over candidates.
    """
    trace = model.trace(direction, scores, queries, candidates, query_index)
    if trace is None:
        raise PictureError(
            f'{type(model).__name__} in stage {model.stage!r} diffuses nothing over the candidates '
            "of a query; give a DiffusionRet in stage 'generation'."
        )
    return trace


@torch.no_grad()
def frame_attention(
    model: TextVideoRetriever, texts: TextFeatures, videos: VideoFeatures
) -> Tensor | None:
    """Return how much each text attends to the frames of its video.

    Args:
        model: the retriever.
        texts: n texts, on any device.
        videos: n videos, one for each text.

    Returns:
        The weights that pool the frames, [n, F]; None if the model pools nothing by a text.
    """
    placement = model.similarity.placement
    return model.frame_attention(texts.to(placement), videos.to(placement))


@torch.no_grad()
def match_words(
    model: TextVideoRetriever, caption: str, text: TextFeatures, video: VideoFeatures
) -> WordFrameMatch | None:
    """Return what weighted token interaction makes of a text and a video.

    Args:
        model: the retriever.
        caption: the text.
        text: its features, one row.
        video: the features of the video, one row.

    Returns:
        Weights and cosines of the real words and frames; None if the similarity weighs no words
        or no frames.

    Raises:
        PictureError: if the features are not those of this caption.
    """
    placement = model.similarity.placement
    text, video = text.to(placement), video.to(placement)
    word_weights = model.similarity.word_weights(text)
    frame_weights = model.similarity.frame_weights(video)
    if word_weights is None or frame_weights is None:
        return None
    words, frames = text.mask[0], video.mask[0]
    names = model.backbone.tokenizer.token_names(caption, int(words.sum()))
    if len(names) != int(words.sum()):
        raise PictureError(
            f'{caption!r} has {len(names)} tokens and its features are of {int(words.sum())}.'
        )
    cosines = F.normalize(text.words[0], dim=-1) @ F.normalize(video.frames[0], dim=-1).t()
    return WordFrameMatch(
        words=names,
        cosines=cosines[words][:, frames].cpu().numpy(),
        word_weights=word_weights[0, words].cpu().numpy(),
        frame_weights=frame_weights[0, frames].cpu().numpy(),
    )
