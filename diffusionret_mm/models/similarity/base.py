"""What every similarity offers to the rest of the package."""

from __future__ import annotations

from abc import abstractmethod

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from diffusionret_mm.structures import TextFeatures, VideoFeatures


class Similarity(BaseModule):
    """Scores every text against every video.

    A subclass overrides `forward`, and of the other members those that it has more to say on. The
    evaluation scores whole splits by `score_gallery`. The search pools by `word_weights` and
    `frame_weights`. Pictures show these weights and `frame_attention`.
    """

    block_rows: int = 1
    """Texts that are scored together; processes share blocks of so many texts. A similarity whose
    scores do not depend on the other texts of a block has 1."""

    is_imported: bool = False
    """Whether the scores of a split come from its data set (`TextVideoDataset.imported_scores`)."""

    def __init__(self) -> None:
        super().__init__()
        # Says on which device and in which dtype scores are made, also without any parameter.
        self.register_buffer('placement', torch.zeros(()), persistent=False)

    @abstractmethod
    def forward(self, texts: TextFeatures, videos: VideoFeatures) -> Tensor:
        """Score every text against every video, with gradient.

        Args:
            texts: N texts.
            videos: M videos.

        Returns:
            Scores, shape [N, M]; a higher one fits better.
        """

    @torch.no_grad()
    def score_gallery(
        self,
        texts: TextFeatures,
        videos: VideoFeatures,
        frame_weights: Tensor | None = None,
        chunk_size: int = 64,
    ) -> Tensor:
        """Score whole galleries: `forward`, in blocks that bound the memory.

        Features may lie on another device than the module and have half precision: each block is
        moved and cast.

        Args:
            texts: N texts.
            videos: M videos.
            frame_weights: `frame_weights` of the videos, [M, F], if they are known; None computes
                them where they are needed.
            chunk_size: texts and videos per block, for a similarity that does not choose its own
                blocks. It changes scores by rounding only.

        Returns:
            Scores on the device of the module, shape [N, M].
        """
        scores = self.placement.new_empty(len(texts), len(videos))
        for rows in slices(len(texts), chunk_size):
            part = texts[rows].to(scores)
            for columns in slices(len(videos), chunk_size):
                scores[rows, columns] = self(part, videos[columns].to(scores))
        return scores

    def word_weights(self, texts: TextFeatures) -> Tensor | None:
        """Return the weights of the words.

        Args:
            texts: N texts of L words.

        Returns:
            Weights that sum to 1 over the real words of each text, [N, L]; None if the similarity
            reads the end-of-text token alone.
        """
        return None

    def frame_weights(self, videos: VideoFeatures) -> Tensor | None:
        """Return the weights of the frames.

        Args:
            videos: M videos of F frames.

        Returns:
            Weights that sum to 1 over the real frames of each video, [M, F]; None if all frames
            count equally.
        """
        return None

    def frame_attention(self, texts: TextFeatures, videos: VideoFeatures) -> Tensor | None:
        """Return how much each text attends to the frames of its video.

        Args:
            texts: n texts.
            videos: n videos, one for each text.

        Returns:
            Weights, [n, F]; None if the similarity pools no frames by a text.
        """
        return None

    def init_from_text_tower(self, tower: nn.Module) -> None:
        """Start from a CLIP text tower. Most similarities have nothing to start from it.

        Args:
            tower: module with `positional_embedding` [context, D] and `transformer.resblocks`.
        """


def slices(length: int, size: int) -> list[slice]:
    """Cut `length` rows into slices of at most `size` rows."""
    return [slice(start, start + size) for start in range(0, length, size)]
