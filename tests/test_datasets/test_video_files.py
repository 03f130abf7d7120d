import os
import time

import pytest

from diffusionret_mm.datasets import video_files
from diffusionret_mm.datasets.video_files import VideoFiles, strip_suffixes


@pytest.fixture
def put(tmp_path):
    """A function that makes empty files below the folder of videos."""

    def make(*paths):
        for path in paths:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).touch()
        return VideoFiles(tmp_path)

    return make


@pytest.mark.parametrize(
    'path',
    ['a.mp4', 'x/y/a.webm', 'a.AVI', 'A.mkv', 'a.avi.mp4', 'a', 'a.', 'v_a.flv', 'x/V_A.3GP'],
)
def test_a_video_is_found_whatever_it_is_called(put, tmp_path, path):
    files = put(path, 'b.mp4', 'ab.mp4')
    for name in ('a', 'a.mp4', 'a.mov'):
        assert files.find(f'v_{name}', name) == tmp_path / path
    assert files.find('c') is None


def test_ids_may_hold_dots(put, tmp_path):
    name = '0001_American_Beauty_00.00.51.926-00.00.54.129'
    assert strip_suffixes(name) == name
    assert put(f'{name}.avi').find(name) == tmp_path / f'{name}.avi'


def test_what_is_no_video_is_passed_over(put):
    files = put('a.txt', 'a.jpg', '._a.mp4', 'a.mp4.part', 'notes.json')
    assert len(files) == 0
    assert files.find('a') is None


def test_exact_names_go_first(put, tmp_path):
    files = put('A.mp4', 'a.mp4', 'b.avi', 'b.mp4', 'x/v_A.mp4')
    assert files.find('a') == tmp_path / 'a.mp4'
    assert files.find('A') == tmp_path / 'A.mp4'
    assert files.find('v_A', 'A') == tmp_path / 'x/v_A.mp4'
    assert files.find('b.mp4') == tmp_path / 'b.mp4'


def test_of_duplicates_the_highest_and_first_is_taken(put, tmp_path):
    paths = ['a/a/v.mp4', 'b/v.mp4', 'a/v.mp4', 'a/v.avi', 'w.mp4']
    files = put(*paths)
    assert files.find('v') == tmp_path / 'a/v.avi'
    ordered = ['a/v.avi', 'a/v.mp4', 'b/v.mp4', 'a/a/v.mp4']
    assert files.duplicates == {'v': [tmp_path / path for path in ordered]}


def test_links_to_folders_are_followed_once(put, tmp_path):
    put('real/a.mp4')
    (tmp_path / 'real/back').symlink_to(tmp_path)
    (tmp_path / 'videos').symlink_to(tmp_path / 'real')
    files = VideoFiles(tmp_path / 'videos')
    assert files.find('a') == tmp_path / 'videos/a.mp4'
    assert len(files) == 1


def test_a_folder_is_walked_again_only_after_a_change(put, tmp_path, monkeypatch):
    walks = []
    walk = video_files._walk
    monkeypatch.setattr(video_files, '_walk', lambda root: walks.append(root) or walk(root))
    put('x/a.mp4')
    VideoFiles(tmp_path)
    assert len(walks) == 1
    time.sleep(0.05)  # file systems keep times in steps
    assert put('x/b.mp4').find('b') is not None
    assert len(walks) == 2


def test_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match='none does not exist; set data_root or videos'):
        VideoFiles(tmp_path / 'none')


def test_files_are_listed_and_not_opened_one_by_one(put, tmp_path, monkeypatch):
    for folder in range(3):
        put(*(f'{folder}/{folder}_{number}.avi' for number in range(20)))
    calls = []
    for name in ('scandir', 'stat', 'lstat'):
        real = getattr(os, name)
        monkeypatch.setattr(
            video_files.os,
            name,
            lambda path, real=real, name=name: calls.append(name) or real(path),
        )
    index = video_files._walk(str(tmp_path))
    assert len(index.by_key) == 60
    assert sorted(calls) == ['scandir'] * 4 + ['stat'] * 4
