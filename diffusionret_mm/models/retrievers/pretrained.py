"""A retriever of pre-trained weights alone, which needs no checkpoint."""

from __future__ import annotations

from torch import nn

from diffusionret_mm.models.backbones.base import TextVideoBackbone
from diffusionret_mm.models.checkpoint_check import CheckpointError, check_finite

BACKBONE = 'backbone'


class FromPretrained(nn.Module):
    """A model that can be used without a checkpoint if its backbone alone has weights.

    A model with other parts whose weights are of use from the start, such as those that it loads
    from a file of their own, overrides both methods.
    """

    backbone: TextVideoBackbone

    def untrained_parts(self) -> list[str]:
        """Return the names of the parts whose weights would be random without a checkpoint.

        By default those are all parts with parameters, without a backbone that `is_pretrained`.
        """
        names = dict.fromkeys(name.partition('.')[0] for name, _ in self.named_parameters())
        if self.backbone.is_pretrained:
            names.pop(BACKBONE, None)
        return list(names)

    def load_pretrained(self) -> None:
        """Load the pre-trained weights in place of a checkpoint.

        Raises:
            CheckpointError: if a part would be random, or the weights are not finite.
            ValueError, RuntimeError: as `init_weights` of the backbone.
        """
        untrained = self.untrained_parts()
        if untrained:
            raise CheckpointError(_refusal(type(self).__name__, untrained))
        self.backbone.init_weights()
        check_finite(self.backbone.state_dict(), 'What the backbone starts from')


def _refusal(model: str, untrained: list[str]) -> str:
    if untrained == [BACKBONE]:
        return (
            f'Without a checkpoint, the backbone of {model} would be random (pretrained=None): '
            'give a checkpoint, or weights by --backbone ARCH:TAG or --backbone ARCH:FILE.'
        )
    return (
        f'Without a checkpoint, these parts of {model} would be random: {", ".join(untrained)}; '
        'give a checkpoint of its training, or take a config of configs/zeroshot, whose weights '
        'are all pre-trained.'
    )
