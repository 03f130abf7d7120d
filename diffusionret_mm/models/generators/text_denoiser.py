"""The network that denoises a text embedding on its way to a video."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from diffusionret_mm.models.generators.denoiser import sine_table


@dataclass(frozen=True)
class TextContext:
    """All that denoising needs of (text, video) pairs and that no step changes.

    Args:
        text: the text embedding z of each pair, shape [..., D].
        hidden: its share and that of the distances in the hidden layer, shape [..., H].
    """

    text: Tensor
    hidden: Tensor


@MODELS.register_module()
class TextDenoiser(BaseModule):
    """Predicts the visual counterpart of a text from a noisy one.

    With an estimate x made of the noisy embedding at step i, the text z, its cosines s with the F
    frames of the video, and an embedding e(i) of the step,

        h(x, i, z, s) = z + W2 SiLU( Wx x + Wz z + Ws s + e(i) + b1 ) + b2

    W2 and b2 start at 0, so training starts from the text itself. `prepare` computes what no step
    changes, Wz z + Ws s + b1.

    Args:
        width: width D of embeddings; even.
        num_frames: frames F of a video.
        hidden_width: width H of the hidden layer; None takes 2 D.
    """

    def __init__(
        self, width: int = 512, num_frames: int = 12, hidden_width: int | None = None
    ) -> None:
        super().__init__()
        hidden = hidden_width or 2 * width
        self.width = width
        self.num_frames = num_frames
        self.noisy = nn.Linear(width, hidden, bias=False)
        self.text = nn.Linear(width, hidden)
        self.distances = nn.Linear(num_frames, hidden, bias=False)
        self.time_embed = nn.Sequential(
            nn.Linear(width, width), nn.SiLU(), nn.Linear(width, hidden)
        )
        self.out = nn.Linear(hidden, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def prepare(self, text: Tensor, cosines: Tensor) -> TextContext:
        """Compute once what no step changes.

        Args:
            text: embeddings z, shape [..., D].
            cosines: s of each pair, 0 for padded frames, shape [..., F]; leading dimensions
                broadcast with those of `text`.

        Returns:
            The context that `forward` takes.
        """
        return TextContext(text, self.text(text) + self.distances(cosines))

    def forward(self, x: Tensor, t: Tensor, context: TextContext) -> Tensor:
        """Predict x_0.

        Args:
            x: estimates, shape [..., D]; leading dimensions broadcast with the context's.
            t: steps, int64, of a shape that broadcasts with the leading dimensions of `x`.
            context: what `prepare` returned.

        Returns:
            The prediction, shape [..., D].
        """
        table = sine_table(t.flatten(), self.width).to(x.dtype)
        time = self.time_embed(table).unflatten(0, t.shape)
        return context.text + self.out(F.silu(self.noisy(x) + context.hidden + time))


def scaled(embeddings: Tensor) -> Tensor:
    """Scale embeddings [..., D] to length sqrt(D): coordinates then vary as the noise does."""
    return F.normalize(embeddings, dim=-1) * embeddings.shape[-1] ** 0.5


def add_noise(scheduler: Any, x_start: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """Return x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise; `t` has as many dimensions as `x_start`."""
    kept = scheduler.alphas_cumprod.to(device=t.device, dtype=x_start.dtype)[t]
    return kept.sqrt() * x_start + (1 - kept).sqrt() * noise
