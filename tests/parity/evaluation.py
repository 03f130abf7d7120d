"""Metrics of score matrices: ties, invalid scores, several captions a video."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from diffusionret_mm.evaluation import (
    Ranks,
    grouped_query_ranks,
    off_by_one,
    query_ranks,
    retrieval_metrics,
)
from parity.encoders import Subject
from parity.golden import EXACT, FLOAT32, GoldenFile, GoldenFolder

NAMES = {'R1': 'R@1', 'R5': 'R@5', 'R10': 'R@10', 'R50': 'R@50', 'MeanR': 'MnR', 'MedianR': 'MdR'}


def check_metrics(golden: GoldenFolder, subject: Subject) -> None:
    """Every entry of `metrics.json`."""
    matrices, results = golden.file('metrics.npz'), golden.json('metrics.json')
    file = golden.file('metrics.json')
    for name, matrix in _square_matrices(golden, matrices, results).items():
        ranks = _published_ranks(matrix)
        _compare(file, name, results[name], ranks, ranks.average.quantile(0.5))
    _check_several_captions(matrices, file, results)


def _square_matrices(golden: GoldenFolder, file: GoldenFile, results: Mapping) -> dict[str, Tensor]:
    """Matrices whose right candidates are on the diagonal, by their names in the results."""
    found = {
        name: file.take(key)
        for name, key in (
            ('random', 'random'),
            ('ties', 'ties'),
            ('nan_inf', 'nan_inf'),
            ('tall_wide_20x30', 'wide'),
        )
        if key in file
    }
    found['constant_5x5'] = torch.ones(5, 5)
    if golden.has('rerank48.npz'):
        scores = golden.file('rerank48.npz')
        found['rerank48_t2v'], found['rerank48_v2t'] = scores.take('t2v'), scores.take('v2t')
        similarity = scores.take('base_sim')
        found['rerank48_base_t2v'] = similarity
        found['rerank48_base_v2t'] = similarity.t()
    return {name: matrix for name, matrix in found.items() if name in results}


def _published_ranks(scores: Tensor) -> Ranks:
    """List ranks as published; a query whose own score is not finite is left out."""
    target = torch.arange(len(scores))
    valid = scores.diagonal().isfinite().nonzero()[:, 0]
    # Their sort puts other NaNs last; ours refuses them.
    scores = scores.nan_to_num(nan=float('-inf'), posinf=float('inf'), neginf=float('-inf'))
    return query_ranks(scores[valid], target[valid]).resolve('published')


def _check_several_captions(matrices: GoldenFile, file: GoldenFile, results: Mapping) -> None:
    lengths = matrices.take('ms_lens')
    t2v, v2t = matrices.take('ms_t2v'), matrices.take('ms_v2t')
    own = torch.repeat_interleave(torch.arange(len(lengths)), lengths)
    grouped = v2t.new_full((len(lengths), len(lengths)), float('-inf')).scatter_reduce(
        1, own.expand_as(v2t), v2t, 'amax'
    )
    matrices.compare('ms_video_to_text_sim', grouped, FLOAT32)
    matrices.compare('ms_t2v_padded', _pad(t2v, lengths), FLOAT32)
    matrices.compare('ms_v2t_padded', _pad(v2t.t(), lengths), FLOAT32)
    cases = dict(multi=(t2v, v2t, own), multi_offbyone=off_by_one(t2v, v2t, own))
    for name, (of_texts, of_videos, video_of_text) in cases.items():
        ranks = query_ranks(of_texts, video_of_text)
        # Text-to-video takes the lower of two middle ranks here, and shares in float32.
        _compare(file, f'{name}_t2v', results[f'{name}_t2v'], ranks, ranks.average.median())
        ranks = grouped_query_ranks(of_videos, video_of_text).resolve('published')
        median = ranks.average.quantile(0.5)
        _compare(file, f'{name}_v2t', results[f'{name}_v2t'], ranks, median)


def _pad(rows: Tensor, lengths: Tensor) -> Tensor:
    """Rows of one caption each [N, M] as [videos, longest group, M], padded with -inf."""
    parts = rows.split(lengths.tolist())
    return torch.nn.utils.rnn.pad_sequence(parts, batch_first=True, padding_value=float('-inf'))


def _compare(file: GoldenFile, name: str, recorded: Mapping, ranks: Ranks, median: Tensor) -> None:
    ours = dict(retrieval_metrics(ranks), MdR=float(median))
    for key, own in NAMES.items():
        file.add(f'{name}: {key}', ours[own], recorded[key], FLOAT32)
    file.add(f'{name}: MR', ours['MdR'], recorded['MR'], FLOAT32)
    if 'cols' in recorded:
        file.add(f'{name}: cols', ranks.average - 1, recorded['cols'], EXACT)
    if 'Std_Rank' in recorded:
        spread = ranks.average.std(correction=0)
        file.add(f'{name}: Std_Rank', spread, recorded['Std_Rank'], FLOAT32)
