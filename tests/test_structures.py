import pytest
import torch

from diffusionret_mm.structures import TextFeatures, VideoFeatures


def test_indexing_moving_and_joining_keep_rows_together(features):
    texts, videos = features()
    assert len(texts) == 7
    assert len(videos) == 5
    picked = texts[torch.tensor([3, 0])]
    torch.testing.assert_close(picked.words[1], texts.words[0])
    joined = VideoFeatures.cat([videos[:2], videos[2:]])
    torch.testing.assert_close(joined.frames, videos.frames)
    half = texts.to(torch.float16)
    assert half.words.dtype == torch.float16
    assert half.mask.dtype == torch.bool


@pytest.mark.parametrize('field', ['mask', 'pooled'])
def test_shapes_that_do_not_belong_together_are_refused(features, field):
    tensors = features()[0].tensors()
    tensors[field] = tensors[field][1:]
    with pytest.raises(ValueError, match=f'TextFeatures.{field} has shape'):
        TextFeatures(**tensors)


def test_one_row_is_a_slice_and_nothing_is_not_joined(features):
    with pytest.raises(TypeError, match=r'\[2:3\]'):
        features()[1][2]
    with pytest.raises(ValueError, match='at least one part'):
        VideoFeatures.cat([])
