"""Compare every encoder of open_clip with open_clip itself: python tools/check_backbones.py."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

HUB = 'huggingface.co'


def hub_is_there() -> bool:
    """Whether the Hugging Face hub can be reached; its own client would try for a minute."""
    try:
        socket.create_connection((HUB, 443), timeout=5).close()
    except OSError:
        return False
    return True


if not hub_is_there():
    os.environ['HF_HUB_OFFLINE'] = '1'  # read when its client is loaded

import diffusionret_mm  # noqa: E402, F401  first: it prepares what the others load

# isort: split
import open_clip  # noqa: E402

from diffusionret_mm.apis.user_errors import stop_with_message  # noqa: E402
from diffusionret_mm.evaluation.tables import Column, format_table, label  # noqa: E402
from diffusionret_mm.storage.files import write_json  # noqa: E402
from diffusionret_mm.storage.progress import progress_bar  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'tests'))
from backbone_check import Row, check_architecture  # noqa: E402

COLUMNS = [
    label('architecture'),
    Column('tags'),
    label('verdict'),
    Column('text', number='.1e'),
    Column('image', number='.1e'),
    Column('pixels'),
    label('tokenizer'),
    label('depth'),
    label('note'),
]


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Compare texts and images with those of open_clip, at random weights.',
        epilog='Exit status: 0; 1 if an encoder is wrong.',
    )
    parser.add_argument('archs', nargs='*', metavar='ARCH', help='architectures (default: all)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the rows to a file')
    return parser.parse_args()


def format_rows(rows: Sequence[Row]) -> str:
    """Every row in a line of a table, then what is wrong, and the counts of tags."""
    cells = [
        (
            row.arch,
            len(row.tags),
            row.verdict,
            row.text,
            row.image,
            row.pixels,
            row.tokenizer,
            'cut' if row.cut else 'whole' if row.text is not None else '',
            row.note,
        )
        for row in rows
    ]
    counts = {
        verdict: sum(len(row.tags) for row in rows if row.verdict == verdict)
        for verdict in ('equal', 'refused', 'wrong')
    }
    untagged = [row for row in rows if not row.tags]
    lines = [format_table(COLUMNS, cells)]
    lines.append('Text and image: largest difference of features of unit length.')
    if any(row.tokenizer == 'stand-in' for row in rows):
        lines.append(
            'Stand-in: the tokenizer could not be fetched; one of bytes with its special ids, read '
            'from a folder on both sides, took its place.'
        )
    if untagged:
        found = {row.verdict: 0 for row in untagged}
        for row in untagged:
            found[row.verdict] += 1
        listed = ', '.join(f'{count} {verdict}' for verdict, count in found.items())
        lines.append(f'Architectures without a tag: {len(untagged)} ({listed}).')
    lines.append(
        f'{sum(counts.values())} tags: {counts["equal"]} equal, {counts["refused"]} refused, '
        f'{counts["wrong"]} wrong'
    )
    return '\n'.join(lines)


@stop_with_message()
def main() -> int:
    """Run.

    Returns:
        The exit status.
    """
    args = parse_args()
    logging.getLogger().setLevel(logging.ERROR)  # open_clip warns that weights are random
    archs = args.archs or open_clip.list_models()
    start, rows = time.perf_counter(), []
    with (
        tempfile.TemporaryDirectory() as folder,
        progress_bar(len(archs), 'encoders', 'encoder') as bar,
    ):
        for arch in archs:
            rows += check_architecture(arch, Path(folder))
            bar.update(1)
    if args.json is not None:
        write_json(args.json, dict(rows=[asdict(row) for row in rows]), indent=2)
    print(f'{time.perf_counter() - start:,.0f} s.')
    print(format_rows(rows))
    return int(any(row.verdict == 'wrong' for row in rows))


if __name__ == '__main__':
    sys.exit(main())
