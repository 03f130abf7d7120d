"""What a gallery promises to those who write it."""

from contextlib import suppress

import numpy as np
import pytest

from diffusionret_mm.search import Gallery, GalleryError, GalleryWriter, Libraries, Span, writing
from diffusionret_mm.search.schema import file_id

pytest.importorskip('lance')


def frames_of(gallery, name):
    snapshot = gallery.latest()
    rows = snapshot.dataset.to_table(
        columns=['start'], filter=f"path = '{name}.mp4'", with_row_id=True
    )
    order = np.argsort(rows['start'].to_numpy())
    return snapshot.read(rows['_rowid'].to_numpy()[order], 'frames')['frames']


def test_replaced_and_removed_videos(new_gallery, spans, draw_arrays):
    gallery, _ = new_gallery(6)
    changed = draw_arrays(1, seed=5)
    writer = GalleryWriter(gallery)
    with writer:
        writer.add(spans('v3', bytes=2, end=7.0), changed)  # longer than before: another id
    assert writer.remove([('videos', 'v0.mp4'), ('videos', 'none.mp4')]) == 1
    assert len(gallery) == len(gallery.latest()) == 5
    assert gallery.paths() == [f'/videos/v{i}.mp4' for i in range(1, 6)]
    (found,) = gallery.latest().candidates(changed['pooled'], 10)
    assert sorted(span.path for span in found.spans) == gallery.paths()
    np.testing.assert_array_equal(frames_of(gallery, 'v3'), changed['frames'])
    assert gallery.known()['videos', 'v3.mp4'].bytes == 2


def test_spans_of_a_video_are_replaced_together(new_gallery, files, draw_arrays):
    gallery, _ = new_gallery(2)
    (file,) = files('long')
    windows = [Span(file, 10.0 * i, 10.0 * i + 10, 'window') for i in range(3)]
    with GalleryWriter(gallery) as writer:
        writer.add(windows, draw_arrays(3, seed=1))
    with GalleryWriter(gallery) as writer:
        writer.add(windows[1:], draw_arrays(2, seed=2))
    assert (len(gallery), len(gallery.latest())) == (3, 4)
    np.testing.assert_array_equal(frames_of(gallery, 'long'), draw_arrays(2, seed=2)['frames'])
    (found,) = gallery.latest().candidates(draw_arrays(1)['pooled'], 10)
    starts = sorted(span.start for span in found.spans if span.kind == 'window')
    assert starts == [10, 20]


def test_unreadable_files_are_remembered_until_they_are_readable(
    new_gallery, files, spans, draw_arrays
):
    gallery, _ = new_gallery(3)
    with GalleryWriter(gallery) as writer:
        writer.note_unreadable(files('v1', bytes=9)[0], 'cut short')
    assert gallery.unreadable() == {'/videos/v1.mp4': 'cut short'}
    assert len(gallery) == len(gallery.latest()) == 2
    assert gallery.known()['videos', 'v1.mp4'].bytes == 9
    with GalleryWriter(gallery) as writer:
        writer.add(spans('v1'), draw_arrays(1))
    assert gallery.unreadable() == {}
    assert len(gallery) == len(gallery.latest()) == 3


def test_rows_that_do_not_fit_change_nothing(new_gallery, spans, draw_arrays):
    gallery, _ = new_gallery(2)
    with GalleryWriter(gallery) as writer:
        with pytest.raises(ValueError, match='not as many rows'):
            writer.add(spans('a', 'b'), draw_arrays(1))
        with pytest.raises(ValueError, match='has the arrays'):
            writer.add(spans('a'), dict(pooled=draw_arrays(1)['pooled']))
    assert len(gallery.latest()) == 2


def test_rows_wait_until_there_are_enough(new_gallery, spans, draw_arrays, monkeypatch):
    monkeypatch.setattr(writing, 'COMMIT_ROWS', 4)
    gallery, _ = new_gallery(2)
    with GalleryWriter(gallery) as writer:
        writer.add(spans('a', 'b', 'c'), draw_arrays(3))
        assert len(gallery.latest()) == 2
        writer.add(spans('d'), draw_arrays(1))
        assert len(gallery.latest()) == 6
        writer.add(spans('e'), draw_arrays(1))
        assert len(gallery.latest()) == 6
    assert len(gallery.latest()) == 7


def test_rows_do_not_wait_too_long(new_gallery, spans, draw_arrays, monkeypatch):
    gallery, _ = new_gallery(2)
    now = [100.0]
    monkeypatch.setattr(writing.time, 'monotonic', lambda: now[0])
    writer = GalleryWriter(gallery)
    now[0] += 1000  # the time counts from the first row
    writer.add(spans('a'), draw_arrays(1))
    now[0] += writing.COMMIT_SECONDS - 1
    writer.commit_if_due()
    assert len(gallery.latest()) == 2
    now[0] += 1
    writer.commit_if_due()
    assert len(gallery.latest()) == 3


def test_an_interrupt_commits_what_is_there(new_gallery, spans, draw_arrays):
    gallery, _ = new_gallery(2)
    with suppress(KeyboardInterrupt), GalleryWriter(gallery) as writer:
        writer.add(spans('a'), draw_arrays(1))
        raise KeyboardInterrupt
    assert len(gallery.latest()) == 3


def test_names_with_quotes(new_gallery, spans, draw_arrays):
    gallery, _ = new_gallery(1)
    name = "it's \"a\" 100% 'test'"
    writer = GalleryWriter(gallery)
    for end in (1.0, 2.0):
        with writer:
            writer.add(spans(name, end=end), draw_arrays(1))
    assert len(gallery.latest()) == 2
    assert writer.remove([('videos', f'{name}.mp4')]) == 1
    assert len(gallery.latest()) == 1


def test_a_library_that_moves(new_gallery, tmp_path):
    gallery, _ = new_gallery(1)
    moved = Gallery(gallery.folder, dict(videos=tmp_path))
    assert moved.paths() == [f'{tmp_path}/v0.mp4']
    assert Gallery(gallery.folder).paths() == ['/videos/v0.mp4']
    moved.add_libraries(moved.libraries)
    assert Gallery(gallery.folder).paths() == [f'{tmp_path}/v0.mp4']
    with pytest.raises(ValueError, match="no library 'films'; it has videos"):
        Gallery(gallery.folder, dict(films=tmp_path))


def test_two_processes_give_one_name_to_two_folders(new_gallery):
    gallery, _ = new_gallery(1)
    other = Gallery(gallery.folder)
    gallery.add_libraries(Libraries(dict(videos='/videos', films='/a/films')))
    with pytest.raises(GalleryError, match="just added a library 'films'"):
        other.add_libraries(Libraries(dict(videos='/videos', films='/b/films')))


def test_the_rows_of_killed_commits_are_no_files_yet(new_gallery, spans, draw_arrays, monkeypatch):
    gallery, _ = new_gallery(2)
    writer = GalleryWriter(gallery)
    writer.add(spans('a'), draw_arrays(1))
    monkeypatch.setattr(gallery.files, 'replace', _killed)
    with pytest.raises(InterruptedError):
        writer.commit()
    monkeypatch.undo()
    assert ('videos', 'a.mp4') not in gallery.known()  # so it is indexed again
    with GalleryWriter(gallery) as writer:
        writer.add(spans('a', end=6.0), draw_arrays(1))
    assert (len(gallery), len(gallery.latest())) == (3, 3)
    ids = gallery.files.open().to_table(columns=['id'])['id'].to_pylist()
    assert ids.count(file_id('videos', 'a.mp4')) == 1


def _killed(*args):
    raise InterruptedError
