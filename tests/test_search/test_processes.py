"""Processes that change a gallery at the same time, and those who read meanwhile."""

from pathlib import Path

import pytest
from processes import start_script

from diffusionret_mm.search import Gallery

pytest.importorskip('lance')

WRITER = Path(__file__).parents[1] / 'gallery_writer.py'
MERGED = {f'merged{i}.mp4' for i in range(32 * 9 + 64)}


@pytest.fixture
def change(tmp_path):
    """A function that starts a process that changes a gallery."""
    started = []

    def start(gallery, *arguments):
        output = tmp_path / f'{len(started)}.txt'
        files = dict(stdout=output, stderr=output)
        process = start_script(WRITER, gallery.folder, *arguments, **files)
        started.append((process, output))
        return process

    def wait():
        for process, output in started:
            process.join(120)
            assert process.exitcode == 0, output.read_text()

    start.wait = wait
    yield start
    for process, _ in started:
        process.kill()
        process.join()


def names(gallery):
    return gallery.latest().dataset.to_table(columns=['path'])['path'].to_pylist()


@pytest.mark.parametrize('prefix', ['', 'file://'])  # with the lock of a disk, and as a store
def test_two_mergers_of_the_same_rows(new_gallery, change, tmp_path, prefix):
    gallery, _ = new_gallery(6, folder=f'{prefix}{tmp_path}/gallery')
    gallery.spans.change_index(lambda dataset: dataset.create_scalar_index('id', 'BTREE'))
    for number in range(2):
        change(gallery, 'merge', number, 10)
    change.wait()
    found = names(gallery)
    assert len(found) == len(set(found))
    assert set(found) == MERGED | {f'v{i}.mp4' for i in range(6)}


@pytest.mark.parametrize('prefix', ['', 'file://'])
def test_a_reader_sees_whole_versions_only(new_gallery, change, tmp_path, prefix):
    gallery, arrays = new_gallery(8, folder=f'{prefix}{tmp_path}/gallery')
    before = gallery.latest()
    (wanted,) = before.candidates(arrays['pooled'][:1], 10)
    processes = [change(gallery, 'append', number, 12) for number in range(2)]
    processes.append(change(gallery, 'maintain', 0, 6))
    sizes = []
    while any(process.is_alive() for process in processes):
        snapshot = gallery.latest()
        sizes.append(len(snapshot))
        (found,) = snapshot.candidates(arrays['pooled'][:1], 1000)
        assert len(found.spans) == len(snapshot)
        assert len(snapshot.read(found.rows, 'frames', 'mask')['frames']) == len(snapshot)
        (still,) = before.candidates(arrays['pooled'][:1], 10)
        assert still.spans == wanted.spans
    change.wait()
    assert all(size % 8 == 0 for size in sizes)  # commits are of eight rows
    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 2  # it did read meanwhile
    assert len(Gallery(gallery.folder).latest()) == 8 + 2 * 12 * 8
