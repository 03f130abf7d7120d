"""Indexing of spans: each file is read once, and is in the gallery as a whole or not at all."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import numbered_clips
import numpy as np
import pytest
import torch
from processes import start_script

from diffusionret_mm.apis import IndexOptions
from diffusionret_mm.datasets.spans import Moments, SpanReader
from diffusionret_mm.datasets.video_reading import Video
from diffusionret_mm.export import ExportError
from diffusionret_mm.features.spans import encode_spans
from diffusionret_mm.search import Gallery, GalleryError, GalleryWriter

pytest.importorskip('lance')
pytest.importorskip('scenedetect')

WINDOWS = IndexOptions(moments=Moments('windows'))
# They need no detector of cuts.
ACROSS = IndexOptions(moments=Moments('windows', across_cuts=True))
KILLED_WORKER = Path(__file__).parents[1] / 'killed_span_worker.py'
CRASHED = 'the process that read it crashed'


@pytest.fixture
def videos(tmp_path):
    """A function that writes clips of four frames per second, of some seconds each."""

    def write(**seconds):
        (tmp_path / 'videos').mkdir()
        for name, length in seconds.items():
            numbered_clips.write(tmp_path / f'videos/{name}.mp4', 4 * length, rate=4)
        return tmp_path / 'videos'

    return write


def rows_of(gallery):
    rows = gallery.latest().dataset.to_table().to_pylist()
    return sorted(rows, key=lambda row: (row['path'], row['start']))


def spans_of(gallery):
    found = {}
    for row in rows_of(gallery):
        found.setdefault(row['path'], []).append((row['start'], row['end'], row['kind']))
    return found


@pytest.mark.parametrize('kind', ['windows', 'shots'])
def test_rows_are_those_of_the_spans(new_inferencer, videos, tmp_path, kind):
    inferencer, folder, moments = new_inferencer(), videos(long=61, short=9), Moments(kind)
    gallery = inferencer.index(folder, tmp_path / 'gallery', IndexOptions(moments=moments))
    assert gallery.facts.moments == Gallery(gallery.folder).facts.moments == moments
    reader = SpanReader(inferencer.transforms, moments)
    found = rows_of(gallery)
    for name in ('long', 'short'):
        spans, features = encode_spans(inferencer.model, reader, folder / f'{name}.mp4')
        rows = [row for row in found if row['path'] == f'{name}.mp4']
        order = np.argsort([span.start for span in spans])
        for row, number in zip(rows, order, strict=True):
            span = spans[number]
            assert (row['start'], row['end'], row['kind']) == (span.start, span.end, span.kind)
            assert row['frames'] == pytest.approx(features.frames[number].flatten(), abs=2e-3)
            assert row['mask'] == features.mask[number].tolist()
    assert len(gallery) == 2


def test_windows_of_other_lengths(new_inferencer, videos, tmp_path):
    options = IndexOptions(moments=Moments('windows', 3, 1))
    gallery = new_inferencer().index(videos(clip=6, short=2), tmp_path / 'gallery', options)
    assert spans_of(gallery) == {
        'clip.mp4': [(start, start + 3, 'window') for start in range(4)],
        'short.mp4': [(0, 2, 'window')],
    }


@pytest.fixture
def after_frames(monkeypatch):
    """A function that makes decoders of a file do something after a number of frames."""

    def patch(name, count, action):
        own = Video.stream

        def stream(video, numbers):
            for place, pair in enumerate(own(video, numbers)):
                if os.path.basename(video.path) == name and place == count:
                    action()
                yield pair

        monkeypatch.setattr(Video, 'stream', stream)

    return patch


def test_decoders_that_crash_or_hang_half_way_are_named(
    new_inferencer, videos, tmp_path, after_frames
):
    after_frames('crashes.mp4', 30, lambda: os._exit(1))
    after_frames('hangs.mp4', 30, signal.pause)
    folder, inferencer = videos(crashes=300, good=300, hangs=300), new_inferencer(time_limit=1)
    gallery = inferencer.index(folder, tmp_path / 'gallery', ACROSS)
    assert [*spans_of(gallery)] == ['good.mp4']
    reasons = {os.path.basename(path): text for path, text in gallery.unreadable().items()}
    assert reasons.pop('crashes.mp4') == CRASHED
    assert reasons.pop('hangs.mp4').startswith('the process that read it took longer than 1')
    assert not reasons


def test_frames_that_turn_out_others_are_read_again(new_inferencer, videos, tmp_path):
    folder = videos(good=40)
    path = numbered_clips.write(folder / 'cut.ts', 600, rate=10, g='600', bf='0')
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(188 * 40) + data[len(data) // 2 :])
    inferencer = new_inferencer()
    gallery = inferencer.index(folder, tmp_path / 'gallery', ACROSS)
    reader = SpanReader(inferencer.transforms, ACROSS.moments)
    spans, _ = encode_spans(inferencer.model, reader, path)
    assert spans_of(gallery)['cut.ts'] == [(s.start, s.end, s.kind) for s in spans]


@pytest.mark.usefixtures('interrupts')
def test_an_interrupt_keeps_the_videos_that_are_done(
    new_inferencer, videos, tmp_path, after_frames, monkeypatch
):
    after_frames('hangs.mp4', 30, signal.pause)
    add, times = GalleryWriter.add, []

    def interrupt():
        times.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    def add_and_interrupt(writer, *arguments):
        add(writer, *arguments)
        threading.Timer(0.5, interrupt).start()

    monkeypatch.setattr(GalleryWriter, 'add', add_and_interrupt)
    with pytest.raises(KeyboardInterrupt):  # as Ctrl-C
        new_inferencer().index(videos(good=20, hangs=300), tmp_path / 'gallery', ACROSS)
    assert time.monotonic() - times[0] < 2  # a second, and what a busy machine adds
    assert [*spans_of(Gallery(tmp_path / 'gallery'))] == ['good.mp4']


def test_a_run_that_is_killed_begins_a_video_again(new_inferencer, videos, tmp_path):
    folder, inferencer = videos(a=4, long=50), new_inferencer()
    inferencer.cfg.dump(tmp_path / 'config.py')
    arguments = tmp_path / 'config.py', tmp_path / 'random_0.pth', folder, tmp_path / 'gallery'
    process = start_script(KILLED_WORKER, *arguments, 'long.mp4')
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    assert [*spans_of(Gallery(tmp_path / 'gallery'))] == ['a.mp4']
    gallery = inferencer.index(folder, tmp_path / 'gallery')  # the moments are the gallery's
    rows = rows_of(gallery)
    assert len({row['id'] for row in rows}) == len(rows) == 4 + 50
    assert len(gallery) == len(gallery.files.open()) == 2


def test_a_changed_video_is_cut_again(new_inferencer, videos, tmp_path):
    folder, inferencer = videos(a=40, b=20), new_inferencer()
    gallery = inferencer.index(folder, tmp_path / 'gallery', ACROSS)
    assert len(spans_of(gallery)['a.mp4']) == 7
    numbered_clips.write(folder / 'a.mp4', 72, rate=4)
    gallery = inferencer.index(folder, gallery.folder)
    ends = [span[1] for span in spans_of(gallery)['a.mp4']]
    assert ends == pytest.approx([10, 15, 18])
    assert len(spans_of(gallery)['b.mp4']) == 3


def test_a_gallery_has_moments_of_one_kind(new_inferencer, videos, tmp_path):
    folder, inferencer = videos(a=16), new_inferencer()
    inferencer.index(folder, tmp_path / 'windows', WINDOWS)
    inferencer.index(folder, tmp_path / 'whole')
    said = 'was made with moments windows of 10 s every 5 s, not shots: leave the moments out'
    with pytest.raises(GalleryError, match=said):
        inferencer.index(folder, tmp_path / 'windows', IndexOptions(moments=Moments('shots')))
    options = IndexOptions(moments=Moments('windows', 10, 2))
    with pytest.raises(GalleryError, match='every 5 s, not windows of 10 s every 2 s'):
        inferencer.index(folder, tmp_path / 'windows', options)
    with pytest.raises(GalleryError, match='moments none, not windows of 10 s every 5 s'):
        inferencer.index(folder, tmp_path / 'whole', WINDOWS)


def test_windows_across_cuts_go_on_so(new_inferencer, videos, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'scenedetect', None)  # they do not need it
    folder, inferencer = videos(a=16), new_inferencer()
    inferencer.index(folder, tmp_path / 'gallery', ACROSS)
    said = 'windows of 10 s every 5 s across cuts, not windows of 10 s every 5 s: leave'
    with pytest.raises(GalleryError, match=said):
        inferencer.index(folder, tmp_path / 'gallery', WINDOWS)
    numbered_clips.write(folder / 'b.mp4', 40, rate=4)
    gallery = inferencer.index(folder, tmp_path / 'gallery')
    assert spans_of(gallery)['b.mp4'] == [(0, 10, 'video')]


def test_onnx_encoders_are_refused(new_inferencer, videos, tmp_path):
    inferencer = new_inferencer()
    inferencer.encoders = object()  # stands for those of ONNX
    with pytest.raises(ExportError, match='ONNX encoders read whole videos'):
        inferencer.index(videos(a=16), tmp_path / 'gallery', ACROSS)
    assert not Gallery.exists(tmp_path / 'gallery')


def test_pipelines_that_do_not_read_frame_by_frame_are_refused(new_inferencer, videos, tmp_path):
    inferencer = new_inferencer()
    inferencer.transforms.insert(1, dict(type='Flip'))
    with pytest.raises(ValueError, match='The test pipeline has Flip. Spans share frames'):
        inferencer.index(videos(a=16), tmp_path / 'gallery', ACROSS)


def test_several_devices_give_the_rows_of_one(new_inferencer, videos, tmp_path, monkeypatch):
    folder = videos(**{f'v{number}': 16 + 7 * number for number in range(5)})
    inferencer = new_inferencer()
    one = inferencer.index(folder, tmp_path / 'one', ACROSS)
    used = []
    monkeypatch.setattr(type(inferencer), 'on', lambda self, device: used.append(device) or self)
    devices = [torch.device('cuda', number) for number in range(3)]  # stand-ins
    options = IndexOptions(devices=devices, moments=ACROSS.moments)
    several = inferencer.index(folder, tmp_path / 'several', options)
    assert used == devices
    for left, right in zip(rows_of(one), rows_of(several), strict=True):
        assert left['id'] == right['id']
        assert left['frames'] == pytest.approx(right['frames'], abs=2e-3)


@pytest.mark.usefixtures('no_cuts')
def test_frames_are_encoded_once(new_inferencer, videos, tmp_path, monkeypatch):
    inferencer, counts = new_inferencer(), []
    own = inferencer.model.backbone.encode_frames

    def encode(frames, mask):
        counts.append(int(mask.sum()))
        return own(frames, mask)

    monkeypatch.setattr(inferencer.model.backbone, 'encode_frames', encode)
    gallery = inferencer.index(videos(a=60), tmp_path / 'gallery', WINDOWS)
    assert sum(sum(row['mask']) for row in rows_of(gallery)) == 11 * 4
    assert sum(counts) == 6 * 4
