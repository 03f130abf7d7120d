"""DiffusionRet: a similarity, and two generators that re-rank its best candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmaction.registry import MODELS
from mmengine.dist import get_dist_info
from torch import Tensor

from diffusionret_mm.models.checkpoint_check import CheckpointError, check_state_dict
from diffusionret_mm.models.gather import mean_over_ranks
from diffusionret_mm.models.generators import DIRECTIONS
from diffusionret_mm.models.losses.contrastive import SAME_VIDEO_RULES
from diffusionret_mm.models.retrievers.generated_reranking import (
    CALIBRATION,
    TRAINED_CANDIDATES,
    GeneratedReRanking,
)
from diffusionret_mm.models.retrievers.hard_negatives import hardest_first
from diffusionret_mm.models.retrievers.sampled_gallery import SampledGallery, gallery_rows
from diffusionret_mm.models.retrievers.text_video_retriever import (
    Batch,
    TextVideoRetriever,
    rename_similarity,
)
from diffusionret_mm.models.retrievers.training_rows import (
    batch_contexts,
    denoise_rows,
    training_set_contexts,
)
from diffusionret_mm.structures import TextFeatures, VideoFeatures

GENERATORS = 'generators.'
NEGATIVES = ('batch', 'training_set', 'sampled_gallery')
# Names of before.
OLD_NEGATIVES = {'gallery': 'training_set'}


@MODELS.register_module()
class DiffusionRet(GeneratedReRanking):
    """Generative text-video retrieval (Jin et al., ICCV 2023).

    Stage 'discrimination' trains the extractor (backbone, temporal module, similarity) and ranks
    by the similarity S. Stage 'generation' trains the generators on the frozen extractor. The final
    score of each query's best `num_candidates` is then S + weight * softmax(temperature * x_0),
    with x_0 generated from noise. The other candidates keep S.

    Args:
        generator: config of a `DiffusionGenerator` or another `CandidateGenerator`, without its
            direction; two are built.
        stage: stage to start in. Evaluation in 'generation' needs a checkpoint of that stage.
        num_negatives: hard negatives per training row, at most; the batch gives no more than it
            has.
        negatives: where they come from. 'batch' (published). 'training_set': the hardest of all
            other videos. 'sampled_gallery': each step ranks a random gallery of the training set by
            S and takes its best `num_candidates`, as evaluation does; `num_negatives` and
            `same_video` do not matter then. The last two need the `FeatureCacheHook`.
        gallery_sizes: numbers of videos of sampled galleries; each has one of them, at random.
        same_video: what other rows of the same video in the batch are to the generators: 'ignored',
            or 'negative', hard negatives of last resort, as in the published code.
        num_candidates: candidates K that are re-ranked; fewer candidates are re-ranked all. This,
            `temperature` and `weight` are one value, or `dict(t2v=..., v2t=...)`.
        temperature: multiplier of x_0 in the re-ranking.
        weight: weight of the generated distribution (alpha in the published code).
        num_draws: start noises per query; the distributions generated from them are averaged
            (published: one).
        noise_seed: seed of the start noise.
        rerank_chunk: queries that are denoised at a time, a bound on memory; by default 32 per
            core on a CPU and 1,024 elsewhere.
        **kwargs: of `TextVideoRetriever`; `loss` is a `KLContrastiveLoss`.

    Raises:
        ValueError: if an option is none of those.
    """

    def __init__(
        self,
        *,
        stage: str = 'generation',
        num_negatives: int = 127,
        negatives: str = 'batch',
        same_video: str = 'ignored',
        gallery_sizes: Sequence[int] = (300, 600, 2000),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if same_video not in SAME_VIDEO_RULES:
            raise ValueError(f'same_video must be one of {SAME_VIDEO_RULES}; got {same_video!r}.')
        if negatives in OLD_NEGATIVES:
            raise ValueError(
                f'negatives={negatives!r} is now called negatives={OLD_NEGATIVES[negatives]!r}.'
            )
        if negatives not in NEGATIVES:
            raise ValueError(f'negatives must be one of {NEGATIVES}; got {negatives!r}.')
        possible = self.generators['t2v'].negatives
        if negatives not in possible:
            name = type(self.generators['t2v']).__name__
            raise ValueError(f'{name} takes negatives from {possible}; got {negatives!r}.')
        if negatives == 'sampled_gallery':
            self.gallery_sizes = tuple(gallery_sizes)
            self._refuse_small_galleries()
        self.num_negatives = num_negatives
        self.negatives = negatives
        self.same_video = same_video
        self._trainable = {
            name for name, parameter in self.named_parameters() if parameter.requires_grad
        }
        self.set_stage(stage)

    def _refuse_small_galleries(self) -> None:
        most = max(self.candidates_per_query.values())
        if self.generators['t2v'].keeps_num_candidates and min(self.gallery_sizes) < most:
            raise ValueError(
                f'gallery_sizes={self.gallery_sizes} are too small for num_candidates={most}: '
                'training would rank fewer candidates than evaluation, and they attend to each '
                'other. Make the galleries larger, or num_candidates smaller.'
            )

    def set_stage(self, stage: str) -> None:
        """Enter a stage: what is frozen, which loss, and whether evaluation re-ranks.

        This is the one place where that is decided. An optimizer and a distributed wrapper made
        before it know the wrong parameters: `StageSwitchHook` renews both.

        Raises:
            ValueError: if there is no such stage.
        """
        super().set_stage(stage)
        for name, parameter in self.named_parameters():
            in_stage = self.stage_of(name) == stage
            parameter.requires_grad_(in_stage and name in self._trainable)
        self.train(self.training)

    def stage_of(self, name: str) -> str:
        """Return the stage that trains a tensor; see `TextVideoRetriever.stage_of`."""
        of_generation = name.startswith(GENERATORS) or name in (CALIBRATION, TRAINED_CANDIDATES)
        return 'generation' if of_generation else 'discrimination'

    @property
    def num_cached_negatives(self) -> int | None:
        """Hard negatives per row of the whole training set; see `TextVideoRetriever`."""
        return self.num_negatives if self.negatives == 'training_set' else None

    def train(self, mode: bool = True) -> DiffusionRet:
        """Set the training mode; a frozen extractor stays in evaluation mode."""
        super().train(mode)
        if self.stage == 'generation':
            for module in (self.backbone, self.temporal, self.similarity):
                if module is not None:
                    module.eval()
        return self

    def forward(self, inputs: Batch, data_samples: list | None = None, mode: str = 'tensor') -> Any:
        """Run a batch, as mmengine calls it; see `TextVideoRetriever.forward`.

        With negatives from the training set, each process computes the loss of its own rows: they
        need no other row of the global batch.

        Raises:
            ValueError: if there are to be such negatives and the batch has none.
        """
        if mode != 'loss' or self.stage != 'generation' or self.negatives == 'batch':
            return super().forward(inputs, data_samples, mode)
        if self.negatives not in inputs and 'negatives' not in inputs:
            raise ValueError(
                f'negatives={self.negatives!r} takes them from a feature cache: add '
                "feature_cache=dict(type='FeatureCacheHook') to default_hooks, or use "
                "negatives='batch'."
            )
        if self.negatives == 'sampled_gallery':
            return self._gallery_loss(inputs['sampled_gallery'])
        rows = {name: value for name, value in inputs.items() if name != 'video_index'}
        contexts = training_set_contexts(self.generators, **rows)
        return self._denoising_loss(contexts)

    def _gallery_loss(self, gallery: SampledGallery) -> dict[str, Tensor]:
        """One row per text of the batch in both directions, from the gallery around them."""
        num_candidates = {name: self.num_candidates(name) for name in DIRECTIONS}
        rows = gallery_rows(gallery, self.similarity, num_candidates)
        contexts = {name: self.generators[name].training_context(rows[name]) for name in rows}
        return self._denoising_loss(contexts, {name: rows[name].positive for name in rows})

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

    def _generation_loss(
        self,
        texts: TextFeatures,
        videos: VideoFeatures,
        video_of_text: Tensor,
        video_index: Tensor,
    ) -> dict[str, Tensor]:
        """One row per text in both directions; each process computes its share of the rows."""
        with torch.no_grad():
            scores = self.similarity(texts, videos)
            chosen = self.training_candidates(scores, video_of_text, video_index)
        rows = video_of_text, chosen, get_dist_info()
        return self._denoising_loss(batch_contexts(self.generators, texts, videos, *rows))

    def _denoising_loss(
        self, contexts: Mapping[str, Any], positive: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """Loss of this process's rows, which shows the value of the global batch."""
        share = get_dist_info()
        predictions = denoise_rows(self.generators, contexts, share=share, positive=positive)
        losses = self.loss_head.generation_loss(**predictions, positive=positive)
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
        has_generators = any(key.startswith(prefix + GENERATORS) for key in state_dict)
        if not has_generators and self.stage == 'generation':
            raise CheckpointError(
                'The checkpoint holds no generator weights (keys generators.*): it was saved in '
                "stage 'discrimination', and the model is in stage 'generation'. Give a "
                'checkpoint of stage two, or evaluate the similarity alone with '
                '--cfg-options model.stage=discrimination.'
            )
        rename_similarity(state_dict, prefix)
        self.check_num_candidates(state_dict, prefix)
        saved = state_dict.get(prefix + CALIBRATION)
        device = self.similarity.placement.device
        self.calibration = None if saved is None else torch.zeros_like(saved, device=device)
        if not prefix:
            check_state_dict(self, state_dict, may_miss=() if has_generators else (GENERATORS,))
        super(TextVideoRetriever, self)._load_from_state_dict(state_dict, prefix, *args)
