"""A text as a stochastic mass around its embedding (T-MASS)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmaction.registry import MODELS
from torch import Tensor

from diffusionret_mm.models.similarity.xpool import (
    PreparedTexts,
    PreparedVideos,
    XPool,
    frame_cosines,
    identity_linear,
)

PRIORS = ('uniform', 'normal')


@MODELS.register_module()
class StochasticXPool(XPool):
    """The best cosine of several points of a text's mass and the video pooled for the text.

    With the cosines s_n of text t and frames f_n of the candidate video, and P its pooling for t as
    in `XPool`, each at its own scale,

        R   = exp(W s + b)                 the radius, W of shape [D, F]
        t_m = t + e_m * R                  points of the mass, e_m drawn from the prior
        S   = max_m cos(t_m, P)            T-MASS, Wang et al., CVPR 2024

    The radius of a text comes from the video that it is scored with, so S knows nothing but the
    pair. Two things are ours. The draws e_m are one seeded set for all texts, so that scores depend
    neither on blocks nor on the order of texts, and no text is luckier than another. And no t_m is
    made: with A = R * P, the numerator is <t, P> + <e_m, A> and the norm of t_m follows likewise
    from <e_m, R * t> and <e_m^2, R^2>, three matrix products for all m.

    W starts as an identity and b as 0 (published code). Cosines of padded frames count as 0.

    Args:
        num_frames: frames F per video.
        num_samples: points of the mass per pair.
        prior: of e: 'uniform', U(0, 1), or 'normal', N(0, prior_std^2).
        prior_std: standard deviation of the normal prior.
        seed: seed of the draws of an evaluation.
        **kwargs: of `XPool`.

    Raises:
        ValueError: if `prior` is neither.
    """

    live_tensors = 9

    def __init__(
        self,
        num_frames: int = 12,
        num_samples: int = 20,
        prior: str = 'uniform',
        prior_std: float = 1.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if prior not in PRIORS:
            raise ValueError(f'prior must be one of {PRIORS}; got {prior!r}.')
        self.num_frames = num_frames
        self.prior = prior
        self.prior_std = prior_std
        self.radius_linear = identity_linear(num_frames, self.width)
        self.register_buffer('draws', self._seeded_draws(num_samples, seed), persistent=False)

    def radius(self, texts: Tensor, frames: Tensor, mask: Tensor) -> Tensor:
        """Compute radii of texts against videos.

        Args:
            texts: [..., n, D].
            frames: [..., F, D], leading dimensions that broadcast with those of `texts`.
            mask: True for real frames, [..., F], bool.

        Returns:
            R > 0, shape [..., n, D].

        Raises:
            ValueError: if the videos have another number of frames than the weights.
        """
        cosines = frame_cosines(texts, frames, mask, self.num_frames)
        return self.radius_linear(cosines).exp()

    def draw_like(self, texts: Tensor) -> Tensor:
        """Draw e of the prior for training, of the shape of `texts`."""
        if self.prior == 'uniform':
            return torch.rand_like(texts)
        return torch.randn_like(texts) * self.prior_std

    def score_block(self, texts: PreparedTexts, videos: PreparedVideos) -> Tensor:
        """Score n texts against m videos at once, [n, m]."""
        text, pooled = texts.pooled, self.pool(texts.queries, videos)
        radius = self.radius(text, videos.frames, videos.mask)
        dots = torch.einsum('nd,mnd->mn', text, pooled)[..., None]
        dots = dots + (radius * pooled) @ self.draws.t()
        squares = text.square().sum(dim=-1)[:, None] + 2 * (radius * text) @ self.draws.t()
        squares = squares + radius.square() @ self.draws.square().t()
        lengths = squares.clamp(min=1e-24).sqrt() * pooled.norm(dim=-1, keepdim=True)
        return (dots / lengths.clamp(min=1e-12)).amax(dim=-1).t()

    def _seeded_draws(self, num_samples: int, seed: int) -> Tensor:
        generator = np.random.default_rng(seed)
        shape = (num_samples, self.width)
        if self.prior == 'uniform':
            draws = generator.random(shape, dtype=np.float32)
        else:
            draws = generator.standard_normal(shape, dtype=np.float32) * np.float32(self.prior_std)
        return torch.from_numpy(draws)
