"""Pages over small galleries, which tests share and do not change."""

import os
import threading
from contextlib import contextmanager
from queue import Queue

import numbered_clips
import pytest

pytest.importorskip('lance')
pytest.importorskip('gradio')

from diffusionret_mm.apis import IndexOptions  # noqa: E402
from diffusionret_mm.datasets.spans import Moments  # noqa: E402
from diffusionret_mm.demo.app import build_app  # noqa: E402
from diffusionret_mm.demo.service import DemoService  # noqa: E402
from diffusionret_mm.demo.serving import bind, server_of  # noqa: E402
from diffusionret_mm.search import FoundSpan, Hit  # noqa: E402

SENTENCES = ['a cat sits', 'it rains']
WINDOWS = Moments('windows', length=2, step=1, across_cuts=True)


@pytest.fixture(scope='session')
def inferencer(indexed_clips):
    """The tiny model, with the transforms of whole videos."""
    return indexed_clips.inferencer


@pytest.fixture(scope='session')
def service(inferencer, indexed_clips, tmp_path_factory):
    """What answers, over five clips, whole; no test changes them."""
    videos = sorted(indexed_clips.videos.rglob('*.mp4'))[:5]
    gallery = inferencer.index(videos, tmp_path_factory.mktemp('whole') / 'gallery')
    return DemoService(inferencer, gallery, SENTENCES)


@pytest.fixture(scope='session')
def film_service(inferencer, tmp_path_factory):
    """What answers, over windows of a film that browsers play and one that they do not."""
    folder = tmp_path_factory.mktemp('films')
    (folder / 'videos').mkdir()
    numbered_clips.write(folder / 'videos/film.mp4', 60, rate=10, g='5')
    numbered_clips.write(folder / 'videos/old.avi', 80, 'mpeg4', rate=10)
    options = IndexOptions(moments=WINDOWS)
    return DemoService(inferencer, inferencer.index(folder / 'videos', folder / 'gallery', options))


@pytest.fixture(scope='session')
def serving():
    """A context that serves a page and gives its address, once it was printed."""

    @contextmanager
    def serve(service):
        addresses = Queue()
        with bind('127.0.0.1', 0) as bound:
            running = server_of(build_app(service), bound, addresses.put)
            thread = threading.Thread(target=running.run, args=([bound],))
            thread.start()
            try:
                yield addresses.get(timeout=60)
            finally:
                running.should_exit = True
                thread.join()

    return serve


@pytest.fixture(scope='module')
def server(serving, service):
    """Address of the page over whole clips."""
    with serving(service) as address:
        yield address


@pytest.fixture(scope='session')
def scored():
    """A function that makes what a search has found of a span."""

    def make(path='film.mp4', start=0.0, end=2.0, score=0.5, rank=1, generator=None):
        span = FoundSpan(f'id{start:g}', path, start, end, 'window')
        return Hit(rank, path, start, end, score, generator, score, span)

    return make


class Gate:
    """What forked processes wait at until it is opened; those that are killed leave no trace."""

    def __init__(self):
        self._reader, self._writer = os.pipe()

    def wait(self):
        os.read(self._reader, 1)

    def open(self):
        os.write(self._writer, b'some')

    def close(self):
        os.close(self._reader)
        os.close(self._writer)


@pytest.fixture
def gate():
    """A gate for the processes that decode."""
    gate = Gate()
    yield gate
    gate.close()
