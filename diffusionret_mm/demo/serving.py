"""Serving of the page: it says where it is once it answers."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from diffusionret_mm.extras import import_extra

if TYPE_CHECKING:
    import fastapi
    import uvicorn

# Seconds for which requests may go on when the page ends; a browser that shows it keeps one open.
SECONDS_TO_END = 1
LAST_PORT = 2**16 - 1
EVERYWHERE = ('0.0.0.0', '::')


def bind(host: str, port: int) -> socket.socket:
    """Take an address, without listening yet.

    Args:
        host: name or number of this machine.
        port: number of the port; 0: one that is free.

    Raises:
        ValueError: if it cannot be had, or is none.
    """
    if not 0 <= port <= LAST_PORT:
        raise ValueError(f'--port {port}: a port is a number from 0 to {LAST_PORT}.')
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        raise ValueError(
            f'The page cannot be at --host {host} --port {port}: {error.strerror}. Choose another.'
        ) from error
    return bound


def server_of(
    app: fastapi.FastAPI, bound: socket.socket, when_ready: Callable[[str], Any]
) -> uvicorn.Server:
    """Return a server, whose `run` serves until the process is interrupted.

    Args:
        app: the application.
        bound: what `bind` returned.
        when_ready: is called with the address of the page once it answers.

    Raises:
        ModuleNotFoundError: if uvicorn is not installed.
    """
    uvicorn = import_extra('uvicorn', 'demo')
    base: Any = uvicorn.Server

    class Server(base):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            when_ready(address_of(bound))

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # It logs a traceback for each request that is cut off.
            logging.getLogger('uvicorn.error').setLevel(logging.CRITICAL)
            await super().shutdown(sockets)

    options = dict(log_level='warning', timeout_graceful_shutdown=SECONDS_TO_END)
    return Server(uvicorn.Config(app, **options))


def address_of(bound: socket.socket) -> str:
    """Return the address that a browser opens."""
    host, port = bound.getsockname()[:2]
    if host in EVERYWHERE:
        host = socket.gethostname()
    return f'http://[{host}]:{port}' if ':' in host else f'http://{host}:{port}'
