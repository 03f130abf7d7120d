"""The picture of the page: films of test clips of shapes, searched in headless Chromium.

`python tools/benchmarks/demo_picture.py configs/diffusionret_shapes.py CHECKPOINT demo.png`

Needs playwright, and a Chromium of the path or of the variable CHROMIUM.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from urllib.parse import urlencode

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
from moments import join, read_clips

from diffusionret_mm.apis import IndexOptions, TextVideoInferencer
from diffusionret_mm.apis.command_line import add_config_options, read_config
from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.datasets.shapes.build import render_shapes
from diffusionret_mm.datasets.spans import Moments
from diffusionret_mm.demo.app import build_app
from diffusionret_mm.demo.service import DemoService
from diffusionret_mm.demo.serving import bind, server_of

CLIPS, FILMS = 60, 6
MOMENTS = Moments('windows', length=3, step=1)
WINDOW = dict(width=1100, height=850)
# Each player shows the start of its moment.
READY = """[...document.querySelectorAll('#results video')].length > 1 &&
    [...document.querySelectorAll('#results video')].every(
        video => video.readyState > 1 && !video.seeking)"""


def parse_args() -> argparse.Namespace:
    """Read the command line.

    Returns:
        The options.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_config_options(parser)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('picture', type=Path, help='file to write, .png')
    parser.add_argument('--data', type=Path, default=Path('data/shapes'), help='the data set')
    parser.add_argument(
        '--sentence',
        default='a black square vanishes and then a red box moves left',
        help='what is searched',
    )
    return parser.parse_args()


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    inferencer = TextVideoInferencer(
        read_config(args), args.checkpoint, device='cpu', show_progress=False
    )
    render_shapes(args.data)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        clips = read_clips(args.data, 'test', CLIPS)
        for number in range(FILMS):
            join(clips[number::FILMS], folder / f'videos/film_{number + 1}.mp4')
        options = IndexOptions(moments=MOMENTS)
        gallery = inferencer.index(folder / 'videos', folder / 'gallery', options)
        with served(DemoService(inferencer, gallery)) as address:
            draw(f'{address}/?{urlencode(dict(q=args.sentence))}', args.picture)


@contextmanager
def served(service: DemoService) -> Iterator[str]:
    """Serve the page; give its address once it answers."""
    addresses: Queue[str] = Queue()
    with bind('127.0.0.1', 0) as bound:
        server = server_of(build_app(service), bound, addresses.put)
        thread = threading.Thread(target=server.run, args=([bound],))
        thread.start()
        try:
            yield addresses.get()
        finally:
            server.should_exit = True
            thread.join()


def draw(address: str, picture: Path) -> None:
    """Write what Chromium shows at an address, once all videos have their frames."""
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get('CHROMIUM') or shutil.which('chromium')
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=['--no-sandbox'])
        page = browser.new_page(viewport=WINDOW, reduced_motion='reduce')
        page.goto(address)
        page.wait_for_function(READY, timeout=120_000)
        page.screenshot(path=picture)
        browser.close()


if __name__ == '__main__':
    main()
