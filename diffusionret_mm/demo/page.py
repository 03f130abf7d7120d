"""The web page, made with Gradio."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.demo.errors import RequestError
from diffusionret_mm.demo.playback import Playback
from diffusionret_mm.demo.service import MAX_CHARACTERS, DemoService, Found
from diffusionret_mm.demo.uploads import (
    MAX_UPLOAD_MB,
    check_upload,
    only_uploads,
    own_upload_folder,
)
from diffusionret_mm.extras import import_extra
from diffusionret_mm.search import SentenceHit

if TYPE_CHECKING:
    import fastapi
    import gradio

# Requests that may wait; more are refused with a message.
QUEUE = 64
# Uploads that are read at the same time: one that takes long does not hold up the others.
UPLOADS_AT_ONCE = 4
SECONDS_OF_UPLOADS = 3600
CHOSEN_IS_TRUTH = 'The page knows no ground truth: what is called so is the chosen video.'
CSS = """
.videos {display: grid; grid-template-columns: repeat(auto-fill, minmax(190px, 1fr)); gap: 12px}
.videos figure {margin: 0}
.videos video {width: 100%; background: #000; border-radius: 6px}
.videos figcaption {font-size: 13px; overflow-wrap: anywhere}
.note {color: #666}
"""


def build_app(service: DemoService) -> fastapi.FastAPI:
    """Make the web application.

    It serves videos of the gallery by their ids, under `/video/ID`, and no other file. It reads
    what its visitors upload, and no other file: uploads lie in a folder of this page alone.

    Args:
        service: what answers.

    Raises:
        ModuleNotFoundError: if Gradio is not installed.
    """
    gr = import_extra('gradio', 'demo')
    fastapi = import_extra('fastapi', 'demo')
    responses = import_extra('fastapi.responses', 'demo')
    app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    folder = Path(tempfile.mkdtemp(prefix='diffusionret_mm_demo_'))
    playback = Playback(folder)
    no_video = RequestError, VideoReadError, ValueError, OSError

    def video(span: str) -> Any:
        try:
            return responses.FileResponse(playback.file_for(service.file_of(span)))
        except no_video as error:
            raise fastapi.HTTPException(404, 'There is no such video.') from error

    app.add_api_route('/video/{span}', video)
    with own_upload_folder(folder) as uploads:
        blocks = Page(gr, service, uploads).blocks
        blocks.queue(max_size=QUEUE, default_concurrency_limit=1)
        return gr.mount_gradio_app(
            app, blocks, path='/', css=CSS, max_file_size=MAX_UPLOAD_MB * 10**6, ssr_mode=False
        )


class Page:
    """The parts of the page and what happens when they are used.

    Args:
        gr: the module gradio.
        service: what answers.
        uploads: folder of what visitors upload.
    """

    def __init__(self, gr: Any, service: DemoService, uploads: Path) -> None:
        self.gr = gr
        self.service = service
        self.uploads = uploads
        day = (SECONDS_OF_UPLOADS, SECONDS_OF_UPLOADS)
        blocks = only_uploads(gr.Blocks, uploads, gr.Error)
        with blocks(
            title='Search videos', analytics_enabled=False, delete_cache=day
        ) as self.blocks:
            gr.Markdown(f'## Search {len(service.gallery):,} videos')
            with gr.Row():
                self.sentence = gr.Textbox(
                    label='Sentence', max_length=MAX_CHARACTERS, scale=4, elem_id='sentence'
                )
                search = gr.Button('Search', variant='primary', scale=1, elem_id='search')
            self.results = gr.HTML(elem_id='results')
            self.chosen = gr.Dropdown(label='Choose a video', choices=[], elem_id='chosen')
            self._choose_actions()
            self._upload()
            found = [self.results, self.chosen]
            for event in (search.click, self.sentence.submit):
                event(self._answer(self._search), self.sentence, found, api_name='search')

    def _choose_actions(self) -> None:
        gr = self.gr
        with gr.Row():
            why = gr.Button('Why this one?', elem_id='why')
            like = gr.Button('Videos like it', elem_id='like')
            describe = gr.Button('Its captions', elem_id='describe')
        with gr.Accordion('Sentences to choose captions from, one per line', open=False):
            sentences = gr.Textbox(lines=4, show_label=False, elem_id='sentences')
        captions = gr.HTML(elem_id='captions')
        attention = gr.Plot(show_label=False, elem_id='attention')
        diffusion = gr.Plot(show_label=False, elem_id='diffusion')
        note = gr.Markdown(elem_id='note')
        pictures = [attention, diffusion, note]
        why.click(self._answer(self._why), [self.sentence, self.chosen], pictures, api_name='why')
        found = [self.results, self.chosen]
        like.click(self._answer(self._like), self.chosen, found, api_name='like')
        describe.click(
            self._answer(self._describe), [self.chosen, sentences], captions, api_name='describe'
        )

    def _upload(self) -> None:
        gr = self.gr
        with gr.Accordion('Search by a video of your own', open=False):
            upload = gr.File(label='Video', type='filepath', elem_id='upload')
            button = gr.Button('Find videos like it', elem_id='like_upload')
        found = [self.results, self.chosen]
        button.click(
            self._answer(self._like_upload),
            upload,
            found,
            api_name='like_upload',
            concurrency_limit=UPLOADS_AT_ONCE,
        )

    def _answer(self, function: Callable) -> Callable:
        """Show what is wrong with a request as a message on the page."""

        @wraps(function)
        def answer(*args: Any) -> Any:
            try:
                return function(*args)
            except RequestError as error:
                raise self.gr.Error(html.escape(str(error))) from error  # it is shown as HTML

        return answer

    def _search(self, sentence: str) -> tuple[str, gradio.Dropdown]:
        return self._show(self.service.find(sentence or ''))

    def _like(self, span: Any) -> tuple[str, gradio.Dropdown]:
        return self._show(self.service.like(_id(span)))

    def _like_upload(self, file: str | None) -> tuple[str, gradio.Dropdown]:
        if not file:
            raise RequestError('Choose a file first.')
        check_upload(file, self.uploads)
        return self._show(self.service.like_upload(file))

    def _describe(self, span: Any, sentences: str) -> str:
        return table(self.service.describe(_id(span), sentences or '').hits)

    def _why(self, sentence: str, span: Any) -> tuple[Any, Any, str]:
        attention = self.service.attention(sentence or '', _id(span))
        try:
            return attention, self.service.diffusion(sentence, _id(span)), CHOSEN_IS_TRUTH
        except RequestError as error:  # the other picture stands for itself
            return attention, None, html.escape(str(error))

    def _show(self, found: Sequence[Found]) -> tuple[str, gradio.Dropdown]:
        choices = [(f'{rank}. {video.name}', video.id) for rank, video in enumerate(found, 1)]
        value = choices[0][1] if choices else None
        return cards(found), self.gr.Dropdown(choices=choices, value=value)


def cards(found: Sequence[Found]) -> str:
    """Return the HTML of ranked videos that play."""
    figures = [
        f'<figure><video src="/video/{video.id}" autoplay muted loop playsinline controls></video>'
        f'<figcaption><b>{rank}.</b> {html.escape(video.name)}<br><span class="note">similarity '
        f'{video.similarity:.3f}{_generator(video)}</span></figcaption></figure>'
        for rank, video in enumerate(found, start=1)
    ]
    return f'<div class="videos">{"".join(figures)}</div>'


def table(hits: Sequence[SentenceHit]) -> str:
    """Return the HTML of ranked sentences."""
    rows = [
        f'<tr><td>{hit.rank}</td><td>{html.escape(hit.item)}</td><td class="note">similarity '
        f'{hit.similarity:.3f}{_generator(hit)}</td></tr>'
        for hit in hits
    ]
    return f'<table>{"".join(rows)}</table>'


def _generator(result: Found | SentenceHit) -> str:
    return '' if result.generator is None else f', generator {result.generator:.3f}'


def _id(value: Any) -> str:
    if not isinstance(value, str):
        raise RequestError('Choose a video first.')
    return value
