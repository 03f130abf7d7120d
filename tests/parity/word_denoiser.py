"""The diffusion of the released TextDiff: over the words of a caption."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

TIME_WIDTH = 128
TIME_SCALE = 1000  # steps are told to the network as if there were so many
MAX_BETA = 0.999


@MODELS.register_module()
class WordDenoiser(BaseModule):
    """Predicts the word vectors of a caption from noisy ones (released TextDiff, Diffusion-LM).

    For comparison with the released code only: it needs a vocabulary and weights that were trained
    on restaurant reviews, of which the weights are not in the repository, and no data pipeline here
    makes its word ids. `TextDiff` diffuses the text embedding itself.

    With noisy words x [L, C], cosines S [L, F] of clean words and frames, and step i of T:

        h0 = LN( p + U2 tanh(U1 x) + E2 SiLU(E1 e(1000 i / T)) )     p positions, e sine table
        h1 = D2 ReLU( D1 [h0 ; Ws S] )
        y  = O2 tanh( O1 BERT(h1) )                                  encoder without a mask

    Args:
        num_frames: frames F of a video.
        word_width: width C of a word.
        width: width of the encoder.
        num_layers: layers of the encoder.
        num_heads: attention heads of a layer.
        max_words: number of positions.
        dropout: of the encoder and before it.
    """

    def __init__(
        self,
        num_frames: int = 12,
        word_width: int = 16,
        width: int = 768,
        num_layers: int = 12,
        num_heads: int = 12,
        max_words: int = 512,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.time_embed = nn.Sequential(
            nn.Linear(TIME_WIDTH, 4 * TIME_WIDTH), nn.SiLU(), nn.Linear(4 * TIME_WIDTH, width)
        )
        self.up = nn.Sequential(nn.Linear(word_width, width), nn.Tanh(), nn.Linear(width, width))
        self.positions = nn.Embedding(max_words, width)
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.dropout = nn.Dropout(dropout)
        self.distances = nn.Linear(num_frames, width)
        self.join = nn.Sequential(
            nn.Linear(2 * width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )
        layer = nn.TransformerEncoderLayer(
            width, num_heads, 4 * width, dropout, F.gelu, layer_norm_eps=1e-12, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, num_layers)
        self.down = nn.Sequential(nn.Linear(width, width), nn.Tanh(), nn.Linear(width, word_width))

    def forward(self, x: Tensor, time: Tensor, cosines: Tensor) -> Tensor:
        """Predict the clean words.

        Args:
            x: noisy words, shape [B, L, C], float.
            time: model time 1000 i / T of each row, shape [B].
            cosines: of clean words and frames, shape [B, L, F].

        Returns:
            The prediction, shape [B, L, C].
        """
        embedded = self.up(x) + self.time_embed(sine_table(time))[:, None]
        hidden = self.dropout(self.norm(self.positions.weight[: x.shape[1]] + embedded))
        hidden = self.join(torch.cat([hidden, self.distances(cosines)], dim=-1))
        return self.down(self.encoder(hidden))


def sine_table(time: Tensor) -> Tensor:
    """Cosines, then sines of model times [B]: [B, 128], float32."""
    half = TIME_WIDTH // 2
    rates = torch.exp(torch.arange(half, device=time.device) * (-math.log(10000.0) / half))
    angles = time[:, None].float() * rates
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def sqrt_betas(num_steps: int) -> np.ndarray:
    """Return the square-root schedule of Diffusion-LM (Li et al. 2022), float64 [num_steps].

    beta_i = min(1 - f((i + 1) / T) / f(i / T), 0.999) with f(u) = 1 - sqrt(u + 1e-4).
    """
    kept = 1 - np.sqrt(np.arange(num_steps + 1, dtype=np.float64) / num_steps + 1e-4)
    return np.minimum(1 - kept[1:] / kept[:-1], MAX_BETA)


@dataclass(frozen=True)
class Posterior:
    """Coefficients of x_{i-1} = clean x_0 + noisy x_i + sqrt(variance) n, float64 [T] each.

    Args:
        clean: of the prediction.
        noisy: of the state.
        variance: of the noise, beta_i except for i = 0, where no noise is added.
    """

    clean: np.ndarray
    noisy: np.ndarray
    variance: np.ndarray

    @classmethod
    def of(cls, betas: np.ndarray) -> Posterior:
        """Compute the coefficients of a schedule (Ho et al. 2020, eq. 7)."""
        kept = np.cumprod(1 - betas)
        before = np.append(1.0, kept[:-1])
        smallest = betas * (1 - before) / (1 - kept)
        return cls(
            clean=betas * np.sqrt(before) / (1 - kept),
            noisy=(1 - before) * np.sqrt(1 - betas) / (1 - kept),
            variance=np.append(smallest[1], betas[1:]),
        )


@torch.no_grad()
def sample_words(
    denoise: Callable[[Tensor, Tensor], Tensor],
    table: Tensor,
    start: Tensor,
    noises: Sequence[Tensor],
) -> tuple[Tensor, Tensor]:
    """Sample words, each prediction rounded to the nearest word of a table.

    Args:
        denoise: predicts x_0 from x_i [B, L, C] and model times [B].
        table: word vectors, shape [V, C].
        start: x_T, shape [B, L, C].
        noises: noise of each step, T of the shape of `start`, the first step's first; the last is
            not used.

    Returns:
        The words [B, L, C] and their rows in the table [B, L], int64.
    """
    num_steps = len(noises)
    posterior = Posterior.of(sqrt_betas(num_steps))
    x = start
    for step, noise in zip(reversed(range(num_steps)), noises, strict=True):
        time = x.new_full((len(x),), step * TIME_SCALE / num_steps)
        rows = torch.cdist(denoise(x, time), table[None]).argmin(dim=-1)
        x = posterior.clean[step] * table[rows] + posterior.noisy[step] * x
        if step:
            x = x + math.sqrt(posterior.variance[step]) * noise
    return x, rows
