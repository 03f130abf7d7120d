"""Spans are encoded as videos of their own, and each frame once."""

import numbered_clips
import pytest
import torch
from mmengine.dataset import Compose

from diffusionret_mm.datasets.spans import Moments, SpanReader
from diffusionret_mm.datasets.video_reading import open_video
from diffusionret_mm.features.spans import SpanEncoder, blocks_of, encode_spans

pytest.importorskip('scenedetect')


@pytest.fixture
def reader(clip_pipeline):
    return lambda moments: SpanReader(clip_pipeline, Moments(moments))


@pytest.fixture
def encoded_frames(tiny_model, monkeypatch):
    """Numbers of real frames that the backbone encoded, call by call."""
    counts = []
    own = tiny_model.backbone.encode_frames

    def encode(frames, mask):
        counts.append(int(mask.sum()))
        return own(frames, mask)

    monkeypatch.setattr(tiny_model.backbone, 'encode_frames', encode)
    return counts


def of_its_own(model, reader, path, span):
    """Encode the frames of a span as those of a video."""
    with open_video(path) as video:
        images = [reader._prepare(image) for image in video.read(span.numbers)]
    item = Compose([dict(type='PackTextVideoInputs')])(
        dict(imgs=images, num_frames=reader.num_frames, ids=None, text_mask=None)
    )['inputs']
    mask = item['frame_mask'][None]
    return model.encode_video(model.data_preprocessor.normalise(item['frames'][None], mask), mask)


@torch.no_grad()
@pytest.mark.parametrize('moments', ['none', 'windows', 'shots'])
@pytest.mark.parametrize('seconds', [0.3, 2.2, 34])
def test_a_span_is_encoded_as_a_video_of_its_frames(tiny_model, reader, tmp_path, moments, seconds):
    path = numbered_clips.write(tmp_path / 'clip.mp4', int(10 * seconds), rate=10)
    spans, videos = encode_spans(tiny_model, reader(moments), path, batch_size=5)
    assert len(spans) == len(videos)
    assert (len(spans) > 1) == (moments != 'none' and seconds > 15)
    for row, span in enumerate(spans):
        expected = of_its_own(tiny_model, reader(moments), path, span)
        torch.testing.assert_close(videos.mask[row], expected.mask[0])
        torch.testing.assert_close(videos.frames[row], expected.frames[0], rtol=0, atol=1e-5)


@pytest.mark.usefixtures('no_cuts')
@pytest.mark.parametrize('batch_size', [1, 7, 64])
def test_a_frame_is_encoded_once_however_many_spans_have_it(
    tiny_model, reader, tmp_path, encoded_frames, batch_size
):
    path = numbered_clips.write(tmp_path / 'clip.mp4', 600, rate=10)
    spans, videos = encode_spans(tiny_model, reader('windows'), path, batch_size)
    assert len(spans) == 11
    assert videos.mask.sum() == 11 * 4
    assert sum(encoded_frames) == 6 * 4
    assert max(encoded_frames) <= batch_size + 4


@pytest.mark.usefixtures('no_cuts')
def test_features_in_memory_do_not_grow_with_the_video(tiny_model, reader, tmp_path):
    most = []
    for seconds in (60, 180):
        path = numbered_clips.write(tmp_path / f'{seconds}.mp4', seconds * 2, rate=2)
        encoder, held = SpanEncoder(tiny_model, 4), []
        with open_video(path) as video:
            for block in blocks_of(reader('windows').stream(video), 8):
                encoder.encode_block(block)
                held.append(len(encoder._features))
        most.append(max(held))
    assert most[0] == most[1] <= 4


def test_a_file_that_promises_more_is_encoded_again(tiny_model, reader, tmp_path, monkeypatch):
    path = numbered_clips.write(tmp_path / 'clip.mp4', 200, rate=10)
    right = encode_spans(tiny_model, reader('windows'), path)

    def promise_more(video):
        video.table = type(video.table)(torch.arange(260).numpy() / 10)

    own = reader('windows')
    stream = own.stream

    def stream_once_wrong(video):
        if not video.table.is_exact:
            promise_more(video)
        return stream(video)

    monkeypatch.setattr(own, 'stream', stream_once_wrong)
    spans, videos = encode_spans(tiny_model, own, path)
    assert spans == right[0]
    torch.testing.assert_close(videos.frames, right[1].frames)
