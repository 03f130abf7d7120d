"""Indexing: incremental, complete after kills, and no trouble for those who search."""

import os
import signal
import threading
import time

import numbered_clips
import pytest
import torch
from mmengine.logging import MMLogger

from diffusionret_mm.apis import IndexOptions, TextVideoInferencer, remove_vanished
from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.video_reading import video
from diffusionret_mm.search import Gallery, GalleryError, GalleryWriter

pytest.importorskip('lance')

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
    after = {hit.video: hit.similarity for hit in inferencer.search(TEXT, gallery).hits}
    for hit in before:
        is_same = after[hit.video] == pytest.approx(hit.similarity, abs=1e-6)
        assert is_same == (hit.video != changed)


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


@pytest.mark.usefixtures('interrupts')
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


def test_rows_are_spans_of_whole_videos(new_inferencer, clips, tmp_path):
    folder = clips(3)
    gallery = new_inferencer().index(folder, tmp_path / 'gallery')
    rows = gallery.latest().dataset.to_table().to_pylist()
    rows.sort(key=lambda row: row['path'])
    assert [row['path'] for row in rows] == ['0/clip00.mp4', '1/clip01.mp4', '2/clip02.mp4']
    assert [row['end'] for row in rows] == pytest.approx([0.6, 0.7, 0.8])
    for row in rows:
        status = (folder / row['path']).stat()
        assert (row['library'], row['kind'], row['start']) == ('videos', 'video', 0)
        assert row['bytes'] == status.st_size
        assert row['mtime'].timestamp() == pytest.approx(status.st_mtime, abs=86_400)
    assert gallery.libraries.roots == dict(videos=str(folder))
    facts = gallery.facts
    assert facts.checkpoint == str(tmp_path / 'random_0.pth')
    assert 'TokenizeCaptions' in facts.config
    assert facts.layout['frames'].dtype == 'float16'


def test_frames_in_8_bits_are_kept_and_searched(new_inferencer, clips, tmp_path):
    inferencer, folder = new_inferencer(), clips(3)
    gallery = inferencer.index(folder, tmp_path / 'int8', IndexOptions(int8=True))
    assert gallery.latest().dataset.schema.field('frames').type.value_type == 'int8'
    plain = inferencer.index(folder, tmp_path / 'plain')
    found, expected = (inferencer.search(TEXT, each).hits for each in (gallery, plain))
    similarities = {hit.video: hit.similarity for hit in expected}
    assert {hit.video: hit.similarity for hit in found} == pytest.approx(similarities, abs=2e-3)
    assert any(hit.similarity != similarities[hit.video] for hit in found)
    # The gallery says how it keeps them; a later run need not.
    assert inferencer.index(folder, gallery.folder).facts.int8
    with pytest.raises(GalleryError, match='keeps frames in half precision. Leave int8'):
        inferencer.index(folder, plain.folder, IndexOptions(int8=True))


def test_a_library_that_has_moved_is_not_indexed_again(new_inferencer, clips, tmp_path, logged):
    inferencer, folder = new_inferencer(), clips(3)
    gallery = inferencer.index(folder, tmp_path / 'gallery')
    moved = folder.rename(tmp_path / 'elsewhere')
    with pytest.raises(GalleryError, match=f'{folder} of the library .videos. does not exist'):
        remove_vanished(gallery.folder)
    inferencer.index(moved, gallery.folder, IndexOptions(dict(videos=moved)))
    assert added_in(logged[-1]) == 0
    hits = inferencer.search(TEXT, gallery.folder).hits
    assert {hit.video for hit in hits} == {*map(str, moved.rglob('*.mp4'))}


def test_a_new_library_can_be_named(new_inferencer, clips, tmp_path):
    inferencer, folder = new_inferencer(), clips(2)
    options = IndexOptions(dict(holidays=folder))
    gallery = inferencer.index(folder / '0', tmp_path / 'gallery', options)
    assert [file.key for file in gallery.known().values()] == [('holidays', '0/clip00.mp4')]
    inferencer.index(folder, gallery.folder)
    assert gallery.libraries.roots == dict(holidays=str(folder))
    assert len(gallery) == 2


def test_several_devices_give_the_rows_of_one(new_inferencer, clips, tmp_path, monkeypatch):
    folder, encoded = clips(7), []
    one = new_inferencer(batch_size=2)
    gallery = one.index(folder, tmp_path / 'one')
    monkeypatch.setattr(torch.nn.Module, 'to', lambda module, *args, **kwargs: module)
    encode = TextVideoInferencer.encode_items

    def encode_here(inferencer, items):
        encoded.append(inferencer.device)
        there, inferencer.device = inferencer.device, torch.device('cpu')
        try:
            return encode(inferencer, items)
        finally:
            inferencer.device = there

    monkeypatch.setattr(TextVideoInferencer, 'encode_items', encode_here)
    devices = [torch.device('cuda', number) for number in range(3)]  # stand-ins
    many = one.index(folder, tmp_path / 'many', IndexOptions(devices=devices))
    assert set(encoded) <= set(devices)
    assert len(encoded) >= 4
    assert len(set(encoded)) > 1
    left, right = (
        sorted(each.latest().dataset.to_table().to_pylist(), key=lambda row: row['id'])
        for each in (gallery, many)
    )
    for one_row, other in zip(left, right, strict=True):
        assert one_row['id'] == other['id']
        assert one_row['frames'] == pytest.approx(other['frames'], abs=2e-3)
