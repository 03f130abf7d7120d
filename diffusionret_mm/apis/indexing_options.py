"""Options of the tools that index videos."""

from __future__ import annotations

import argparse

from diffusionret_mm.apis.command_line import add_gallery_options, add_model_options, not_a_config
from diffusionret_mm.apis.decoding import refuse_missing
from diffusionret_mm.apis.indexing import moments_of
from diffusionret_mm.datasets.spans import MOMENTS, Moments
from diffusionret_mm.extras import import_extra
from diffusionret_mm.search import Gallery


def add_indexing_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the tools that index videos."""
    order = 'VIDEOS... GALLERY'
    parser.add_argument(
        'videos',
        nargs='+',
        type=not_a_config(f'{parser.prog} {order}'),
        help='folders of videos, video files, or both',
    )
    add_gallery_options(parser, order)
    add_model_options(parser, "the gallery's; for a new one, zeroshot/zeroshot_mean.py")
    parser.add_argument('--batch-size', type=int, default=32, help='videos encoded at a time')
    parser.add_argument(
        '--time-limit',
        type=float,
        metavar='SECONDS',
        help='give a video up after these, and one more for each 250 kB (default: 60); of a video '
        'that is cut, after so long without a moment',
    )
    _add_moment_options(parser)
    parser.add_argument(
        '--subtitles',
        action='store_true',
        help='read the subtitles of videos, too: files beside them (.srt, .vtt), or else tracks '
        'inside; a gallery that has subtitles goes on with them',
    )
    parser.add_argument(
        '--int8',
        action='store_true',
        help='let a new gallery keep frames in 8 bits: half the disk, scores to 3e-4',
    )


def _add_moment_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--moments',
        choices=MOMENTS,
        help='cut videos into shots, or windows within them (default: as in the gallery, or none '
        'for a new one: a video is found as a whole)',
    )
    parser.add_argument(
        '--window', type=float, metavar='SECONDS', help='length of windows (default: 10)'
    )
    parser.add_argument(
        '--step',
        type=float,
        metavar='SECONDS',
        help='from one window to the next (default: half a window)',
    )


def check_indexing(args: argparse.Namespace) -> Moments:
    """Refuse what cannot be indexed, before a model is loaded.

    Args:
        args: a command line with the options of `add_indexing_options`.

    Returns:
        How videos are cut: as the command line says, or else as the gallery's.

    Raises:
        FileNotFoundError: if a file or folder does not exist.
        GalleryError: if the gallery cannot be read, or was made with other moments or precision.
        ModuleNotFoundError: if spans end at cuts and PySceneDetect is not installed.
        ValueError: if windows would leave gaps, be too many or too long, or there are none to have
            a length.
    """
    wanted = _moments_option(args)
    refuse_missing(args.videos)
    gallery = Gallery(args.gallery) if Gallery.exists(args.gallery) else None
    if gallery is not None:
        gallery.check_precision(args.int8)
    moments = moments_of(gallery, wanted)
    if moments.end_at_cuts:
        import_extra('scenedetect', 'moments')
    return moments


def _moments_option(args: argparse.Namespace) -> Moments | None:
    if args.moments != 'windows' and (args.window, args.step) != (None, None):
        raise ValueError('--window and --step say what windows are; give --moments windows, too.')
    if args.moments != 'windows':
        return None if args.moments is None else Moments(args.moments)
    length = Moments.length if args.window is None else args.window
    return Moments('windows', length, length / 2 if args.step is None else args.step)
