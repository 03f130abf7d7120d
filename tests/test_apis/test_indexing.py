"""Indexing: incremental, complete after kills, and no trouble for those who search."""

import multiprocessing
import os
import signal
import threading
import time

import numbered_clips
import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger

from diffusionret_mm.apis import remove_vanished
from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.video_reading import video
from diffusionret_mm.search import Gallery, GalleryError, GalleryWriter

pytest.importorskip('faiss')

FORK = multiprocessing.get_context('fork')
TEXT = 'a red circle moves left'


@pytest.fixture
def logged(monkeypatch):
    """What is logged."""
    lines = []
    logger = MMLogger.get_instance('indexing')
    monkeypatch.setattr(logger, 'handle', lambda record: lines.append(record.getMessage()))
    return lines


def added_in(line):
    return int(line.split()[1])


def test_only_what_is_new_or_changed_is_indexed(
    new_inferencer, clips, write_clip, tmp_path, logged
):
    inferencer, folder = new_inferencer(), clips(5)
    gallery = inferencer.index(folder, tmp_path / 'gallery')
    assert added_in(logged[-1]) == 5
    inferencer.index(folder, tmp_path / 'gallery')
    assert added_in(logged[-1]) == 0
    before = inferencer.search(TEXT, gallery).hits
    write_clip(folder / 'new.mp4', 30)
    changed = str(write_clip(folder / '0/clip00.mp4', 28))
    inferencer.index(folder, gallery.folder)
    assert added_in(logged[-1]) == 2
    assert len(gallery) == len(gallery.latest()) == 6
    after = {hit.item: hit.similarity for hit in inferencer.search(TEXT, gallery).hits}
    for hit in before:
        assert (after[hit.item] == pytest.approx(hit.similarity, abs=1e-6)) == (hit.item != changed)


def test_a_list_of_files_and_one_batch_more(new_inferencer, clips, tmp_path):
    folder = clips(5)
    paths = sorted(folder.rglob('*.mp4'))
    inferencer = new_inferencer(batch_size=2)
    gallery = inferencer.index(paths[:3], tmp_path / 'gallery')
    assert gallery.paths() == [str(path) for path in paths[:3]]
    with pytest.raises(FileNotFoundError, match='none.mp4 does not exist'):
        inferencer.index([paths[3], 'none.mp4'], tmp_path / 'gallery')


def test_broken_files_are_listed_and_tried_again_when_they_change(
    new_inferencer, clips, write_clip, tmp_path, logged
):
    inferencer, folder = new_inferencer(batch_size=2), clips(4)
    broken = folder / 'broken.mp4'
    broken.write_bytes(b'this is no video')
    (folder / 'notes.txt').write_text('no video either')
    (folder / '.hidden.mp4').write_bytes(b'')
    gallery = inferencer.index(folder, tmp_path / 'gallery')
    assert len(gallery) == 4
    assert list(gallery.unreadable()) == [str(broken)]
    assert f'1 cannot be read. The gallery {gallery.folder} holds 4.' in logged[-1]
    assert f'{broken}: ' in logged[-1]
    inferencer.index(folder, gallery.folder)
    assert '5 were known, 0 cannot be read' in logged[-1]
    write_clip(broken)
    inferencer.index(folder, gallery.folder)
    assert len(gallery) == 5
    assert gallery.unreadable() == {}


@pytest.fixture
def hanging(monkeypatch):
    """A function that lets a decoder never come back from files of a name."""
    opened = video.open_container

    def hang(name):
        def open_or_hang(path, **options):
            if os.path.basename(path) == name:
                time.sleep(600)
            return opened(path, **options)

        monkeypatch.setattr(video, 'open_container', open_or_hang)

    return hang


def test_a_video_that_never_ends_is_named_and_the_others_go_on(
    new_inferencer, clips, tmp_path, hanging
):
    hanging('clip01.mp4')
    inferencer, folder = new_inferencer(batch_size=2, time_limit=1), clips(5)
    start = time.monotonic()
    gallery = inferencer.index(folder, tmp_path / 'gallery')
    assert len(gallery) == 4
    ((path, reason),) = gallery.unreadable().items()
    assert path.endswith('clip01.mp4')
    assert reason.startswith('the process that read it took longer than 1')
    assert time.monotonic() - start < 10


def test_an_interrupt_keeps_the_videos_that_are_decoded(
    new_inferencer, clips, tmp_path, hanging, monkeypatch
):
    hanging('clip01.mp4')
    inferencer, folder = new_inferencer(batch_size=32), clips(5)
    add, times = GalleryWriter.add, []

    def add_and_interrupt(writer, *arguments):
        add(writer, *arguments)
        if len(writer._spans) == 4:  # all but the one that hangs
            threading.Timer(0.5, interrupt).start()

    def interrupt():
        times.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(GalleryWriter, 'add', add_and_interrupt)
    with pytest.raises(KeyboardInterrupt):  # as Ctrl-C
        inferencer.index(folder, tmp_path / 'gallery')
    assert time.monotonic() - times[0] < 2  # a second, and what a busy machine adds
    assert len(Gallery(tmp_path / 'gallery')) == 4


