import pytest
import torch
from mmaction.registry import MODELS
from mmengine.structures import BaseDataElement

from diffusionret_mm.models.data_preprocessor import RetrievalDataPreprocessor
from diffusionret_mm.passport import read_passport


def packed(num_videos=2, frames=3, size=4):
    return dict(
        inputs=dict(
            frames=[torch.full((frames, 3, size, size), 255, dtype=torch.uint8)] * num_videos,
            frame_mask=[torch.tensor([True] * (frames - 1) + [False])] * num_videos,
            ids=[torch.ones(2, 5, dtype=torch.int64), torch.ones(1, 5, dtype=torch.int64)],
            text_mask=[torch.ones(2, 5, dtype=torch.bool), torch.ones(1, 5, dtype=torch.bool)],
        ),
        data_samples=[BaseDataElement(metainfo=dict(video_index=index)) for index in (8, 3)],
    )


@pytest.fixture
def preprocessor():
    return MODELS.build(dict(type='RetrievalDataPreprocessor'))


def test_captions_are_joined_with_the_row_of_their_video(preprocessor):
    inputs = preprocessor(packed())['inputs']
    assert inputs['ids'].shape == (3, 5)
    assert inputs['video_of_text'].tolist() == [0, 0, 1]
    assert inputs['video_index'].tolist() == [8, 3]


def test_frames_are_normalised_and_padding_is_zero(preprocessor):
    frames = preprocessor(packed())['inputs']['frames']
    white = [(1 - mean) / std for mean, std in ((0.48145466, 0.26862954), (0.4578275, 0.26130258))]
    torch.testing.assert_close(frames[0, 0, :2, 0, 0], torch.tensor(white))
    assert frames[:, 2].abs().sum() == 0


def test_videos_of_different_size_are_refused(preprocessor):
    data = packed()
    data['inputs']['frames'] = [torch.zeros(3, 3, 4, 4), torch.zeros(3, 3, 4, 5)]
    with pytest.raises(ValueError, match='differ in shape'):
        preprocessor(data)


def test_it_follows_the_backbone():
    passport = read_passport('PE-Core-B-16', 'meta')
    preprocessor = RetrievalDataPreprocessor(**RetrievalDataPreprocessor.follow({}, passport))
    assert preprocessor.mean.flatten().tolist() == [127.5] * 3
    assert preprocessor.std.flatten().tolist() == [127.5] * 3
    with pytest.raises(
        ValueError, match=r"'PE-Core-B-16' was trained with \[127.5, 127.5, 127.5\]"
    ):
        RetrievalDataPreprocessor.follow(dict(mean=[122.8, 116.7, 104.1]), passport)


def test_texts_of_another_tokenizer_are_refused():
    preprocessor = RetrievalDataPreprocessor(tokenizer='timm/ViT-B-16-SigLIP')
    data = packed()
    preprocessor(data)  # items that do not say
    for name in ('timm/ViT-B-16-SigLIP', 'CLIP'):
        data['data_samples'][1].set_metainfo(dict(tokenizer=name))
        if name != 'CLIP':
            preprocessor(data)
    with pytest.raises(ValueError, match="the backbone reads those of 'timm/ViT-B-16-SigLIP'"):
        preprocessor(data)
