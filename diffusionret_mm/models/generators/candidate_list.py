"""A network over the list of a query's candidates."""

from __future__ import annotations

import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn

from diffusionret_mm.models.generators.denoiser import sine_table
from diffusionret_mm.models.generators.token_pairs import PairVectors

# Similarities are cosines; times this they have about the size of the other inputs.
SCORE_SCALE = 10.0


@MODELS.register_module()
class CandidateListHead(BaseModule):
    """Gives each candidate a logit, from its pair vector, its similarity and the other candidates.

    Candidates attend to each other and have no order, so the logits move with the candidates. Train
    and test it on lists of one kind: another number or mix of candidates is another task.

    Args:
        pair_width: width P of pair vectors; divided by `num_heads`.
        num_layers: layers of attention among the candidates.
        num_heads: heads of a layer.
        dropout: dropout in training.
    """

    def __init__(
        self, pair_width: int = 64, num_layers: int = 1, num_heads: int = 4, dropout: float = 0.15
    ) -> None:
        super().__init__()
        self.pair_width = pair_width
        self.pair_proj = nn.Linear(pair_width, pair_width)
        self.score_proj = nn.Linear(1, pair_width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                pair_width,
                num_heads,
                2 * pair_width,
                dropout,
                activation='gelu',
                batch_first=True,
                norm_first=True,
            )
            for _ in range(num_layers)
        )
        self.logit = nn.Sequential(
            nn.LayerNorm(pair_width),
            nn.Linear(pair_width, pair_width),
            nn.GELU(),
            nn.Linear(pair_width, 1),
        )

    def embed(self, context: PairVectors) -> Tensor:
        """Embed pairs and their similarities, [n, K, P]."""
        scores = SCORE_SCALE * context.scores[..., None].to(context.pairs)
        return self.pair_proj(context.pairs) + self.score_proj(scores)

    def decode(self, hidden: Tensor) -> Tensor:
        """Turn embedded candidates [n, K, P] into logits [n, K]."""
        for layer in self.layers:
            hidden = layer(hidden)
        return self.logit(hidden).squeeze(-1)

    def forward(self, context: PairVectors) -> Tensor:
        """Compute the logits of n queries with K candidates, [n, K]."""
        return self.decode(self.embed(context))


@MODELS.register_module()
class CandidateListDenoiser(CandidateListHead):
    """Predicts the clean distribution over K candidates from a noisy one and their pair vectors.

    What `QueryCandidateDenoiser` does from pooled vectors. Arguments are those of
    `CandidateListHead`.
    """

    def __init__(self, pair_width: int = 64, **kwargs: int | float) -> None:
        super().__init__(pair_width, **kwargs)
        self.noisy_proj = nn.Linear(1, pair_width)
        self.time_embed = nn.Sequential(
            nn.Linear(pair_width, pair_width), nn.SiLU(), nn.Linear(pair_width, pair_width)
        )

    def forward(self, x: Tensor, t: Tensor, context: PairVectors) -> Tensor:
        """Predict x_0.

        Args:
            x: noisy distribution over the candidates, shape [n, K], float.
            t: step of each row, shape [n], or one step for all rows, shape [1]; int64.
            context: the pairs of these rows.

        Returns:
            The prediction, shape [n, K], not clipped.
        """
        time = self.time_embed(sine_table(t, self.pair_width).to(context.pairs))
        return self.decode(self.embed(context) + self.noisy_proj(x[..., None]) + time[:, None])


class StepDenoiser:
    """A `CandidateListDenoiser` with the steps of a sampling run; nothing is shared by the steps.

    Args:
        denoiser: the network.
        t: the steps of the run in their order, shape [S], int64.
    """

    def __init__(self, denoiser: CandidateListDenoiser, t: Tensor) -> None:
        self.denoiser = denoiser
        self.t = t

    def is_of(self, denoiser: CandidateListDenoiser, t: Tensor) -> bool:
        """Whether this has these steps; the weights of the network are its present ones."""
        return torch.equal(self.t, t)

    @torch.no_grad()
    def predict(self, x: Tensor, step: int, rows: PairVectors) -> Tensor:
        """Predict x_0, shape [n, K]; arguments as of `UnrolledDenoiser.predict`."""
        return self.denoiser(x, self.t[step : step + 1], rows)
