"""Weighted token interaction (WTI)."""

from __future__ import annotations

from mmaction.registry import MODELS
from torch import nn

from diffusionret_mm.models.similarity.token_interaction import TokenInteraction


@MODELS.register_module()
class WeightedTokenInteraction(TokenInteraction):
    """`TokenInteraction` whose weights are the softmax of what two networks make of the tokens.

    DRL, Section 3.2; DiffusionRet, supplement A.1.

    Args:
        width: width D of words and frames.
        padding: see `TokenInteraction`.
        products: see `TokenInteraction`.
        hidden_width: width of the hidden layer of the weight networks; None takes 2 D, as
            DiffusionRet and HBI do (DRL takes D).

    Raises:
        ValueError: if `padding` or `products` is none of those of `TokenInteraction`.
    """

    def __init__(
        self,
        width: int = 512,
        padding: str = 'excluded',
        products: str = 'float32',
        hidden_width: int | None = None,
    ) -> None:
        super().__init__(padding, products)
        self.word_weight = _weight_network(width, hidden_width or 2 * width)
        self.frame_weight = _weight_network(width, hidden_width or 2 * width)


def _weight_network(width: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 1))
