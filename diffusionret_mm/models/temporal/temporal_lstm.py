"""The recurrent temporal module ("seqLSTM")."""

from __future__ import annotations

from mmaction.registry import MODELS
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from diffusionret_mm.models.temporal.base import TemporalModule


@MODELS.register_module()
class TemporalLSTM(TemporalModule):
    """Frames in the context of those before them: LSTM(u) + u (CLIP4Clip, Section 3.3).

    Args:
        width: width D of the frame features.
    """

    def __init__(self, width: int = 512) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width, batch_first=True)

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Put frames into context.

        Args:
            frames: frame features, shape [B, F, D], float.
            mask: True for real frames, shape [B, F], bool; real frames come first, at least one.

        Returns:
            Features of the same shape; padded frames stay as they are.
        """
        packed = pack_padded_sequence(
            frames, mask.sum(dim=1).cpu(), batch_first=True, enforce_sorted=False
        )
        context, _ = pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, total_length=frames.shape[1]
        )
        return context + frames
