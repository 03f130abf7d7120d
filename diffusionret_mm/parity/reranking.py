"""Re-ranked matrices, from recorded features and from pixels."""

from __future__ import annotations

import torch

from diffusionret_mm.engine.scoring import similarity_matrix
from diffusionret_mm.parity.encoders import Subject, encoded, recorded_features
from diffusionret_mm.parity.golden import (
    DIFFUSION,
    EXACT,
    FEATURES,
    SCORES,
    SIMILARITY,
    GoldenFile,
    GoldenFolder,
)
from diffusionret_mm.structures import TextFeatures, VideoFeatures

DIRECTIONS = ('t2v', 'v2t')


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
        _check(file, subject, texts, videos)


def _check(file: GoldenFile, subject: Subject, texts: TextFeatures, videos: VideoFeatures) -> None:
    model = subject.model
    rows = int(file.take('batch_rows'))
    scores = similarity_matrix(model, texts, videos, chunk_size=rows)
    if 'base_sim' in file:
        file.compare('base_sim', scores, SIMILARITY)
    sides = dict(t2v=(scores, texts, videos), v2t=(scores.t(), videos, texts))
    for direction, (matrix, queries, candidates) in sides.items():
        model.temperature[direction] = _option(file, f'{direction}_temp')
        model.weight[direction] = _option(file, f'{direction}_alpha')
        noise = file.take(f'noise_{direction}')
        count = int(file.take(f'{direction}_num'))
        if f'cand_{direction}' in file:
            best = matrix.topk(count, dim=1).indices
            file.compare(f'cand_{direction}', best, EXACT)
            # From the recorded features, so that the encoders' rounding stays out of it.
            own = recorded_features(file)[:: 1 if direction == 't2v' else -1]
            sample = model.generate(direction, *own, best, noise)
            file.compare(f'sample_{direction}', sample, DIFFUSION)
        final = model.rerank_from_noise(direction, matrix, queries, candidates, noise)
        file.compare(direction, final, SCORES)


def _option(file: GoldenFile, name: str) -> float:
    return float(file.take(name)) if name in file else 1.0
