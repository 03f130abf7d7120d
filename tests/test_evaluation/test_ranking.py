"""Ranks and metrics against loops."""

import statistics
from dataclasses import FrozenInstanceError

import pytest
import torch

from diffusionret_mm.evaluation import grouped_query_ranks, query_ranks, ranking

NAN, INF = float('nan'), float('inf')
ROWS = torch.arange(2)


def text_ranks(*args):
    return query_ranks(*args).average


def video_ranks(*args):
    return grouped_query_ranks(*args).average


def rank_by_loop(row, target):
    own = row[target]
    better = sum(value > own for value in row)
    ties = sum(value == own for value in row) - 1
    return 1 + better + ties / 2


def query_ranks_by_loop(scores, target):
    rows, target = scores.double().tolist(), target.tolist()
    return [rank_by_loop(row, t) for row, t in zip(rows, target, strict=True)]


def grouped_ranks_by_loop(scores, video_of_text):
    num_videos, owner = len(scores), video_of_text.tolist()
    ranks = []
    for video, row in enumerate(scores.double().tolist()):
        groups = [
            max(score for score, video_of in zip(row, owner, strict=True) if video_of == v)
            for v in range(num_videos)
        ]
        ranks.append(rank_by_loop(groups, video))
    return ranks


def random_scores(n, m, *, ties, seed=0):
    generator = torch.Generator().manual_seed(seed)
    if ties:
        return torch.randint(0, 4, (n, m), generator=generator).float()
    return torch.randn(n, m, generator=generator)


def shuffled_video_of_text(captions, seed=0):
    owner = torch.repeat_interleave(torch.arange(len(captions)), torch.tensor(captions))
    return owner[torch.randperm(len(owner), generator=torch.Generator().manual_seed(seed))]


class TestQueryRanks:
    @pytest.mark.parametrize('ties', [False, True])
    @pytest.mark.parametrize('shape', [(1, 1), (7, 7), (11, 5), (5, 11)])
    def test_equals_loop(self, shape, ties):
        scores = random_scores(*shape, ties=ties)
        target = torch.randint(0, shape[1], (shape[0],), generator=torch.Generator().manual_seed(1))
        ranks = text_ranks(scores, target)
        assert ranks.dtype == torch.float64
        assert ranks.tolist() == query_ranks_by_loop(scores, target)

    @pytest.mark.parametrize(
        'dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64]
    )
    def test_any_dtype(self, dtype):
        scores = random_scores(6, 9, ties=True).to(dtype)
        target = torch.arange(6)
        assert text_ranks(scores, target).tolist() == query_ranks_by_loop(scores, target)

    def test_constant_scores_rank_in_the_middle(self):
        assert text_ranks(torch.zeros(3, 8), torch.arange(3)).tolist() == [4.5] * 3

    def test_permuted_gallery_has_the_same_ranks(self):
        scores, target = random_scores(9, 13, ties=True), torch.arange(9)
        order = torch.randperm(13, generator=torch.Generator().manual_seed(2))
        permuted = text_ranks(scores[:, order], order.argsort()[target])
        assert torch.equal(permuted, text_ranks(scores, target))

    def test_blocks_do_not_show(self, monkeypatch):
        scores, target = random_scores(23, 10, ties=True), torch.arange(23) % 10
        whole = text_ranks(scores, target)
        monkeypatch.setattr(ranking, '_BLOCK_ELEMENTS', 40)
        assert torch.equal(text_ranks(scores, target), whole)

    @pytest.mark.parametrize(
        ('columns', 'sizes'), [(10, [4, 4, 4, 4, 4, 3]), (100, [1] * 23), (1, [23])]
    )
    def test_a_block_is_as_large_as_its_bound_allows(self, monkeypatch, columns, sizes):
        monkeypatch.setattr(ranking, '_BLOCK_ELEMENTS', 40)
        found = [len(range(23)[rows]) for rows in ranking._row_blocks(torch.zeros(23, columns))]
        assert found == sizes

    def test_large_values_keep_their_order(self):
        scores = torch.tensor([[3e38, -3e38, INF], [-INF, -INF, -3e38]])
        assert text_ranks(scores, torch.tensor([0, 1])).tolist() == [2.0, 2.5]

    def test_tiny_differences_count(self):
        scores = torch.tensor([[1e8, 1e8 + 1]], dtype=torch.float64)
        assert text_ranks(scores, torch.tensor([0])).tolist() == [2.0]

    def test_no_queries(self):
        for candidates in (4, 0):
            ranks = text_ranks(torch.empty(0, candidates), torch.empty(0, dtype=torch.long))
            assert ranks.shape == (0,)

    def test_inputs_stay_as_they_were(self):
        scores, target = random_scores(4, 4, ties=True), torch.arange(4)
        before = scores.clone()
        text_ranks(scores, target)
        video_ranks(scores, target)
        assert torch.equal(scores, before)

    def test_names_the_first_nan(self, monkeypatch):
        monkeypatch.setattr(ranking, '_BLOCK_ELEMENTS', 6)
        scores = torch.zeros(9, 3)
        scores[5, 2] = scores[7, 0] = NAN
        with pytest.raises(ValueError, match=r'scores\[5, 2\] is NaN'):
            text_ranks(scores, torch.zeros(9, dtype=torch.long))

    @pytest.mark.parametrize(
        ('scores', 'target', 'message'),
        [
            (torch.zeros(4), torch.arange(4), 'must be a matrix'),
            (torch.zeros(4, 4), torch.arange(3), r'shape \[4\]; got \[3\]'),
            (torch.zeros(4, 4), torch.zeros(4, 1).long(), r'shape \[4\]; got \[4, 1\]'),
            (torch.zeros(4, 4), torch.zeros(4), 'must be integer'),
            (
                torch.zeros(4, 3),
                torch.arange(4),
                r'ground truth \[3\] is 3, which is outside of 0 to 2',
            ),
            (torch.zeros(2, 3), torch.tensor([0, -1]), r'ground truth \[1\] is -1'),
        ],
    )
    def test_refuses(self, scores, target, message):
        with pytest.raises(ValueError, match=message):
            text_ranks(scores, target)


