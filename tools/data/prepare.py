"""Check a data set and write its manifest, so that training finds what it needs.

`python tools/data/prepare.py msrvtt --annotations data/msrvtt --videos data/msrvtt/videos`
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mmengine.logging import MMLogger

from diffusionret_mm.apis.backbone import named_backbone
from diffusionret_mm.apis.user_errors import GO_ON, stop_with_message
from diffusionret_mm.datasets.preparation import (
    Preparation,
    check_dataset,
    compress_videos,
    data_sets,
    frame_transforms,
    store_frames,
)
from diffusionret_mm.datasets.preparation.findings import format_findings, shorten
from diffusionret_mm.models.backbones import OpenCLIPBackbone

MANIFEST = 'manifest.json'


def parse_args() -> argparse.Namespace:
    """Read the command line.

    Returns:
        The options.
    """
    parser = argparse.ArgumentParser(
        description='Check a data set and write its manifest. A run that was killed continues.',
        epilog='Exit status: 0; 1 if a test video is missing, unreadable or too short; 2 if an '
        'input is bad.',
    )
    parser.add_argument(
        'dataset', choices=data_sets(), help='json: train.json, val.json, test.json'
    )
    parser.add_argument('--annotations', type=Path, required=True, help='folder of their files')
    parser.add_argument('--videos', type=Path, help='folder of the videos (default: none checked)')
    parser.add_argument('--out', type=Path, help='folder to write into (default: --annotations)')
    parser.add_argument('--workers', type=int, help='processes (default: one per CPU core)')
    parser.add_argument(
        '--time-limit',
        type=float,
        metavar='SECONDS',
        help='give a video up after these, and one more for each 250 kB (default: 60)',
    )
    parser.add_argument(
        '--allow-missing', action='store_true', help='exit with 0 also if test videos are bad'
    )
    parser.add_argument(
        '--compress',
        action='store_true',
        help='encode to a short side of 224 at 3 frames per second',
    )
    parser.add_argument('--frames', type=int, metavar='N', help='store N frames of each video')
    parser.add_argument('--rule', help='rule of SampleVideoFrames, with --frames')
    parser.add_argument('--size', type=int, default=224, help='side of the frames in pixels')
    parser.add_argument(
        '--backbone',
        metavar='ARCH[:TAG]',
        help='store the frames as this encoder of open_clip reads them, in place of --size',
    )
    args = parser.parse_args()
    if args.videos is None and (args.compress or args.frames is not None):
        parser.error('--compress and --frames need --videos')
    return args


@stop_with_message(GO_ON)
def main() -> int:
    """Do what the command line asks for.

    Returns:
        The exit status.
    """
    args = parse_args()
    # The report repeats the warnings of the readers.
    MMLogger.get_current_instance().setLevel('ERROR')
    out = args.out or args.annotations
    preparation = check_dataset(
        args.dataset,
        args.annotations,
        args.videos,
        out / MANIFEST,
        args.workers,
        args.time_limit,
    )
    print(format_findings(preparation))
    if preparation.manifest is not None:
        print(f'{preparation.num_probed:,} videos were opened; {out / MANIFEST} is written.')
    if args.compress:
        print(compress_videos(preparation.manifest, out, args.workers, args.time_limit))
    if args.frames is not None:
        print(_store_frames(preparation, out, args))
    return _exit_status(preparation, args.allow_missing)


def _store_frames(preparation: Preparation, out: Path, args: argparse.Namespace) -> str:
    options = {} if args.rule is None else dict(rule=args.rule)
    size, resize = str(args.size), dict(size=args.size)
    if args.backbone is not None:
        passport = OpenCLIPBackbone.read_passport(named_backbone(args.backbone))
        size, resize = passport.arch, passport.resize_settings
    name = '_'.join(['frames', str(args.frames), *options.values(), size])
    transforms = frame_transforms(args.frames, **resize, **options)
    return store_frames(preparation, out / name, transforms, args.workers, args.time_limit)


def _exit_status(preparation: Preparation, allow_missing: bool) -> int:
    bad = preparation.bad_test_videos
    if bad:
        print(f'{len(bad):,} test videos are missing, unreadable or too short: {shorten(bad)}')
    return int(bool(bad) and not allow_missing)


if __name__ == '__main__':
    sys.exit(main())
