"""Index videos.

Several processes, each of which does a share of the videos: torchrun, tools/dist_index.sh or
tools/slurm_index.sh.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import timedelta

import torch

from diffusionret_mm.apis import IndexOptions, Share, remove_vanished
from diffusionret_mm.apis.indexing_options import add_indexing_options, check_indexing
from diffusionret_mm.apis.model_choice import build_inferencer
from diffusionret_mm.apis.user_errors import GO_ON, stop_with_message
from diffusionret_mm.search import facts_of
from diffusionret_mm.search.maintenance import KEPT


def parse_args(arguments: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description='Index new and changed videos into a gallery. A run that was killed continues.',
    )
    add_indexing_options(parser)
    parser.add_argument(
        '--workers', type=int, help='decoding processes (default: the cores, in equal parts)'
    )
    parser.add_argument(
        '--remove-vanished',
        action='store_true',
        help='take videos out of the gallery whose files are gone',
    )
    parser.add_argument(
        '--keep-minutes',
        type=float,
        default=KEPT.total_seconds() / 60,
        metavar='MINUTES',
        help='age of the versions of the gallery that stay for searches that have begun (default: '
        '%(default)g); 0 gives room back at once, if nobody searches',
    )
    return parser.parse_args(arguments)


@stop_with_message(GO_ON)
def main(arguments: Sequence[str] | None = None, prog: str = 'tools/index.py') -> None:
    """Run.

    Args:
        arguments: the command line; None: that of this process.
        prog: what the command is called.
    """
    args = parse_args(arguments, prog)
    moments = check_indexing(args)
    share, keep = Share.of_this_process(), timedelta(minutes=args.keep_minutes)
    devices = share.devices() if args.device is None else [torch.device(args.device)]
    args.device = devices[0]
    named = dict(batch_size=args.batch_size, num_workers=args.workers, time_limit=args.time_limit)
    inferencer = build_inferencer(args, facts_of(args.gallery), **named)
    devices = devices[:1] if args.onnx else devices
    named = dict(moments=moments, int8=args.int8, subtitles=args.subtitles)
    options = IndexOptions(args.root, share, devices, keep, **named)
    inferencer.index(args.videos, args.gallery, options)
    if args.remove_vanished and share.rank == 0:
        removed = remove_vanished(args.gallery, args.root, keep)
        print(f'{removed:,} videos are gone and were taken out.')
