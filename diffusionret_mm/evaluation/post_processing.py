"""Scores that are changed with the whole test set in view.

Every function takes the final matrices of both directions and gives matrices of the same shapes.
They use all queries at once, which a search engine does not have: their results stand in rows of
their own, beside the plain ones.
"""

from collections.abc import Callable

from torch import Tensor


def dual_softmax(t2v: Tensor, v2t: Tensor, temperature: float = 0.01) -> tuple[Tensor, Tensor]:
    """Dual softmax (DSL; CAMoE, Cheng et al. 2021).

    Every score is multiplied by the share of its query among all queries of the candidate:

        t2v'[j, c] = t2v[j, c] softmax_j(t2v[j, c] / temperature)
        v2t'[c, j] = v2t[c, j] softmax_c(v2t[c, j] / temperature)

    So a candidate that suits many queries counts less for each. The softmax runs over texts in one
    direction and over videos in the other; the code published with T-MASS and TextDiff takes that
    over texts for both, which cannot change a video-to-text rank. It supposes that each candidate
    belongs to one query, and that scores are positive: a smaller share raises a negative score.

    Args:
        t2v: Score of every video for every text, ``[N, M]``.
        v2t: Score of every text for every video, ``[M, N]``.
        temperature: Of the softmax.

    Returns:
        The new ``t2v`` and ``v2t``.

    Raises:
        ValueError: If the temperature is not positive.
    """
    if temperature <= 0:
        raise ValueError(f'temperature must be positive; got {temperature}')
    return t2v * (t2v / temperature).softmax(dim=0), v2t * (v2t / temperature).softmax(dim=0)


POST_PROCESSING: dict[str, Callable[..., tuple[Tensor, Tensor]]] = {'DSL': dual_softmax}
