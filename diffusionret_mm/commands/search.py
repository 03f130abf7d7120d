"""Search a gallery.

Several processes, each of which holds a part of the index: torchrun.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial

from mmengine.logging import MMLogger

from diffusionret_mm.apis.command_line import add_gallery_options, add_model_options
from diffusionret_mm.apis.exporting import export_hits, make_folder
from diffusionret_mm.apis.model_choice import build_inferencer
from diffusionret_mm.apis.queries import (
    add_filter_options,
    add_query_options,
    as_json,
    as_table,
    check_query,
    prepare_queries,
    run_queries,
)
from diffusionret_mm.apis.serving import search_by_shares
from diffusionret_mm.apis.shares import Share
from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.search import Gallery, GalleryError, Searchers, SearchResult


def parse_args(arguments: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description='Search a gallery by a sentence, a video, an image, or many sentences',
    )
    add_gallery_options(parser, 'GALLERY SENTENCE')
    add_query_options(parser)
    add_filter_options(parser)
    add_model_options(parser, "the gallery's")
    parser.add_argument('--json', action='store_true', help='print JSON in place of tables')
    parser.add_argument(
        '--export',
        metavar='DIR',
        help='write the clips of the results into a folder, with a list of cuts (.edl) and a table '
        '(.csv)',
    )
    args = parser.parse_intermixed_args(arguments)
    check_query(args, parser)
    return args


@stop_with_message()
def main(arguments: Sequence[str] | None = None, prog: str = 'tools/search.py') -> None:
    """Run.

    Args:
        arguments: the command line; None: that of this process.
        prog: what the command is called.
    """
    args = parse_args(arguments, prog)
    if args.json:  # and nothing else on stdout
        MMLogger.get_current_instance().setLevel('ERROR')
    search_by_shares(args.gallery, Share.of_this_process(), partial(_search, args))


def _search(args: argparse.Namespace, searchers: Searchers) -> None:
    gallery = Gallery(args.gallery, args.root, searchers)
    queries = prepare_queries(args, gallery)
    _say_what_is_lost(gallery, args.export)
    inferencer = build_inferencer(args, gallery.facts, show_progress=False)
    results = []
    for result in run_queries(inferencer, gallery, args, queries):
        results.append(result)
        if not args.json:
            print(as_table(result))
        if args.export is not None:
            _export(result, args.export)
    if args.json:
        print(as_json(results, is_list=args.queries is not None))


def _say_what_is_lost(gallery: Gallery, export: str | None) -> None:
    """Warn of folders that have gone, and refuse to write clips of nothing, or to nowhere."""
    lost = gallery.libraries.lost()
    if export is not None:
        if lost and len(lost) == len(gallery.libraries.roots):
            raise GalleryError(f'There is no video to export. {" ".join(lost)}')
        make_folder(export)
    for sentence in lost:
        print(sentence, file=sys.stderr)


def _export(result: SearchResult, folder: str) -> None:
    for failure in export_hits(result, folder):
        print(f'Not exported: {failure}', file=sys.stderr)
