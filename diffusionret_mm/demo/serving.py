"""Serving of the page: it says where it is once it answers."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from diffusionret_mm.extras import import_extra

if TYPE_CHECKING:
    import fastapi

# Seconds for which requests may go on when the page ends; a browser that shows it keeps one open.
SECONDS_TO_END = 1
EVERYWHERE = ('0.0.0.0', '::')


def bind(host: str, port: int) -> socket.socket:
    """Take an address, without listening yet.

    Args:
        host: name or number of this machine.
        port: number of the port; 0: one that is free.

    Raises:
        ValueError: if it cannot be had.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except (OSError, OverflowError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise ValueError(
            f'The page cannot be at --host {host} --port {port}: {reason}. Choose another.'
        ) from error
    return bound


def serve(app: fastapi.FastAPI, bound: socket.socket) -> None:
    """Serve an application until the process is interrupted; print its address once it answers.

    Args:
        app: the application.
        bound: what `bind` returned.

    Raises:
        ModuleNotFoundError: if uvicorn is not installed.
    """
    uvicorn = import_extra('uvicorn', 'demo')

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            print(f'The page is at {address_of(bound)}; Ctrl-C ends it.', flush=True)

    options = dict(log_level='warning', timeout_graceful_shutdown=SECONDS_TO_END)
    Server(uvicorn.Config(app, **options)).run(sockets=[bound])


def address_of(bound: socket.socket) -> str:
    """Return the address that a browser opens."""
    host, port = bound.getsockname()[:2]
    if host in EVERYWHERE:
        host = socket.gethostname()
    return f'http://[{host}]:{port}' if ':' in host else f'http://{host}:{port}'
