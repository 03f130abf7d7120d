"""Test a checkpoint, or pre-trained weights: python tools/test.py CONFIG [CHECKPOINT]."""

from __future__ import annotations

import argparse
import os

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
from mmengine.config import Config

from diffusionret_mm.apis import test_retriever
from diffusionret_mm.apis.command_line import add_run_options, leave_processes, load_config
from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.evaluation.bootstrap import DRAWS


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Test a checkpoint, or pre-trained weights')
    add_run_options(parser, checkpoint=True)
    parser.add_argument('--out', metavar='FILE.json', help='write the metrics to this file')
    parser.add_argument('--dump', metavar='FILE.npz', help='write the score matrices to this file')
    parser.add_argument(
        '--bootstrap',
        type=int,
        nargs='?',
        const=DRAWS,
        metavar='DRAWS',
        help='how sure it is what re-ranking adds to R@1: the interval of so many draws '
        '(%(const)s) of the groups of the data set, or of its videos if it names no groups',
    )
    return parser.parse_args()


def add_bootstrap(cfg: Config, draws: int) -> None:
    """Let the metric of the config draw a bootstrap.

    Raises:
        ValueError: if there is nothing to draw, or no metric that draws.
    """
    if draws < 1:
        raise ValueError(f'A bootstrap takes at least one draw; got --bootstrap {draws}.')
    evaluators = cfg.test_evaluator
    evaluators = evaluators if isinstance(evaluators, list) else [evaluators]
    drawing = [each for each in evaluators if each.type == 'TextVideoRetrievalMetric']
    if not drawing:
        raise ValueError(
            '--bootstrap is of R@1, and the config has no TextVideoRetrievalMetric in its '
            'test_evaluator.'
        )
    for evaluator in drawing:
        evaluator.bootstrap = draws


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = load_config(args)
    if args.bootstrap is not None:
        add_bootstrap(cfg, args.bootstrap)
    if args.dump:
        cfg.test_evaluator = [cfg.test_evaluator, dict(type='DumpScores', out_file_path=args.dump)]
    test_retriever(cfg, args.checkpoint, out=args.out)
    leave_processes()


if __name__ == '__main__':
    main()
