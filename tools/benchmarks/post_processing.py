"""Time of the post-processing of scores: python tools/benchmarks/post_processing.py."""

from __future__ import annotations

import argparse
import time

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import torch

from diffusionret_mm.evaluation import dual_softmax, inverted_softmax, querybank_normalisation


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--queries', type=int, default=1000, help='texts, and videos')
    parser.add_argument('--bank', type=int, default=9000, help='queries of a bank')
    return parser.parse_args()


def main() -> None:
    """Run; both directions are computed."""
    args = parse_args()
    torch.manual_seed(0)
    scores = 0.1 * torch.randn(args.queries, args.queries)
    banks = [0.1 * torch.randn(args.bank, args.queries) for _ in range(2)]
    matrices = scores, scores.t().contiguous()
    print(f'{args.queries:,} x {args.queries:,}, banks of {args.bank:,}, both directions')
    for name, function, inputs in (
        ('DSL', dual_softmax, matrices),
        ('IS', inverted_softmax, (*matrices, *banks)),
        ('QB-Norm', querybank_normalisation, (*matrices, *banks)),
    ):
        start = time.perf_counter(), time.process_time()
        function(*inputs)
        took = time.perf_counter() - start[0], time.process_time() - start[1]
        print(f'{name:8} {took[0]:6.2f} s, {took[1]:6.2f} s of the processor')


if __name__ == '__main__':
    main()
