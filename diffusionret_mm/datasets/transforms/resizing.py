"""Frames of the size that a backbone reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform
from open_clip.transform import image_transform
from PIL import Image
from torchvision.transforms import Compose, Normalize, ToTensor

from diffusionret_mm.datasets.transforms.base import FollowsBackbone
from diffusionret_mm.passport import CUSTOM, Passport, resize_settings

MODES = ('shortest', 'squash', 'longest')
INTERPOLATIONS = ('bicubic', 'bilinear')


@TRANSFORMS.register_module()
class CLIPResizeCrop(FollowsBackbone, BaseTransform):
    """Resize and crop frames as open_clip does for an architecture: PIL, antialiased.

    Required keys: imgs, a list of [H, W, 3] uint8 arrays. Modified: imgs, img_shape.

    Args:
        size: side of the square in pixels, or height and width. The tools take it, and the other
            settings, from the backbone.
        mode: 'shortest' resizes the short side and cuts the middle, 'squash' resizes both sides,
            'longest' resizes the long side and adds bars.
        interpolation: 'bicubic' or 'bilinear'.
        fill: value of the bars, 0 to 255.

    Raises:
        ValueError: if no size is given, or an option is none of those.
    """

    def __init__(
        self,
        size: int | Sequence[int] | None = None,
        mode: str = 'shortest',
        interpolation: str = 'bicubic',
        fill: int = 0,
    ) -> None:
        if size is None:
            raise ValueError(
                'CLIPResizeCrop has no size. tools/train.py and the like take it from the backbone '
                '(diffusionret_mm.apis.follow_backbone); elsewhere give it, such as size=224.'
            )
        if mode not in MODES or interpolation not in INTERPOLATIONS:
            raise ValueError(
                f'mode must be one of {MODES} and interpolation one of {INTERPOLATIONS}; got '
                f'{mode!r} and {interpolation!r}.'
            )
        self.size = (size, size) if isinstance(size, int) else tuple(size)
        options = dict(resize_mode=mode, interpolation=interpolation, fill_color=fill)
        whole = image_transform(self.size, is_train=False, **options).transforms
        self._resize = Compose([one for one in whole if not isinstance(one, ToTensor | Normalize)])

    @classmethod
    def follow(cls, config: Mapping[str, Any], passport: Passport) -> dict[str, Any]:
        """Take all settings from the backbone; see `FollowsBackbone.follow`."""
        wanted = passport.resize_settings
        if 'size' not in config:
            return dict(config) | wanted
        given = resize_settings(**{key: config[key] for key in config if key != 'type'})
        same_size = given['size'] == wanted['size']
        if given != wanted and not (passport.arch == CUSTOM and same_size):
            raise ValueError(
                f'CLIPResizeCrop has {given}, but {passport.arch!r} was trained with {wanted} '
                '(what is not named is the default). Leave them out: they follow the backbone.'
            )
        return dict(config)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize and crop every frame."""
        images = (Image.fromarray(np.ascontiguousarray(image)) for image in results['imgs'])
        results['imgs'] = [np.asarray(self._resize(image)) for image in images]
        results['img_shape'] = self.size
        return results
