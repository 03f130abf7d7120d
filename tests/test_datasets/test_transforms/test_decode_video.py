import av
import numpy as np
import pytest
from mmaction.registry import TRANSFORMS
from mmengine.registry import DefaultScope

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.transforms import decode_video

SAMPLE = dict(type='SampleVideoFrames', num_frames=6)


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmaction'):
        yield


@pytest.fixture
def warnings(monkeypatch):
    """What was logged."""
    logged = []
    monkeypatch.setattr(decode_video, 'print_log', lambda text, **kwargs: logged.append(text))
    return logged


def build(*decoders, **sample):
    options = dict(decoders=decoders) if decoders else {}
    return TRANSFORMS.build(dict(type='DecodeVideo', sample=SAMPLE | sample, **options))


def greys(results):
    return np.array([image.mean() for image in results['imgs']])


def break_tail(path, from_frame):
    """Overwrite the data of the frames behind this one; the header stays."""
    with av.open(str(path)) as container:
        positions = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    content = bytearray(path.read_bytes())
    for position, size in positions[from_frame:]:
        content[position : position + size] = bytes(size)
    path.write_bytes(content)


@pytest.mark.parametrize('decoder', ['decord', 'pyav', 'opencv', 'opencv_seeks'])
def test_every_decoder_gives_the_same_frames_and_times(tmp_path, write_clip, decoder):
    path = write_clip(tmp_path / 'clip.mp4', num_frames=24)
    results = build(decoder)(dict(filename=str(path)))
    assert results['frame_inds'].tolist() == [2, 6, 10, 14, 18, 22]
    np.testing.assert_allclose(greys(results), 8 * results['frame_inds'], atol=4)
    assert results['imgs'][0].shape == (48, 64, 3)
    assert results['total_frames'] == 24
    assert results['fps'] == pytest.approx(10)
    assert results['duration'] == pytest.approx(2.4)


def test_frames_are_those_of_mmaction(tmp_path, write_clip):
    path = write_clip(tmp_path / 'clip.mp4', num_frames=24)
    results = dict(filename=str(path))
    for step in (dict(type='DecordInit'), SAMPLE, dict(type='DecordDecode')):
        results = TRANSFORMS.build(step)(results)
    ours = build()(dict(filename=str(path)))
    np.testing.assert_array_equal(np.stack(ours['imgs']), np.stack(results['imgs']))


def test_a_broken_tail_is_read_by_the_next_decoder_counted_and_logged_once(
    tmp_path, write_clip, warnings
):
    path = write_clip(tmp_path / 'clip.mp4', num_frames=24)
    good = write_clip(tmp_path / 'good.mp4', num_frames=24)
    break_tail(path, from_frame=20)
    decode = build('decord', 'pyav')
    for _ in range(2):
        results = decode(dict(filename=str(path)))
        decode(dict(filename=str(good)))
    assert results['total_frames'] == 20
    assert len(results['imgs']) == 6
    np.testing.assert_allclose(greys(results), 8 * results['frame_inds'], atol=4)
    assert decode.reads == {'decord': 2, 'pyav': 2}
    assert len(warnings) == 1
    assert 'clip.mp4 is read by pyav, as others fail: decord: ' in warnings[0]


def test_a_video_that_one_cannot_open_is_opened_by_the_next(
    tmp_path, write_clip, warnings, monkeypatch
):
    def fail(video, numbers):
        raise VideoReadError('cannot open')

    monkeypatch.setitem(decode_video.DECODERS, 'decord', fail)
    path = write_clip(tmp_path / 'clip.mp4')
    for last in ('pyav', 'opencv'):
        decode = build('decord', last)
        results = decode(dict(filename=str(path)))
        np.testing.assert_allclose(greys(results), 8 * results['frame_inds'], atol=4)
        assert decode.reads == {'decord': 0, last: 1}
    assert 'decord: cannot open' in warnings[0]


def test_pyav_takes_frames_that_are_there_not_those_the_header_promises(tmp_path, write_clip):
    path = write_clip(tmp_path / 'clip.mp4', num_frames=24)
    with av.open(str(path)) as source:  # the header in front, so that the file can be cut
        target = av.open(str(tmp_path / 'cut.mp4'), 'w', options={'movflags': 'faststart'})
        with target:
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    target.mux(packet)
    with av.open(str(tmp_path / 'cut.mp4')) as container:
        position = [packet.pos for packet in container.demux(video=0) if packet.size][16]
    content = (tmp_path / 'cut.mp4').read_bytes()
    (tmp_path / 'cut.mp4').write_bytes(content[:position])
    results = build('pyav')(dict(filename=str(tmp_path / 'cut.mp4')))
    assert results['total_frames'] == 16
    np.testing.assert_allclose(greys(results), 8 * results['frame_inds'], atol=4)


def test_no_decoder_at_all(tmp_path):
    path = tmp_path / 'clip.mp4'
    path.write_bytes(b'no video' * 100)
    with pytest.raises(VideoReadError) as caught:
        build('decord', 'pyav', 'opencv')(dict(filename=str(path)))
    text = str(caught.value)
    assert 'clip.mp4 cannot be read by any decoder' in text
    assert all(f'{name}: ' in text for name in ('decord', 'pyav', 'opencv'))


def test_a_mistake_in_sampling_is_no_broken_video(tmp_path, write_clip):
    path = write_clip(tmp_path / 'clip.mp4')
    decode = build()
    decode.sample = lambda results: results['item_seed']
    with pytest.raises(KeyError, match='item_seed'):
        decode(dict(filename=str(path)))


def test_an_unknown_decoder():
    for decoders in (('decord', 'ffmpeg'), ()):
        with pytest.raises(ValueError, match='decoders must be some of'):
            TRANSFORMS.build(dict(type='DecodeVideo', sample=SAMPLE, decoders=decoders))
