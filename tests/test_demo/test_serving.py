"""Serving of the page."""

import socket
import threading
from queue import Queue

import fastapi
import httpx
import pytest

from diffusionret_mm.demo.serving import address_of, bind, server_of


def test_the_address_is_told_once_the_page_answers():
    answers, app = Queue(), fastapi.FastAPI()
    app.add_api_route('/', lambda: 'here')

    def ask(address):  # in the thread of the server, which answers another one
        threading.Thread(target=lambda: answers.put(httpx.get(address).json())).start()

    with bind('127.0.0.1', 0) as bound:
        with pytest.raises(httpx.ConnectError):
            httpx.get(address_of(bound))
        running = server_of(app, bound, ask)
        thread = threading.Thread(target=running.run, args=([bound],))
        thread.start()
        assert answers.get(timeout=20) == 'here'
        running.should_exit = True
        thread.join()


def test_an_address_that_is_taken_is_refused():
    with bind('127.0.0.1', 0) as bound:
        bound.listen()
        port = bound.getsockname()[1]
        with pytest.raises(ValueError, match=f'--port {port}: Address already in use. Choose'):
            bind('127.0.0.1', port)


@pytest.mark.parametrize(
    ('host', 'port', 'reason'),
    [('127.0.0.1', 70_000, 'from 0 to 65535'), ('no host at all', 0, 'Choose another')],
)
def test_what_is_no_address_is_refused(host, port, reason):
    with pytest.raises(ValueError, match=f'--port {port}: .*{reason}'):
        bind(host, port)


def test_an_address_for_others_names_the_machine():
    with bind('0.0.0.0', 0) as bound:
        port = bound.getsockname()[1]
        assert address_of(bound) == f'http://{socket.gethostname()}:{port}'
