"""Parts of videos: which frames they have, and how they come there."""

from fractions import Fraction

import av
import numpy as np
import pytest

from diffusionret_mm.datasets import video_cutting
from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.video_cutting import plan_cut, write_cut
from diffusionret_mm.datasets.video_reading import open_video

FPS, FRAMES, GROUP, RATE = 10, 60, 20, 16_000


@pytest.fixture
def write(tmp_path):
    """A function that writes a video; frame i shows i in bars, a key frame is every 20th."""

    def make(name='video.mp4', sound=True, size=(64, 48), options=()):
        path = tmp_path / name
        with av.open(str(path), 'w') as container:
            stream = container.add_stream('libx264', rate=FPS)
            stream.width, stream.height = size
            stream.pix_fmt = 'yuv420p' if size[0] % 2 == 0 else 'yuv444p'
            stream.options = dict(g=str(GROUP), sc_threshold='0', **dict(options))
            audio = container.add_stream('aac', rate=RATE, layout='mono') if sound else None
            for number in range(FRAMES):
                image = np.zeros((size[1], size[0], 3), np.uint8)
                for bit in range(6):
                    image[:, 8 * bit : 8 * bit + 8] = 255 * (number >> bit & 1)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, 'rgb24')))
            container.mux(stream.encode())
            if sound:
                container.mux([*audio.encode(_tone()), *audio.encode()])
        return path

    return make


def _tone():
    """Silence, then a tone from the third second on."""
    time = np.arange(FRAMES * RATE // FPS) / RATE
    wave = np.where(time < 3, 0, np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(wave[None], 'fltp', 'mono')
    frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
    return frame


def numbers_of(path):
    """Which frames of the original a file shows."""
    with open_video(path) as video:
        images = [shown.image for shown in video.frames()]
    return [sum((image[20, 8 * bit + 4, 0] > 127) << bit for bit in range(6)) for image in images]


def sound_of(path):
    """The samples of a file, [n]."""
    with av.open(str(path)) as container:
        return np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])


@pytest.mark.parametrize('name', ['video.mp4', 'video.mkv', 'video.mov'])
def test_between_key_frames_packets_are_copied(write, tmp_path, monkeypatch, name):
    monkeypatch.setattr(video_cutting, '_encode', None)
    cut = plan_cut(write(name), 2.0, 4.0)
    assert (cut.first, cut.last, cut.start, cut.end) == (20, 39, 2.0, 4.0)
    assert cut.is_copied
    assert not cut.is_whole
    target = tmp_path / f'clip{cut.suffix}'
    write_cut(cut, target)
    assert target.suffix == f'.{name[-3:]}'
    assert numbers_of(target) == list(range(20, 40))
    with open_video(target) as video:
        assert video.table.times == pytest.approx(np.arange(20) / FPS, abs=2e-3)
    assert len(sound_of(target)) / RATE == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize(('start', 'end', 'first', 'last'), [(1.5, 3.3, 15, 32), (2, 4.5, 20, 44)])
def test_elsewhere_frames_are_encoded(write, tmp_path, start, end, first, last):
    cut = plan_cut(write(), start, end)
    assert (cut.first, cut.last, cut.is_copied, cut.suffix) == (first, last, False, '.mp4')
    write_cut(cut, tmp_path / 'clip.mp4')
    assert numbers_of(tmp_path / 'clip.mp4') == list(range(first, last + 1))
    sound = sound_of(tmp_path / 'clip.mp4')
    assert len(sound) / RATE == pytest.approx(end - start, abs=0.15)
    loud = np.flatnonzero(np.abs(sound) > 0.1)[0] / RATE
    assert loud == pytest.approx(3 - start, abs=0.1)  # AAC spreads a start over a frame


def test_the_last_span_ends_with_the_video(write, tmp_path):
    cut = plan_cut(write(sound=False), 4.0, 6.0)
    assert cut.is_copied
    write_cut(cut, tmp_path / 'clip.mp4')
    assert numbers_of(tmp_path / 'clip.mp4') == list(range(40, 60))


@pytest.mark.parametrize('end', [0, 6.0, 99])
def test_a_whole_video_is_copied_as_it_is(write, tmp_path, end):
    source = write('video.mkv')
    cut = plan_cut(source, 0, end)
    assert cut.is_whole
    write_cut(cut, tmp_path / f'clip{cut.suffix}')
    assert (tmp_path / 'clip.mkv').read_bytes() == source.read_bytes()


def test_frames_that_need_the_next_group_are_encoded(write, tmp_path):
    options = {'x264-params': 'open-gop=1:bframes=3:b-adapt=0'}
    cut = plan_cut(write(options=options.items(), sound=False), 2.0, 4.0)
    assert not cut.is_copied
    write_cut(cut, tmp_path / 'clip.mp4')
    assert numbers_of(tmp_path / 'clip.mp4') == list(range(20, 40))


def test_odd_sizes(write, tmp_path):
    write_cut(plan_cut(write(size=(65, 49), sound=False), 0.5, 1.5), tmp_path / 'clip.mp4')
    assert numbers_of(tmp_path / 'clip.mp4') == list(range(5, 15))


def test_a_span_without_frames(write):
    with pytest.raises(VideoReadError, match='shows no frame from 7 s to 9 s'):
        plan_cut(write(sound=False), 7, 9)
