"""Weigh similarity and generator by their likelihood on the validation split."""

from __future__ import annotations

import torch
from mmaction.registry import HOOKS
from mmengine.hooks import Hook
from mmengine.runner import Runner

from diffusionret_mm.features.encoding import EncodedSplit
from diffusionret_mm.features.second_stage import SecondStage
from diffusionret_mm.models.retrievers import TextVideoRetriever
from diffusionret_mm.models.retrievers.calibration import Calibration


@HOOKS.register_module()
class CalibrateHook(Hook):
    """Calibrates the final scores of `DiffusionRet` in each validation of stage 'generation'.

    For each direction it chooses two numbers: the temperature of the similarity, and the weight of
    the generated distribution. Under them the right candidates of the validation split are
    likeliest. It does so before the split is re-ranked. It also fits the probability that any
    candidate is right (`Match`): each query counts once as it is and once without its answers.
    Checkpoints keep both, so the one that is chosen by its validation is tested with those of that
    validation. Where the weight 0 is best, the order of the similarity stays.

    Raises:
        TypeError: at the start of a run whose model does not generate distributions in both
            directions.
    """

    def before_train(self, runner: Runner) -> None:
        """Refuse models that have nothing to calibrate."""
        model = TextVideoRetriever.of(runner.model)
        if not model.can_calibrate:
            raise TypeError(
                f'CalibrateHook weighs generated distributions of both directions, and this '
                f'{type(model).__name__} does not generate them (with num_candidates 0 none); take '
                'the hook out of the config.'
            )

    @torch.no_grad()
    def before_reranking(
        self, runner: Runner, mode: str, split: EncodedSplit, second_stage: SecondStage
    ) -> None:
        """Calibrate on the validation split."""
        model = TextVideoRetriever.of(runner.model)
        if mode != 'val' or model.stage != 'generation':
            return
        chosen = {}
        for direction, found in second_stage.found.items():
            right = split.is_right(direction).to(found.best.device).gather(1, found.best)
            without = second_stage.unanswered[direction]
            chosen[direction] = Calibration.fit(
                found.scores, found.probabilities, right
            ).with_match((found.scores, found.logits), (without.scores, without.logits))
        model.calibrate(chosen)
        runner.logger.info(
            'Calibrated: '
            + ', '.join(
                f'{name} temperature {one.temperature:.3g}, weight {one.weight:g}'
                for name, one in chosen.items()
            )
        )
