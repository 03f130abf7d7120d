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


@pytest.mark.parametrize('dtype', [torch.int64, torch.uint8, torch.float32, torch.float16])
@pytest.mark.parametrize('kind', [0, 1])
def test_masks_of_numbers_are_refused(features, dtype, kind):
    container = features()[kind]
    tensors = container.tensors() | dict(mask=container.mask.to(dtype))
    name = str(dtype).removeprefix('torch.')
    expected = rf'{type(container).__name__}\.mask has the dtype {name}; bool is expected'
    with pytest.raises(TypeError, match=expected):
        type(container)(**tensors)
    with pytest.raises(TypeError, match=expected):
        type(container).cat([container, dataclass_with(container, tensors['mask'])])


def dataclass_with(container, mask):
    """The same container with another mask, made without its checks, as an old pickle may be."""
    other = object.__new__(type(container))
    other.__dict__.update(container.tensors() | dict(mask=mask))
    return other


def test_one_row_is_a_slice_and_nothing_is_not_joined(features):
    with pytest.raises(TypeError, match=r'\[2:3\]'):
        features()[1][2]
    with pytest.raises(ValueError, match='at least one part'):
        VideoFeatures.cat([])
