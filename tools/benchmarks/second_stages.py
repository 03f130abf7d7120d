"""What second stages add on shapes: tools/benchmarks/second_stages.py --seeds 3.

Each seed trains `configs/diffusionret_shapes.py`, both stages, and the other second stages on its
first stage. Every checkpoint is calibrated on the validation split and measured on it, on the test
split and on the shifted test sets. The best one is chosen on the validation split. What is done is
not done again.
"""

from __future__ import annotations

import argparse
import copy
import json
import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import numpy as np
import torch
from mmaction.registry import LOOPS
from mmengine.config import Config, DictAction
from second_stages_table import write_tables

from diffusionret_mm.apis.run import build_tester
from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.comparison import Method, run_seed
from diffusionret_mm.engine.config_files import read_config_file
from diffusionret_mm.evaluation.ranking import grouped_query_ranks, query_ranks
from diffusionret_mm.features.encoding import ScoredSplit
from diffusionret_mm.features.scoring import generate_all
from diffusionret_mm.models.retrievers import TextVideoRetriever
from diffusionret_mm.storage.checkpoints import load_checkpoint_file
from diffusionret_mm.storage.files import write_json

ROOT = Path(__file__).parents[2]
TRAIN_TOOL = ROOT / 'tools/train.py'
FIRST = ROOT / 'configs/diffusionret_shapes.py'
SHIFTS = ('fresh', 'noise', 'pace', 'look')
SETS = ('val', 'test', *SHIFTS)
CALIBRATE = {'default_hooks.calibrate': dict(type='CalibrateHook')}


@dataclass(frozen=True)
class SecondStage:
    """A row of the table.

    Args:
        name: its name.
        config: file below configs/, without its ending.
        options: settings of its evaluation.
    """

    name: str
    config: str
    options: Mapping[str, Any] = field(default_factory=dict)


ROWS = (
    SecondStage('published, as it is', 'diffusionret_shapes'),
    SecondStage('published, calibrated', 'diffusionret_shapes', CALIBRATE),
    SecondStage('token diffusion, 4 draws', 'second_stage/token_diffusion_shapes'),
    SecondStage(
        'token diffusion, 1 draw', 'second_stage/token_diffusion_shapes', {'model.num_draws': 1}
    ),
    SecondStage(
        'token diffusion, one step',
        'second_stage/token_diffusion_shapes',
        {'model.num_draws': 1, 'model.generator.num_sample_steps': 1},
    ),
    SecondStage('listwise, cross-entropy', 'second_stage/listwise_shapes'),
    SecondStage('listwise, a sigmoid each', 'second_stage/listwise_bce_shapes'),
)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Train and compare second stages on shapes',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--seeds', type=int, default=3, metavar='N', help='seeds 0 to N-1')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/second_stages'))
    parser.add_argument('--data-root', default='data/shapes', help='others stand beside it')
    parser.add_argument('--jobs', type=int, default=1, help='runs at a time')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help='override settings of every training',
    )
    return parser.parse_args()


def read_config(args: argparse.Namespace, config: str, options: Mapping[str, Any]) -> Config:
    """Read a config of the comparison, with the data root of the command line."""
    loaders = ('train_dataloader', 'val_dataloader', 'test_dataloader')
    roots = {f'{loader}.dataset.data_root': args.data_root for loader in loaders}
    path = ROOT / 'configs' / f'{config}.py'
    return read_config_file(path, {**roots, **args.cfg_options, **options})


def train(args: argparse.Namespace, config: str, seed: int, first: Path | None) -> Path:
    """Train a config with a seed, unless that is done.

    Args:
        args: the command line.
        config: file below configs/, without its ending.
        seed: its seed.
        first: checkpoint of the first stage; None trains one.

    Returns:
        The folder of the run.

    Raises:
        RuntimeError: if the training failed.
    """
    options = {'default_hooks.run_cost': dict(type='RunCostHook')}
    if first is not None:
        options['load_from'] = str(first)
        cache = (args.work_dir / f'views_{seed}').resolve()  # the same for each second stage
        options['default_hooks.feature_cache.directory'] = str(cache)
    name = Path(config).stem
    method = Method(name, read_config(args, config, options), args.work_dir / f'{name}_{seed}')
    if run_seed(method, seed, TRAIN_TOOL) is None:
        raise RuntimeError(f'{name}, seed {seed} failed: see {method.seed_folder(seed)}/run.log')
    return method.seed_folder(seed)


