import errno
import json
import os
from fractions import Fraction

import av
import cv2
import decord
import numpy as np
import pytest
from mmengine.registry import DefaultScope

from diffusionret_mm.datasets import TextVideoDataset
from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.preparation import (
    check_dataset,
    compress_videos,
    compression,
    frame_transforms,
    store_frames,
)
from diffusionret_mm.datasets.preparation.compression import compress_video, target_size
from diffusionret_mm.datasets.video_probe import probe_video


def write_h264(path, times, size=(64, 48), rotation=0, sound=False):
    """A video whose frame at each time (in tenths of a second) has the grey value 8 x time."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=10)
        stream.width, stream.height, stream.pix_fmt = *size, 'yuv420p'
        stream.set_display_rotation(rotation)
        audio = container.add_stream('aac', rate=8000) if sound else None
        for time in times:
            image = np.full((size[1], size[0], 3), 8 * time, dtype=np.uint8)
            if rotation:
                image[: size[1] // 2, : size[0] // 2] = 255
            frame = av.VideoFrame.from_ndarray(image)
            frame.pts, frame.time_base = time, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if audio:
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), 'fltp', 'mono')
            frame.sample_rate = 8000
            container.mux(audio.encode(frame))
            container.mux(audio.encode())
    return path


def greys(path):
    reader = decord.VideoReader(str(path))
    return [float(reader[index].asnumpy().mean()) for index in range(len(reader))]


@pytest.mark.parametrize(
    ('times', 'shown'),
    [
        (range(20), [0, 3, 6, 10, 13, 16]),
        ([0, 1, 2, 9, 10, 11], [0, 2, 2, 10]),  # a variable frame rate
        ([5, 6, 7, 8, 9], [5, 8]),  # times that do not start at 0
        ([0], [0]),
        ([0, 10], [0, 0, 0, 10]),  # slower than the target; the last lasts a tenth of a second
    ],
)
def test_the_frame_shown_at_each_third_of_a_second(tmp_path, times, shown):
    source = write_h264(tmp_path / 'a.mp4', times)
    compress_video(source, tmp_path / 'b.mp4')
    np.testing.assert_allclose(greys(tmp_path / 'b.mp4'), [8 * time for time in shown], atol=5)
    assert probe_video(tmp_path / 'b.mp4').fps == 3


@pytest.mark.parametrize(
    ('size', 'expected'),
    [
        ((640, 480), (298, 224)),
        ((480, 641), (224, 300)),
        ((320, 240), (298, 224)),
        ((100, 60), (100, 60)),
        ((1, 7), (2, 8)),
    ],
)
def test_the_short_side_is_224_at_most_and_sides_are_even(size, expected):
    assert target_size(*size) == expected


def test_sound_is_dropped(tmp_path):
    source = write_h264(tmp_path / 'a.mp4', range(6), sound=True)
    compress_video(source, tmp_path / 'b.mp4')
    with av.open(str(tmp_path / 'b.mp4')) as container:
        assert [stream.type for stream in container.streams] == ['video']


@pytest.mark.parametrize('rotation', [90, 180, -90])
def test_turned_videos_stand_upright(tmp_path, rotation):
    source = write_h264(tmp_path / 'a.mp4', range(6), (320, 240), rotation)
    compress_video(source, tmp_path / 'b.mp4')
    before = decord.VideoReader(str(source))[0].asnumpy()
    after = decord.VideoReader(str(tmp_path / 'b.mp4'))[0].asnumpy()
    height, width = after.shape[:2]
    assert min(height, width) == 224
    assert (height > width) == (before.shape[0] > before.shape[1])
    np.testing.assert_allclose(cv2.resize(before, (width, height)), after, atol=60)
    assert abs(cv2.resize(before, (width, height)) - after.astype(int)).mean() < 3


def test_what_is_no_video(tmp_path):
    (tmp_path / 'a.mp4').write_bytes(b'no video' * 100)
    with pytest.raises(VideoReadError, match='InvalidDataError'):
        compress_video(tmp_path / 'a.mp4', tmp_path / 'b.mp4')


def test_a_whole_folder_resumed_with_a_failure(tmp_path):
    videos = tmp_path / 'videos'
    (videos / 'x').mkdir(parents=True)
    for name in ('a.mp4', 'x/b.avi', 'c.mp4'):
        write_h264(videos / name, range(30), (320, 240))
    entries = [
        dict(video_id=name[-5], video=name, captions=['x'])
        for name in ('a.mp4', 'x/b.avi', 'c.mp4')
    ]
    (tmp_path / 'test.json').write_text(json.dumps(entries))
    manifest = check_dataset('json', tmp_path, videos, tmp_path / 'manifest.json').manifest
    (videos / 'c.mp4').write_bytes(b'no video' * 100)
    text = compress_videos(manifest, tmp_path)
    out = tmp_path / 'videos_224_3fps'
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob('*.*')) == [
        'a.mp4',
        'x/b.avi',
    ]
    row = text.splitlines()[2].split()
    assert row[:4] == ['videos_224_3fps', '2', '2', '1']
    assert 'c.mp4 could not be compressed: ' in text

    (out / 'x/b.avi').unlink()
    (out / '.a.mp4.1.tmp').touch()  # of a run that was killed
    written = (out / 'a.mp4').stat().st_ctime_ns
    assert compress_videos(manifest, tmp_path).splitlines()[2].split()[1:3] == ['2', '1']
    assert (out / 'a.mp4').stat().st_ctime_ns == written
    os.utime(videos / 'a.mp4')  # another file
    assert compress_videos(manifest, tmp_path).splitlines()[2].split()[1:3] == ['2', '1']
    assert not list(out.rglob('.*.tmp'))
    assert probe_video(out / 'x/b.avi').frames == 9


def test_names_with_dots_are_kept(tmp_path):
    names = ['0001_Film_00.00.51.926-00.00.54.129', 'b.avi.mp4']
    for name in names:
        write_h264(tmp_path / 'a.mp4', range(3)).rename(tmp_path / name)
    entries = [dict(video_id=name, video=name, captions=['x']) for name in names]
    (tmp_path / 'test.json').write_text(json.dumps(entries))
    manifest = check_dataset('json', tmp_path, tmp_path, tmp_path / 'manifest.json').manifest
    compress_videos(manifest, tmp_path)
    found = sorted(path.name for path in (tmp_path / 'videos_224_3fps').iterdir())
    assert found == names


KINDS = ('mov', 'mp4', 'avi', 'mkv', 'webm', 'MP4', 'mpg', 'ts', 'vob', 'm4v', 'null')


@pytest.fixture
def clashing(tmp_path):
    """Annotations of videos whose names differ in the extension alone, named with it."""
    videos = tmp_path / 'videos'
    videos.mkdir()
    entries = []
    for number, kind in enumerate(KINDS):
        source = write_h264(tmp_path / 'a.mp4', [number + 1], (320, 240))
        source.rename(videos / f'take.{kind}')
        entries.append(dict(video_id=f'id{number}', video=f'take.{kind}', captions=['x']))
    for split in ('train', 'test'):
        (tmp_path / f'{split}.json').write_text(json.dumps(entries))
    return tmp_path, videos


def read_by_list(root, videos, *transforms):
    """The grey value of the first frame of each video, as the annotation lists them."""
    with DefaultScope.overwrite_default_scope('mmaction'):
        dataset = TextVideoDataset(str(videos), str(root / 'test.json'), transforms)
    return [float(np.mean(item['imgs'][0])) for item in dataset]


def test_no_two_videos_have_one_target_and_lists_fit(clashing):
    root, videos = clashing
    manifest = check_dataset('json', root, videos, root / 'manifest.json').manifest
    row = compress_videos(manifest, root).splitlines()[2].split()
    assert row[:4] == ['videos_224_3fps', str(len(KINDS)), str(len(KINDS)), '0']
    out = root / 'videos_224_3fps'
    again = check_dataset('json', root, out, out / 'manifest.json')
    assert not again.bad_test_videos
    read = frame_transforms(1, 32)
    shown = read_by_list(root, videos, *read)
    assert np.all(np.diff(shown) > 4)  # each video is another one
    np.testing.assert_allclose(read_by_list(root, out, *read), shown, atol=3)


def test_stored_frames_of_names_that_differ_in_the_extension(clashing):
    root, videos = clashing
    preparation = check_dataset('json', root, videos, root / 'manifest.json')
    read = frame_transforms(1, 32)
    text = store_frames(preparation, root / 'frames', read)
    assert f'{len(KINDS)} frames of {len(KINDS)} videos' in text
    load = dict(type='LoadStoredFrames', store=str(root / 'frames'), transforms=read)
    assert read_by_list(root, videos, load) == read_by_list(root, videos, *read)


def test_a_full_disk_is_no_fault_of_a_video(clashing, monkeypatch):
    def refuse(source, target):
        raise av.error.OSError(errno.ENOSPC, 'No space left on device', str(target))

    root, videos = clashing
    manifest = check_dataset('json', root, videos, root / 'manifest.json').manifest
    monkeypatch.setattr(compression, 'compress_video', refuse)
    with pytest.raises(OSError, match='No space left') as caught:
        compress_videos(manifest, root, workers=1)
    assert caught.value.errno == errno.ENOSPC
    assert 'videos_224_3fps/take.' in caught.value.filename
