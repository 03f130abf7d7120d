"""The quantities that pictures show, computed from a model and features of an evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from diffusionret_mm.datasets.transforms.captions import clip_tokenizer, token_ids
from diffusionret_mm.models.retrievers import DiffusionRet
from diffusionret_mm.models.similarity import WeightedTokenInteraction, XPool
from diffusionret_mm.structures import TextFeatures, VideoFeatures
from diffusionret_mm.visualization.attention import WordFrameMatch

if TYPE_CHECKING:
    from diffusionret_mm.models.retrievers import TextVideoRetriever


class PictureError(ValueError):
    """A picture cannot be made of this model or data."""


def trace_diffusion(
    model: TextVideoRetriever,
    direction: str,
    scores: Tensor,
    queries: TextFeatures | VideoFeatures,
    candidates: VideoFeatures | TextFeatures,
    query_index: Tensor,
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Denoise as the evaluation does, and keep every state.

    Args:
        model: a DiffusionRet in stage 'generation'.
        direction: 't2v' (queries are texts) or 'v2t' (queries are videos).
        scores: similarities of n queries to C candidates, shape [n, C].
        queries: the n queries.
        candidates: the C candidates.
        query_index: index of each query in its split, shape [n], int64.

    Returns:
        Rows of the K best candidates of each query, the best first, [n, K] int64; the states from
        x_T to x_0 over them, [S + 1, n, K]; and t of each state, from T down to 0, S + 1.

    Raises:
        PictureError: if the model does not diffuse over candidates.
    """
    if not isinstance(model, DiffusionRet) or model.stage != 'generation':
        raise PictureError(
            f'{type(model).__name__} in stage {getattr(model, "stage", None)!r} diffuses nothing '
            "over the candidates of a query; give a DiffusionRet in stage 'generation'."
        )
    best, states = model.trajectory(direction, scores, queries, candidates, query_index)
    # A state belongs to the step that is to be taken; the paper counts steps from 1.
    steps = model.generators[direction].scheduler.timesteps.tolist()
    return best.cpu().numpy(), states.float().cpu().numpy(), [*(t + 1 for t in steps), 0]


@torch.no_grad()
def frame_attention(
    model: TextVideoRetriever, texts: TextFeatures, videos: VideoFeatures
) -> Tensor | None:
    """Return how much each text attends to the frames of its video.

    Args:
        model: the retriever.
        texts: n texts.
        videos: n videos, one for each text.

    Returns:
        The weights that pool the frames, [n, F], of the generator of a DiffusionRet or of an
        XPool; None of other models, which pool nothing by a text.
    """
    texts, videos = texts.to(model.backbone.logit_scale), videos.to(model.backbone.logit_scale)
    if isinstance(model, DiffusionRet) and model.stage == 'generation':
        head = model.generators['t2v'].attention
        return head.attention(texts.pooled, videos.frames, videos.mask)
    if isinstance(model.similarity_head, XPool):
        queries = model.similarity_head.prepare_texts(texts).queries[:, None]
        prepared = model.similarity_head.prepare_videos(videos)
        return model.similarity_head.attention(queries, prepared)[:, 0]
    return None


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
        Weights and cosines of the real words and frames; None if the similarity is another one.

    Raises:
        PictureError: if the features are not those of this caption.
    """
    head = model.similarity_head
    if not isinstance(head, WeightedTokenInteraction):
        return None
    text, video = text.to(model.backbone.logit_scale), video.to(model.backbone.logit_scale)
    words, frames = text.mask[0], video.mask[0]
    names = token_names(caption, len(words))
    if len(names) != int(words.sum()):
        raise PictureError(
            f'{caption!r} has {len(names)} tokens and its features are of {int(words.sum())}.'
        )
    cosines = F.normalize(text.words[0], dim=-1) @ F.normalize(video.frames[0], dim=-1).t()
    return WordFrameMatch(
        words=names,
        cosines=cosines[words][:, frames].cpu().numpy(),
        word_weights=head.word_weights(text)[0, words].cpu().numpy(),
        frame_weights=head.frame_weights(video)[0, frames].cpu().numpy(),
    )


def token_names(caption: str, max_words: int) -> list[str]:
    """Return the tokens of a caption as text, start and end of text included.

    Args:
        caption: a sentence.
        max_words: number of tokens at most; the pipeline of the features has the same.
    """
    ids, mask = token_ids([caption], max_words)
    tokenizer = clip_tokenizer()
    # A token may be a part of a character, which is shown as a replacement sign.
    names = [tokenizer.decode([token]).strip() for token in ids[mask].tolist()]
    return ['[start]', *names[1:-1], '[end]']
