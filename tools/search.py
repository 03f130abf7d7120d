"""Search a gallery: python tools/search.py CONFIG CHECKPOINT GALLERY "a sentence"."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
from mmengine.logging import MMLogger

from diffusionret_mm.apis.command_line import (
    add_gallery_options,
    add_inferencer_options,
    build_inferencer,
)
from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.evaluation.tables import Column, format_table, label
from diffusionret_mm.search import Gallery, SearchResult


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Search a gallery by a sentence or a video')
    add_inferencer_options(parser)
    add_gallery_options(parser)
    query = parser.add_mutually_exclusive_group(required=True)
    query.add_argument('sentence', nargs='?', help='find videos that fit it')
    query.add_argument('--video', metavar='FILE', help='find videos like this one')
    parser.add_argument('--top-k', type=int, default=10, help='number of results')
    parser.add_argument(
        '--where',
        metavar='CONDITION',
        help='search only what meets it, in SQL on library, path, start, end, kind, bytes, mtime '
        "and metadata, such as \"path LIKE 'holidays/%%' AND mtime > date '2024-01-01'\"",
    )
    parser.add_argument('--json', action='store_true', help='print JSON in place of a table')
    return parser.parse_args()


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    if args.json:  # and nothing else on stdout
        MMLogger.get_current_instance().setLevel('ERROR')
    inferencer = build_inferencer(args, show_progress=False)
    gallery = Gallery(args.gallery, args.root)
    query = args.sentence if args.video is None else Path(args.video)
    result = inferencer.search(query, gallery, args.top_k, args.where)
    if args.json:
        print(json.dumps(asdict(result), indent=1))
    else:
        print(_table(result))


def _table(result: SearchResult) -> str:
    columns = [Column('rank')]
    columns += [Column(name, number='.4f') for name in ('similarity', 'generator', 'score')]
    rows = [
        (hit.rank, hit.similarity, hit.generator, hit.score, os.path.relpath(hit.video))
        for hit in result.hits
    ]
    milliseconds = [f'{name} {1000 * value:.0f} ms' for name, value in result.seconds.items()]
    return f'{format_table([*columns, label("video")], rows, result.query)}\n' + ', '.join(
        milliseconds
    )


if __name__ == '__main__':
    main()
