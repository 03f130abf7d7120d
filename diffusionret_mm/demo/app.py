"""The web application: the page, and the videos that it plays."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.demo.errors import RequestError
from diffusionret_mm.demo.page import Page
from diffusionret_mm.demo.playback import Playback
from diffusionret_mm.demo.service import DemoService
from diffusionret_mm.demo.uploads import MAX_UPLOAD_MB, own_upload_folder
from diffusionret_mm.extras import import_extra

if TYPE_CHECKING:
    import fastapi

# Requests that may wait; more are refused with a message.
QUEUE = 64
STATIC = Path(__file__).parent / 'static'


def build_app(service: DemoService) -> fastapi.FastAPI:
    """Make the web application.

    It serves videos of the gallery by the ids of their spans, under `/video/ID`, and no other file.
    It reads what its visitors upload, and no other file: uploads lie in a folder of this page
    alone. That folder is removed when the application ends.

    Args:
        service: what answers.

    Raises:
        ModuleNotFoundError: if Gradio is not installed.
    """
    gr = import_extra('gradio', 'demo')
    fastapi = import_extra('fastapi', 'demo')
    responses = import_extra('fastapi.responses', 'demo')
    temporary = tempfile.TemporaryDirectory(prefix='diffusionret_mm_demo_')

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        with temporary:
            yield

    app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    playback = Playback(Path(temporary.name))
    no_video = RequestError, VideoReadError, ValueError, OSError

    def video(span: str) -> Any:
        try:
            found = service.span_of(span)
            return responses.FileResponse(playback.file_for(found.path, found.start))
        except no_video as error:
            raise fastapi.HTTPException(404, 'There is no such video.') from error

    app.add_api_route('/video/{span}', video)
    with own_upload_folder(Path(temporary.name)) as uploads:
        blocks = Page(gr, service, uploads).blocks
        blocks.queue(max_size=QUEUE, default_concurrency_limit=1)
        options = dict(max_file_size=MAX_UPLOAD_MB * 10**6, ssr_mode=False, footer_links=[])
        return gr.mount_gradio_app(app, blocks, path='/', head=_head(), **options)


def _head() -> str:
    """Return the style and the script of the page."""
    style, script = ((STATIC / name).read_text('utf-8') for name in ('page.css', 'page.js'))
    return f'<style>{style}</style><script>{script}</script>'
