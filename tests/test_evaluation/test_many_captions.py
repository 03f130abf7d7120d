"""A set like MSVD's, uneven numbers of captions a video, against its definition in loops.

From features through similarity and re-ranking to metrics, with the right and the published groups.
"""

import statistics

import pytest
import torch

from diffusionret_mm.evaluation import evaluate_ranking
from diffusionret_mm.features.scoring import score_all

CAPTIONS = (3, 1, 8, 2, 40, 5, 1)


def groups_by_loop(published):
    """The captions of each video; published groups end one caption early, the last one is lost."""
    ends = [sum(CAPTIONS[: video + 1]) - published for video in range(len(CAPTIONS))]
    starts = [0, *ends[:-1]]
    return [list(range(start, end)) for start, end in zip(starts, ends, strict=True)]


def metrics_by_loop(t2v, v2t, groups):
    t2v, v2t = t2v.tolist(), v2t.tolist()
    ranks = dict(t2v=[], v2t=[])
    for video, captions in enumerate(groups):
        for caption in captions:
            own = t2v[caption][video]
            ranks['t2v'].append(1 + sum(score > own for score in t2v[caption]))
        best = [max(v2t[video][caption] for caption in other) for other in groups]
        ranks['v2t'].append(1 + sum(score > best[video] for score in best))
    metrics = {}
    for direction, found in ranks.items():
        for k in (1, 5):
            metrics[f'{direction}/R@{k}'] = 100 * sum(rank <= k for rank in found) / len(found)
        metrics[f'{direction}/MdR'] = statistics.median(found)
        metrics[f'{direction}/MnR'] = statistics.fmean(found)
    return metrics


@pytest.fixture
def matrices(tiny_model, features):
    texts, videos = features(num_texts=sum(CAPTIONS), num_videos=len(CAPTIONS))
    tiny_model.set_stage('generation')
    with torch.no_grad():
        _, t2v, v2t = score_all(tiny_model, texts, videos, chunk_size=7)
    owner = torch.repeat_interleave(torch.arange(len(CAPTIONS)), torch.tensor(CAPTIONS))
    return t2v, v2t, owner


@pytest.mark.parametrize('grouping', ['own', 'published'])
def test_equals_the_definition(matrices, grouping):
    metrics = evaluate_ranking(*matrices, topk=(1, 5), grouping=grouping)
    expected = metrics_by_loop(*matrices[:2], groups_by_loop(grouping == 'published'))
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)


def test_the_published_groups_give_other_numbers(matrices):
    own, published = (
        evaluate_ranking(*matrices, grouping=grouping) for grouping in ('own', 'published')
    )
    assert own['t2v/MnR'] != published['t2v/MnR']
    assert own['v2t/MnR'] != published['v2t/MnR']
