"""What both stages of a model say of a split, alone and together, for second_stage_claims.py."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor

from diffusionret_mm.apis.pictures import evaluate_for_pictures
from diffusionret_mm.engine.config_files import read_config_file
from diffusionret_mm.evaluation import grouped_query_ranks, query_ranks
from diffusionret_mm.evaluation.several_answers import (
    average_precision,
    precision_at_1,
    right_answers,
)
from diffusionret_mm.features.encoding import EncodedSplit
from diffusionret_mm.features.scoring import generate_all
from diffusionret_mm.models.generators import DIRECTIONS
from diffusionret_mm.models.retrievers.calibration import Calibration
from diffusionret_mm.models.retrievers.diffusion_ret import DiffusionRet

SIMILARITY, ALONE, BOTH = METHODS = ('similarity', 'second stage', 'both')
# Far below the logarithm of every probability: candidates that are not re-ranked stay behind.
BEHIND = 1e4


@dataclass(frozen=True)
class Side:
    """The queries of one direction with their best K candidates.

    Args:
        scores: similarities of all candidates, [Q, C].
        best: rows of the best K, [Q, K], int64.
        generated: probabilities of the second stage, [Q, K].
        right: which of all candidates are right, [Q, C], bool.
    """

    scores: Tensor
    best: Tensor
    generated: Tensor
    right: Tensor

    @property
    def right_among_best(self) -> Tensor:
        """Which of the best K are right, [Q, K], bool."""
        return self.right.gather(1, self.best)

    def fit(self) -> dict[str, Calibration]:
        """Choose, for each method, the weights under which right candidates are likeliest."""
        right = self.right_among_best
        return {method: Calibration.fit(*self._view(method), right) for method in METHODS}

    def log_probabilities(self, method: str, fitted: Mapping[str, Calibration]) -> Tensor:
        """Return those of the best K, [Q, K], float64."""
        scores, generated = self._view(method)
        return fitted[method].log_probabilities(scores.double(), generated.double())

    def ranking(self, method: str, fitted: Mapping[str, Calibration]) -> Tensor:
        """Return scores of all candidates, [Q, C]; those of the best K are log probabilities."""
        others = self.scores.double() - BEHIND
        return others.scatter(1, self.best, self.log_probabilities(method, fitted))

    def likelihood(self, method: str, fitted: Mapping[str, Calibration]) -> float:
        """Negative log likelihood of the right candidates in nats, of queries that have one."""
        right = self.right_among_best
        known = right.any(dim=1)
        log_p = self.log_probabilities(method, fitted).masked_fill(~right, float('-inf'))
        return -log_p[known].logsumexp(dim=1).mean().item()

    def cross_entropy(self, method: str, fitted: Mapping[str, Calibration]) -> float:
        """Cross-entropy to the uniform distribution over the right ones of the best K, in nats."""
        right = self.right_among_best
        known = right.any(dim=1)
        log_p = self.log_probabilities(method, fitted).masked_fill(~right, 0)
        return -(log_p.sum(dim=1) / right.sum(dim=1))[known].mean().item()

    def least_cross_entropy(self) -> float:
        """What `cross_entropy` is at least: the entropy of that uniform distribution."""
        count = self.right_among_best.sum(dim=1)
        return count[count > 0].double().log().mean().item()

    def _view(self, method: str) -> tuple[Tensor, Tensor]:
        scores, generated = self.scores.gather(1, self.best), self.generated
        if method == SIMILARITY:
            generated = torch.ones_like(generated)
        return (torch.zeros_like(scores) if method == ALONE else scores), generated


@dataclass(frozen=True)
class Measured:
    """A split, encoded and scored by a model.

    Args:
        model: the model.
        split: features and ground truth.
        scores: similarities by direction, [Q, C].
    """

    model: DiffusionRet
    split: EncodedSplit
    scores: Mapping[str, Tensor]

    def sides(self) -> dict[str, Side]:
        """Ask the second stage, in both directions."""
        split, count = self.split, len(self.split.video_ids)
        own = split.answers or split.video_of_text[:, None].tolist()
        right = right_answers(own, count)
        features = dict(t2v=(split.texts, split.videos), v2t=(split.videos, split.texts))
        sides = {}
        for direction in DIRECTIONS:
            found = generate_all(
                self.model, direction, self.scores[direction], *features[direction]
            )
            fits = right if direction == 't2v' else right.t()
            parts = self.scores[direction], found.best, found.probabilities
            sides[direction] = Side(*(part.cpu() for part in parts), fits)
        return sides

    def recall(self, direction: str, scores: Tensor) -> float:
        """R@1 of one direction in %."""
        rank = query_ranks if direction == 't2v' else grouped_query_ranks
        return rank(scores, self.split.video_of_text).recall(1)


def several_answers(side: Side, scores: Tensor) -> dict[str, float]:
    """P@1 and mAP of one direction in %."""
    measures = {'P@1': precision_at_1, 'mAP': average_precision}
    return {name: 100 * of(scores, side.right).mean().item() for name, of in measures.items()}


class Model:
    """A config with a checkpoint.

    Args:
        config: config file.
        checkpoint: checkpoint of its second stage.
        options: settings that override those of the config.
    """

    def __init__(
        self, config: str, checkpoint: str, options: Mapping[str, Any] | None = None
    ) -> None:
        self.checkpoint = checkpoint
        self.cfg = read_config_file(config, options)

    def measure(self, loader: Mapping[str, Any]) -> Measured:
        """Encode and score a split.

        Args:
            loader: config of its data loader; the transforms are those of the model's test split.

        Raises:
            ValueError: if the model has no second stage.
        """
        cfg: Config = copy.deepcopy(self.cfg)
        pipeline = cfg.test_dataloader.dataset.pipeline
        cfg.test_dataloader = copy.deepcopy(loader)
        cfg.test_dataloader.dataset.pipeline = pipeline
        cfg.log_level = 'WARNING'
        with tempfile.TemporaryDirectory() as folder:
            cfg.work_dir = folder
            pictures, _ = evaluate_for_pictures(cfg, self.checkpoint)
        model, scored = pictures.model, pictures.scored
        if not model.can_calibrate or not model.num_candidates('t2v'):
            raise ValueError(f'{self.checkpoint} has no second stage that could be measured.')
        return Measured(model, scored.split, {name: scored.before(name) for name in DIRECTIONS})
