"""TextDiff: texts diffused towards videos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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

    The released code computes something else, on the words of the caption: see docs/textdiff.md and
    `WordDenoiser`.

    Args:
        diffusion: config of a `TextDiffusion`.
        teacher_student: config of the loss between teacher and student.
        num_candidates: candidates that are re-ranked; a smaller gallery is re-ranked whole.
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
        self.diffusion = MODELS.build(diffusion)
        self.teacher_student = MODELS.build(teacher_student or dict(type='TeacherStudentLoss'))
        self.num_candidates = num_candidates
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
        head, text = self.similarity_head, texts.pooled
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

    @torch.no_grad()
    def rerank_queries(
        self,
        direction: str,
        scores: Tensor,
        queries: TextFeatures | VideoFeatures,
        candidates: VideoFeatures | TextFeatures,
        query_index: Tensor,
    ) -> Tensor:
        """Add the diffused score to those of each query's best candidates.

        Arguments and result as in `TextVideoRetriever.rerank_queries`.
        """
        of_texts = direction == 't2v'
        texts, videos = (queries, candidates) if of_texts else (candidates, queries)
        texts = self.similarity_head.prepare_texts(texts.to(scores))
        videos = self.similarity_head.prepare_videos(videos.to(scores))
        index = query_index if of_texts else torch.arange(len(candidates))
        noise = start_noise(index.to(scores.device), texts.pooled.shape[1], self.noise_seed)
        best = scores.topk(min(self.num_candidates, scores.shape[1]), dim=1).indices
        final = scores.clone()
        for rows in torch.arange(len(scores), device=scores.device).split(self.rerank_chunk):
            chosen = best[rows]
            if of_texts:
                alone = (rows[:, None, None],)
                diffused = self._score(texts[alone], videos[chosen], noise[alone]).squeeze(-1)
            else:
                diffused = self._score(texts[chosen], videos[rows], noise[chosen])
            final[rows] = final[rows].scatter_add(1, chosen, self.weight * (1 + diffused))
        return final

    def _score(self, texts: PreparedTexts, videos: PreparedVideos, noise: Tensor) -> Tensor:
        """Diffused scores of texts [..., q, D] with videos [..., F, D]: [..., q]."""
        pooled = self.similarity_head.pool(texts.queries, videos)
        cosines = self._cosines(texts.pooled, videos.frames, videos.mask)
        context = self.diffusion.student.prepare(scaled(texts.pooled), cosines)
        return F.cosine_similarity(self.diffusion.sample(context, noise), pooled, dim=-1)

    def _cosines(self, texts: Tensor, frames: Tensor, mask: Tensor) -> Tensor:
        return frame_cosines(texts, frames, mask, self.diffusion.student.num_frames)
