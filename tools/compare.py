"""Compare configs over several seeds: python tools/compare.py CONFIG... --seeds 3."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
from mmengine.config import DictAction

from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.comparison import (
    Method,
    load_methods,
    run_seed,
    summarise,
    write_csv,
    write_markdown,
    write_plot,
)
from diffusionret_mm.storage.locks import locked

TRAIN_TOOL = Path(__file__).parent / 'train.py'


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Train and test several configs on one data set, one after the other, and '
        'write one table. Runs that are done are not run again.'
    )
    parser.add_argument('configs', nargs='+', metavar='CONFIG', help='config files, one row each')
    parser.add_argument('--seeds', type=int, default=1, metavar='N', help='seeds 0 to N-1')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/comparison'))
    parser.add_argument(
        '--out',
        type=Path,
        metavar='PREFIX',
        help='PREFIX.md, .csv and .png are written; default WORK_DIR/comparison',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings of every config, such as train_dataloader.batch_size=32',
    )
    args = parser.parse_args()
    if args.seeds < 1:
        parser.error(f'--seeds is a number of seeds, 1 or more; got {args.seeds}')
    return args


def run_all(methods: Sequence[Method], num_seeds: int) -> tuple[dict[str, list[Any]], list[str]]:
    """Run every method with one seed after the other.

    Returns:
        The records by method, and a line for each run that failed.
    """
    records: dict[str, list[Any]] = {method.name: [] for method in methods}
    failed = []
    for seed in range(num_seeds):
        for method in methods:
            print(f'{method.name}, seed {seed} ...', flush=True)
            record = run_seed(method, seed, TRAIN_TOOL)
            if record is None:
                log = method.seed_folder(seed) / 'run.log'
                failed.append(f'{method.name}, seed {seed} failed: see {log}')
                print(failed[-1], flush=True)
            else:
                records[method.name].append(record)
    return records, failed


@stop_with_message()
def main() -> None:
    """Run.

    Raises:
        SystemExit: with status 1 if a run failed, 2 if the configs cannot be compared.
    """
    args = parse_args()
    methods = load_methods(args.configs, args.work_dir, args.cfg_options)
    with locked(args.work_dir / 'comparison'):
        records, failed = run_all(methods, args.seeds)
    rows = [summarise(name, done) for name, done in records.items() if done]
    if rows:
        prefix = args.out or args.work_dir / 'comparison'
        paths = [prefix.with_name(f'{prefix.name}.{ending}') for ending in ('md', 'csv', 'png')]
        print(write_markdown(paths[0], rows, note='; '.join(failed)))
        write_csv(paths[1], rows)
        write_plot(paths[2], rows)
        print('Written:', *paths)
    if failed:
        raise SystemExit('\n'.join(failed))


if __name__ == '__main__':
    main()
