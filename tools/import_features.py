"""Import features of other programs: python tools/import_features.py SRC... --out FOLDER."""

from __future__ import annotations

import argparse
from pathlib import Path

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.evaluation.score_files import ROWS
from diffusionret_mm.features.importing import (
    FIELDS,
    POOLED_RULES,
    SIDES,
    ImportFeaturesError,
    Sources,
    import_features,
)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Import features of videos and texts: .npy, .npz, .pt, .pkl, .h5, .parquet, '
        '.tar, or folders of them (docs/first_stages.md)'
    )
    parser.add_argument(
        'sources',
        nargs='*',
        type=Path,
        metavar='SRC',
        help="source with both sides: a folder with 'videos*' and 'texts*', a folder of "
        "clip-retrieval, or a .npz, .pt, .pkl or .h5 with the entries 'videos' and 'texts'",
    )
    add_sides(parser)
    parser.add_argument('--out', type=Path, required=True, metavar='FOLDER', help='folder to make')
    parser.add_argument(
        '--names',
        nargs='+',
        default=[],
        metavar='FIELD=NAME',
        help=f'what {", ".join(FIELDS)} are called in the sources; videos.FIELD and texts.FIELD '
        'hold for one side',
    )
    parser.add_argument(
        '--pooled',
        choices=POOLED_RULES,
        help='what the one feature of a text of several words is, where its source has none',
    )
    parser.add_argument(
        '--skip-missing', action='store_true', help='leave out pairs that have no features'
    )
    add_scores(parser)
    return parser.parse_args()


def add_sides(parser: argparse.ArgumentParser) -> None:
    """Add sources of one side, and what belongs together."""
    for side in SIDES:
        parser.add_argument(
            f'--{side}',
            nargs='+',
            type=Path,
            default=[],
            metavar='SRC',
            help=f'files and folders with features of {side} alone',
        )
    parser.add_argument(
        '--pairs',
        type=Path,
        metavar='FILE',
        help='.csv, .json or .jsonl that says which text belongs to which video (default: '
        'a text video7 or video7#0 belongs to the video video7)',
    )


def add_scores(parser: argparse.ArgumentParser) -> None:
    """Add score matrices."""
    parser.add_argument(
        '--scores',
        nargs='+',
        type=Path,
        default=[],
        metavar='SCORES.npy',
        help='scores of these texts and videos in the order of the sources, texts x videos, and '
        'videos x texts if they are others; a model with ImportedScores takes them',
    )
    parser.add_argument(
        '--rows', choices=ROWS, help='what the rows of SCORES are; a square matrix needs it'
    )


def parse_names(options: list[str]) -> dict[str, str]:
    """Return the names by field.

    Raises:
        ImportFeaturesError: if an option is not FIELD=NAME, or there is no such field.
    """
    known = [*FIELDS, *(f'{side}.{field}' for side in SIDES for field in FIELDS)]
    names = {}
    for option in options:
        field, _, name = option.partition('=')
        if field not in known or not name:
            raise ImportFeaturesError(
                f'--names {option}: FIELD=NAME is expected, with a field of {", ".join(known)}.'
            )
        names[field] = name
    return names


@stop_with_message()
def main() -> None:
    """Import.

    Raises:
        ImportFeaturesError: if there are more than two matrices of scores.
    """
    args = parse_args()
    if len(args.scores) > 2:
        raise ImportFeaturesError('--scores takes one matrix, or one for each direction.')
    sources = Sources(videos=args.videos, texts=args.texts, pairs=args.pairs)
    for path in args.sources:
        sources.add(path)
    import_features(
        sources,
        args.out,
        names=parse_names(args.names),
        log=print,
        pooled=args.pooled,
        skip_missing=args.skip_missing,
        scores=args.scores,
        rows=args.rows,
    )
    print(f'Written: {args.out}')


if __name__ == '__main__':
    main()
