"""The web page, made with Gradio."""

from __future__ import annotations

import html
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from diffusionret_mm.demo.cards import moment_label, picture, results, table
from diffusionret_mm.demo.errors import RequestError
from diffusionret_mm.demo.found import Found
from diffusionret_mm.demo.heading import heading
from diffusionret_mm.demo.service import MAX_CHARACTERS, DemoService
from diffusionret_mm.demo.uploads import check_upload, only_uploads

# Uploads that are read at the same time: one that takes long does not hold up the others.
UPLOADS_AT_ONCE = 4
SECONDS_OF_UPLOADS = 3600
CHOSEN_IS_TRUTH = 'The page knows no ground truth: what is called so is the chosen moment.'
# In the browser: the first values that the address asks for, and the address of a search or none.
ASKED = '() => window.searchPage.asked().slice(0, {count})'
REMEMBER = '(sentence, confidence) => window.searchPage.remember(sentence, confidence)'
FORGET = "() => window.searchPage.remember('')"


def _with_messages(method: Callable) -> Callable:
    """Let a method of the page show what is wrong with a request."""

    @wraps(method)
    def answer(self: Page, *args: Any) -> Any:
        try:
            return method(self, *args)
        except RequestError as error:
            raise self.gr.Error(html.escape(str(error))) from error  # it is shown as HTML

    return answer


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
            plain = dict(apply_default_css=False)
            gr.HTML(heading(service.inferencer, service.gallery), elem_id='heading', **plain)
            with gr.Row(equal_height=True):
                self.sentence = gr.Textbox(
                    label='Sentence', max_length=MAX_CHARACTERS, scale=4, elem_id='sentence'
                )
                search = gr.Button('Search', variant='primary', scale=1, elem_id='search')
            self.asked = [self.sentence, *self._confidence()]
            files = self._uploads()
            self.results = gr.HTML(elem_id='results', **plain)
            with gr.Column(visible=False) as self.actions:
                self.chosen = gr.Dropdown(label='Choose a moment', choices=[], elem_id='chosen')
                buttons = self._buttons()
            self.details = gr.HTML(elem_id='details', **plain)
            self.found = [self.results, self.chosen, self.actions, self.details]
            for event in (search.click, self.sentence.submit):
                searched = event(self._search, self.asked, self.found, api_name='search')
                searched.success(None, self.asked, None, js=REMEMBER)
            self._connect_files(*files)
            self._connect_buttons(*buttons)
            opened = [*self.asked, *self.found]
            js = ASKED.format(count=len(self.asked))
            self.blocks.load(self._open, self.asked, opened, js=js, api_name='open')

    def _confidence(self) -> list[Any]:
        """The control of the least confidence, if the model has a confidence."""
        if not self.service.has_confidence:
            return []
        label = 'Least confidence; below it there is no match'
        return [self.gr.Slider(0, 1, 0, step=0.01, label=label, elem_id='min_confidence')]

    def _uploads(self) -> tuple[Any, Any]:
        gr = self.gr
        with gr.Accordion('Search by an image or a video of your own', open=False), gr.Row():
            size = dict(type='filepath', height=120, min_width=240)
            image = gr.File(label='Image', file_types=['image'], elem_id='image', **size)
            video = gr.File(label='Video', file_types=['video'], elem_id='upload', **size)
        return image, video

    def _buttons(self) -> tuple[Any, ...]:
        gr = self.gr
        with gr.Row():
            why = gr.Button('Why this one?', min_width=100, elem_id='why')
            like = gr.Button('Others like it', min_width=100, elem_id='like')
            describe = gr.Button('Its captions', min_width=100, elem_id='describe')
        with gr.Accordion('Sentences to choose captions from, one per line', open=False):
            sentences = gr.Textbox(lines=4, show_label=False, elem_id='sentences')
        return why, like, describe, sentences

    def _connect_files(self, image: Any, video: Any) -> None:
        for box, function, name in (
            (image, self._like_image, 'like_image'),
            (video, self._like_video, 'like_video'),
        ):
            options = dict(api_name=name, concurrency_limit=UPLOADS_AT_ONCE)
            box.upload(function, box, self.found, **options).success(None, js=FORGET)

    def _connect_buttons(self, why: Any, like: Any, describe: Any, sentences: Any) -> None:
        chosen, details = self.chosen, self.details
        why.click(self._why, [self.sentence, chosen], details, api_name='why')
        describe.click(self._describe, [chosen, sentences], details, api_name='describe')
        like.click(self._like, chosen, self.found, api_name='like').success(None, js=FORGET)

    @_with_messages
    def _open(self, *asked: Any) -> Any:
        if not asked[0]:
            return self.gr.skip()
        return *asked, *self._show(self.service.find(*asked))

    @_with_messages
    def _search(self, sentence: str, *confidence: float) -> tuple[Any, ...]:
        return self._show(self.service.find(sentence or '', *confidence))

    @_with_messages
    def _like(self, span: Any) -> tuple[Any, ...]:
        return self._show(Found(self.service.like(_id(span))))

    @_with_messages
    def _like_image(self, file: str | None) -> tuple[Any, ...]:
        return self._show(Found(self.service.like_image(self._checked(file))))

    @_with_messages
    def _like_video(self, file: str | None) -> tuple[Any, ...]:
        return self._show(Found(self.service.like_video(self._checked(file))))

    @_with_messages
    def _describe(self, span: Any, sentences: str) -> str:
        return table(self.service.describe(_id(span), sentences or '').hits)

    @_with_messages
    def _why(self, sentence: str, span: Any) -> str:
        attention = self.service.attention(sentence or '', _id(span))
        shown = picture(attention, 'attention', 'How much words and frames weigh')
        try:
            process = self.service.diffusion(sentence, _id(span))
        except RequestError as error:  # the other picture stands for itself
            return f'{shown}<p class="note">{html.escape(str(error))}</p>'
        drawn = picture(process, 'diffusion', 'The diffusion over the candidates, step by step')
        return f'{shown}{drawn}<p class="note">{CHOSEN_IS_TRUTH}</p>'

    def _checked(self, file: str | None) -> str:
        if not file:
            raise RequestError('Choose a file first.')
        check_upload(file, self.uploads)
        return file

    def _show(self, found: Found) -> tuple[Any, ...]:
        """Return the values of `self.found`."""
        moments = [(hit, video) for video in found.videos for hit in video.hits]
        moments.sort(key=lambda pair: pair[0].rank)
        choices = [(moment_label(video, hit), hit.span.id) for hit, video in moments]
        value = choices[0][1] if choices else None
        chosen = self.gr.Dropdown(choices=choices, value=value)
        return results(found), chosen, self.gr.Column(visible=bool(choices)), ''


def _id(value: Any) -> str:
    if not isinstance(value, str):
        raise RequestError('Choose a moment first.')
    return value
