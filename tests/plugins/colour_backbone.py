"""A backbone of one file: words are embeddings, frames are their mean colours, projected."""

import torch
from mmaction.registry import MODELS
from torch import nn

from diffusionret_mm.models.backbones import TextVideoBackbone

VOCABULARY = 49408  # of CLIP's tokeniser


@MODELS.register_module()
class ColourBackbone(TextVideoBackbone):
    """Two layers, trained from scratch."""

    def __init__(self, width=8):
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, width)
        self.colours = nn.Linear(3, width)

    @property
    def embed_dim(self):
        return self.words.embedding_dim

    @property
    def logit_scale(self):
        return torch.tensor(10.0, device=self.words.weight.device)

    def encode_words(self, ids, mask):
        words = self.words(ids)
        return words, (words * mask[..., None]).sum(dim=1)

    def encode_frames(self, frames, mask):
        return self.colours(frames.mean(dim=(-2, -1)))
