"""A page over a small gallery, served."""

import socket
import threading
import time

import pytest

pytest.importorskip('lance')
pytest.importorskip('gradio')

from diffusionret_mm.demo.page import build_app  # noqa: E402
from diffusionret_mm.demo.service import DemoService  # noqa: E402


@pytest.fixture
def service(new_inferencer, clips, tmp_path):
    """What answers, over five clips."""
    inferencer = new_inferencer()
    gallery = inferencer.index(clips(5), tmp_path / 'gallery')
    return DemoService(inferencer, gallery, ['a cat sits', 'it rains'])


@pytest.fixture
def server(service):
    """Address of the page."""
    import uvicorn

    with socket.socket() as listening:
        listening.bind(('127.0.0.1', 0))
        config = uvicorn.Config(build_app(service), log_level='warning')
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs=dict(sockets=[listening]))
        thread.start()
        while not running.started:
            time.sleep(0.02)
        yield 'http://{}:{}'.format(*listening.getsockname())
        running.should_exit = True
        running.force_exit = True  # a browser may hold connections
        thread.join()
