"""Scores that are changed with the whole test set in view.

Every function takes the final matrices of both directions and gives matrices of the same shapes.
Dual softmax uses all queries at once, which a search engine does not have. The others take a bank
instead: similarities of other queries, those of the training split, to the same candidates. All
their results stand in rows of their own, beside the plain ones.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

# Inverse temperature, and how often a candidate must be the best of a bank's query to be a hub:
# those of the published code (Bogolin et al.), and of a later one by an author of DiffusionRet.
QB_NORM_PRESETS: dict[str, dict[str, float]] = {
    'official': dict(beta=20.0, t2v=1, v2t=1),
    'jpthu17': dict(beta=70.0, t2v=3, v2t=5),
}


def dual_softmax(t2v: Tensor, v2t: Tensor, temperature: float = 0.01) -> tuple[Tensor, Tensor]:
    """Dual softmax (DSL; CAMoE, Cheng et al. 2021).

    Every score is multiplied by the share of its query among all queries of the candidate:

        t2v'[j, c] = t2v[j, c] softmax_j(t2v[j, c] / temperature)
        v2t'[c, j] = v2t[c, j] softmax_c(v2t[c, j] / temperature)

    So a candidate that suits many queries counts less for each. The softmax runs over texts in one
    direction and over videos in the other. The code published with T-MASS and TextDiff takes that
    over texts for both, which cannot change a video-to-text rank. It supposes that each candidate
    belongs to one query, and that scores are positive: a smaller share raises a negative score.

    Args:
        t2v: score of every video for every text, `[N, M]`.
        v2t: score of every text for every video, `[M, N]`.
        temperature: temperature of the softmax.

    Returns:
        The new `t2v` and `v2t`.

    Raises:
        ValueError: if the temperature is not positive.

    Examples:
        >>> t2v = torch.tensor([[0.5, 0.4], [0.5, 0.1]])  # both texts suit the first video
        >>> dual_softmax(t2v, t2v.T)[0].round(decimals=2)
        tensor([[0.2500, 0.4000],
                [0.2500, 0.0000]])
    """
    if temperature <= 0:
        raise ValueError(f'temperature must be positive; got {temperature}.')
    return t2v * (t2v / temperature).softmax(dim=0), v2t * (v2t / temperature).softmax(dim=0)


def inverted_softmax(
    t2v: Tensor,
    v2t: Tensor,
    bank_t2v: Tensor | None,
    bank_v2t: Tensor | None,
    beta: float = 20.0,
) -> tuple[Tensor, Tensor]:
    """Inverted softmax over a bank (Smith et al. 2017; QB-Norm, Section 3.2).

    A score becomes beta * s - log sum_i exp(beta * b_i), with b_i the similarities of the bank's
    queries to the same candidate: the logarithm of the published quotient, which has the same
    ranks and never overflows.

    Args:
        t2v: score of every video for every text, `[N, M]`.
        v2t: score of every text for every video, `[M, N]`.
        bank_t2v: similarity of the bank's texts to the videos, `[B, M]`; None: `t2v` stays.
        bank_v2t: similarity of the bank's videos to the texts, `[C, N]`; None: `v2t` stays.
        beta: inverse temperature, for scores in the range of cosines.

    Returns:
        The new `t2v` and `v2t`, in logarithms.

    Raises:
        ValueError: if `beta` is not positive, or a bank is empty or of another gallery.
    """
    pairs = ((t2v, bank_t2v, 't2v'), (v2t, bank_v2t, 'v2t'))
    t2v, v2t = (
        scores if bank is None else _inverted(scores, bank, beta, name)
        for scores, bank, name in pairs
    )
    return t2v, v2t


def querybank_normalisation(
    t2v: Tensor,
    v2t: Tensor,
    bank_t2v: Tensor | None,
    bank_v2t: Tensor | None,
    preset: str = 'official',
    beta: float | None = None,
    num_best: int = 1,
    min_count: Mapping[str, int] | None = None,
) -> tuple[Tensor, Tensor]:
    """Dynamic inverted softmax (QB-Norm; Bogolin et al., CVPR 2022, Section 3.3).

    A query whose best candidate is a hub gets the scores of `inverted_softmax`; the others keep
    theirs. A hub is among the `num_best` candidates of at least `min_count` queries of the bank.
    So rows have different scales, and only ranks within a row mean anything.

    Args:
        t2v: score of every video for every text, `[N, M]`.
        v2t: score of every text for every video, `[M, N]`.
        bank_t2v: similarity of the bank's texts to the videos, `[B, M]`; None: `t2v` stays.
        bank_v2t: similarity of the bank's videos to the texts, `[C, N]`; None: `v2t` stays.
        preset: defaults of `beta` and `min_count`: 'official' is 20 and 1, 'jpthu17' is 70 and
            3 (t2v) or 5 (v2t).
        beta: inverse temperature, for scores in the range of cosines.
        num_best: candidates of a bank's query that count for it.
        min_count: how often a hub counts, `dict(t2v=..., v2t=...)`.

    Returns:
        The new `t2v` and `v2t`.

    Raises:
        ValueError: if there is no such preset, `beta` is not positive, `num_best` or a count is
            less than 1, or a bank is empty or of another gallery.
    """
    settings = _qb_norm_settings(preset, num_best, min_count)
    beta = settings['beta'] if beta is None else beta
    result = []
    for scores, bank, name in ((t2v, bank_t2v, 't2v'), (v2t, bank_v2t, 'v2t')):
        if bank is None:
            result.append(scores)
            continue
        inverted = _inverted(scores, bank, beta, name)
        best = bank.topk(min(num_best, bank.shape[1]), dim=1).indices
        is_hub = best.flatten().bincount(minlength=bank.shape[1]) >= settings[name]
        result.append(torch.where(is_hub[scores.argmax(dim=1)][:, None], inverted, scores))
    return result[0], result[1]


def _qb_norm_settings(
    preset: str, num_best: int, min_count: Mapping[str, int] | None
) -> dict[str, float]:
    if preset not in QB_NORM_PRESETS:
        raise ValueError(f'preset must be one of {sorted(QB_NORM_PRESETS)}; got {preset!r}.')
    settings = QB_NORM_PRESETS[preset] | dict(min_count or {})
    unknown = set(min_count or {}) - {'t2v', 'v2t'}
    if unknown or min(num_best, settings['t2v'], settings['v2t']) < 1:
        raise ValueError(
            'num_best and min_count (of t2v and v2t) must be at least 1; got '
            f'{num_best} and {min_count}.'
        )
    return settings


def _inverted(scores: Tensor, bank: Tensor, beta: float, name: str) -> Tensor:
    if beta <= 0:
        raise ValueError(f'beta must be positive; got {beta}.')
    if not len(bank) or bank.shape[1] != scores.shape[1]:
        raise ValueError(
            f'The {name} bank has the shape {list(bank.shape)}; queries in rows and the '
            f'{scores.shape[1]} candidates of the gallery in columns were expected.'
        )
    return beta * scores - (beta * bank).logsumexp(dim=0)


POST_PROCESSING: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {'DSL': dual_softmax}
# These take the two banks after the two matrices.
BANK_POST_PROCESSING: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {
    'IS': inverted_softmax,
    'QB-Norm': querybank_normalisation,
}
