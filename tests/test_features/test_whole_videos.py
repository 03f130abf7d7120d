import numpy as np
import pytest
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose
from torch.utils.data import TensorDataset

from diffusionret_mm.features import WholeVideos

AFTER_DECODING = 1


@pytest.mark.parametrize('item', ['video', 'caption'])
def test_a_video_comes_once_with_all_captions(make_set, item):
    videos = WholeVideos(make_set(item=item, captions_per_video=1))
    assert len(videos) == 5
    assert videos.num_captions == 12
    sample = videos[3]['data_samples']
    assert sample.video_id == 'd'
    assert len(sample.captions) == 4
    assert sample.video_index == 3


def random_frames(pipeline):
    pipeline[0] = dict(pipeline[0], sample=dict(pipeline[0]['sample'], rule='random'))


def shuffled_frames(pipeline):
    pipeline.insert(AFTER_DECODING, dict(type='ShuffleFrames'))


def transform_of_another_package(pipeline):
    class Jitter(BaseTransform):
        def transform(self, results):
            np.random.rand()
            return results

    pipeline.insert(AFTER_DECODING, Jitter())


@pytest.mark.parametrize('change', [random_frames, shuffled_frames, transform_of_another_package])
def test_random_draws_are_refused(make_set, pipeline, change):
    dataset = make_set(captions_per_video=1)
    WholeVideos(dataset).refuse_random()
    calm = Compose([TRANSFORMS.build(step) for step in pipeline])
    change(pipeline)
    noisy = make_set(captions_per_video=1, pipeline=pipeline)
    with pytest.raises(ValueError, match='draws at random.*val_dataloader'):
        WholeVideos(noisy).refuse_random()
    WholeVideos(noisy, calm).refuse_random()


def test_other_data_sets_are_refused():
    with pytest.raises(TypeError, match='the training set is a TensorDataset'):
        WholeVideos(TensorDataset())
