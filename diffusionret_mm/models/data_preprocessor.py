"""From packed items to the batch a retriever takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmaction.registry import MODELS
from mmengine.model import BaseDataPreprocessor
from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from torch import Tensor

from diffusionret_mm.passport import Passport

LEVELS = 255.0


@MODELS.register_module()
class RetrievalDataPreprocessor(BaseDataPreprocessor):
    """Stacks videos, joins lists of captions, moves to the device and normalises frames.

    Args:
        mean: mean of the RGB channels on the scale of 0 to 255. None: a retriever gives those of
            its backbone, and CLIP's hold elsewhere.
        std: standard deviation of the RGB channels on the same scale. None: the same.
    """

    def __init__(
        self, mean: Sequence[float] | None = None, std: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        mean = [LEVELS * value for value in OPENAI_DATASET_MEAN] if mean is None else mean
        std = [LEVELS * value for value in OPENAI_DATASET_STD] if std is None else std
        self.register_buffer('mean', torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(3, 1, 1), persistent=False)

    @staticmethod
    def follow(config: Mapping[str, Any], passport: Passport | None) -> dict[str, Any]:
        """Return a config with mean and std of a backbone in place of those that are None.

        Args:
            config: config of a data preprocessor.
            passport: of the backbone; None leaves the config as it is.
        """
        filled = dict(config)
        if passport is not None:
            for name, values in (('mean', passport.mean), ('std', passport.std)):
                if filled.get(name) is None:
                    filled[name] = [LEVELS * value for value in values]
        return filled

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
            ValueError: if videos differ in shape.
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
        counts = torch.tensor([len(ids) for ids in inputs['ids']])
        batch = dict(
            frames=torch.stack(list(inputs['frames'])),
            frame_mask=torch.stack(list(inputs['frame_mask'])),
            ids=torch.cat(list(inputs['ids'])),
            text_mask=torch.cat(list(inputs['text_mask'])),
            video_of_text=torch.repeat_interleave(torch.arange(len(counts)), counts),
            video_index=torch.tensor([sample.video_index for sample in data['data_samples']]),
        )
        batch = self.cast_data(batch)
        batch['frames'] = self.normalise(batch['frames'], batch['frame_mask'])
        return dict(inputs=batch, data_samples=data['data_samples'])

    def normalise(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Normalise frames [B, F, 3, H, W] of 0 to 255 and zero the padded ones."""
        frames = (frames.float() - self.mean) / self.std
        return frames * mask[:, :, None, None, None]
