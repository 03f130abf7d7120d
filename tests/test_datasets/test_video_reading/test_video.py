import tracemalloc
from fractions import Fraction

import av
import decord
import numbered_clips
import numpy as np
import pytest
from av.stream import Disposition

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.preparation.compression import compress_video
from diffusionret_mm.datasets.shapes.rendering import write_video
from diffusionret_mm.datasets.video_probe import probe_video
from diffusionret_mm.datasets.video_reading import DECODERS, open_video, time_limit
from diffusionret_mm.datasets.video_reading.container import open_container
from diffusionret_mm.datasets.video_reading.decoders import DECORD_IS_RIGHT
from diffusionret_mm.datasets.video_reading.orientation import Orientation, from_matrix
from diffusionret_mm.demo.playback import Playback

CODECS = dict(h264='libx264', hevc='libx265', mpeg4='mpeg4', vp9='libvpx-vp9')
NAMES = {'mov,mp4,m4a,3gp,3g2,mj2': 'mp4', 'matroska,webm': 'mkv'}


def read_all(path, decoder='pyav'):
    with open_video(path) as video:
        return DECODERS[decoder](video, range(len(video.table)))


@pytest.mark.parametrize(('container', 'codec'), sorted(DECORD_IS_RIGHT))
@pytest.mark.parametrize('b_frames', ['0', '2'])
def test_decord_is_right_where_it_is_used(tmp_path, container, codec, b_frames):
    options = dict(g='25') if codec == 'vp9' else dict(g='25', bf=b_frames)
    if codec == 'mpeg4':
        options |= dict(flags='+cgop', sc_threshold='1000000000')
    if codec == 'h264':
        options['sc_threshold'] = '0'
    if codec == 'hevc':
        options['x265-params'] = 'log-level=none:open-gop=0:scenecut=0'
    path = tmp_path / f'clip.{NAMES[container]}'
    numbered_clips.write(path, 40, CODECS[codec], **options)
    images = {decoder: np.stack(read_all(path, decoder)) for decoder in DECODERS}
    assert numbered_clips.numbers(images['decord']) == list(range(40))
    np.testing.assert_array_equal(images['decord'], images['pyav'])
    np.testing.assert_array_equal(images['opencv'], images['pyav'])


def test_decord_says_where_it_may_be_wrong(tmp_path):
    for path, reason in (
        (numbered_clips.write(tmp_path / 'a.avi', 30, bf='2'), 'h264 in avi may be wrong'),
        (numbered_clips.write(tmp_path / 'a.ts', 30, 'mpeg2video'), 'mpeg2video in mpegts may'),
    ):
        with pytest.raises(VideoReadError, match=reason):
            read_all(path, 'decord')
    # Found by a random clip: with uneven times it seeks to a wrong key frame.
    ticks = [0, 400, 440, 460, 860, 880]
    options = dict(g='3', bf='2', sc_threshold='0', ticks=ticks, tick=Fraction(1, 1000))
    uneven = numbered_clips.write(tmp_path / 'c.mp4', 6, rate=50, **options)
    with open_video(uneven) as video, pytest.raises(VideoReadError, match='out of order'):
        DECODERS['decord'](video, [4, 5])
    whole = numbered_clips.write(tmp_path / 'a.mp4', 30, g='20', bf='2')
    cut = numbered_clips.copy_from(whole, tmp_path / 'b.mp4', 25 * 512)
    with pytest.raises(VideoReadError, match='where some are hidden'):
        read_all(cut, 'decord')
    assert numbered_clips.numbers(read_all(cut)) == [25, 26, 27, 28, 29]


