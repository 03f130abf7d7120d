"""Measure score matrices of any code: python tools/post_process.py SCORES.npy --truth TRUTH.npy."""

from __future__ import annotations

import argparse
from typing import Any

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import torch

from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.evaluation import TextVideoRetrievalMetric, format_metrics, write_metrics
from diffusionret_mm.evaluation.post_processing import BANK_POST_PROCESSING, QB_NORM_PRESETS
from diffusionret_mm.evaluation.score_files import (
    ROWS,
    check_truth,
    read_matrix,
    read_truth,
    texts_by_videos,
)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Measure and post-process score matrices')
    parser.add_argument('scores', metavar='SCORES.npy', help='scores, texts x videos')
    parser.add_argument(
        '--truth',
        required=True,
        metavar='TRUTH.npy',
        help='the index (from 0) of the video of each text',
    )
    parser.add_argument(
        '--v2t',
        metavar='V2T.npy',
        help='scores for video-to-text, videos x texts, if they are others (default: the same)',
    )
    parser.add_argument(
        '--rows', choices=ROWS, help='what the rows of SCORES are; a square matrix needs it'
    )
    add_post_processing(parser)
    parser.add_argument('--json', metavar='FILE', help='write the metrics to this file')
    return parser.parse_args()


def add_post_processing(parser: argparse.ArgumentParser) -> None:
    """Add an option for each post-processing, and the banks that they need."""
    parser.add_argument(
        '--qb-norm',
        nargs='?',
        const='official',
        choices=sorted(QB_NORM_PRESETS),
        help='a row after QB-Norm (default: official)',
    )
    parser.add_argument(
        '--inverted-softmax', type=float, metavar='BETA', help='a row after the inverted softmax'
    )
    parser.add_argument(
        '--dsl', type=float, metavar='TEMPERATURE', help='a row after the dual softmax'
    )
    parser.add_argument(
        '--bank',
        metavar='BANK.npy',
        help='for text-to-video: scores of other texts, one a row, for the same videos',
    )
    parser.add_argument(
        '--bank-v2t',
        metavar='BANK.npy',
        help='for video-to-text: scores of other videos, one a row, for the same texts',
    )


def post_processing(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Return the options of each row, as `TextVideoRetrievalMetric` takes them.

    Raises:
        ValueError: if a row needs a bank and there is none, or the other way round.
    """
    rows: dict[str, dict[str, Any]] = {}
    if args.dsl is not None:
        rows['DSL'] = dict(temperature=args.dsl)
    if args.inverted_softmax is not None:
        rows['IS'] = dict(beta=args.inverted_softmax)
    if args.qb_norm is not None:
        rows['QB-Norm'] = dict(preset=args.qb_norm)
    needs_bank, has_bank = (
        bool(rows.keys() & BANK_POST_PROCESSING),
        bool(args.bank or args.bank_v2t),
    )
    if needs_bank and not has_bank:
        raise ValueError(
            '--qb-norm and --inverted-softmax need scores of other queries: give --bank BANK.npy '
            '(of other texts), --bank-v2t BANK.npy (of other videos), or both.'
        )
    if has_bank and not needs_bank:
        raise ValueError('Only --qb-norm and --inverted-softmax take a bank; give one of them.')
    return rows


def read_sample(args: argparse.Namespace) -> dict[str, Any]:
    """Read the matrices as the data sample of `TextVideoRetrievalMetric`."""
    truth = read_truth(args.truth)
    t2v = texts_by_videos(read_matrix(args.scores), len(truth), args.rows, args.scores)
    check_truth(truth, t2v.shape[1], args.truth)
    v2t = t2v.t().contiguous() if args.v2t is None else read_matrix(args.v2t)
    if v2t.shape != t2v.shape[::-1]:
        raise ValueError(
            f'{args.v2t} has the shape {list(v2t.shape)}; videos x texts, '
            f'{list(t2v.t().shape)}, is expected.'
        )
    return dict(
        rankings={'': (t2v, v2t)},
        video_of_text=truth,
        banks=(read_bank(args.bank, t2v.shape[1]), read_bank(args.bank_v2t, len(truth))),
    )


def read_bank(path: str | None, num_candidates: int) -> torch.Tensor | None:
    """Read the scores of other queries; None if there is no file.

    Raises:
        ValueError: if its columns are not the candidates.
    """
    if path is None:
        return None
    bank = read_matrix(path)
    if bank.shape[1] != num_candidates:
        raise ValueError(
            f'{path} has the shape {list(bank.shape)}; other queries in rows and the '
            f'{num_candidates} candidates of the scores in columns are expected.'
        )
    return bank


def measure(sample: dict[str, Any], rows: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Return the metrics of the scores as they are, and of each row that has what it needs."""
    metric = TextVideoRetrievalMetric(post_processing=rows)
    metric.process(None, [sample])
    without_bank = {
        (row, direction)
        for row in BANK_POST_PROCESSING
        for direction, bank in zip(('t2v', 'v2t'), sample['banks'], strict=True)
        if bank is None
    }
    metrics = metric.evaluate(size=1)
    return {key: metrics[key] for key in metrics if (*key.split('/')[:2],) not in without_bank}


@stop_with_message()
def main() -> None:
    """Print a table, and write the metrics if it is asked for."""
    args = parse_args()
    rows = post_processing(args)
    metrics = measure(read_sample(args), rows)
    print(format_metrics(metrics))
    if args.json:
        write_metrics(args.json, metrics)


if __name__ == '__main__':
    main()
