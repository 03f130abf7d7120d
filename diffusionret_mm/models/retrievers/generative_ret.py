"""Training by the generation loss alone."""

from __future__ import annotations

from typing import Any

from mmaction.registry import MODELS
from torch import Tensor

from diffusionret_mm.models.retrievers.diffusion_ret import DiffusionRet


@MODELS.register_module()
class GenerativeRet(DiffusionRet):
    """DiffusionRet whose extractor is trained by the loss of its generators, in one stage.

    No contrastive loss is used, which the paper leaves to future work. Nothing trains the
    similarity S, so it should have no parameters (`CosineSimilarity`), and it finds few right
    candidates: let `num_candidates` be larger than the gallery, so that all are re-ranked.

    Args:
        **kwargs: of `DiffusionRet`; negatives are those of the batch.

    Raises:
        ValueError: if negatives are to come from cached features, which train no extractor.
    """

    stages = ('generation',)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.negatives != 'batch':
            raise ValueError(
                f'GenerativeRet trains its extractor, and negatives={self.negatives!r} come from '
                "cached features, through which no gradient goes; use negatives='batch'."
            )

    def stage_of(self, name: str) -> str:
        """Return the one stage; see `TextVideoRetriever.stage_of`."""
        return self.stages[0]

    def loss(self, *batch: Any) -> dict[str, Tensor]:
        """Compute the loss of the generators; see `TextVideoRetriever.loss`."""
        losses = super().loss(*batch)
        # No loss reads the logit scale, and several processes wait for every gradient.
        losses['loss_generation_t2v'] = (
            losses['loss_generation_t2v'] + 0 * self.backbone.logit_scale
        )
        return losses

    def train(self, mode: bool = True) -> GenerativeRet:
        """Set the training mode of all parts: none is frozen."""
        return super(DiffusionRet, self).train(mode)
