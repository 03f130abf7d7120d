"""The runs of a comparison: one process per config and seed, and a record of each."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from diffusionret_mm.engine.config_files import read_config_file
from diffusionret_mm.engine.hooks.run_cost import COST_FILE
from diffusionret_mm.evaluation import METRICS_FILE
from diffusionret_mm.storage.files import open_atomically, write_json

RECORD_FILE = 'record.json'
LOG_FILE = 'run.log'
CONFIG_FILE = 'config.py'


class ComparisonError(Exception):
    """Configs that cannot be compared, or a folder that holds another comparison."""


@dataclass(frozen=True)
class Method:
    """One config of a comparison.

    Args:
        name: name of the config file without its ending; it names the row of the table.
        cfg: the whole config, its options merged.
        folder: its part of the work dir.
    """

    name: str
    cfg: Config
    folder: Path

    def seed_folder(self, seed: int) -> Path:
        """Work dir of one run."""
        return self.folder / f'seed_{seed}'


def load_methods(
    paths: Sequence[str], work_dir: Path, options: Mapping[str, Any] | None = None
) -> list[Method]:
    """Read the configs of a comparison and check that they can be compared.

    Args:
        paths: config files.
        work_dir: folder of the comparison.
        options: settings that override those of every config, as of `--cfg-options`.

    Returns:
        One method per config, in their order.

    Raises:
        ComparisonError: if a file is missing, two have one name, or they are not tested alike.
        ValueError: if a config cannot be read.
    """
    methods: list[Method] = []
    for path in map(Path, paths):
        if not path.is_file():
            raise ComparisonError(f'There is no config {path}.')
        if any(path.stem == method.name for method in methods):
            raise ComparisonError(
                f'Two configs are called {path.stem}: the name of the file is the row of the '
                'table. Rename one.'
            )
        cfg = read_config_file(path, options)
        # As a hook of the config's own: what is measured is then what the config runs.
        cfg.merge_from_dict({'default_hooks.run_cost': dict(type='RunCostHook')})
        methods.append(Method(path.stem, cfg, work_dir / path.stem))
    for method in methods[1:]:
        check_tested_alike(methods[0], method)
    return methods


def check_tested_alike(first: Method, other: Method) -> None:
    """Refuse configs that are tested on different data or by different rules.

    Args:
        first: a method.
        other: another; the pipelines of the two may differ, as their models may need it.

    Raises:
        ComparisonError: naming every setting that differs, with both values.
    """
    ours, theirs = _test_settings(first.cfg), _test_settings(other.cfg)
    absent = object()
    lines = [
        f'  {key}: {_shown(ours.get(key, absent), absent)} and '
        f'{_shown(theirs.get(key, absent), absent)}'
        for key in sorted(ours.keys() | theirs.keys())
        if ours.get(key, absent) != theirs.get(key, absent)
    ]
    if lines:
        raise ComparisonError(
            f'{first.name} and {other.name} are not tested alike, so their metrics cannot stand '
            'in one table:\n' + '\n'.join(lines)
        )


def run_seed(method: Method, seed: int, train_tool: Path) -> dict[str, Any] | None:
    """Train and test a config with one seed in a process of its own, unless that is done.

    Args:
        method: what to run.
        seed: random seed.
        train_tool: path of `tools/train.py`.

    Returns:
        The record: seed, metrics and costs; None if the run failed, with its output in `run.log`.

    Raises:
        ComparisonError: if the folder holds runs of the same name with other settings.
    """
    folder = method.seed_folder(seed)
    record_file = folder / RECORD_FILE
    config = write_config(method)
    if record_file.is_file():
        return json.loads(record_file.read_text())
    folder.mkdir(parents=True, exist_ok=True)
    for name in (METRICS_FILE, COST_FILE):  # of a run that was stopped before its record
        (folder / name).unlink(missing_ok=True)
    command = [sys.executable, train_tool, config, '--work-dir', folder, '--seed', seed]
    with (folder / LOG_FILE).open('w') as log:
        done = subprocess.run(list(map(str, command)), stdout=log, stderr=subprocess.STDOUT)
    parts = folder / METRICS_FILE, folder / COST_FILE
    if done.returncode or not all(part.is_file() for part in parts):
        return None
    metrics, costs = (json.loads(part.read_text()) for part in parts)
    record = dict(seed=seed, metrics=metrics, costs=costs)
    write_json(record_file, record, indent=2)
    return record


def write_config(method: Method) -> Path:
    """Write the merged config that all seeds run; check it against one that is there.

    Raises:
        ComparisonError: if runs with other settings are there.
    """
    path = method.folder / CONFIG_FILE
    text = method.cfg.pretty_text
    differs = path.is_file() and path.read_text() != text
    if differs and any(method.folder.glob(f'seed_*/{RECORD_FILE}')):
        raise ComparisonError(
            f'{method.folder} holds runs of {method.name} with other settings (see {path}); '
            'choose another --work-dir or remove that folder.'
        )
    with open_atomically(path) as file:
        file.write(text.encode())
    return path


def _test_settings(cfg: Config) -> dict[str, Any]:
    """Flat settings of the test data, without the pipeline, and of the evaluator."""
    plain = cfg.to_dict()
    dataset = dict(plain['test_dataloader']['dataset'])
    dataset.pop('pipeline', None)
    parts = {'test_dataloader.dataset': dataset, 'test_evaluator': plain['test_evaluator']}
    return dict(_flat(parts, ''))


def _flat(value: Any, prefix: str) -> list[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        return [(prefix, value)]
    start = f'{prefix}.' if prefix else ''
    return [item for key, part in value.items() for item in _flat(part, f'{start}{key}')]


def _shown(value: Any, absent: object) -> str:
    return 'absent' if value is absent else repr(value)
