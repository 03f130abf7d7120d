"""Time of the post-processing of scores: python tools/benchmarks/post_processing.py."""

from __future__ import annotations

import argparse
import time

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import torch

from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.evaluation import dual_softmax, inverted_softmax, querybank_normalisation
from diffusionret_mm.evaluation.tables import Column, format_table, label


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--queries', type=int, default=1000, help='number of texts, and of videos')
    parser.add_argument('--bank', type=int, default=9000, help='queries of a bank')
    return parser.parse_args()


@stop_with_message()
def main() -> None:
    """Run; both directions are computed."""
    args = parse_args()
    torch.manual_seed(0)
    scores = 0.1 * torch.randn(args.queries, args.queries)
    banks = [0.1 * torch.randn(args.bank, args.queries) for _ in range(2)]
    matrices = scores, scores.t().contiguous()
    rows = []
    for name, function, inputs in (
        ('DSL', dual_softmax, matrices),
        ('IS', inverted_softmax, (*matrices, *banks)),
        ('QB-Norm', querybank_normalisation, (*matrices, *banks)),
    ):
        start = time.perf_counter(), time.process_time()
        function(*inputs)
        rows.append((name, time.perf_counter() - start[0], time.process_time() - start[1]))
    columns = [Column(name, 's', number='.2f') for name in ('time', 'processor')]
    title = f'{args.queries:,} x {args.queries:,}, banks of {args.bank:,}, both directions'
    print(format_table([label('method'), *columns], rows, title))


if __name__ == '__main__':
    main()
