"""Ranks and metrics against recorded results of the published code."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from diffusionret_mm.evaluation import (
    evaluate_ranking,
    grouped_query_ranks,
    query_ranks,
    retrieval_metrics,
)

DATA = Path(__file__).parents[1] / 'data' / 'metrics'


@pytest.fixture(scope='module')
def published():
    with np.load(DATA / 'published.npz') as arrays:
        scores = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    return scores, json.loads((DATA / 'published.json').read_text())


def video_of_text(scores):
    captions = scores['multi_captions']
    return torch.repeat_interleave(torch.arange(len(captions)), captions)


def assert_same_metrics(metrics, results):
    theirs = {'R@1': 'R1', 'R@5': 'R5', 'R@10': 'R10', 'R@50': 'R50'}
    theirs |= {'MdR': 'MedianR', 'MnR': 'MeanR'}
    expected = {ours: results[name] for ours, name in theirs.items()}
    # The multi-sentence function takes its shares in float32.
    assert {name: metrics[name] for name in expected} == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize('name', ['random', 'wide'])
def test_same_without_ties(published, name):
    scores, results = published[0][name], published[1][name]
    ranks = query_ranks(scores, torch.arange(len(scores)))
    assert ranks.average.tolist() == [column + 1 for column in results['cols']]
    assert_same_metrics(retrieval_metrics(ranks), results)


def test_same_text_to_video_with_several_captions(published):
    scores, results = published
    ranks = query_ranks(scores['multi_t2v'], video_of_text(scores))
    metrics = retrieval_metrics(ranks)
    # Their median of an even number of ranks is the lower of the two middle ones.
    lower_median = ranks.average.median().item()
    assert_same_metrics({**metrics, 'MdR': lower_median}, results['multi_t2v'])


def test_same_video_to_text_with_several_captions(published):
    scores, results = published
    ranks = grouped_query_ranks(scores['multi_v2t'], video_of_text(scores))
    assert ranks.average.tolist() == [column + 1 for column in results['multi_v2t']['cols']]
    assert_same_metrics(retrieval_metrics(ranks), results['multi_v2t'])


def test_published_ties(published):
    scores, results = published[0]['ties'], published[1]['ties']
    ranks = query_ranks(scores, torch.arange(20)).resolve('published')
    assert ranks.average.tolist() == [column + 1 for column in results['cols']]
    metrics = evaluate_ranking(scores, scores.t(), torch.arange(20), ties='published')
    assert_same_metrics(
        {name: metrics[f't2v/{name}'] for name in retrieval_metrics(ranks)}, results
    )


def test_our_rank_of_a_tie_is_the_mean_of_their_positions(published):
    scores, positions = published[0]['ties'], published[1]['ties']['cols']
    own = scores.diagonal()[:, None]
    entries = (scores == own).sum(dim=1).tolist()
    means = [part.mean() + 1 for part in np.split(positions, np.cumsum(entries)[:-1])]
    assert len(positions) > len(scores)
    assert query_ranks(scores, torch.arange(20)).average.tolist() == means