def best_checkpoint(folder: Path, stage: str) -> Path:
    """The best checkpoint that a run kept of a stage."""
    for path in sorted(folder.glob('best_*.pth')):
        meta = load_checkpoint_file(path, 'cpu')['meta']
        if meta['stage'] == stage:
            return path
    raise FileNotFoundError(f'{folder} holds no best checkpoint of stage {stage!r}.')


def measure(args: argparse.Namespace, row: SecondStage, seed: int) -> Path:
    """Measure a checkpoint on all sets, unless that is done.

    Returns:
        The file of the figures: by set the metrics, and for each direction what each query gains.
    """
    folder = args.work_dir / f'{Path(row.config).stem}_{seed}' / f'seed_{seed}'
    path = folder / f'{row.name.replace(" ", "_")}.json'
    if path.is_file():
        return path
    cfg = read_config(args, row.config, row.options)
    cfg.work_dir = str(folder / 'measured')
    runner = build_tester(cfg, str(best_checkpoint(folder, 'generation')))
    runner.load_or_resume()
    model = TextVideoRetriever.of(runner.model).eval()
    if 'calibrate' in cfg.default_hooks:
        runner.call_hook('before_val_epoch')  # from which the timer counts
        with torch.no_grad():
            runner.val_loop.measure(model)
    figures = {}
    for name in SETS:
        loader = copy.deepcopy(cfg.val_dataloader if name == 'val' else cfg.test_dataloader)
        if name in SHIFTS:
            loader.dataset.update(data_root=f'{args.data_root}_{name}', shift=name)
        loop = LOOPS.build(
            dict(
                cfg.test_cfg,
                type='TextVideoTestLoop',
                runner=runner,
                dataloader=loader,
                evaluator=cfg.test_evaluator,
            )
        )
        runner.call_hook('before_test_epoch')
        with torch.no_grad():
            metrics, scored = loop.measure(model)
        figures[name] = dict(metrics=metrics, **gains(scored, loop.dataloader.dataset.group_of))
        if name == 'test':
            figures['cost'] = cost(model, scored)
    write_json(path, figures)
    return path


def gains(scored: ScoredSplit, group_of: Callable[[int], str]) -> dict[str, Any]:
    """What the second stage adds to each query's R@1 in points, and each query's scene."""
    videos = scored.split.video_of_text.cpu()
    _, scene = np.unique([group_of(i) for i in range(len(scored.v2t))], return_inverse=True)
    found = dict(scenes=dict(t2v=scene[videos.numpy()].tolist(), v2t=scene.tolist()), gains={})
    for direction, rank in dict(t2v=query_ranks, v2t=grouped_query_ranks).items():
        after = rank(getattr(scored, direction).cpu(), videos).hits(1)
        before = rank(scored.before(direction).cpu(), videos).hits(1)
        found['gains'][direction] = (100 * (after - before)).tolist()
    return found


@torch.no_grad()
def cost(model: TextVideoRetriever, scored: ScoredSplit) -> dict[str, float]:
    """Parameters of the second stage, and milliseconds per query of each direction."""
    sides = dict(t2v=(scored.split.texts, scored.split.videos))
    sides['v2t'] = sides['t2v'][::-1]
    own = model.trained_parameters('generation')
    costs = dict(parameters=float(sum(parameter.numel() for _, parameter in own)))
    for direction, (queries, candidates) in sides.items():
        start = time.perf_counter()
        generate_all(model, direction, scored.before(direction), queries, candidates)
        costs[f'{direction}_ms'] = 1000 * (time.perf_counter() - start) / len(queries)
    return costs


def run_pool(jobs: int, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Run calls, so many at a time, each in a process that has done no other work before."""
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(jobs, context, max_tasks_per_child=1) as pool:
        return [future.result() for future in [pool.submit(*call) for call in calls]]


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    seeds = range(args.seeds)
    first = [(train, args, 'diffusionret_shapes', seed, None) for seed in seeds]
    bases = [best_checkpoint(path, 'discrimination') for path in run_pool(args.jobs, first)]
    configs = dict.fromkeys(row.config for row in ROWS if row.config != 'diffusionret_shapes')
    run_pool(args.jobs, [(train, args, name, s, bases[s]) for name in configs for s in seeds])
    paths = run_pool(args.jobs, [(measure, args, row, s) for row in ROWS for s in seeds])
    figures = [json.loads(path.read_text()) for path in paths]
    by_row = {
        row.name: figures[number * args.seeds : (number + 1) * args.seeds]
        for number, row in enumerate(ROWS)
    }
    print(write_tables(args.work_dir / 'second_stages.md', by_row))


if __name__ == '__main__':
    main()
