"""Weighted token interaction of one text with many videos, as a search asks for it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from diffusionret_mm.models.parallel import map_on_cores
from diffusionret_mm.structures import TextFeatures, VideoFeatures

# Their frames take 1.5 MB in single precision at 12 frames of width 512: a core's cache.
VIDEOS_AT_A_TIME = 64


@dataclass(frozen=True)
class OneText:
    """What the scores of a text are made of.

    Args:
        words: its real words, normalised, [L, D].
        weights: their weights, [L].
        zero_padding: whether a padded frame is a candidate of cosine 0 in a maximum.
        zero_words: whether a padded word is, too: the text has some.
    """

    words: Tensor
    weights: Tensor
    zero_padding: bool
    zero_words: bool

    @classmethod
    def of(cls, text: TextFeatures, weights: Tensor, zero_padding: bool) -> OneText:
        """Leave the padding of a text out.

        Args:
            text: one text.
            weights: weights of its words, [1, L].
            zero_padding: see the class.
        """
        real = text.mask[0]
        words = F.normalize(text.words[0, real], dim=-1)
        zero_words = zero_padding and not bool(real.all())
        return cls(words, weights[0, real], zero_padding, zero_words)

    def score(self, videos: VideoFeatures, frame_weights: Tensor) -> Tensor:
        """Score M videos.

        The products are divided by the frames' norms: for one text that is less work than to
        normalise the frames, which are read once.

        Args:
            videos: the videos, on any device and of any precision.
            frame_weights: weights of their frames, [M, F]; 0 for padding.

        Returns:
            Scores in [-1, 1], [M]; 0 for a video without any frame, and for a text without words.
        """
        scores = self.words.new_zeros(len(videos))
        if not len(self.words):
            return scores
        starts = range(0, len(videos), VIDEOS_AT_A_TIME)
        parts = [slice(start, start + VIDEOS_AT_A_TIME) for start in starts]

        def score(rows: slice) -> None:
            weights = frame_weights[rows].to(scores)
            scores[rows] = self._score_block(videos[rows].to(scores), weights)

        for _ in map_on_cores(score, parts, scores.device):
            pass
        return scores

    def _score_block(self, videos: VideoFeatures, weights: Tensor) -> Tensor:
        frames, mask = videos.frames.flatten(0, 1), videos.mask
        norms = torch.linalg.vector_norm(frames, dim=1, keepdim=True).clamp_(min=1e-12)
        cosines = (frames @ self.words.t()).div_(norms).view(*mask.shape, -1)
        best_word = cosines.amax(dim=2)
        if not mask.all():
            cosines.masked_fill_(~mask[..., None], 0.0 if self.zero_padding else -2.0)
        best_frame = cosines.amax(dim=1)
        if self.zero_words:
            best_word.clamp_(min=0)
        scores = (best_frame @ self.weights + (best_word * weights).sum(dim=1)) / 2
        return scores.masked_fill(~mask.any(dim=1), 0)
