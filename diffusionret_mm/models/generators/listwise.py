"""Re-ranking in one pass, without diffusion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmaction.registry import MODELS
from torch import Tensor

from diffusionret_mm.models.generators.base import CandidateGenerator, CandidateRows
from diffusionret_mm.models.generators.pair_sampler import PairSampler
from diffusionret_mm.models.generators.token_pairs import PairVectors
from diffusionret_mm.structures import TextFeatures, VideoFeatures


@MODELS.register_module()
class ListwiseReranker(CandidateGenerator):
    """Scores the candidates of a query in one pass. **This is no diffusion**, and draws nothing.

    It stands where a `DiffusionGenerator` stands, on the same pair vectors, to say what generating
    the distribution from noise adds. The loss makes its logits a distribution over the candidates
    (`GenerationKLLoss` with scale 1: cross-entropy) or a probability of each
    (`CandidateBCELoss`).

    Args:
        direction: 't2v' or 'v2t'.
        encoder: config of the encoder of pairs, such as `TokenPairEncoder`.
        head: config of the network over the candidates.
    """

    keeps_num_candidates = True

    def __init__(
        self,
        direction: str,
        encoder: Mapping[str, Any],
        head: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(direction)
        self.encoder = MODELS.build(encoder)
        self.head = MODELS.build(head or dict(type='CandidateListHead'))

    def sampler(self, candidates: VideoFeatures | TextFeatures, num_pairs: int = 0) -> PairSampler:
        """Project the candidates; see `CandidateGenerator.sampler`."""
        return PairSampler(self.direction, self.encoder, self._draw, candidates)

    def training_context(self, rows: CandidateRows) -> PairVectors:
        """Encode the pairs of training rows."""
        return self.encoder.encode_rows(rows)

    def forward(
        self,
        context: PairVectors,
        t: Tensor | None = None,
        noise: Tensor | None = None,
        positive: Tensor | None = None,
    ) -> Tensor:
        """Compute logits, [n, K]; see `CandidateGenerator.forward`."""
        return self.head(context)

    def _draw(self, context: PairVectors, noise: Tensor, return_trajectory: bool) -> Tensor:
        return self.head(context)[None]
