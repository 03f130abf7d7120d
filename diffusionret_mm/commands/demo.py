"""Serve a web page that searches a gallery.

Several processes, each of which holds a part of the index: torchrun.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from diffusionret_mm.apis.command_line import (
    add_gallery_options,
    add_model_options,
)
from diffusionret_mm.apis.model_choice import build_inferencer
from diffusionret_mm.apis.serving import search_by_shares
from diffusionret_mm.apis.shares import Share
from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.datasets.annotation_files import read_lines
from diffusionret_mm.demo.app import build_app
from diffusionret_mm.demo.service import DemoService
from diffusionret_mm.demo.serving import bind, server_of
from diffusionret_mm.search import Gallery, Searchers


def parse_args(arguments: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description='Serve a web page that searches a gallery',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_gallery_options(parser, 'GALLERY')
    add_model_options(parser, "the gallery's")
    parser.add_argument(
        '--sentences', type=Path, metavar='FILE', help='captions to choose from, one per line'
    )
    parser.add_argument(
        '--host', default='127.0.0.1', help='address to listen on; 0.0.0.0 lets others in'
    )
    parser.add_argument('--port', type=int, default=7860, help='0 takes one that is free')
    return parser.parse_args(arguments)


@stop_with_message()
def main(arguments: Sequence[str] | None = None, prog: str = 'tools/demo.py') -> None:
    """Run.

    Args:
        arguments: the command line; None: that of this process.
        prog: what the command is called.
    """
    args = parse_args(arguments, prog)
    search_by_shares(args.gallery, Share.of_this_process(), partial(_serve, args))


def _serve(args: argparse.Namespace, searchers: Searchers) -> None:
    sentences = read_lines(args.sentences) if args.sentences else []
    gallery = Gallery(args.gallery, args.root, searchers)
    inferencer = build_inferencer(args, gallery.facts, show_progress=False)
    service = DemoService(inferencer, gallery, sentences)
    for sentence in gallery.libraries.lost():
        print(sentence, file=sys.stderr)
    with bind(args.host, args.port) as bound:
        server_of(build_app(service), bound, _announce).run([bound])


def _announce(address: str) -> None:
    print(f'The page is at {address}; Ctrl-C ends it.', flush=True)
