"""Ranks and metrics against loops."""

import statistics

import pytest
import torch

from diffusionret_mm.evaluation import (
    evaluate_ranking,
    grouped_query_ranks,
    query_ranks,
    ranking,
    retrieval_metrics,
)

NAN, INF = float('nan'), float('inf')


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
        ranks = query_ranks(scores, target)
        assert ranks.dtype == torch.float64
        assert ranks.tolist() == query_ranks_by_loop(scores, target)

    @pytest.mark.parametrize(
        'dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64]
    )
    def test_any_dtype(self, dtype):
        scores = random_scores(6, 9, ties=True).to(dtype)
        target = torch.arange(6)
        assert query_ranks(scores, target).tolist() == query_ranks_by_loop(scores, target)

    def test_constant_scores_rank_in_the_middle(self):
        assert query_ranks(torch.zeros(3, 8), torch.arange(3)).tolist() == [4.5] * 3

    def test_permuted_gallery_has_the_same_ranks(self):
        scores, target = random_scores(9, 13, ties=True), torch.arange(9)
        order = torch.randperm(13, generator=torch.Generator().manual_seed(2))
        permuted = query_ranks(scores[:, order], order.argsort()[target])
        assert torch.equal(permuted, query_ranks(scores, target))

    def test_blocks_do_not_show(self, monkeypatch):
        scores, target = random_scores(23, 10, ties=True), torch.arange(23) % 10
        whole = query_ranks(scores, target)
        monkeypatch.setattr(ranking, '_BLOCK_ELEMENTS', 40)
        assert torch.equal(query_ranks(scores, target), whole)

    def test_large_values_keep_their_order(self):
        scores = torch.tensor([[3e38, -3e38, INF], [-INF, -INF, -3e38]])
        assert query_ranks(scores, torch.tensor([0, 1])).tolist() == [2.0, 2.5]

    def test_tiny_differences_count(self):
        scores = torch.tensor([[1e8, 1e8 + 1]], dtype=torch.float64)
        assert query_ranks(scores, torch.tensor([0])).tolist() == [2.0]

    def test_no_queries(self):
        assert query_ranks(torch.empty(0, 4), torch.empty(0, dtype=torch.long)).shape == (0,)

    def test_inputs_stay_as_they_were(self):
        scores, target = random_scores(4, 4, ties=True), torch.arange(4)
        before = scores.clone()
        query_ranks(scores, target)
        grouped_query_ranks(scores, target)
        assert torch.equal(scores, before)

    def test_names_the_first_nan(self, monkeypatch):
        monkeypatch.setattr(ranking, '_BLOCK_ELEMENTS', 6)
        scores = torch.zeros(9, 3)
        scores[5, 2] = scores[7, 0] = NAN
        with pytest.raises(ValueError, match=r'scores\[5, 2\] is NaN'):
            query_ranks(scores, torch.zeros(9, dtype=torch.long))

    @pytest.mark.parametrize(
        ('scores', 'target', 'message'),
        [
            (torch.zeros(4), torch.arange(4), 'must be a matrix'),
            (torch.zeros(4, 4), torch.arange(3), r'shape \[4\], got \[3\]'),
            (torch.zeros(4, 4), torch.zeros(4, 1).long(), r'shape \[4\], got \[4, 1\]'),
            (torch.zeros(4, 4), torch.zeros(4), 'must be integer'),
            (torch.zeros(4, 3), torch.arange(4), r'ground truth \[3\] is 3, outside 0 to 2'),
            (torch.zeros(2, 3), torch.tensor([0, -1]), r'ground truth \[1\] is -1'),
        ],
    )
    def test_refuses(self, scores, target, message):
        with pytest.raises(ValueError, match=message):
            query_ranks(scores, target)


