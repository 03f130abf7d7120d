"""Training rows of the generators: a query, its positive and its hard negatives."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from diffusionret_mm.models.generators import (
    CandidateContext,
    CandidateGenerator,
    DiffusionGenerator,
    QueryCandidates,
)
from diffusionret_mm.models.retrievers.hard_negatives import CachedNegatives
from diffusionret_mm.structures import TextFeatures, VideoFeatures

Generators = Mapping[str, DiffusionGenerator]

# Bound on the candidates' frames that are gathered at a time.
GATHER_BYTES = 2**25


def batch_contexts(
    generators: Generators,
    texts: TextFeatures,
    videos: VideoFeatures,
    video_of_text: Tensor,
    chosen: Mapping[str, Tensor],
    share: tuple[int, int] = (0, 1),
) -> dict[str, QueryCandidates]:
    """Prepare both generators for rows whose candidates are of the batch.

    Args:
        generators: the generator of each direction.
        texts: N texts.
        videos: M videos.
        video_of_text: row of each text's video, shape [N], int64.
        chosen: candidates of each text's row, the positive first: under 't2v' rows of videos and
            under 'v2t' rows of texts, each [N, K], int64.
        share: which rows are wanted: the part's number and how many parts there are; the rows are
            dealt out in turn.

    Returns:
        The context of each direction, n rows of K candidates.
    """
    own = slice(share[0], None, share[1])
    t2v, v2t = chosen['t2v'][own], chosen['v2t'][own]
    # Every (text, video) pair is pooled once; gathering frames would copy each many times.
    pooled = generators['t2v'].attention(texts.pooled[:, None], videos.frames, videos.mask)
    return dict(
        t2v=generators['t2v'].pair(
            texts.pooled[own],
            pooled[own].gather(1, t2v[..., None].expand(-1, -1, pooled.shape[2])),
        ),
        v2t=generators['v2t'].pair(texts.pooled[v2t], pooled[v2t, video_of_text[own, None]]),
    )


def training_set_contexts(
    generators: Generators,
    texts: TextFeatures,
    videos: VideoFeatures,
    video_of_text: Tensor,
    negatives: CachedNegatives,
) -> dict[str, QueryCandidates]:
    """Prepare both generators for rows whose negatives are of the whole training set.

    Args:
        generators: the generator of each direction.
        texts: N texts.
        videos: M videos.
        video_of_text: row of each text's video, shape [N], int64.
        negatives: the negatives of the N rows.

    Returns:
        The context of each direction, N rows of 1 + K candidates, the positive first.
    """
    own = videos[video_of_text]
    texts_of_row = torch.cat([texts.pooled[:, None], negatives.texts[negatives.text_rows]], dim=1)
    pooled = _pool_candidates(generators['t2v'], texts.pooled, own, negatives)
    return dict(
        t2v=generators['t2v'].pair(texts.pooled, pooled),
        v2t=generators['v2t'].context(texts_of_row, own.frames, own.mask),
    )


def denoise_rows(
    generators: Mapping[str, CandidateGenerator],
    contexts: Mapping[str, CandidateContext],
    share: tuple[int, int] = (0, 1),
    positive: Mapping[str, Tensor] | None = None,
) -> dict[str, Tensor]:
    """Noise the ideal distributions of training rows and predict them back.

    Both directions share the step (published code). Steps and noise are drawn for the global
    batch, of which the rows take their share, so they do not depend on the number of processes.

    Args:
        generators: the generator of each direction.
        contexts: the context of each direction, n rows.
        share: which rows of the global batch these are, as in `batch_contexts`.
        positive: the right candidates of each direction, [n, K], bool; None: the first of each row.

    Returns:
        The prediction of x_0 of each direction, shape [n, K].
    """
    number, num_shares = share
    own = slice(number, None, num_shares)
    predictions, t = {}, None
    for direction, context in contexts.items():
        generator, like = generators[direction], context.like
        steps = generator.num_train_steps
        if steps and t is None:
            t = torch.randint(steps, (num_shares * len(like),), device=like.device)[own]
        noise = None
        if steps:
            shape = (num_shares * len(like), like.shape[1])
            noise = torch.randn(shape, dtype=like.dtype, device=like.device)[own]
        chosen = positive[direction] if positive else None
        predictions[direction] = generator(context, t, noise, chosen)
    return predictions


def _pool_candidates(
    generator: DiffusionGenerator,
    texts: Tensor,
    own: VideoFeatures,
    negatives: CachedNegatives,
) -> Tensor:
    """Pool the own video and the negatives of each text, some rows at a time: [N, 1 + K, D]."""
    frames, mask, chosen = negatives.videos.frames, negatives.videos.mask, negatives.video_rows
    row_bytes = chosen.shape[1] * frames[0].numel() * frames.element_size()
    chunks = torch.arange(len(texts), device=texts.device).split(max(1, GATHER_BYTES // row_bytes))
    pooled = [
        generator.attention(texts[rows, None], frames[chosen[rows]], mask[chosen[rows]])
        for rows in chunks
    ]
    positive = generator.attention(texts, own.frames, own.mask)
    return torch.cat([positive[:, None], torch.cat(pooled)], dim=1)
