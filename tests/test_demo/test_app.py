"""The web application: which files it serves, and what it leaves behind."""

import io
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numbered_clips
import numpy as np
import pytest
from fastapi.testclient import TestClient

from diffusionret_mm.apis import IndexOptions
from diffusionret_mm.datasets.spans import Moments
from diffusionret_mm.demo.app import build_app
from diffusionret_mm.demo.cards import cards
from diffusionret_mm.demo.service import DemoService
from diffusionret_mm.search import Gallery

TEXT = 'a red circle moves left'
SIZE = (96, 64)
QUARTER = (True, False, True)


def write_odd_files(folder):
    """Write a clip of variable rate, a turned one, one whose tail is missing, and one of sound."""
    ticks = [50 * n * (n + 1) // 2 for n in range(16)]
    tick = Fraction(1, 1000)
    numbered_clips.write(folder / 'variable.mkv', 16, rate=10, ticks=ticks, tick=tick)
    matrix = numbered_clips.matrix_of(QUARTER, SIZE)
    numbered_clips.write(folder / 'turned.mp4', 40, rate=10, matrix=matrix)
    numbered_clips.write(folder / 'broken.ts', 60, rate=10, g='10')
    data = (folder / 'broken.ts').read_bytes()
    (folder / 'broken.ts').write_bytes(data[: len(data) * 2 // 3])
    with av.open(str(folder / 'sound.mp4'), 'w') as container:
        stream = container.add_stream('aac', rate=8000, layout='mono')
        silence = np.zeros((1, 1024), np.float32)
        frame = av.AudioFrame.from_ndarray(silence, format='fltp', layout='mono')
        frame.sample_rate, frame.pts = 8000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_odd_files_are_found_and_played(inferencer, tmp_path):
    (tmp_path / 'videos').mkdir()
    write_odd_files(tmp_path / 'videos')
    pytest.importorskip('scenedetect')
    options = IndexOptions(moments=Moments('windows', length=2, step=1))
    gallery = inferencer.index(tmp_path / 'videos', tmp_path / 'gallery', options)
    assert [Path(path).name for path in gallery.unreadable()] == ['sound.mp4']
    service = DemoService(inferencer, gallery)
    found = service.find(TEXT).videos
    assert {video.name for video in found} == {'variable.mkv', 'turned.mp4', 'broken.ts'}
    assert cards(found).count('<video') == 3
    with TestClient(build_app(service)) as client:
        for video in found:
            last = max(video.spans, key=lambda span: span.start)
            played = client.get(f'/video/{last.span.id}')
            assert (played.status_code, played.headers['content-type']) == (200, 'video/mp4')
            with av.open(io.BytesIO(played.content)) as container:
                assert max(frame.time for frame in container.decode(video=0)) >= last.start


def test_videos_that_moved_are_played(inferencer, write_clip, tmp_path):
    before, after = tmp_path / 'before', tmp_path / 'after'
    write_clip(before / 'videos/1/clip.mp4')
    inferencer.index(before / 'videos', before / 'gallery')
    before.rename(after)
    services = {
        is_known: DemoService(
            inferencer,
            Gallery(after / 'gallery', dict(videos=after / 'videos') if is_known else {}),
        )
        for is_known in (True, False)
    }
    for is_known, service in services.items():
        (video,) = service.find(TEXT).videos
        with TestClient(build_app(service)) as client:
            played = client.get(f'/video/{video.spans[0].span.id}')
        assert played.status_code == (200 if is_known else 404)


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Where the page makes its folders."""
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    return tmp_path


def test_the_folder_of_a_page_goes_with_it(service, folders):
    span = service.find(TEXT).videos[0].spans[0].span.id
    with TestClient(build_app(service)) as client:
        assert client.get(f'/video/{span}').status_code == 200
        (folder,) = folders.iterdir()
        assert len(list(folder.glob('*.mp4'))) == 1
    assert not list(folders.iterdir())
