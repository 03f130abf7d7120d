"""The matching of texts and videos as the released DiffusionRet code does it, loops and all.

A plain transcription of its evaluation (`eval.py` 202-468, `modeling.py` 349-380, `diffusion.py`,
`gaussian_diffusion.py` 541-707), for comparison only. It computes similarities of 32 x 32 blocks
with their padding. For each block of 32 queries it gathers candidates one by one, runs the whole
network at each of the 50 steps, and writes scores back one by one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffusionret_mm.models.generators import QueryCandidateDenoiser
from diffusionret_mm.models.retrievers import DiffusionRet
from diffusionret_mm.structures import TextFeatures, VideoFeatures

BLOCK = 32
MASKED = -9e15


@torch.no_grad()
def published_matching(
    model: DiffusionRet, texts: TextFeatures, videos: VideoFeatures, noise: dict[str, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Score and re-rank in both directions.

    Args:
        model: whose weights to use.
        texts: N texts.
        videos: M videos.
        noise: start noise of each direction, one draw, [1, N, K] and [1, M, K].

    Returns:
        Similarities [N, M], final t2v [N, M] and v2t [M, N].
    """
    scores = published_similarity(model, texts, videos)
    t2v, v2t = scores.clone(), scores.t().clone()
    for start in range(0, len(texts), BLOCK):
        rows = slice(start, start + BLOCK)
        _rerank_texts(model, texts[rows], videos, scores[rows], t2v[rows], noise['t2v'][0, rows])
    for start in range(0, len(videos), BLOCK):
        rows = slice(start, start + BLOCK)
        of_rows = scores.t()[rows], v2t[rows], noise['v2t'][0, rows]
        _rerank_videos(model, texts, videos[rows], *of_rows)
    return scores, t2v, v2t


@torch.no_grad()
def published_similarity(model: DiffusionRet, texts: TextFeatures, videos: VideoFeatures) -> Tensor:
    """Weighted token interaction in blocks, padding included, [N, M]."""
    rows = []
    for start in range(0, len(texts), BLOCK):
        some = texts[start : start + BLOCK]
        blocks = [
            _block(model, some, videos[other : other + BLOCK])
            for other in range(0, len(videos), BLOCK)
        ]
        rows.append(torch.cat(blocks, dim=1))
    return torch.cat(rows)


def _block(model: DiffusionRet, texts: TextFeatures, videos: VideoFeatures) -> Tensor:
    head = model.similarity
    word_weight = _masked_softmax(head.word_weight(texts.words).squeeze(2), texts.mask)
    frame_weight = _masked_softmax(head.frame_weight(videos.frames).squeeze(2), videos.mask)
    words = texts.words / texts.words.norm(dim=-1, keepdim=True)
    frames = videos.frames / videos.frames.norm(dim=-1, keepdim=True)
    logits = torch.einsum('atd,bvd->abtv', words, frames)
    logits = torch.einsum('abtv,at->abtv', logits, texts.mask.float())
    logits = torch.einsum('abtv,bv->abtv', logits, videos.mask.float())
    t2v = torch.einsum('abt,at->ab', logits.max(dim=-1).values, word_weight)
    v2t = torch.einsum('abv,bv->ab', logits.max(dim=-2).values, frame_weight)
    return (t2v + v2t) / 2.0


def _masked_softmax(logits: Tensor, mask: Tensor) -> Tensor:
    return logits.masked_fill(~mask, MASKED).softmax(dim=-1)


def _rerank_texts(
    model: DiffusionRet,
    texts: TextFeatures,
    videos: VideoFeatures,
    scores: Tensor,
    final: Tensor,
    noise: Tensor,
) -> None:
    best = scores.topk(noise.shape[1], dim=1).indices
    frames = torch.stack([torch.stack([videos.frames[c] for c in row]) for row in best])
    mask = torch.stack([torch.stack([videos.mask[c] for c in row]) for row in best])

    def network(x: Tensor, t: Tensor, denoiser: QueryCandidateDenoiser) -> Tensor:
        weight = torch.einsum('nd,nkfd->nkf', texts.pooled, frames).softmax(dim=-1) * mask
        pooled = torch.einsum('nkf,nkfd->nkd', weight, frames)
        time = denoiser.embed_time(t)[:, None]
        queries = denoiser.q_proj(texts.pooled[:, None] + time)
        return _attend(denoiser, x, queries, pooled, time)

    _write_back(final, best, _ddim(model, 't2v', network, noise))


def _rerank_videos(
    model: DiffusionRet,
    texts: TextFeatures,
    videos: VideoFeatures,
    scores: Tensor,
    final: Tensor,
    noise: Tensor,
) -> None:
    best = scores.topk(noise.shape[1], dim=1).indices
    pooled_texts = torch.stack([torch.stack([texts.pooled[c] for c in row]) for row in best])

    def network(x: Tensor, t: Tensor, denoiser: QueryCandidateDenoiser) -> Tensor:
        weight = torch.einsum('nkd,nfd->nkf', pooled_texts, videos.frames).softmax(dim=-1)
        weight = weight * videos.mask[:, None]
        pooled = torch.einsum('nkf,nfd->nkd', weight, videos.frames)
        time = denoiser.embed_time(t)[:, None]
        return _attend(denoiser, x, denoiser.q_proj(pooled + time), pooled_texts, time)

    _write_back(final, best, _ddim(model, 'v2t', network, noise))


def _attend(
    denoiser: QueryCandidateDenoiser, x: Tensor, queries: Tensor, candidates: Tensor, time: Tensor
) -> Tensor:
    keys = denoiser.k_proj(candidates + time)
    values = denoiser.v_proj(candidates + time)
    attention = ((queries * keys).sum(dim=-1) + x).softmax(dim=-1)
    out = denoiser.out_proj(torch.einsum('nk,nkd->nd', attention, values))
    both = torch.cat([out[:, None].expand_as(candidates), candidates], dim=-1)
    return denoiser.decoder(both).squeeze(2) + attention


def _ddim(model: DiffusionRet, direction: str, network: nn.Module, x: Tensor) -> Tensor:
    """DDIM with eta 0 and its unused noise."""
    generator = model.generators[direction]
    kept = generator.scheduler.alphas_cumprod
    for step in range(generator.num_train_steps - 1, -1, -1):
        t = torch.full((len(x),), step)
        start = network(x, t, generator.denoiser).clamp(-1, 1)
        before = kept[step - 1] if step else torch.tensor(1.0)
        noise = (x / kept[step].sqrt() - start) / (1 / kept[step] - 1).sqrt()
        x = start * before.sqrt() + (1 - before).sqrt() * noise + 0.0 * torch.randn_like(x)
    return x


def _write_back(final: Tensor, best: Tensor, x: Tensor) -> None:
    added = F.softmax(x, dim=1)
    for row in range(len(best)):
        for place, column in enumerate(best[row]):
            final[row, column] += added[row, place]
