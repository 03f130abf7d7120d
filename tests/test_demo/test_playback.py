"""Files that browsers play."""

import threading

import av
import numbered_clips
import pytest

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.video_reading import open_video
from diffusionret_mm.demo import playback as playback_module
from diffusionret_mm.demo.playback import Playback


@pytest.fixture
def playback(tmp_path):
    return Playback(tmp_path / 'copies')


def shown(path):
    """Numbers of the frames of a clip, by their times."""
    with open_video(path) as video:
        frames = list(video.frames())
    numbers = numbered_clips.numbers([frame.image for frame in frames])
    return dict(zip([round(frame.start, 2) for frame in frames], numbers, strict=True))


def test_a_copy_is_small_and_made_once(playback, tmp_path, write_clip):
    clip = str(write_clip(tmp_path / 'clip.mp4', 20, size=(1000, 701)))
    copy = playback.file_for(clip)
    with av.open(str(copy)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == 'h264'
        assert (stream.width, stream.height) == (480, 336)
        assert len(list(container.decode(stream))) == 20
    before = copy.stat().st_mtime_ns
    assert playback.file_for(clip) == copy
    assert copy.stat().st_mtime_ns == before
    assert playback.file_for(str(copy)) == copy  # browsers play it as it is


def test_what_browsers_play_is_not_copied(playback, tmp_path):
    clip = numbered_clips.write(tmp_path / 'clip.mp4', 5)
    assert playback.file_for(str(clip), 0.1) == clip


def test_a_copy_has_the_times_of_its_video(playback, tmp_path, monkeypatch):
    clip = str(numbered_clips.write(tmp_path / 'clip.avi', 60, 'mpeg4', rate=10))
    monkeypatch.setattr(playback_module, 'MAX_SECONDS', 2)
    copy = playback.file_for(clip, 3.0)
    moving = {round(3 + n / 10, 2): 30 + n for n in range(20)}
    assert shown(copy) == {0.0: 30} | moving | {5.9: 49}
    with av.open(str(copy)) as container:
        assert container.duration / av.time_base == pytest.approx(6.0, abs=0.11)
    assert shown(playback.file_for(clip)) == {n / 10: n for n in range(20)} | {5.9: 19}


def test_a_file_without_pictures_cannot_be_played(playback, tmp_path):
    text = tmp_path / 'text.mp4'
    text.write_text('no video')
    with pytest.raises(VideoReadError, match='cannot be copied for browsers'):
        playback.file_for(str(text))


@pytest.fixture
def waits(monkeypatch, gate):
    """A gate that copies of videos named `waits` wait at; processes are forks."""
    encode = playback_module._encode

    def slow(video, start, output):
        return ('waits' in video.path and gate.wait()) or encode(video, start, output)

    monkeypatch.setattr(playback_module, '_encode', slow)
    return gate


def test_copies_that_take_long_hold_up_nobody_else(playback, waits, tmp_path, write_clip):
    slow, good = (str(write_clip(tmp_path / f'{name}.mp4')) for name in ('waits', 'good'))
    copies = []
    thread = threading.Thread(target=lambda: copies.append(playback.file_for(slow)))
    thread.start()
    assert playback.file_for(good).is_file()
    assert not copies
    waits.open()
    thread.join()
    assert copies[0].is_file()


def test_a_copy_that_never_ends_is_given_up(waits, tmp_path, write_clip):
    playback = Playback(tmp_path / 'copies', timeout=0.5)
    with pytest.raises(VideoReadError, match='longer than 0.5 s'):
        playback.file_for(str(write_clip(tmp_path / 'waits.mp4')))
    assert not list((tmp_path / 'copies').glob('*.mp4'))
