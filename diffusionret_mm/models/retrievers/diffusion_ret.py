"""DiffusionRet: a similarity, and two generators that re-rank its best candidates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmaction.registry import MODELS
from mmengine.dist import get_dist_info
from torch import Tensor, nn

from diffusionret_mm.models.checkpoint_check import CheckpointError, check_state_dict
from diffusionret_mm.models.gather import mean_over_ranks
from diffusionret_mm.models.generators import DIRECTIONS, QueryCandidates, start_noise
from diffusionret_mm.models.losses.contrastive import SAME_VIDEO_RULES
from diffusionret_mm.models.parallel import map_on_cores
from diffusionret_mm.models.retrievers.gallery_sampler import GallerySampler
from diffusionret_mm.models.retrievers.hard_negatives import hardest_first
from diffusionret_mm.models.retrievers.text_video_retriever import Batch, TextVideoRetriever
from diffusionret_mm.models.retrievers.training_rows import (
    batch_contexts,
    denoise_rows,
    gallery_contexts,
)
from diffusionret_mm.structures import TextFeatures, VideoFeatures

STAGES = ('discrimination', 'generation')
NEGATIVES = ('batch', 'gallery')
RERANK_CHUNK = 1024
RERANK_CHUNKS = {'cpu': 32}  # what fits into a core's share of the cache


@MODELS.register_module()
class DiffusionRet(TextVideoRetriever):
    """Generative text-video retrieval (Jin et al., ICCV 2023).

    Stage 'discrimination' trains the extractor (backbone, temporal module, similarity) and ranks
    by the similarity S. Stage 'generation' trains the generators on the frozen extractor, and the
    final score of each query's best `num_candidates` is S + weight * softmax(temperature * x_0)
    with x_0 generated from noise; the other candidates keep S.

    Args:
        generator: config of a `DiffusionGenerator` without its direction; two are built.
        stage: stage to start in. Evaluation in 'generation' needs a checkpoint of that stage.
        num_negatives: hard negatives a training row, at most; the batch gives no more than it has.
        negatives: where they come from: 'batch' (published), or 'gallery': the whole training set,
            without the row's own video, as in evaluation. It needs the `FeatureCacheHook`.
        same_video: what other rows of the same video in the batch are to the generators: 'ignored',
            or 'negative', hard negatives of last resort, as in the published code.
        num_candidates: candidates K that are re-ranked; a smaller gallery is re-ranked whole. This,
            `temperature` and `weight` are one value, or `dict(t2v=..., v2t=...)`.
        temperature: multiplier of x_0 in the re-ranking.
        weight: weight of the generated distribution (alpha in the published code).
        num_draws: start noises a query; the distributions generated from them are averaged
            (published: one).
        noise_seed: seed of the start noise.
        rerank_chunk: queries that are denoised at a time, a bound on memory; by default 32 a core
            on a CPU and 1,024 elsewhere.
        **kwargs: of `TextVideoRetriever`; `loss` is a `KLContrastiveLoss`.

    Raises:
        ValueError: if an option is none of those.
    """

    def __init__(
        self,
        *,
        generator: Mapping[str, Any],
        stage: str = 'generation',
        num_negatives: int = 127,
        negatives: str = 'batch',
        same_video: str = 'ignored',
        num_candidates: int | Mapping[str, int] = 32,
        temperature: float | Mapping[str, float] = 1.0,
        weight: float | Mapping[str, float] = 1.0,
        num_draws: int = 1,
        noise_seed: int = 0,
        rerank_chunk: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if same_video not in SAME_VIDEO_RULES:
            raise ValueError(f'same_video must be one of {SAME_VIDEO_RULES}; got {same_video!r}.')
        if negatives not in NEGATIVES:
            raise ValueError(f'negatives must be one of {NEGATIVES}; got {negatives!r}.')
        self.generators = nn.ModuleDict(
            {
                direction: MODELS.build(dict(generator, direction=direction))
                for direction in DIRECTIONS
            }
        )
        self.num_negatives = num_negatives
        self.negatives = negatives
        self.same_video = same_video
        self.num_candidates = _per_direction(num_candidates)
        self.temperature = _per_direction(temperature)
        self.weight = _per_direction(weight)
        self.num_draws = num_draws
        self.noise_seed = noise_seed
        self.rerank_chunk = rerank_chunk
        self._trainable = {
            name for name, parameter in self.named_parameters() if parameter.requires_grad
        }
        self.set_stage(stage)

    def set_stage(self, stage: str) -> None:
        """Enter a stage: what is frozen, which loss, and whether evaluation re-ranks.

        This is the one place where that is decided. An optimizer and a distributed wrapper made
        before it know the wrong parameters: `StageSwitchHook` renews both.

        Raises:
            ValueError: if there is no such stage.
        """
        if stage not in STAGES:
            raise ValueError(f'stage must be one of {STAGES}; got {stage!r}.')
        self.stage = stage
        for name, parameter in self.named_parameters():
            of_generator = name.startswith('generators.')
            in_stage = of_generator == (stage == 'generation')
            parameter.requires_grad_(in_stage and name in self._trainable)
        self.train(self.training)

    def train(self, mode: bool = True) -> DiffusionRet:
        """Set the training mode; a frozen extractor stays in evaluation mode."""
        super().train(mode)
        if self.stage == 'generation':
            for module in (self.backbone, self.temporal, self.similarity_head):
                if module is not None:
                    module.eval()
        return self

    def forward(self, inputs: Batch, data_samples: list | None = None, mode: str = 'tensor') -> Any:
        """Run a batch, as mmengine calls it; see `TextVideoRetriever.forward`.

        With negatives from the gallery, each process computes the loss of its own rows: they need
        no other row of the global batch.

        Raises:
            ValueError: if there are to be such negatives and the batch has none.
        """
        if mode != 'loss' or self.stage != 'generation' or self.negatives == 'batch':
            return super().forward(inputs, data_samples, mode)
        if 'negatives' not in inputs:
            raise ValueError(
                "negatives='gallery' takes them from a feature cache: add "
                "dict(type='FeatureCacheHook') to custom_hooks, or use negatives='batch'."
            )
        rows = {name: value for name, value in inputs.items() if name != 'video_index'}
        contexts = gallery_contexts(self.generators, **rows)
        return self._denoising_loss(contexts)

    def loss(
        self,
        texts: TextFeatures,
        videos: VideoFeatures,
        video_of_text: Tensor,
        video_index: Tensor,
    ) -> dict[str, Tensor]:
        """Compute the loss of the stage; see `TextVideoRetriever.loss`."""
        if self.stage == 'generation':
            return self._generation_loss(texts, videos, video_of_text, video_index)
        scores = self.similarity(texts, videos)
        return self.loss_head.discrimination_loss(
            scores, self.backbone.logit_scale, video_of_text, video_index
        )

    def rerank_queries(
        self,
        direction: str,
        scores: Tensor,
        queries: TextFeatures | VideoFeatures,
        candidates: VideoFeatures | TextFeatures,
        query_index: Tensor,
    ) -> Tensor:
        """Add the generated distribution to the scores of each query's best candidates.

        Arguments and result as in `TextVideoRetriever.rerank_queries`; in stage 'discrimination'
        the scores are returned as they are.
        """
        if self.stage == 'discrimination':
            return scores
        noise = self._start_noise(direction, scores, query_index)
        return self.rerank_from_noise(direction, scores, queries, candidates, noise)

    @torch.no_grad()
    def trajectory(
        self,
        direction: str,
        scores: Tensor,
        queries: TextFeatures | VideoFeatures,
        candidates: VideoFeatures | TextFeatures,
        query_index: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return the states that `rerank_queries` goes through in its first draw.

        Arguments as in `TextVideoRetriever.rerank_queries`.

        Returns:
            Rows of the K best candidates of each query, the best first, [n, K] int64, and the
            states from x_T to x_0 over them, [steps + 1, n, K].
        """
        noise = self._start_noise(direction, scores, query_index)[:1]
        best = scores.topk(noise.shape[2], dim=1).indices
        sampler = GallerySampler(self.generators[direction], candidates)
        states = sampler.sample(queries, best, noise, return_trajectory=True)
        return best, torch.cat([noise, states[0]])

    def rerank_from_noise(
        self,
        direction: str,
        scores: Tensor,
        queries: TextFeatures | VideoFeatures,
        candidates: VideoFeatures | TextFeatures,
        noise: Tensor,
    ) -> Tensor:
        """Re-rank the best candidates of each query from given start noise.

        Args:
            direction: 't2v' or 'v2t'.
            scores: similarities of n queries to C candidates, shape [n, C].
            queries: the n queries.
            candidates: the C candidates.
            noise: start noise x_T of each draw, shape [draws, n, K]; its K is the number of
                candidates re-ranked.

        Returns:
            S + weight * softmax(temperature * x_0), averaged over the draws, for the K best, S for
            the others, [n, C].
        """
        final = torch.empty_like(scores)
        num_pairs = len(scores) * noise.shape[2]
        sampler = GallerySampler(self.generators[direction], candidates, num_pairs)

        def rerank(rows: Tensor) -> Tensor:
            best = scores[rows].topk(noise.shape[2], dim=1).indices
            x = sampler.sample(queries[rows.to(queries.mask.device)], best, noise[:, rows])
            added = (self.temperature[direction] * x).softmax(dim=2).mean(dim=0).to(scores.dtype)
            return scores[rows].scatter_add(1, best, self.weight[direction] * added)

        chunk = self.rerank_chunk or RERANK_CHUNKS.get(scores.device.type, RERANK_CHUNK)
        chunks = torch.arange(len(scores), device=scores.device).split(chunk)
        for rows, reranked in zip(chunks, map_on_cores(rerank, chunks, scores.device), strict=True):
            final[rows] = reranked
        return final

    def _start_noise(self, direction: str, scores: Tensor, query_index: Tensor) -> Tensor:
        """Noise of each draw for the candidates that are re-ranked, [draws, n, K]."""
        num_candidates = min(self.num_candidates[direction], scores.shape[1])
        index, seed = query_index.to(scores.device), (self.noise_seed, DIRECTIONS.index(direction))
        seeds = [seed, *((*seed, draw) for draw in range(1, self.num_draws))]
        return torch.stack([start_noise(index, num_candidates, each) for each in seeds])

    def _generation_loss(
        self,
        texts: TextFeatures,
        videos: VideoFeatures,
        video_of_text: Tensor,
        video_index: Tensor,
    ) -> dict[str, Tensor]:
        """One row a text in both directions; every process computes an equal share of the rows."""
        with torch.no_grad():
            scores = self.similarity(texts, videos)
            chosen = self.training_candidates(scores, video_of_text, video_index)
        rows = video_of_text, chosen, get_dist_info()
        return self._denoising_loss(batch_contexts(self.generators, texts, videos, *rows))

    def _denoising_loss(self, contexts: Mapping[str, QueryCandidates]) -> dict[str, Tensor]:
        """Loss of this process's rows, which shows the value of the global batch."""
        predictions = denoise_rows(self.generators, contexts, share=get_dist_info())
        losses = self.loss_head.generation_loss(**predictions)
        return {name: mean_over_ranks(loss) for name, loss in losses.items()}

    def training_candidates(
        self, scores: Tensor, video_of_text: Tensor, video_index: Tensor
    ) -> dict[str, Tensor]:
        """Choose the candidates of each text's training row: the positive, then hard negatives.

        Args:
            scores: similarities of the batch, shape [N, M].
            video_of_text: row of each text's video, shape [N], int64.
            video_index: identity of each video, shape [M], int64.

        Returns:
            Under 't2v' rows of videos and under 'v2t' rows of texts, each [N, K], int64.
        """
        own = video_index[video_of_text]
        own_text = torch.arange(len(own), device=own.device)
        options = dict(num_negatives=self.num_negatives, rule=self.same_video)
        return dict(
            t2v=hardest_first(scores, video_of_text, own[:, None] == video_index, **options),
            v2t=hardest_first(scores.t()[video_of_text], own_text, own[:, None] == own, **options),
        )

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        """Load strictly; only stage 'discrimination' does without the generators."""
        has_generators = any(key.startswith(f'{prefix}generators.') for key in state_dict)
        if not has_generators and self.stage == 'generation':
            raise CheckpointError(
                'The checkpoint holds no generator weights (keys generators.*): it was saved in '
                "stage 'discrimination', and the model is in stage 'generation'. Give a "
                'checkpoint of stage two, or evaluate the similarity alone with '
                '--cfg-options model.stage=discrimination.'
            )
        if not prefix:
            may_miss = () if has_generators else ('generators.',)
            check_state_dict(self, state_dict, may_miss=may_miss)
        super(TextVideoRetriever, self)._load_from_state_dict(state_dict, prefix, *args)


def _per_direction(value: Any) -> dict[str, Any]:
    """Make a value for each direction of one value or a mapping."""
    if not isinstance(value, Mapping):
        return dict.fromkeys(DIRECTIONS, value)
    if set(value) != set(DIRECTIONS):
        raise ValueError(f'Give one value or one for each of {DIRECTIONS}; got {dict(value)}.')
    return dict(value)
