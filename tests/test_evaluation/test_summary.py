"""Metrics of ranks, and of both directions together."""

import statistics

import pytest
import torch

from diffusionret_mm.evaluation import (
    Ranks,
    evaluate_ranking,
    grouped_query_ranks,
    off_by_one,
    query_ranks,
    retrieval_metrics,
)

CAPTIONS = torch.tensor([2, 3, 1])
VIDEO_OF_TEXT = torch.repeat_interleave(torch.arange(3), CAPTIONS)


def draw(n, m, seed=0):
    return torch.randn(n, m, generator=torch.Generator().manual_seed(seed))


def without_ties(values):
    values = torch.tensor(values)
    return Ranks(values, values)


class TestRetrievalMetrics:
    @pytest.mark.parametrize('count', [1, 2, 9, 100])
    def test_equals_loop(self, count):
        generator = torch.Generator().manual_seed(count)
        values = torch.randint(1, 80, (count,), generator=generator).tolist()
        recall = {k: 100 * sum(rank <= k for rank in values) / count for k in (1, 5, 10, 50)}
        expected = {f'R@{k}': recall[k] for k in recall}
        expected['Rsum'] = recall[1] + recall[5] + recall[10]
        expected['MdR'] = statistics.median(values)
        expected['MnR'] = statistics.fmean(values)
        metrics = retrieval_metrics(without_ties(values))
        assert metrics == pytest.approx(expected, rel=1e-14)
        assert list(metrics) == ['R@1', 'R@5', 'R@10', 'R@50', 'Rsum', 'MdR', 'MnR']
        assert all(type(value) is float for value in metrics.values())

    def test_a_tie_of_two_for_the_first_place_is_half_a_hit(self):
        ranks = Ranks(best=torch.tensor([1, 1]), worst=torch.tensor([2, 1]))
        metrics = retrieval_metrics(ranks)
        assert (metrics['R@1'], metrics['R@5'], metrics['MnR']) == (75.0, 100.0, 1.25)

    def test_empty_topk_keeps_the_summary(self):
        metrics = retrieval_metrics(without_ties([1, 7]), topk=())
        assert metrics == {'Rsum': 200.0, 'MdR': 4.0, 'MnR': 4.0}

    def test_refuses(self):
        with pytest.raises(ValueError, match='no ranks'):
            retrieval_metrics(Ranks(torch.empty(0), torch.empty(0)))
        with pytest.raises(ValueError, match='start at 1'):
            retrieval_metrics(without_ties([1, 1]), topk=(0, 5))


class TestEvaluateRanking:
    def test_keys_and_directions(self):
        t2v, v2t = draw(6, 3), draw(3, 6, seed=1)
        metrics = evaluate_ranking(t2v, v2t, VIDEO_OF_TEXT, topk=(1, 2))
        names = ['R@1', 'R@2', 'Rsum', 'MdR', 'MnR']
        assert list(metrics) == [f'{d}/{name}' for d in ('t2v', 'v2t') for name in names]
        text_ranks, video_ranks = (
            query_ranks(t2v, VIDEO_OF_TEXT),
            grouped_query_ranks(v2t, VIDEO_OF_TEXT),
        )
        assert metrics['t2v/MnR'] == text_ranks.average.mean().item()
        assert metrics['v2t/MnR'] == video_ranks.average.mean().item()

    def test_perfect_scores(self):
        t2v = torch.nn.functional.one_hot(VIDEO_OF_TEXT).float()
        metrics = evaluate_ranking(t2v, t2v.T, VIDEO_OF_TEXT)
        assert metrics['t2v/Rsum'] == metrics['v2t/Rsum'] == 300.0
        assert metrics['t2v/MdR'] == metrics['v2t/MnR'] == 1.0

    def test_refuses_matrices_that_are_not_transposed(self):
        with pytest.raises(ValueError, match=r'\[6, 3\] and \[6, 3\]'):
            evaluate_ranking(torch.zeros(6, 3), torch.zeros(6, 3), torch.zeros(6).long())

    def test_tie_rules(self):
        scores, own = torch.zeros(5, 5), torch.arange(5)
        recalls = {
            ties: evaluate_ranking(scores, scores, own, ties=ties)['t2v/R@1']
            for ties in ('average', 'optimistic', 'pessimistic', 'published')
        }
        assert recalls == pytest.approx(
            dict(average=20.0, optimistic=100.0, pessimistic=0.0, published=20.0)
        )

    def test_published_ties_of_several_captions_are_averaged_in_text_to_video(self):
        t2v = torch.zeros(6, 3)
        ours = evaluate_ranking(t2v, t2v.T, VIDEO_OF_TEXT)
        published = evaluate_ranking(t2v, t2v.T, VIDEO_OF_TEXT, ties='published')
        assert published == pytest.approx(ours)

    def test_unknown_rules(self):
        scores = torch.zeros(3, 3)
        with pytest.raises(ValueError, match='ties must be'):
            evaluate_ranking(scores, scores, torch.arange(3), ties='some')
        with pytest.raises(ValueError, match='grouping must be'):
            evaluate_ranking(scores, scores, torch.arange(3), grouping='some')


class TestOffByOne:
    def test_last_caption_goes_to_the_next_video(self):
        t2v, v2t = draw(6, 3), draw(3, 6, seed=1)
        shifted = off_by_one(t2v, v2t, VIDEO_OF_TEXT)
        assert torch.equal(shifted[0], t2v[:5])
        assert torch.equal(shifted[1], v2t[:, :5])
        assert shifted[2].tolist() == [0, 1, 1, 1, 2]

    def test_grouping_changes_sets_with_several_captions_only(self):
        t2v, v2t = draw(6, 3), draw(3, 6, seed=1)
        wrong = evaluate_ranking(*off_by_one(t2v, v2t, VIDEO_OF_TEXT))
        assert evaluate_ranking(t2v, v2t, VIDEO_OF_TEXT, grouping='published') == wrong
        assert wrong != evaluate_ranking(t2v, v2t, VIDEO_OF_TEXT)
        square, own = draw(4, 4), torch.arange(4)
        plain = evaluate_ranking(square, square.T, own)
        assert evaluate_ranking(square, square.T, own, grouping='published') == plain

    def test_a_first_video_of_one_caption_loses_it_and_is_left_out(self):
        video_of_text = torch.tensor([0, 1, 1, 2])
        t2v = torch.nn.functional.one_hot(video_of_text, 3).float()
        metrics = evaluate_ranking(t2v, t2v.t(), video_of_text, grouping='published', topk=(1,))
        # Of texts 0 to 2, taken for videos 1, 1 and 2, only the middle one finds its video.
        assert metrics['t2v/R@1'] == pytest.approx(100 / 3)
        assert metrics['v2t/R@1'] == 50.0  # for videos 1 and 2 both groups tie

    def test_needs_grouped_texts(self):
        with pytest.raises(ValueError, match='grouped by video'):
            off_by_one(torch.zeros(3, 2), torch.zeros(2, 3), torch.tensor([0, 1, 0]))
