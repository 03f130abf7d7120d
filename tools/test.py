"""Test a checkpoint, or pre-trained weights: python tools/test.py CONFIG [CHECKPOINT]."""

from __future__ import annotations

import argparse
import os

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
from diffusionret_mm.apis import test_retriever
from diffusionret_mm.apis.command_line import add_run_options, leave_processes, load_config
from diffusionret_mm.apis.user_errors import stop_with_message


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Test a checkpoint, or pre-trained weights')
    add_run_options(parser, checkpoint=True)
    parser.add_argument('--out', metavar='FILE.json', help='write the metrics to this file')
    parser.add_argument('--dump', metavar='FILE.npz', help='write the score matrices to this file')
    return parser.parse_args()


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = load_config(args)
    if args.dump:
        cfg.test_evaluator = [cfg.test_evaluator, dict(type='DumpScores', out_file_path=args.dump)]
    test_retriever(cfg, args.checkpoint, out=args.out)
    leave_processes()


if __name__ == '__main__':
    main()
