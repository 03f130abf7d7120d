"""HBI: weighted token interaction, trained with two coarser levels and their interactions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmaction.registry import MODELS
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.nn import functional as F

from diffusionret_mm.models.checkpoint_check import check_state_dict
from diffusionret_mm.models.hierarchy import BanzhafNetwork, TokenMerging
from diffusionret_mm.models.losses.interaction import interaction_loss, self_distillation_loss
from diffusionret_mm.models.retrievers.text_video_retriever import TextVideoRetriever
from diffusionret_mm.storage.checkpoints import load_weights
from diffusionret_mm.structures import TextFeatures, VideoFeatures

LEVELS = ('entity', 'action', 'event')


@MODELS.register_module()
class HBI(TextVideoRetriever):
    """Hierarchical Banzhaf interaction (Jin et al., CVPR 2023).

    It ranks by the weighted token interaction of words and frames alone (level 'entity'), so an
    evaluation equals that of DRL. Training adds two levels of merged words and frames
    (`TokenMerging`): 'action', and 'event' from it. With the scores M and the cosines E of the
    matched pairs of each level, B a network of the level and T the frozen estimator,

        L = sum_levels [ L_contrastive(M) + w_i D_i(B(E), T(E)) ] + w_s [ D_s(M_action, M_entity)
            + D_s(M_event, M_entity) ]

    with D_i of `interaction_loss` and D_s of `self_distillation_loss`.

    Args:
        estimator: file of `tools/train_banzhaf_estimator.py`, which `init_weights` loads. The
            checkpoints of a training hold the estimator, so a test needs no such file.
        rates: merged tokens per token of the level below, for 'action' and 'event'.
        interaction_weight: w_i (published: 1).
        distillation_weight: w_s (published: 2).
        **kwargs: of `TextVideoRetriever`; `similarity` is a `WeightedTokenInteraction`.
    """

    def __init__(
        self,
        *,
        estimator: str | None = None,
        rates: Sequence[float] = (0.25, 0.5),
        interaction_weight: float = 1.0,
        distillation_weight: float = 2.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.estimator_file = estimator
        self.interaction_weight = interaction_weight
        self.distillation_weight = distillation_weight
        width = self.backbone.embed_dim
        self.merge_words, self.merge_frames = (
            nn.ModuleList(TokenMerging(width, rate) for rate in rates) for _ in range(2)
        )
        # A level's own weights of words and frames; those of 'entity' are the similarity's.
        self.coarse_heads = nn.ModuleList(self.build_part(kwargs['similarity']) for _ in rates)
        self.students = nn.ModuleList(BanzhafNetwork() for _ in LEVELS)
        self.estimator = BanzhafNetwork().requires_grad_(False)

    def init_weights(self) -> None:
        """Load pre-trained weights and the estimator.

        Raises:
            FileNotFoundError: if no estimator is given, or there is no such file.
        """
        super().init_weights()
        if self.estimator_file is None or not Path(self.estimator_file).is_file():
            raise FileNotFoundError(
                'HBI learns from a trained estimator of Banzhaf interactions, and '
                f'model.estimator={self.estimator_file!r} is no file. Train one by '
                'tools/train_banzhaf_estimator.py and give its path.'
            )
        state = load_weights(self.estimator_file)
        check_state_dict(self.estimator, state)
        self.estimator.load_state_dict(state)
        print_log(f'Loaded the estimator {self.estimator_file}.', logger='current')

    def loss(
        self,
        texts: TextFeatures,
        videos: VideoFeatures,
        video_of_text: Tensor,
        video_index: Tensor,
    ) -> dict[str, Tensor]:
        """Compute the losses of the global batch; see `TextVideoRetriever.loss`.

        Raises:
            RuntimeError: if the estimator was never trained.
        """
        if not self.estimator.is_trained:
            raise RuntimeError(
                'The estimator of Banzhaf interactions has random weights: call init_weights(), '
                'or load a checkpoint of a training of HBI.'
            )
        options = self.backbone.logit_scale, video_of_text, video_index
        heads = [self.similarity, *self.coarse_heads]
        losses: dict[str, Tensor] = {}
        scores: list[Tensor] = []
        for name, head, student, (level_texts, level_videos) in zip(
            LEVELS, heads, self.students, self._levels(texts, videos), strict=True
        ):
            scores.append(head(level_texts, level_videos))
            of_level = self.loss_head(scores[-1], *options)
            losses |= {f'{key}_{name}': value for key, value in of_level.items()}
            interaction = self._interaction(student, level_texts, level_videos[video_of_text])
            losses[f'loss_interaction_{name}'] = self.interaction_weight * interaction
        for name, coarse in zip(LEVELS[1:], scores[1:], strict=True):
            distance = self_distillation_loss(coarse, scores[0])
            losses[f'loss_distillation_{name}'] = self.distillation_weight * distance
        return losses

    def _levels(
        self, texts: TextFeatures, videos: VideoFeatures
    ) -> list[tuple[TextFeatures, VideoFeatures]]:
        """Words and frames, then those merged once and twice."""
        levels = [(texts, videos)]
        for merge_words, merge_frames in zip(self.merge_words, self.merge_frames, strict=True):
            words = merge_words(texts.words, texts.mask)
            frames = merge_frames(videos.frames, videos.mask)
            texts = TextFeatures(words=words, mask=_all_real(words), pooled=texts.pooled)
            videos = VideoFeatures(frames=frames, mask=_all_real(frames))
            levels.append((texts, videos))
        return levels

    def _interaction(
        self, student: BanzhafNetwork, texts: TextFeatures, own: VideoFeatures
    ) -> Tensor:
        """Distance of a student's interactions from the estimator's, on matched pairs."""
        maps, real = word_frame_maps(texts, own)
        with torch.no_grad():
            target = self.estimator(maps)
        return interaction_loss(student(maps) * real, target * real)


def word_frame_maps(texts: TextFeatures, own: VideoFeatures) -> tuple[Tensor, Tensor]:
    """Cosines of the words of texts and the frames of their own videos.

    Args:
        texts: N texts of L words.
        own: the video of each text, N videos of F frames.

    Returns:
        Cosines, 0 where either is padding, and which are of real tokens, both [N, L, F].
    """
    real = texts.mask[:, :, None] & own.mask[:, None]
    words, frames = F.normalize(texts.words, dim=-1), F.normalize(own.frames, dim=-1)
    return words @ frames.transpose(1, 2) * real, real


def _all_real(tokens: Tensor) -> Tensor:
    return torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
