"""The end of every pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform
from mmengine.structures import BaseDataElement

META_KEYS = (
    'video_id',
    'filename',
    'captions',
    'answers',
    'group',
    'video_index',
    'duration',
    'broken_tail',
)


@TRANSFORMS.register_module()
class PackTextVideoInputs(BaseTransform):
    """Pack an item into what `RetrievalDataPreprocessor` takes.

    Required keys: imgs (list of [H, W, 3] uint8), num_frames, ids, text_mask, video_index.

    Returns `inputs` with frames [F, 3, H, W] uint8 (padded with zeros to num_frames), frame_mask
    [F] bool, ids [C, L] int64 and text_mask [C, L] bool. Beside them it returns `data_samples`,
    whose metainfo names the video and its captions. Their field `tokenizer` says where the ids
    come from (None: not known).
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack."""
        images = torch.from_numpy(np.stack(results['imgs'])).permute(0, 3, 1, 2)
        frames = images.new_zeros(results['num_frames'], *images.shape[1:])
        frames[: len(images)] = images
        sample = BaseDataElement(
            metainfo={key: results[key] for key in META_KEYS if key in results}
        )
        sample.set_data(dict(tokenizer=results.get('tokenizer')))
        inputs = dict(
            frames=frames,
            frame_mask=torch.arange(results['num_frames']) < len(images),
            ids=results['ids'],
            text_mask=results['text_mask'],
        )
        return dict(inputs=inputs, data_samples=sample)
