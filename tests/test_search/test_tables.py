"""A table and its commits: keys, conflicts, the disk, and what is said of errors."""

import errno
import os
import shutil
import threading
from pathlib import Path

import pytest

from diffusionret_mm.search import Gallery, GalleryError, VideoFile, tables
from diffusionret_mm.search.schema import files_schema, files_table
from diffusionret_mm.search.tables import Table, quoted
from diffusionret_mm.storage.locks import locked

pytest.importorskip('lance')


def rows(*names, reason=''):
    return files_table({VideoFile('videos', name, 1, 2): reason for name in names})


@pytest.fixture(params=['', 'file://'])
def table(request, tmp_path):
    """An empty table: on a disk with a lock, and where there is none."""
    made = Table(f'{request.param}{tmp_path}/table.lance')
    made.create(files_schema())
    return made


def paths(table):
    return sorted(table.open().to_table(columns=['path'])['path'].to_pylist())


def of(*names):
    return f'path IN ({", ".join(map(quoted, names))})'


def put(table, *names, **kwargs):
    table.replace(of(*names), rows(*names, **kwargs))


def test_rows_are_inserted_replaced_and_deleted(table):
    put(table, 'a', 'b')
    table.replace(of('a', 'b', 'c'), rows('b', 'c', reason='x'))
    found = table.open().to_table().to_pylist()
    assert {row['path']: row['reason'] for row in found} == dict(b='x', c='x')
    assert len(found) == 2
    table.replace(of('b', 'c'), rows('d'))  # nothing is left of the first two commits
    assert paths(table) == ['d']
    put(table, 'e', 'f')
    assert table.delete(of('e', 'z')) == 1
    assert table.delete(of('z')) == 0
    assert paths(table) == ['d', 'f']
    assert table.delete(of('d', 'f')) == 2
    assert paths(table) == []


def test_a_replacement_on_a_disk_is_one_version(tmp_path):
    table = Table(f'{tmp_path}/table.lance')
    table.create(files_schema())
    put(table, 'a', 'b')
    before = table.open().version
    table.replace(of('a', 'b'), rows('b', 'c'))
    assert table.open().version == before + 1


@pytest.mark.parametrize('has_index', [False, True])
def test_two_writers_of_the_same_version_insert_a_key_once(tmp_path, monkeypatch, has_index):
    table = Table(f'file://{tmp_path}/table.lance')  # as an object store: no lock
    table.create(files_schema())
    put(table, 'a')
    if has_index:  # it would hide the rows that came meanwhile
        table.change_index(lambda dataset: dataset.create_scalar_index('id', 'BTREE'))
    stale = table.open()
    put(Table(table.place), 'b', 'c')
    monkeypatch.setattr(table, 'open', lambda: stale)
    put(table, 'c', 'd')
    monkeypatch.undo()
    assert paths(table) == ['a', 'b', 'c', 'd']


def test_commits_on_a_disk_wait_for_each_other(tmp_path):
    table = Table(f'{tmp_path}/table.lance')
    table.create(files_schema())
    ended = threading.Event()

    def merge():
        put(table, 'b')
        ended.set()

    thread = threading.Thread(target=merge)
    with locked(table.folder):
        thread.start()
        assert not ended.wait(0.3)
    thread.join()
    assert paths(table) == ['b']


def test_what_a_commit_writes_is_on_the_disk_before_it_counts(tmp_path, monkeypatch):
    table = Table(f'{tmp_path}/table.lance')
    table.create(files_schema())
    synced, counted = [], []
    fsync, commit = os.fsync, table.lance.LanceDataset.commit

    def note(handle):
        synced.append(os.readlink(f'/proc/self/fd/{handle}'))
        fsync(handle)

    def count(*args, **kwargs):
        counted.append({os.path.relpath(path, table.folder) for path in synced})
        return commit(*args, **kwargs)

    monkeypatch.setattr(os, 'fsync', note)
    monkeypatch.setattr(table.lance.LanceDataset, 'commit', count)
    put(table, 'a')
    before = counted[0]
    written = {f'data/{path.name}' for path in Path(table.folder, 'data').iterdir()}
    assert written | {'data', '.', '..'} <= before
    assert not any(path.startswith('_versions/') for path in before)
    after = {os.path.relpath(path, table.folder) for path in synced}
    manifest = min(path.name for path in Path(table.folder, '_versions').glob('*.manifest'))
    assert {f'_versions/{manifest}', '_versions'} <= after


def test_a_full_disk_is_an_error_of_the_system(table, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError('LanceError(IO): No space left on device (os error 28), /a/b.rs:1:2')

    monkeypatch.setattr(tables.Table, 'open', refuse)
    with pytest.raises(OSError, match='No space left') as caught:
        put(table, 'a')
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, table.place)


def test_conflicts_are_tried_again_but_not_for_ever(table, monkeypatch):
    put(table, 'a')
    calls = []

    def conflict(dataset):
        calls.append(1)
        if len(calls) < 3:
            raise OSError('Retryable commit conflict for version 7')

    table.change_index(conflict)
    assert len(calls) == 3
    calls.clear()
    monkeypatch.setattr(tables, 'RETRIES', 2)
    with pytest.raises(GalleryError, match='each of the 2 times'):
        table.change_index(conflict)


def test_compaction_beside_a_writer_that_deletes(table, monkeypatch):
    for name in 'abc':
        put(table, name)
    commit = tables.Table._lock
    others = [lambda: Table(table.place).replace(of('a', 'd'), rows('d'))]

    def lock(self):
        if self is table and others:
            others.pop()()  # another process comes before this commit
        return commit(self)

    monkeypatch.setattr(tables.Table, '_lock', lock)
    table.compact()
    assert not others
    assert paths(table) == ['b', 'c', 'd']
    assert len(table.open().get_fragments()) == 1


def newest(table):
    return min(Path(table, '_versions').glob('*.manifest'))


def cut(path, size):
    with path.open('r+b') as file:
        file.truncate(size)


DAMAGES = {
    'manifest cut': lambda table: cut(newest(table), 100),
    'manifest empty': lambda table: cut(newest(table), 0),
    'manifest other': lambda table: newest(table).write_text('<html>' * 900),
    'data cut': lambda table: [cut(path, 100) for path in Path(table, 'data').iterdir()],
    'data empty': lambda table: [cut(path, 0) for path in Path(table, 'data').iterdir()],
    'data gone': lambda table: shutil.rmtree(Path(table, 'data')),
}


@pytest.mark.parametrize('damage', DAMAGES)
def test_a_damaged_table_is_named(new_gallery, damage):
    gallery, arrays = new_gallery(3)
    DAMAGES[damage](gallery.spans.place)

    def search():
        snapshot = Gallery(gallery.folder).latest()
        (found,) = snapshot.candidates(arrays['pooled'][:1], 3)
        return snapshot.read(found.rows, 'frames')

    with pytest.raises(GalleryError, match=r'spans\.lance.* It is damaged, or was copied in part'):
        search()


def test_a_table_of_files_that_was_not_copied_is_named(new_gallery):
    gallery, _ = new_gallery(3)
    shutil.rmtree(gallery.files.place)
    with pytest.raises(GalleryError, match=r'files\.lance cannot be used.*damaged'):
        Gallery(gallery.folder)


def test_messages_are_without_lines_of_code():
    error = ValueError('Not found: x, /home/a/rust/b.rs:653:26, /home/c.rs:9:1')
    assert tables.reason_of(error) == 'Not found: x'