class TestGroupedQueryRanks:
    @pytest.mark.parametrize('ties', [False, True])
    @pytest.mark.parametrize('captions', [[1], [3, 1, 2], [1, 1, 1, 1], [5, 1, 1, 8, 2, 3]])
    def test_equals_loop(self, captions, ties):
        video_of_text = shuffled_video_of_text(captions)
        scores = random_scores(len(captions), len(video_of_text), ties=ties)
        ranks = grouped_query_ranks(scores, video_of_text)
        assert ranks.dtype == torch.float64
        assert ranks.tolist() == grouped_ranks_by_loop(scores, video_of_text)

    @pytest.mark.parametrize('ties', [False, True])
    def test_one_caption_a_video_is_plain_ranking(self, ties):
        t2v = random_scores(12, 12, ties=ties)
        plain = query_ranks(t2v.T, torch.arange(12))
        assert torch.equal(grouped_query_ranks(t2v.T, torch.arange(12)), plain)

    def test_order_of_captions_does_not_matter(self):
        video_of_text = shuffled_video_of_text([4, 1, 2, 3])
        scores = random_scores(4, 10, ties=True)
        order = torch.randperm(10, generator=torch.Generator().manual_seed(3))
        permuted = grouped_query_ranks(scores[:, order], video_of_text[order])
        assert torch.equal(permuted, grouped_query_ranks(scores, video_of_text))

    def test_negative_and_integer_scores(self):
        scores = torch.tensor([[-5, -9, -7], [-3, -1, -2]])
        assert grouped_query_ranks(scores, torch.tensor([0, 0, 1])).tolist() == [1.0, 2.0]

    def test_constant_scores_rank_in_the_middle_of_the_groups(self):
        video_of_text = shuffled_video_of_text([1, 7, 2, 2])
        assert grouped_query_ranks(torch.ones(4, 12), video_of_text).tolist() == [2.5] * 4

    def test_blocks_do_not_show(self, monkeypatch):
        video_of_text = shuffled_video_of_text([2, 1, 3, 1, 2, 2, 1])
        scores = random_scores(7, 12, ties=True)
        whole = grouped_query_ranks(scores, video_of_text)
        monkeypatch.setattr(ranking, '_BLOCK_ELEMENTS', 30)
        assert torch.equal(grouped_query_ranks(scores, video_of_text), whole)

    def test_names_the_first_nan(self):
        scores = torch.zeros(2, 4)
        scores[1, 3] = NAN
        with pytest.raises(ValueError, match=r'scores\[1, 3\] is NaN'):
            grouped_query_ranks(scores, torch.tensor([0, 0, 1, 1]))

    @pytest.mark.parametrize(
        ('video_of_text', 'message'),
        [
            ([0, 0, 2], 'video row 1 has no caption'),
            ([0, 1, 3], r'ground truth \[2\] is 3, outside 0 to 2'),
            ([0, 1, 2, 2], r'shape \[3\], got \[4\]'),
        ],
    )
    def test_refuses(self, video_of_text, message):
        with pytest.raises(ValueError, match=message):
            grouped_query_ranks(torch.zeros(3, 3), torch.tensor(video_of_text))


class TestRetrievalMetrics:
    @pytest.mark.parametrize('count', [1, 2, 9, 100])
    def test_equals_loop(self, count):
        generator = torch.Generator().manual_seed(count)
        ranks = torch.randint(2, 160, (count,), generator=generator).double() / 2
        values = ranks.tolist()
        recall = {k: 100 * sum(rank <= k for rank in values) / count for k in (1, 5, 10, 50)}
        expected = {f'R@{k}': recall[k] for k in recall}
        expected['Rsum'] = recall[1] + recall[5] + recall[10]
        expected['MdR'] = statistics.median(values)
        expected['MnR'] = statistics.fmean(values)
        metrics = retrieval_metrics(ranks)
        assert metrics == pytest.approx(expected, rel=1e-14)
        assert list(metrics) == ['R@1', 'R@5', 'R@10', 'R@50', 'Rsum', 'MdR', 'MnR']
        assert all(type(value) is float for value in metrics.values())

    def test_rank_between_one_and_two_is_no_hit(self):
        assert retrieval_metrics(torch.tensor([1.5, 1.0]))['R@1'] == 50.0

    def test_empty_topk_keeps_the_summary(self):
        assert retrieval_metrics(torch.tensor([1.0, 7.0]), topk=()) == {
            'Rsum': 200.0,
            'MdR': 4.0,
            'MnR': 4.0,
        }

    def test_integer_ranks(self):
        assert retrieval_metrics(torch.tensor([1, 2]))['MnR'] == 1.5

    def test_refuses(self):
        with pytest.raises(ValueError, match='non-empty'):
            retrieval_metrics(torch.empty(0))
        with pytest.raises(ValueError, match='start at 1'):
            retrieval_metrics(torch.ones(2), topk=(0, 5))


class TestEvaluateRanking:
    def test_keys_and_directions(self):
        video_of_text = shuffled_video_of_text([2, 3, 1])
        t2v, v2t = random_scores(6, 3, ties=False), random_scores(3, 6, ties=False, seed=1)
        metrics = evaluate_ranking(t2v, v2t, video_of_text, topk=(1, 2))
        names = ['R@1', 'R@2', 'Rsum', 'MdR', 'MnR']
        assert list(metrics) == [f'{d}/{name}' for d in ('t2v', 'v2t') for name in names]
        assert metrics['t2v/MnR'] == query_ranks(t2v, video_of_text).mean().item()
        assert metrics['v2t/MnR'] == grouped_query_ranks(v2t, video_of_text).mean().item()

    def test_perfect_scores(self):
        video_of_text = shuffled_video_of_text([2, 3, 1])
        t2v = torch.nn.functional.one_hot(video_of_text).float()
        metrics = evaluate_ranking(t2v, t2v.T, video_of_text)
        assert metrics['t2v/Rsum'] == metrics['v2t/Rsum'] == 300.0
        assert metrics['t2v/MdR'] == metrics['v2t/MnR'] == 1.0

    def test_refuses_matrices_that_are_not_transposed(self):
        with pytest.raises(ValueError, match=r'\[6, 3\] and \[6, 3\]'):
            evaluate_ranking(torch.zeros(6, 3), torch.zeros(6, 3), torch.zeros(6).long())
