"""From packed items to the batch a retriever takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmaction.registry import MODELS
from mmengine.model import BaseDataPreprocessor
from mmengine.structures import BaseDataElement
from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from torch import Tensor

from diffusionret_mm.passport import CUSTOM, Passport

LEVELS = 255.0


@MODELS.register_module()
class RetrievalDataPreprocessor(BaseDataPreprocessor):
    """Stacks videos, joins lists of captions, moves to the device and normalises frames.

    Args:
        mean: mean of the RGB channels on the scale of 0 to 255. None: a retriever gives those of
            its backbone, and CLIP's hold elsewhere.
        std: standard deviation of the RGB channels on the same scale. None: the same.
        tokenizer: name of the tokenizer that texts must come from. None: a retriever gives that of
            its backbone, and it is not checked elsewhere.
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        tokenizer: str | None = None,
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        mean = [LEVELS * value for value in OPENAI_DATASET_MEAN] if mean is None else mean
        std = [LEVELS * value for value in OPENAI_DATASET_STD] if std is None else std
        self.register_buffer('mean', torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(3, 1, 1), persistent=False)

    @staticmethod
    def follow(config: Mapping[str, Any], passport: Passport | None) -> dict[str, Any]:
        """Return a config with the values of a backbone in place of those that are None.

        Args:
            config: config of a data preprocessor.
            passport: of the backbone; None leaves the config as it is.

        Raises:
            ValueError: if mean or std are not those of the pre-trained backbone.
        """
        if passport is None:
            return dict(config)
        wanted = {
            'mean': [LEVELS * value for value in passport.mean],
            'std': [LEVELS * value for value in passport.std],
            'tokenizer': passport.tokenizer,
        }
        for name in ('mean', 'std'):
            given = config.get(name)
            differs = given is not None and not np.allclose(given, wanted[name], atol=0.01)
            if differs and passport.arch != CUSTOM:
                raise ValueError(
                    f'The data preprocessor has {name}={list(given)}, but {passport.arch!r} was '
                    f'trained with {wanted[name]}. Leave it out: it follows the backbone.'
                )
        return wanted | {key: value for key, value in config.items() if value is not None}

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Make a batch.

        Args:
            data: what `pseudo_collate` makes of B items of `PackTextVideoInputs`: `inputs` with a
                list a key, and `data_samples`, a list of B.
            training: unused; mmengine passes it.

        Returns:
            `inputs` with frames [B, F, 3, H, W] float (padded frames are zero after
            normalisation), frame_mask [B, F] bool, ids [N, L] int64, text_mask [N, L] bool,
            video_of_text [N] int64 (row in the batch of each caption's video) and video_index [B]
            int64 (identity in the data set); and `data_samples` as they came. A batch of features
            (`CachedFeatures` makes it) is only moved to the device.

        Raises:
            ValueError: if videos differ in shape, or texts come from another tokenizer.
        """
        inputs = data['inputs']
        if 'texts' in inputs:
            moved = {name: value.to(self.device) for name, value in inputs.items()}
            return dict(inputs=moved, data_samples=data['data_samples'])
        shapes = {tuple(frames.shape) for frames in inputs['frames']}
        if len(shapes) > 1:
            raise ValueError(
                f'The videos of a batch differ in shape (F, 3, H, W): {sorted(shapes)}. The '
                'pipeline must resize frames to one size, by CLIPResizeCrop for example.'
            )
        self._check_tokenizer(data['data_samples'])
        counts = torch.tensor([len(ids) for ids in inputs['ids']])
        batch = dict(
            frames=torch.stack(list(inputs['frames'])),
            frame_mask=torch.stack(list(inputs['frame_mask'])),
            ids=self.join_texts(inputs['ids']),
            text_mask=torch.cat(list(inputs['text_mask'])),
            video_of_text=torch.repeat_interleave(torch.arange(len(counts)), counts),
            video_index=torch.tensor([sample.video_index for sample in data['data_samples']]),
        )
        batch = self.cast_data(batch)
        batch['frames'] = self.normalise(batch['frames'], batch['frame_mask'])
        return dict(inputs=batch, data_samples=data['data_samples'])

    def join_texts(self, ids: Sequence[Tensor]) -> Tensor:
        """Join the token ids [C, L] of the videos."""
        return torch.cat(list(ids))

    def _check_tokenizer(self, samples: Sequence[BaseDataElement]) -> None:
        """Items that do not say where their ids come from pass."""
        found = {sample.get('tokenizer') or self.tokenizer for sample in samples}
        if self.tokenizer is not None and found != {self.tokenizer}:
            raise ValueError(
                f'Texts were tokenised by {sorted(map(str, found))}, but the backbone reads those '
                f'of {self.tokenizer!r}. Give TokenizeCaptions the tokenizer settings of the '
                'passport, or run the config by diffusionret_mm.apis, which does it.'
            )

    def normalise(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Normalise frames [B, F, 3, H, W] of 0 to 255 and zero the padded ones."""
        frames = (frames.float() - self.mean) / self.std
        return frames * mask[:, :, None, None, None]
