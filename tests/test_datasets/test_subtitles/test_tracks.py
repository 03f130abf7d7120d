"""Subtitle tracks inside videos."""

import pytest
import subtitled_clips

from diffusionret_mm.datasets.subtitles import Line, Subtitles, read_subtitles
from diffusionret_mm.datasets.video_reading import open_video

SAID = [(0.5, 1.5, '{\\i1}Where{\\i0} did you\\Nput the keys?'), (2.0, 2.5, 'On the table.')]
LINES = Line(0.5, 1.5, 'Where did you put the keys?'), Line(2.0, 2.5, 'On the table.')


@pytest.mark.parametrize('name', ['a.mp4', 'a.mkv', 'a.webm'])
def test_tracks_of_text_are_read(tmp_path, name):
    path = subtitled_clips.write(tmp_path / name, SAID)
    assert read_subtitles(str(path), []) == Subtitles(LINES)


def test_times_count_from_where_a_player_starts(tmp_path):
    path = subtitled_clips.write(tmp_path / 'late.mkv', SAID, delay=20)
    with open_video(path) as video:
        assert video.table.times[0] == pytest.approx(0, abs=1e-3)
        assert video.stream_times[0] == pytest.approx(20, abs=1e-3)
    (first, second) = read_subtitles(str(path), []).lines
    assert (first.start, first.end, second.start) == pytest.approx((0.5, 1.5, 2.0), abs=1e-3)


def test_a_file_beside_the_video_comes_before_its_tracks(tmp_path):
    path = subtitled_clips.write(tmp_path / 'a.mp4', SAID)
    (tmp_path / 'a.srt').write_text('00:01 --> 00:02\nnothing of it')
    found = read_subtitles(str(path), [str(tmp_path / 'a.srt')])
    assert found == Subtitles((Line(1, 2, 'nothing of it'),))


def test_a_video_without_tracks_has_no_lines(write_clip, tmp_path):
    assert read_subtitles(str(write_clip(tmp_path / 'a.mp4')), []) == Subtitles()


def test_lines_that_cannot_be_decoded_are_counted(tmp_path):
    said = [SAID[0], (1.6, 1.8, b'caf\xe9'), SAID[1]]
    path = subtitled_clips.write(tmp_path / 'a.mkv', said)
    found = read_subtitles(str(path), [])
    assert found.lines == LINES
    assert found.problems == ('a.mkv: 1 lines of its tracks cannot be decoded',)


def test_a_file_that_is_no_video_says_why(tmp_path):
    (tmp_path / 'a.mp4').write_bytes(b'nothing')
    found = read_subtitles(str(tmp_path / 'a.mp4'), [])
    assert found.lines == ()
    assert found.problems[0].startswith('a.mp4: InvalidDataError')
