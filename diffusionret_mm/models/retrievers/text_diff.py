"""TextDiff: texts diffused towards videos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch
from mmaction.registry import MODELS
from torch import Tensor
from torch.nn import functional as F

from diffusionret_mm.models.generators import scaled, start_noise
from diffusionret_mm.models.retrievers.text_video_retriever import TextVideoRetriever
from diffusionret_mm.models.similarity.xpool import (
    PreparedTexts,
    PreparedVideos,
    frame_cosines,
    pair_cosines,
)
from diffusionret_mm.structures import TextFeatures, VideoFeatures


@MODELS.register_module()
class TextDiff(TextVideoRetriever):
    """Text embeddings diffused in the visual direction (TextDiff, "Text Potentials").

    With text t, frames f_n and P, the video pooled for t (`XPool`), all of a candidate pair:

        s_n = cos(t, f_n)                  distances, the condition (the paper's)
        z   = sqrt(D) t / |t|              the text embedding, which is what is diffused
        y   = sqrt(D) P / |P|              its visual counterpart, for a text and its own video
        z'  = the student's sample for (z, s)         T = 10 steps, `TextDiffusion`
        S   = cos(t, P),  S' = cos(z', P)             undiffused and diffused score

    Losses, with S' from one denoising step (dual supervision, the paper's):

        L = L_contrastive(S') + L_contrastive(S) + |h_teacher - y|^2 + w |h_student - h_teacher|^2

    both squares as means over texts and coordinates, no gradient into y and, in the last, none into
    h_teacher. Ours: which embedding is diffused, the denoiser, how the student starts and what it
    is trained on, and the second term, which keeps the shortlist good.

    Each query's best `num_candidates` by S are ranked by S + weight (1 + S'), so that they stay
    before the others, which keep S. The noise of a text depends on its index alone, so a pair has
    one S' in both directions, whatever the blocks. No score of a pair reads another caption.

    The released code computes something else, on the words of the caption: see
    docs/textdiff.md.

    Args:
        diffusion: config of a `TextDiffusion`.
        teacher_student: config of the loss between teacher and student.
        num_candidates: candidates that are re-ranked; fewer candidates are re-ranked all.
        weight: weight of the diffused score.
        noise_seed: seed of the noise of an evaluation.
        rerank_chunk: queries that are denoised at a time, a bound on memory.
        **kwargs: of `TextVideoRetriever`; `similarity` is an `XPool`, `loss` a `ContrastiveLoss`.
    """

    def __init__(
        self,
        *,
        diffusion: Mapping[str, Any],
        teacher_student: Mapping[str, Any] | None = None,
        num_candidates: int = 32,
        weight: float = 1.0,
        noise_seed: int = 0,
        rerank_chunk: int = 16,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.diffusion = self.build_part(diffusion)
        self.teacher_student = MODELS.build(teacher_student or dict(type='TeacherStudentLoss'))
        self.candidates_per_query = num_candidates
        self.weight = weight
        self.noise_seed = noise_seed
        self.rerank_chunk = rerank_chunk

    def loss(
        self,
        texts: TextFeatures,
        videos: VideoFeatures,
        video_of_text: Tensor,
        video_index: Tensor,
    ) -> dict[str, Tensor]:
        """Compute the losses of the global batch; see `TextVideoRetriever.loss`.

        Until the student starts, its two losses count 0.
        """
        student_learns = float(self.diffusion.count_iteration())
        head, text = self.similarity, texts.pooled
        pooled = head.pool(head.prepare_texts(texts).queries, head.prepare_videos(videos))
        rows = torch.arange(len(text), device=text.device)
        target = scaled(pooled[video_of_text, rows]).detach()
        cosines = self._cosines(text, videos.frames, videos.mask).transpose(0, 1)
        prediction = self.diffusion(scaled(text), target, cosines, video_of_text)
        options = (self.backbone.logit_scale, video_of_text, video_index)
        losses = self.loss_head(pair_cosines(text, pooled), *options)
        diffused = self.loss_head(
            pair_cosines(prediction.student.transpose(0, 1), pooled), *options
        )
        losses |= {f'{name}_diffused': student_learns * value for name, value in diffused.items()}
        losses['loss_teacher'] = F.mse_loss(prediction.teacher, target)
        losses['loss_teacher_student'] = student_learns * self.teacher_student(
            prediction.teacher.detach(), prediction.student[rows, video_of_text]
        )
        return losses

    def num_candidates(self, direction: str) -> int:
        """Return how many candidates are re-ranked, the same in both directions."""
        return self.candidates_per_query

    def prepare_candidates(
        self, direction: str, candidates: VideoFeatures | TextFeatures, num_pairs: int
    ) -> PreparedVideos | tuple[PreparedTexts, Tensor]:
        """Project the candidates once; of texts, draw the noise, too."""
        candidates = candidates.to(self.similarity.placement)
        if direction == 't2v':
            return self.similarity.prepare_videos(candidates)
        index = torch.arange(len(candidates), device=candidates.mask.device)
        return self.similarity.prepare_texts(candidates), self._noise(index, candidates)

    def refine(
        self,
        direction: str,
        scores: Tensor,
        queries: TextFeatures | VideoFeatures,
        candidates: PreparedVideos | tuple[PreparedTexts, Tensor],
        chosen: Tensor,
        query_index: Tensor,
    ) -> Tensor:
        """Add the diffused score; see `TextVideoRetriever.refine`."""
        queries = queries.to(scores)
        if direction == 't2v':
            # One text with each of its candidates: [n, 1, 1, D] and [n, K, F, D].
            alone = torch.arange(len(queries), device=scores.device)[:, None, None]
            texts = self.similarity.prepare_texts(queries)[alone]
            noise = self._noise(query_index, queries)[alone]
            diffused = self._score(texts, candidates[chosen], noise).squeeze(-1)
        else:
            texts, noise = cast(tuple[PreparedTexts, Tensor], candidates)
            videos = self.similarity.prepare_videos(queries)
            diffused = self._score(texts[chosen], videos, noise[chosen])
        return scores + self.weight * (1 + diffused)

    def _noise(self, text_index: Tensor, texts: TextFeatures) -> Tensor:
        """Start noise of texts, [n, D]: the same in both directions."""
        return start_noise(text_index, texts.pooled.shape[1], self.noise_seed)

    def _score(self, texts: PreparedTexts, videos: PreparedVideos, noise: Tensor) -> Tensor:
        """Diffused scores of texts [..., q, D] with videos [..., F, D]: [..., q]."""
        pooled = self.similarity.pool(texts.queries, videos)
        cosines = self._cosines(texts.pooled, videos.frames, videos.mask)
        context = self.diffusion.student.prepare(scaled(texts.pooled), cosines)
        return F.cosine_similarity(self.diffusion.sample(context, noise), pooled, dim=-1)

    def _cosines(self, texts: Tensor, frames: Tensor, mask: Tensor) -> Tensor:
        return frame_cosines(texts, frames, mask, self.diffusion.student.num_frames)
