"""From ranks to the numbers of a table.

N is the number of texts and M the number of videos throughout.
"""

from collections.abc import Sequence

from torch import Tensor

from diffusionret_mm.evaluation.ranking import Ranks, grouped_query_ranks, query_ranks

GROUPINGS = ('own', 'published')


def retrieval_metrics(ranks: Ranks, topk: Sequence[int] = (1, 5, 10, 50)) -> dict[str, float]:
    """Summary of the ranks of all queries.

    Args:
        ranks: rank of each query.
        topk: Cut-offs k of `R@k`.

    Returns:
        In this order: `R@k` for each k, `Rsum`, `MdR` and `MnR`. `R@k` is the percent of the
        queries with rank <= k, ties as if broken at random. `Rsum` is R@1 + R@5 + R@10, 300 at
        best, whatever `topk` is. `MdR` is the median rank, for an even number of queries the mean
        of the two middle ones, and `MnR` the mean rank.

    Raises:
        ValueError: if there are no ranks, or a cut-off is below 1.

    Examples:
        >>> rank = torch.tensor([1, 3, 2, 40])
        >>> retrieval_metrics(Ranks(rank, rank), topk=(1, 5))
        {'R@1': 25.0, 'R@5': 75.0, 'Rsum': 175.0, 'MdR': 2.5, 'MnR': 11.5}
    """
    if not len(ranks.best):
        raise ValueError('There are no ranks to summarise.')
    if any(k < 1 for k in topk):
        raise ValueError(f'The cut-offs of R@k start at 1; got topk={tuple(topk)}.')
    metrics = {f'R@{k}': ranks.recall(k) for k in topk}
    metrics['Rsum'] = sum(ranks.recall(k) for k in (1, 5, 10))
    metrics['MdR'] = ranks.average.quantile(0.5).item()
    metrics['MnR'] = ranks.average.mean().item()
    return metrics


def evaluate_ranking(
    t2v: Tensor,
    v2t: Tensor,
    video_of_text: Tensor,
    topk: Sequence[int] = (1, 5, 10, 50),
    ties: str = 'average',
    grouping: str = 'own',
) -> dict[str, float]:
    """Metrics of both directions of retrieval.

    The directions have matrices of their own, because re-ranking makes them differ.

    Args:
        t2v: score of every video for every text, `[N, M]`.
        v2t: score of every text for every video, `[M, N]`.
        video_of_text: video that each text describes, `[N]`, integer.
        topk: Cut-offs k of `R@k`.
        ties: rule for equal scores, see `Ranks.resolve`. `'published'` lists every tied
            position, except in text-to-video with several captions per video, where the published
            code leaves the order of ties to an unstable sort and the middle is taken here.
        grouping: `'own'` puts every caption in the group of its own video; `'published'` is
            off by one caption as the published evaluation of MSVD, see `off_by_one`.

    Returns:
        The values of `retrieval_metrics` under `t2v/R@1` to `v2t/MnR`.

    Raises:
        ValueError: if the two matrices do not fit together, there is no such rule, and for the
            reasons given at `query_ranks`, `grouped_query_ranks` and `retrieval_metrics`.

    Examples:
        >>> t2v = torch.eye(3)
        >>> metrics = evaluate_ranking(t2v, t2v.T, torch.arange(3), topk=(1,))
        >>> metrics['t2v/R@1'], metrics['v2t/MnR']
        (100.0, 1.0)
    """
    if t2v.shape != v2t.shape[::-1]:
        raise ValueError(
            f't2v [N, M] and v2t [M, N] do not fit: {list(t2v.shape)} and {list(v2t.shape)}.'
        )
    if grouping not in GROUPINGS:
        raise ValueError(f'grouping must be one of {GROUPINGS}; got {grouping!r}.')
    several = len(video_of_text) > len(v2t)
    if grouping == 'published' and several:
        t2v, v2t, video_of_text = off_by_one(t2v, v2t, video_of_text)
    text_ranks = query_ranks(t2v, video_of_text)
    if grouping == 'published':
        v2t, video_of_text = _without_captionless(v2t, video_of_text)
    video_ranks = grouped_query_ranks(v2t, video_of_text)
    if not (several and ties == 'published'):
        text_ranks = text_ranks.resolve(ties)
    directions = {'t2v': text_ranks, 'v2t': video_ranks.resolve(ties)}
    return {
        f'{direction}/{name}': value
        for direction, ranks in directions.items()
        for name, value in retrieval_metrics(ranks, topk).items()
    }


def off_by_one(t2v: Tensor, v2t: Tensor, video_of_text: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Group captions as the published evaluation of MSVD does.

    Loader and evaluation both subtract 1 from the ends of the groups. So the last caption of each
    video is taken for one of the next video's, and the very last caption is dropped (DiffusionRet,
    `eval.py` 315-374; EMCL-Net, `main_retrieval.py` 379-382). For comparison with published
    tables only.

    Args:
        t2v: scores `[N, M]`.
        v2t: scores `[M, N]`.
        video_of_text: video of each text, `[N]`, texts grouped by video in the videos' order.

    Returns:
        `t2v [N - 1, M]`, `v2t [M, N - 1]` and the wrong `video_of_text [N - 1]`.

    Raises:
        ValueError: if the texts are not grouped by video.

    Examples:
        >>> scores, video_of_text = torch.zeros(4, 2), torch.tensor([0, 0, 1, 1])
        >>> off_by_one(scores, scores.T, video_of_text)[2]
        tensor([0, 1, 1])
    """
    if (video_of_text.diff() < 0).any():
        raise ValueError("grouping='published' needs the texts grouped by video, in their order.")
    return t2v[:-1], v2t[:, :-1], video_of_text[1:]


def _without_captionless(v2t: Tensor, video_of_text: Tensor) -> tuple[Tensor, Tensor]:
    """Leave out videos without a caption, as the published ranks leave out their -inf scores.

    The wrong grouping takes the only caption of a first video away.
    """
    captioned, video_of_text = video_of_text.unique(return_inverse=True)
    return v2t[captioned], video_of_text
