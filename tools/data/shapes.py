"""Render the data set "shapes": `python tools/data/shapes.py --data-root data/shapes`."""

from __future__ import annotations

import argparse

from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.datasets.shapes.build import DEFAULT_NUM_SCENES, render_shapes
from diffusionret_mm.datasets.shapes.shifts import SHIFTS


def parse_args() -> argparse.Namespace:
    """Read the command line.

    Returns:
        The options.
    """
    parser = argparse.ArgumentParser(
        description="Render the data set 'shapes'. Does nothing if it is there already.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--data-root', default='data/shapes', help='folder to render into')
    parser.add_argument('--seed', type=int, default=0, help='seed of all random draws')
    for split, number in DEFAULT_NUM_SCENES.items():
        parser.add_argument(
            f'--num-{split}', type=int, default=number, help=f'{split} scenes, 3 videos each'
        )
    parser.add_argument(
        '--shift',
        choices=tuple(SHIFTS),
        help='render a shifted test set, which has --num-test scenes and nothing else',
    )
    parser.add_argument(
        '--captions-per-video', type=int, default=4, help='captions per video, 1 to 8'
    )
    parser.add_argument('--workers', type=int, help='threads (None: one per CPU core)')
    return parser.parse_args()


@stop_with_message()
def main() -> None:
    """Render the data set that the command line asks for."""
    args = parse_args()
    splits = DEFAULT_NUM_SCENES if args.shift is None else ('test',)
    render_shapes(
        args.data_root,
        seed=args.seed,
        num_scenes={split: getattr(args, f'num_{split}') for split in splits},
        captions_per_video=args.captions_per_video,
        shift=args.shift,
        workers=args.workers,
    )


if __name__ == '__main__':
    main()
