"""Re-ranked matrices, from recorded features and from pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from diffusionret_mm.features.scoring import similarity_matrix
from diffusionret_mm.structures import TextFeatures, VideoFeatures
from parity.encoders import Subject, encoded, recorded_features
from parity.golden import (
    DIFFUSION,
    EXACT,
    FEATURES,
    SCORES,
    SIMILARITY,
    GoldenFile,
    GoldenFolder,
    Tolerance,
)


@torch.no_grad()
def check_reranking(golden: GoldenFolder, subject: Subject) -> None:
    """Whatever of the three recorded evaluations is there."""
    if golden.has('rerank48.npz'):
        file = golden.file('rerank48.npz')
        _check(file, subject, *recorded_features(file))
    if golden.has('rerank48.npz', 'rerank_48x36.npz'):
        file = golden.file('rerank_48x36.npz')
        file.used.add('features_in')  # says where the features are
        texts, videos = recorded_features(golden.file('rerank48.npz'))
        rows, columns = int(file.take('n_text')), int(file.take('n_video'))
        _check(file, subject, texts[:rows], videos[:columns])
    if golden.has('encode.npz', 'rerank_e2e.npz'):
        file = golden.file('rerank_e2e.npz')
        texts, videos = encoded(golden, subject)
        for name, ours in texts.tensors().items():
            recorded = dict(words='text_feat', mask='text_mask', pooled='cls')[name]
            file.compare(recorded, ours, FEATURES)
        file.compare('video_feat', videos.frames, FEATURES)
        file.compare('video_mask', videos.mask, EXACT)
        _check(file, subject, *recorded_features(file), samples=SCORES)
        for direction, final in _rerank(file, subject, texts, videos).items():
            recorded = file.recorded(direction)
            file.add(f'{direction} from pixels', final, recorded, SCORES)


def _check(
    file: GoldenFile,
    subject: Subject,
    texts: TextFeatures,
    videos: VideoFeatures,
    samples: Tolerance = DIFFUSION,
) -> None:
    scores = similarity_matrix(subject.model, texts, videos, chunk_size=7)
    if 'base_sim' in file:
        file.compare('base_sim', scores, SIMILARITY)
    for direction, final in _rerank(file, subject, texts, videos).items():
        file.compare(direction, final, SCORES)
        if f'cand_{direction}' in file:
            matrix, queries, candidates = _sides(scores, texts, videos)[direction]
            values, best = matrix.topk(int(file.take(f'{direction}_num')), dim=1)
            file.compare(f'cand_{direction}', best, EXACT)
            noise = file.take(f'noise_{direction}')
            sampler = subject.model.generators[direction].sampler(candidates)
            sample = sampler.sample(queries, best, values, noise[None])[0]
            file.compare(f'sample_{direction}', sample, samples)


def _rerank(
    file: GoldenFile, subject: Subject, texts: TextFeatures, videos: VideoFeatures
) -> dict[str, Tensor]:
    """The final matrices with the recorded options, in blocks of the recorded size."""
    model = subject.model
    model.rerank_chunk = int(file.take('batch_rows'))
    scores = similarity_matrix(model, texts, videos, chunk_size=model.rerank_chunk)
    finals = {}
    for direction, side in _sides(scores, texts, videos).items():
        model.temperature[direction] = _option(file, f'{direction}_temp')
        model.weight[direction] = _option(file, f'{direction}_alpha')
        noise = file.take(f'noise_{direction}')
        file.take(f'{direction}_num')
        finals[direction] = model.rerank_from_noise(direction, *side, noise[None])
    return finals


def _sides(
    scores: Tensor, texts: TextFeatures, videos: VideoFeatures
) -> dict[str, tuple[Tensor, TextFeatures | VideoFeatures, VideoFeatures | TextFeatures]]:
    """Scores, queries and candidates of both directions."""
    return dict(t2v=(scores, texts, videos), v2t=(scores.t(), videos, texts))


def _option(file: GoldenFile, name: str) -> float:
    return float(file.take(name)) if name in file else 1.0
