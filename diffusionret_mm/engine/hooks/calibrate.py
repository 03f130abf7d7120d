"""Weigh similarity and generator by their likelihood on the validation split."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from diffusionret_mm.features.encoding import EncodedSplit
from diffusionret_mm.features.scoring import generate_all
from diffusionret_mm.models.generators import DIRECTIONS
from diffusionret_mm.models.retrievers import TextVideoRetriever
from diffusionret_mm.models.retrievers.calibration import Calibration


@HOOKS.register_module()
class CalibrateHook(Hook):
    """Calibrates the final scores of `DiffusionRet` in each validation of stage 'generation'.

    For each direction it chooses the temperature of the similarity and the weight of the generated
    distribution under which the right candidates of the validation split are likeliest, before
    these are re-ranked. Checkpoints keep them, so the one that is chosen by its validation is
    tested with those of that validation. Where the weight 0 is best, the order of the similarity
    stays.

    Raises:
        TypeError: at the start of a run whose model generates no distribution.
    """

    def before_train(self, runner: Runner) -> None:
        """Refuse models that have nothing to calibrate."""
        model = TextVideoRetriever.of(runner.model)
        if not model.can_calibrate:
            raise TypeError(
                f'{type(model).__name__} generates no distribution that CalibrateHook could weigh; '
                'take the hook out of the config.'
            )

    @torch.no_grad()
    def before_reranking(
        self, runner: Runner, mode: str, split: EncodedSplit, scores: Sequence[Tensor]
    ) -> None:
        """Calibrate on the validation split."""
        model = TextVideoRetriever.of(runner.model)
        if mode != 'val' or model.stage != 'generation':
            return
        sides = dict(t2v=(split.texts, split.videos), v2t=(split.videos, split.texts))
        chosen = {}
        for direction, matrix in zip(DIRECTIONS, scores, strict=True):
            found = generate_all(model, direction, matrix, *sides[direction])
            right = _is_right(direction, found.best, split.video_of_text.to(found.best.device))
            chosen[direction] = Calibration.fit(found.scores, found.probabilities, right)
        model.calibrate(chosen)
        runner.logger.info(
            'Calibrated: '
            + ', '.join(
                f'{name} temperature {one.temperature:.3g}, weight {one.weight:g}'
                for name, one in chosen.items()
            )
        )


def _is_right(direction: str, best: Tensor, video_of_text: Tensor) -> Tensor:
    """Which of the best candidates are right, [n, K]: the own video, or texts of the own video."""
    if direction == 't2v':
        return best == video_of_text[:, None]
    return video_of_text[best] == torch.arange(len(best), device=best.device)[:, None]
