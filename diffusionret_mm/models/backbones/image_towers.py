"""Where the image towers of open_clip keep what cuts patches and where they lie."""

from __future__ import annotations

from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from timm.layers import PatchEmbed
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def patch_embedding(tower: nn.Module) -> nn.Module | None:
    """Return the one convolution that cuts an image into patches.

    Args:
        tower: image tower of an open_clip model.

    Returns:
        The convolution; None for ResNet, ConvNeXt and towers with a stem of several layers.
    """
    if isinstance(tower, VisionTransformer):
        return tower.conv1
    if isinstance(tower, TimmModel):
        found = dict(tower.trunk.named_children()).get('patch_embed')
        return found.proj if isinstance(found, PatchEmbed) else None
    return None


def patch_positions(tower: nn.Module) -> nn.Parameter | None:
    """Return the learned positions of the patches, or None if the tower has none.

    Args:
        tower: image tower of an open_clip model.
    """
    if isinstance(tower, VisionTransformer):
        return tower.positional_embedding
    if isinstance(tower, TimmModel):
        return dict(tower.trunk.named_parameters(recurse=False)).get('pos_embed')
    return None


def stop_batch_norm(tower: nn.Module) -> None:
    """Put the batch norms of a tower into evaluation mode.

    In training mode the feature of an image would depend on the others of its batch.

    Args:
        tower: image tower of an open_clip model.
    """
    for module in tower.modules():
        if isinstance(module, _BatchNorm):
            module.eval()
