"""Search a gallery: python tools/search.py CONFIG CHECKPOINT GALLERY "a sentence"."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
from rich.console import Console
from rich.table import Table

from diffusionret_mm.apis.command_line import (
    add_inferencer_options,
    build_inferencer,
    stop_with_message,
)
from diffusionret_mm.search import SearchResult


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Search a gallery by a sentence or a video')
    add_inferencer_options(parser)
    parser.add_argument('gallery', help='folder of the gallery')
    query = parser.add_mutually_exclusive_group(required=True)
    query.add_argument('sentence', nargs='?', help='find videos that fit it')
    query.add_argument('--video', metavar='FILE', help='find videos like this one')
    parser.add_argument('--top-k', type=int, default=10, help='number of results')
    parser.add_argument('--json', action='store_true', help='print JSON in place of a table')
    return parser.parse_args()


def main() -> None:
    """Run."""
    args = parse_args()
    with stop_with_message():
        inferencer = build_inferencer(args, show_progress=False)
        query = args.sentence if args.video is None else Path(args.video)
        result = inferencer.search(query, args.gallery, args.top_k)
    if args.json:
        print(json.dumps(asdict(result), indent=1))
    else:
        Console().print(_table(result))


def _table(result: SearchResult) -> Table:
    milliseconds = [f'{name} {1000 * value:.0f} ms' for name, value in result.seconds.items()]
    table = Table(title=result.query, caption=', '.join(milliseconds))
    for name in ('rank', 'similarity', 'generator', 'score'):
        table.add_column(name, justify='right')
    table.add_column('video', overflow='fold')
    for hit in result.hits:
        generator = '' if hit.generator is None else f'{hit.generator:.4f}'
        numbers = f'{hit.rank}', f'{hit.similarity:.4f}', generator, f'{hit.score:.4f}'
        table.add_row(*numbers, os.path.relpath(hit.item))
    return table


if __name__ == '__main__':
    main()