def test_a_cut_without_encoding_ends_and_gives_the_frames_behind_it(new_inferencer, tmp_path):
    (tmp_path / 'videos').mkdir()
    for number, gop in enumerate(('12', '50')):
        whole = numbered_clips.write(tmp_path / f'{number}.mp4', 60, g=gop, bf='2')
        numbered_clips.copy_from(whole, tmp_path / f'videos/{number}.mp4', 47 * 512)
    gallery = new_inferencer().index(tmp_path / 'videos', tmp_path / 'gallery')
    assert len(gallery) == 2


def test_nothing_to_index(new_inferencer, tmp_path):
    inferencer = new_inferencer()
    with pytest.raises(FileNotFoundError, match='does not exist'):
        inferencer.index(tmp_path / 'none', tmp_path / 'gallery')
    (tmp_path / 'videos').mkdir()
    with pytest.raises(ValueError, match='no file named like a video'):
        inferencer.index(tmp_path / 'videos', tmp_path / 'gallery')
    (tmp_path / 'videos/a.mp4').write_bytes(b'x')
    with pytest.raises(VideoReadError, match='None of the 1 videos can be read'):
        inferencer.index(tmp_path / 'videos', tmp_path / 'gallery')
    assert not Gallery.exists(tmp_path / 'gallery')


def test_vanished_files_are_taken_out(new_inferencer, clips, tmp_path):
    inferencer, folder = new_inferencer(), clips(4)
    gallery = inferencer.index(folder, tmp_path / 'gallery')
    (folder / '0/clip00.mp4').unlink()
    assert remove_vanished(gallery.folder) == 1
    assert len(gallery) == 3
    assert str(folder / '0/clip00.mp4') not in gallery.paths()
    with pytest.raises(GalleryError, match='holds no gallery'):
        remove_vanished(tmp_path / 'none')
    assert not (tmp_path / 'none').exists()


def _index_until_killed(inferencer, folder, target, where):
    """Index, and be killed at the third batch, before or after it counts."""
    _use_one_thread()
    calls = []

    def killing(function):
        def call(*args):
            calls.append(1)
            if len(calls) == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args)

        return call

    if where == 'before the batch counts':
        Catalogue.add = killing(Catalogue.add)
    else:
        GalleryWriter.add = killing(GalleryWriter.add)
    inferencer.index(folder, target)


@pytest.mark.parametrize('where', ['before the batch counts', 'before it is written'])
def test_a_killed_run_loses_nothing_and_doubles_nothing(new_inferencer, clips, tmp_path, where):
    inferencer, folder = new_inferencer(batch_size=3), clips(12)
    target = tmp_path / 'gallery'
    process = FORK.Process(target=_index_until_killed, args=(inferencer, folder, target, where))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert len(Gallery(target)) == 6
    finished = {path: Gallery(target).catalogue.row_of(path) for path in _paths(target)}
    gallery = inferencer.index(folder, target)
    assert sorted(_paths(target)) == sorted(map(str, folder.rglob('*.mp4')))
    assert gallery.catalogue.state().next_row == 12  # nothing was indexed twice
    assert finished.items() <= {p: gallery.catalogue.row_of(p) for p in _paths(target)}.items()
    whole = inferencer.index(folder, tmp_path / 'whole')
    for path in _paths(target):
        rows = [np.array([each.catalogue.row_of(path)]) for each in (gallery, whole)]
        left, right = (
            each.arrays.read('frames', row)
            for each, row in zip((gallery, whole), rows, strict=True)
        )
        np.testing.assert_allclose(left, right, atol=2e-3)


def _paths(target):
    return Gallery(target).catalogue.all_paths()


def _index_slowly(inferencer, folder, target):
    _use_one_thread()
    add = GalleryWriter.add

    def slow(*args):
        add(*args)
        time.sleep(0.2)

    GalleryWriter.add = slow
    inferencer.index(folder, target)


def _search_until(inferencer, target, wanted, results):
    """Search until all videos are there; report sizes and scores seen."""
    _use_one_thread()
    sizes, scores = set(), {}
    gallery, deadline = Gallery(target), time.monotonic() + 60
    while max(sizes, default=0) < wanted and time.monotonic() < deadline:
        hits = inferencer.search(TEXT, gallery, top_k=100).hits
        sizes.add(len(hits))
        assert len({hit.item for hit in hits}) == len(hits)
        for hit in hits:
            scores.setdefault(hit.item, set()).add(round(hit.similarity, 3))
    results.put((sizes, scores))


def test_two_processes_search_while_one_indexes(new_inferencer, clips, tmp_path):
    inferencer, folder = new_inferencer(batch_size=3), clips(15)
    target, results = tmp_path / 'gallery', FORK.Queue()
    writer = FORK.Process(target=_index_slowly, args=(inferencer, folder, target))
    writer.start()
    while not (Gallery.exists(target) and len(Gallery(target))):
        time.sleep(0.02)
    readers = [
        FORK.Process(target=_search_until, args=(inferencer, target, 15, results)) for _ in '12'
    ]
    for reader in readers:
        reader.start()
    seen = [results.get(timeout=60) for _ in readers]
    for process in (writer, *readers):
        process.join(30)
        assert process.exitcode == 0
    final = {hit.item: hit.similarity for hit in inferencer.search(TEXT, target, 100).hits}
    for sizes, scores in seen:
        assert 15 in sizes
        assert len(sizes) > 1  # it did search while videos came in
        assert all(len(values) == 1 for values in scores.values())
        for path, (score,) in scores.items():
            assert final[path] == pytest.approx(score, abs=1e-3)
