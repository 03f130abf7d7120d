"""An inferencer with random weights, and folders of small clips."""

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config

from diffusionret_mm.apis import TextVideoInferencer

PIPELINE = [
    dict(type='DecodeVideo', sample=dict(type='SampleVideoFrames', num_frames=4)),
    dict(type='CLIPResizeCrop', size=32),
    dict(type='TokenizeCaptions', max_words=12),
    dict(type='PackTextVideoInputs'),
]


@pytest.fixture
def new_inferencer(tiny_model_cfg, tmp_path):
    """A function that makes an inferencer of the tiny model in stage two."""

    def make(seed=0, model=None, pipeline=PIPELINE, **kwargs):
        cfg = model or dict(tiny_model_cfg, stage='generation')
        torch.manual_seed(seed)
        checkpoint = tmp_path / f'random_{seed}.pth'
        torch.save(MODELS.build(cfg).state_dict(), checkpoint)
        dataset = dict(pipeline=pipeline)
        config = Config(dict(model=cfg, test_dataloader=dict(dataset=dataset)))
        options = dict(device='cpu', num_workers=2, show_progress=False)
        return TextVideoInferencer(config, checkpoint, **(options | kwargs))

    return make


@pytest.fixture
def clips(tmp_path, write_clip):
    """A function that writes clips of different lengths and returns their folder."""

    def write(count, folder='videos'):
        for number in range(count):
            write_clip(tmp_path / folder / f'{number % 3}/clip{number:02d}.mp4', 6 + number)
        return tmp_path / folder

    return write