class TestGroupedQueryRanks:
    @pytest.mark.parametrize('ties', [False, True])
    @pytest.mark.parametrize('captions', [[1], [3, 1, 2], [1, 1, 1, 1], [5, 1, 1, 8, 2, 3]])
    def test_equals_loop(self, captions, ties):
        video_of_text = shuffled_video_of_text(captions)
        scores = random_scores(len(captions), len(video_of_text), ties=ties)
        ranks = video_ranks(scores, video_of_text)
        assert ranks.dtype == torch.float64
        assert ranks.tolist() == grouped_ranks_by_loop(scores, video_of_text)

    @pytest.mark.parametrize('ties', [False, True])
    def test_one_caption_a_video_is_plain_ranking(self, ties):
        t2v = random_scores(12, 12, ties=ties)
        plain = text_ranks(t2v.T, torch.arange(12))
        assert torch.equal(video_ranks(t2v.T, torch.arange(12)), plain)

    def test_order_of_captions_does_not_matter(self):
        video_of_text = shuffled_video_of_text([4, 1, 2, 3])
        scores = random_scores(4, 10, ties=True)
        order = torch.randperm(10, generator=torch.Generator().manual_seed(3))
        permuted = video_ranks(scores[:, order], video_of_text[order])
        assert torch.equal(permuted, video_ranks(scores, video_of_text))

    def test_negative_and_integer_scores(self):
        scores = torch.tensor([[-5, -9, -7], [-3, -1, -2]])
        assert video_ranks(scores, torch.tensor([0, 0, 1])).tolist() == [1.0, 2.0]

    def test_constant_scores_rank_in_the_middle_of_the_groups(self):
        video_of_text = shuffled_video_of_text([1, 7, 2, 2])
        assert video_ranks(torch.ones(4, 12), video_of_text).tolist() == [2.5] * 4

    def test_blocks_do_not_show(self, monkeypatch):
        video_of_text = shuffled_video_of_text([2, 1, 3, 1, 2, 2, 1])
        scores = random_scores(7, 12, ties=True)
        whole = video_ranks(scores, video_of_text)
        monkeypatch.setattr(ranking, '_BLOCK_ELEMENTS', 30)
        assert torch.equal(video_ranks(scores, video_of_text), whole)

    def test_names_the_first_nan(self):
        scores = torch.zeros(2, 4)
        scores[1, 3] = NAN
        with pytest.raises(ValueError, match=r'scores\[1, 3\] is NaN'):
            video_ranks(scores, torch.tensor([0, 0, 1, 1]))

    @pytest.mark.parametrize(
        ('video_of_text', 'message'),
        [
            ([0, 0, 2], 'Row 1 of the videos has no caption'),
            ([0, 1, 3], r'ground truth \[2\] is 3, which is outside of 0 to 2'),
            ([0, 1, 2, 2], r'shape \[3\]; got \[4\]'),
        ],
    )
    def test_refuses(self, video_of_text, message):
        with pytest.raises(ValueError, match=message):
            video_ranks(torch.zeros(3, 3), torch.tensor(video_of_text))

    def test_refuses_a_vector(self):
        with pytest.raises(ValueError, match='must be a matrix'):
            video_ranks(torch.zeros(4), torch.arange(4))


class TestTieRules:
    def test_resolve(self):
        ranks = query_ranks(torch.tensor([[2.0, 2.0, 2.0, 1.0], [1.0, 2.0, 3.0, 3.0]]), ROWS)
        assert ranks.resolve('average') is ranks
        with pytest.raises(FrozenInstanceError):
            ranks.best = ranks.worst
        assert ranks.resolve('optimistic').average.tolist() == [1, 3]
        assert ranks.resolve('pessimistic').average.tolist() == [3, 3]
        assert ranks.resolve('published').average.tolist() == [1, 2, 3, 3]
        with pytest.raises(ValueError, match='must be one of'):
            ranks.resolve('random')

    def test_recall_is_the_mean_over_random_orders_of_the_ties(self):
        scores, target = random_scores(30, 12, ties=True), torch.arange(30) % 12
        generator = torch.Generator().manual_seed(4)
        noise = 0.5 * torch.rand(4000, 30, 12, generator=generator)
        ranked = [query_ranks(scores + broken, target) for broken in noise]
        for k in (1, 3, 5):
            mean = statistics.fmean(ranks.recall(k) for ranks in ranked)
            assert query_ranks(scores, target).recall(k) == pytest.approx(mean, abs=0.4)
