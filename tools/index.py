"""Index videos: python tools/index.py CONFIG CHECKPOINT VIDEOS GALLERY."""

from __future__ import annotations

import argparse

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
from diffusionret_mm.apis import remove_vanished
from diffusionret_mm.apis.command_line import (
    add_inferencer_options,
    build_inferencer,
)
from diffusionret_mm.apis.user_errors import stop_with_message


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Index new and changed videos into a gallery. A run that was killed continues.'
    )
    add_inferencer_options(parser)
    parser.add_argument('videos', nargs='+', help='folders of videos, video files, or both')
    parser.add_argument('gallery', help='folder of the gallery; made if there is none')
    parser.add_argument('--batch-size', type=int, default=32, help='videos encoded at a time')
    parser.add_argument('--workers', type=int, help='decoding processes (default: one per core)')
    parser.add_argument(
        '--time-limit',
        type=float,
        metavar='SECONDS',
        help='give a video up after these, and one more for each 250 kB (default: 60)',
    )
    parser.add_argument(
        '--remove-vanished',
        action='store_true',
        help='take videos out of the gallery whose files are gone',
    )
    parser.add_argument(
        '--qdrant',
        metavar='URL',
        help='keep the pooled vectors of a new gallery in this Qdrant server (its key, if any, in '
        'the environment variable QDRANT_API_KEY)',
    )
    return parser.parse_args()


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    options = dict(num_workers=args.workers, time_limit=args.time_limit)
    inferencer = build_inferencer(args, batch_size=args.batch_size, **options)
    inferencer.index(args.videos, args.gallery, qdrant=args.qdrant)
    if args.remove_vanished:
        print(f'{remove_vanished(args.gallery):,} videos are gone and were taken out.')


if __name__ == '__main__':
    main()
