import numpy as np
import pytest
import torch
from mmaction.registry import TRANSFORMS

from diffusionret_mm.datasets.tokenizers import load_tokenizer
from diffusionret_mm.datasets.transforms.captions import refuse_empty

tokenize = load_tokenizer().tokenize


def test_ids_start_and_end_as_clip_wants():
    ids, mask = tokenize(['a red circle', 'A  Red circle'], 8)
    assert ids[0].tolist() == [49406, 320, 736, 7117, 49407, 0, 0, 0]
    assert mask[0].tolist() == [True] * 5 + [False] * 3
    torch.testing.assert_close(ids[0], ids[1])


def test_a_long_caption_is_cut_and_still_ends():
    ids, mask = tokenize(['red ' * 50], 8)
    assert ids[0, -1] == 49407
    assert mask.all()


def test_an_empty_caption_is_named():
    with pytest.raises(ValueError, match='Caption 1 is empty'):
        refuse_empty(['x', ' \n'])
    transform = TRANSFORMS.build(dict(type='TokenizeCaptions'))
    with pytest.raises(ValueError, match="Video 'v7': Caption 0 is empty"):
        transform(dict(captions=[''], video_id='v7'))
    with pytest.raises(ValueError, match='at least 3'):
        TRANSFORMS.build(dict(type='TokenizeCaptions', max_words=2))


class TestCacheInMemory:
    TRANSFORMS = (dict(type='DecodeVideo', sample=dict(type='SampleVideoFrames', num_frames=3)),)

    def test_a_video_is_decoded_once(self, tmp_path, write_clip):
        path = write_clip(tmp_path / 'clip.mp4')
        cache = TRANSFORMS.build(dict(type='CacheInMemory', transforms=self.TRANSFORMS))
        first = cache(dict(filename=str(path)))
        path.unlink()
        again = cache(dict(filename=str(path)))
        np.testing.assert_array_equal(np.stack(first['imgs']), np.stack(again['imgs']))
        assert again['num_frames'] == 3

    def test_random_draws_are_refused(self):
        sample = dict(type='SampleVideoFrames', num_frames=3, rule='random')
        for step in (sample, dict(type='DecodeVideo', sample=sample), dict(type='ShuffleFrames')):
            with pytest.raises(ValueError, match='freeze the random draws'):
                TRANSFORMS.build(dict(type='CacheInMemory', transforms=[step]))


def test_packing_pads_short_videos():
    ids, mask = tokenize(['x'], 4)
    images = [np.full((2, 2, 3), value, dtype=np.uint8) for value in (1, 2)]
    results = dict(imgs=images, num_frames=3, ids=ids, text_mask=mask, video_index=0, video_id='v')
    packed = TRANSFORMS.build(dict(type='PackTextVideoInputs'))(results)
    assert packed['inputs']['frames'].shape == (3, 3, 2, 2)
    assert packed['inputs']['frame_mask'].tolist() == [True, True, False]
    assert packed['inputs']['frames'][2].sum() == 0
    assert packed['data_samples'].video_id == 'v'
