"""Which subtitle files belong to which video."""

import os

import pytest

from diffusionret_mm.datasets.subtitles import find_subtitle_files


@pytest.fixture
def beside(tmp_path):
    """A function that makes files and returns the names of the subtitles of some videos."""

    def find(names, *videos):
        for name in names.split():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        found = find_subtitle_files([str(tmp_path / video) for video in videos])
        return {
            os.path.relpath(path, tmp_path): [os.path.basename(file) for file in files]
            for path, files in found.items()
        }

    return find


def test_files_of_the_same_stem_and_those_with_a_language(beside):
    names = 'film.srt film.VTT film.en.srt film.pt-BR.vtt film.de.forced.srt film.en-orig.vtt'
    others = 'film.txt film.commentary.srt film2.srt film.srt.bak other.srt'
    found = beside(f'{names} {others} film.mp4', 'film.mp4', 'silent.mp4')
    assert found == {'film.mp4': sorted(names.split())}


def test_the_longest_stem_has_the_file(beside):
    names = 'a.mp4 a.en.mp4 a.en.srt a.en.de.srt a.de.srt'
    assert beside(names, 'a.mp4') == {'a.mp4': ['a.de.srt']}
    assert beside(names, 'a.en.mp4') == {'a.en.mp4': ['a.en.de.srt', 'a.en.srt']}


def test_videos_of_one_stem_share_a_file(beside):
    assert beside('a.srt a.mp4 a.mkv', 'a.mp4', 'a.mkv') == {'a.mp4': ['a.srt'], 'a.mkv': ['a.srt']}


def test_files_of_other_folders_are_left(beside):
    found = beside('one/a.srt two/a.en.vtt', 'one/a.mp4', 'two/a.mp4')
    assert found == {'one/a.mp4': ['a.srt'], 'two/a.mp4': ['a.en.vtt']}


def test_a_video_of_any_name_that_is_given(beside):
    assert beside('clip clip.srt', 'clip') == {'clip': ['clip.srt']}
