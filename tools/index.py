"""Index videos: python tools/index.py CONFIG CHECKPOINT VIDEOS GALLERY.

Several processes: torchrun --nproc_per_node GPUS tools/index.py ..., tools/dist_index.sh or
tools/slurm_index.sh. Each does a share of the videos.
"""

from __future__ import annotations

import argparse
from datetime import timedelta

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import torch

from diffusionret_mm.apis import IndexOptions, Share, remove_vanished
from diffusionret_mm.apis.command_line import (
    add_indexing_options,
    build_inferencer,
    moments_option,
)
from diffusionret_mm.apis.user_errors import GO_ON, stop_with_message
from diffusionret_mm.search.maintenance import KEPT


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Index new and changed videos into a gallery. A run that was killed continues.'
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
    return parser.parse_args()


@stop_with_message(GO_ON)
def main() -> None:
    """Run."""
    args = parse_args()
    share, keep = Share.of_this_process(), timedelta(minutes=args.keep_minutes)
    devices = share.devices() if args.device is None else [torch.device(args.device)]
    args.device = devices[0]
    inferencer = build_inferencer(
        args, batch_size=args.batch_size, num_workers=args.workers, time_limit=args.time_limit
    )
    devices = devices[:1] if args.onnx else devices
    moments = moments_option(args)
    options = IndexOptions(args.root, share, devices, keep, moments, args.int8)
    inferencer.index(args.videos, args.gallery, options)
    if args.remove_vanished and share.rank == 0:
        removed = remove_vanished(args.gallery, args.root, keep)
        print(f'{removed:,} videos are gone and were taken out.')


if __name__ == '__main__':
    main()
