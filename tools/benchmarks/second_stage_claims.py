"""Test what a second stage by diffusion is said to be good for.

python tools/benchmarks/second_stage_claims.py --model CONFIG CHECKPOINT --model CONFIG CHECKPOINT

`domain`: R@1 on shifted test sets. `several`: captions with several right answers. `steps`: quality
over the steps and draws of a diffusion. Weights and temperatures are fitted to the validation split
by likelihood, for the similarity, the second stage alone and both together; nothing is fitted to a
test split.
"""

from __future__ import annotations

import argparse
import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
from measuring import timed
from mmengine.config import DictAction
from second_stage_measures import ALONE, BOTH, METHODS, Measured, Model, Side, several_answers

from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.engine.config_files import configs_folder, read_config_file
from diffusionret_mm.evaluation.tables import Column, format_table, label
from diffusionret_mm.models.generators import DIRECTIONS

OOD = configs_folder() / 'ood'
SHIFTS = [OOD / f'shapes_to_{name}.py' for name in ('fresh', 'noise', 'pace', 'look')]
SAMPLER = dict(type='DDIMScheduler')

Row = dict[str, Any]


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Test what a second stage is good for')
    parser.add_argument(
        '--model',
        nargs=2,
        action='append',
        required=True,
        metavar=('CONFIG', 'CHECKPOINT'),
        help='a config with a checkpoint of its second stage; may be given several times',
    )
    parser.add_argument('--claims', nargs='+', choices=CLAIMS, default=list(CLAIMS))
    parser.add_argument(
        '--shifts', nargs='+', type=Path, default=SHIFTS, help='configs of shifted test sets'
    )
    parser.add_argument(
        '--several',
        type=Path,
        default=OOD / 'shapes_to_vague.py',
        help='config of captions with several right answers',
    )
    parser.add_argument('--steps', type=int, nargs='+', default=[1, 2, 5, 10, 50])
    parser.add_argument('--draws', type=int, nargs='+', default=[1, 4, 16])
    parser.add_argument('--json', type=Path, metavar='FILE', help='file for the figures')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='override settings of the configs of the models',
    )
    return parser.parse_args()


def loader_of(path: Path, **dataset: Any) -> Any:
    """Return the test data loader of a config, with other settings of its data set."""
    loader = copy.deepcopy(read_config_file(path).test_dataloader)
    loader.dataset.update(dataset)
    return loader


def by_direction(sides: dict[str, Side]) -> Iterator[tuple[str, Side, Any]]:
    """Yield the sides of a validation split with what is fitted to them."""
    for direction in DIRECTIONS:
        yield direction, sides[direction], sides[direction].fit()


def domain(model: Model, args: argparse.Namespace) -> list[Row]:
    """R@1 and likelihood of each method on test and on shifted sets."""
    splits = {'val': model.measure(model.cfg.val_dataloader)}
    splits['test'] = model.measure(model.cfg.test_dataloader)
    for path in args.shifts:
        splits[path.stem.rpartition('_')[2]] = model.measure(loader_of(path))
    sides = {name: split.sides() for name, split in splits.items()}
    rows = []
    for direction, _, chosen in by_direction(sides['val']):
        for method in METHODS:
            own = {name: both[direction] for name, both in sides.items()}
            recall = {
                name: splits[name].recall(direction, side.ranking(method, chosen))
                for name, side in own.items()
            }
            nll = {name: side.likelihood(method, chosen) for name, side in own.items()}
            row = dict(direction=direction, method=method)
            rows += [dict(row, measure='R@1, %', **recall), dict(row, measure='NLL, nats', **nll)]
    return sorted(rows, key=lambda row: row['measure'], reverse=True)


def several(model: Model, args: argparse.Namespace) -> list[Row]:
    """Precision and cross-entropy of each method on captions with several right answers."""
    val = model.measure(loader_of(args.several, split='val'))
    test = model.measure(loader_of(args.several)).sides()
    return [
        dict(
            direction=direction,
            method=method,
            **several_answers(test[direction], test[direction].ranking(method, chosen)),
            cross_entropy=test[direction].cross_entropy(method, chosen),
            least=test[direction].least_cross_entropy(),
        )
        for direction, _, chosen in by_direction(val.sides())
        for method in METHODS
    ]


def steps(model: Model, args: argparse.Namespace) -> list[Row]:
    """Quality on the test split over steps and draws; one row of what diffuses nothing."""
    val, test = model.measure(model.cfg.val_dataloader), model.measure(model.cfg.test_dataloader)
    diffuses = val.model.generators['t2v'].num_train_steps > 0
    runs = [(s, d) for s in args.steps for d in args.draws] if diffuses else [(None, None)]
    rows = []
    for num_steps, num_draws in runs:
        for split in (val, test):
            set_run(split, num_steps, num_draws)
        seconds, sides = timed(test.sides, 'cpu')
        queries = sum(len(side.scores) for side in sides.values())
        for direction, _, chosen in by_direction(val.sides()):
            side, row = sides[direction], dict(steps=num_steps, draws=num_draws)
            row |= dict(direction=direction, ms=1000 * seconds / queries)
            for method in (ALONE, BOTH):
                row[method] = test.recall(direction, side.ranking(method, chosen))
            rows.append(row | dict(nll=side.likelihood(BOTH, chosen)))
    return rows


def set_run(split: Measured, num_steps: int | None, num_draws: int | None) -> None:
    """Let a diffusion sample in so many steps, so many times; None leaves a model as it is."""
    if num_steps is not None:
        split.model.num_draws = num_draws
        for generator in split.model.generators.values():
            generator.set_sampler(SAMPLER, num_steps)


CLAIMS: dict[str, Callable[[Model, argparse.Namespace], list[Row]]] = dict(
    domain=domain, several=several, steps=steps
)
COLUMNS = {
    'measure': label('measure'),
    'direction': label('direction'),
    'method': label('method'),
    'steps': Column('steps'),
    'draws': Column('draws'),
    ALONE: Column('R@1 alone', '%', number='.2f'),
    BOTH: Column('R@1 of both', '%', number='.2f'),
    'P@1': Column('P@1', '%', number='.2f'),
    'mAP': Column('mAP', '%', number='.2f'),
    'nll': Column('negative log likelihood', 'nats', number='.3f'),
    'cross_entropy': Column('cross-entropy', 'nats', number='.3f'),
    'least': Column('at least', 'nats', number='.3f'),
    'ms': Column('time per query', 'ms', number='.2f'),
}


def show(claim: str, name: str, rows: list[Row]) -> str:
    """Draw the table of a claim and a model."""
    columns = [COLUMNS.get(key, Column(key, number='.2f')) for key in rows[0]]
    return format_table(columns, [[*row.values()] for row in rows], f'{claim}: {name}')


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    figures: dict[str, dict[str, list[Row]]] = {claim: {} for claim in args.claims}
    for config, checkpoint in args.model:
        model = Model(config, checkpoint, args.cfg_options)
        name = f'{Path(config).stem} {checkpoint}'
        for claim in args.claims:
            figures[claim][name] = CLAIMS[claim](model, args)
            print(show(claim, name, figures[claim][name]), flush=True)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