def test_frames_of_shapes_are_those_of_decord(tmp_path):
    """The published table was made with decord's pixels."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        frames = rng.integers(0, 256, (51, 14, 12, 3), dtype=np.uint8).repeat(8, 1).repeat(8, 2)
        path = tmp_path / f'{seed}.mp4'
        write_video(path, frames, 12)
        reader = decord.VideoReader(str(path))
        numbers = [3, 9, 15, 22, 28, 35, 41, 47]
        with open_video(path) as video:
            assert len(video.table) == len(reader) == 51
            images = video.read(numbers)
        np.testing.assert_array_equal(np.stack(images), reader.get_batch(numbers).asnumpy())


@pytest.mark.parametrize('way', numbered_clips.WAYS)
def test_frames_copies_and_compressed_files_are_shown_as_the_matrix_says(tmp_path, way):
    path = tmp_path / 'a.mov'
    matrix = numbered_clips.matrix_of(way, (96, 64))
    numbered_clips.write(path, 12, rate=3, matrix=matrix)
    expected = [(way, number) for number in range(12)]
    for decoder in ('pyav', 'opencv'):
        assert list(map(numbered_clips.read, read_all(path, decoder))) == expected
    compress_video(path, tmp_path / 'b.mp4')
    assert list(map(numbered_clips.read, read_all(tmp_path / 'b.mp4'))) == expected
    info = probe_video(path)
    assert (info.width, info.height) == ((64, 96) if way[0] else (96, 64))
    (tmp_path / 'copies').mkdir()
    copy = Playback(tmp_path / 'copies').file_for(str(path))
    assert list(map(numbered_clips.read, read_all(copy))) == expected
    is_mirrored = way[0] ^ way[1] ^ way[2]
    assert (copy != path) == is_mirrored  # browsers turn, and not all of them mirror


@pytest.mark.parametrize('degrees', [0, 90, 180, 270])
@pytest.mark.parametrize('mirror', [False, True])
def test_matrices_of_turns(degrees, mirror):
    cos, sin = (
        round(value) for value in (np.cos(np.pi * degrees / 180), np.sin(np.pi * degrees / 180))
    )
    sign = -1 if mirror else 1
    matrix = np.array([[sign * cos, sign * sin, 0], [-sin, cos, 0], [0, 0, 1]]) * 65536
    orientation = from_matrix(matrix)
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    expected = image[:, ::-1] if mirror else image
    expected = np.rot90(expected, -degrees // 90)  # a matrix turns clockwise
    np.testing.assert_array_equal(orientation.apply(image), expected)
    assert orientation.is_mirrored == mirror
    assert orientation.size(4, 2) == expected.shape[1::-1]


def test_the_memory_is_that_of_the_frames_that_are_wanted(tmp_path):
    for name in ('long.avi', 'long.mp4'):
        path = tmp_path / name
        numbered_clips.write(path, 400, 'mpeg4', size=(320, 240))
        with open_video(path) as video:
            tracemalloc.start()
            images = video.read([10, 200, 390])
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert numbered_clips.numbers(images) == [10, 200, 390]
        assert peak < 6 * images[0].nbytes


def test_frames_of_one_time_and_frames_without_times(tmp_path):
    path = tmp_path / 'raw.h264'
    numbered_clips.write(path, 25, format='h264', g='9', bf='2')
    with open_video(path) as video:
        images = video.read(range(len(video.table)))
        np.testing.assert_allclose(video.table.times, np.arange(25) / video.fps)
    assert numbered_clips.numbers(images) == list(range(25))


def test_lists_of_other_files_are_no_videos(tmp_path):
    numbered_clips.write(tmp_path / 'a.ts', 10, 'mpeg2video')
    texts = {
        'a.m3u8': '#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\na.ts\n#EXT-X-ENDLIST\n',
        'a.ffconcat': 'ffconcat version 1.0\nfile a.ts\n',
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(VideoReadError):
            open_container(str(tmp_path / name))


def test_the_cover_of_a_song_is_no_video(tmp_path):
    path = tmp_path / 'song.mp4'
    with av.open(str(path), 'w') as container:
        sound = container.add_stream('aac', rate=8000)
        cover = container.add_stream('mjpeg', rate=1)
        cover.width, cover.height, cover.pix_fmt = 96, 64, 'yuvj420p'
        cover.disposition = Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame.from_ndarray(numbered_clips.draw(1))))
        container.mux(cover.encode())
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), 'fltp', 'mono')
        silence.sample_rate = 8000
        container.mux(sound.encode(silence))
        container.mux(sound.encode())
    with pytest.raises(VideoReadError, match='no stream of pictures'):
        open_container(str(path))


def test_the_first_frames_of_a_file_that_starts_late(tmp_path):
    """A player starts with the sound; the pictures of this file come a second later."""
    path = tmp_path / 'late.mp4'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, 'yuv420p'
        sound = container.add_stream('aac', rate=8000)
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(numbered_clips.draw(number))
            frame.pts, frame.time_base = 10 + number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        for number in range(24):
            silence = np.zeros((1, 1024), np.float32)
            frame = av.AudioFrame.from_ndarray(silence, 'fltp', 'mono')
            frame.sample_rate, frame.pts = 8000, 1024 * number
            container.mux(sound.encode(frame))
        container.mux(sound.encode())
    with open_video(path) as video:
        np.testing.assert_allclose(video.table.times, 1 + np.arange(20) / 10, atol=0.01)


def test_a_larger_file_may_take_longer(tmp_path):
    (tmp_path / 'a').write_bytes(bytes(1_000_000))
    assert time_limit(tmp_path / 'a') == 64
    assert time_limit(tmp_path / 'a', 5) == 9
    assert time_limit(tmp_path / 'none', 5) == 5


def test_orientation_of_nothing():
    assert Orientation() == from_matrix(np.eye(3) * 65536)
