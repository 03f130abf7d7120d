"""What gpu.py runs of the methods: a step of each in mixed precision, and a whole run."""

from __future__ import annotations

import copy
import json
import math
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from gpu_parts import Table, gpu_memory
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner

from diffusionret_mm.apis.run import use_amp
from diffusionret_mm.evaluation.tables import Cell, Column, label
from diffusionret_mm.models.hierarchy import BanzhafNetwork
from diffusionret_mm.models.retrievers import TextVideoRetriever
from diffusionret_mm.storage.checkpoints import save_checkpoint_file

ROOT = Path(__file__).parents[2]
METHODS = ROOT / 'configs/comparison'
DTYPES = ('float32', 'float16', 'bfloat16')
# float16 scales the loss, and leaves out steps until the scale is small enough.
STEPS = 20
BATCH = dict(cuda=64, cpu=6)
TOLERANCE = 0.1
# What the whole run changes of its config: scenes for training, and what follows from them.
RUN = dict(cuda=64, cpu=4)


def train_methods(device: str, folder: Path) -> Iterator[Table]:
    """Train every method of the comparison for some steps, in each stage and precision."""
    paths = sorted(METHODS.glob('*.py'))
    read = partial(read_config, batch=BATCH[device], folder=folder)
    batch = draw_batch(read(paths[0]))
    rows: list[list[Cell]] = []
    errors: list[str] = []
    for path in paths:
        cfg = read(path)
        make_files(cfg, folder)
        for stage in MODELS.build(cfg.model).stages:
            gpu_memory(device)
            losses = [_try(errors, path.stem, cfg, stage, dtype, batch, device) for dtype in DTYPES]
            rows.append([path.stem, stage, *losses, gpu_memory(device)])
    columns = [
        *(label('config'), label('stage')),
        *(Column(f'loss, {dtype}', number='.4f') for dtype in DTYPES),
        Column('GPU memory', 'GB', number='.2f'),
    ]
    note = (
        f'The configs of `configs/comparison` with random weights, a batch of {BATCH[device]} '
        'videos. The loss is that of the first step. A dash stands where a loss was not finite, no '
        'weight moved, or a step failed.'
    )
    yield Table(note, columns, rows)
    errors += far_losses(rows)
    if errors:
        raise ArithmeticError('; '.join(errors))


def _try(errors: list[str], name: str, cfg: Config, *how: Any) -> float | None:
    """Train, or note why that fails."""
    try:
        return train(cfg, *how)
    except Exception as error:  # the other methods are run all the same
        errors.append(f'{name} ({how[0]}, {how[1]}): {type(error).__name__}: {error}')
        return None


def read_config(path: Path, batch: int, folder: Path) -> Config:
    """Read a config of the comparison for small batches of shapes, which are rendered."""
    cfg = Config.fromfile(path)
    cfg.train_dataloader.batch_size = batch
    cfg.train_dataloader.dataset.update(
        data_root=str(folder / 'shapes'), num_scenes=dict(train=-(-batch // 3), val=1, test=1)
    )
    return cfg


def draw_batch(cfg: Config) -> dict[str, Any]:
    """Return the first batch of a config's training."""
    return next(iter(Runner.build_dataloader(cfg.train_dataloader, seed=0)))


def make_files(cfg: Config, folder: Path) -> None:
    """Give what a method learns from random weights, in place of those of runs."""
    if 'estimator' in cfg.model:
        cfg.model.estimator = str(folder / 'estimator.pth')
        estimator = BanzhafNetwork()
        estimator.is_trained.fill_(True)
        save_checkpoint_file(estimator.state_dict(), cfg.model.estimator)
    for number, teacher in enumerate(cfg.model.get('teachers', ())):
        teacher['config'] = str(ROOT / teacher['config'])
        teacher['checkpoint'] = str(folder / f'teacher_{number}.pth')
        torch.manual_seed(number)
        model = MODELS.build(Config.fromfile(teacher['config']).model)
        save_checkpoint_file(dict(state_dict=model.state_dict()), teacher['checkpoint'])


def train(cfg: Config, stage: str, dtype: str, batch: Mapping[str, Any], device: str) -> float:
    """Train until the weights have moved, and for one step at least.

    Args:
        cfg: a config of the comparison.
        stage: a stage of its model.
        dtype: of autocast; 'float32': without.
        batch: what the model gets at each step.
        device: where the model is.

    Returns:
        The loss of the first step.

    Raises:
        ArithmeticError: if a loss is not finite, or the weights stay as they are.
    """
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    model.to(device).train().set_stage(stage)
    wrapper = build_optim_wrapper(model, wrapper_config(cfg, stage, dtype, device))
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    before = [parameter.detach().clone() for parameter in trained]
    losses = []
    for _ in range(STEPS):
        with precision(dtype, device):
            logged = model.train_step(copy.deepcopy(batch), wrapper)
        losses.append(logged['loss'].item())
        if not math.isfinite(losses[-1]):
            raise ArithmeticError(f'{stage} in {dtype}: the losses are {losses}.')
        if any(not torch.equal(*pair) for pair in zip(before, trained, strict=True)):
            return losses[0]
    raise ArithmeticError(f'{stage} in {dtype}: no weight has moved in {STEPS} steps.')


def wrapper_config(cfg: Config, stage: str, dtype: str, device: str) -> dict[str, Any]:
    """Return the optimizer wrapper of a stage, of mixed precision on a GPU."""
    cfg = copy.deepcopy(cfg)
    if dtype != 'float32' and device == 'cuda':
        use_amp(cfg, dtype)
    of_stage = cfg if stage == TextVideoRetriever.stages[0] else cfg.default_hooks.stage_switch
    return of_stage.optim_wrapper


@contextmanager
def precision(dtype: str, device: str) -> Iterator[None]:
    """Stand in for mmengine's wrapper of mixed precision, which refuses the CPU."""
    if dtype == 'float32' or device == 'cuda':
        yield
        return
    # oneDNN lacks products of short numbers on some processors.
    with torch.backends.mkldnn.flags(enabled=False), torch.autocast(device, getattr(torch, dtype)):
        yield


def far_losses(rows: list[list[Cell]]) -> list[str]:
    """Say which losses of the first stage are far from those in float32.

    The second stage draws its candidates by their scores, so rounding changes which they are.

    Args:
        rows: config, stage, a loss per dtype (None where there is none), and more.
    """
    far = []
    for name, stage, first, *others in rows:
        found = dict(zip(DTYPES[1:], others, strict=False))
        far += [
            f'{name} ({stage}): the loss is {first} in float32 and {loss} in {dtype}'
            for dtype, loss in found.items()
            if stage == TextVideoRetriever.stages[0]
            and first is not None
            and loss is not None
            and abs(float(loss) - float(first)) > TOLERANCE * abs(float(first))
        ]
    return far


def run_by_one_process(device: str, folder: Path) -> Iterator[Table]:
    """Train and test DiffusionRet in both stages, by one process that torchrun starts.

    The processes of a group talk by nccl on GPUs, and by gloo on CPUs.

    Raises:
        RuntimeError: if the run fails.
    """
    script, config = ROOT / 'tools/dist_train.sh', METHODS / 'diffusionret.py'
    command = ['bash', str(script), str(config), '1', *run_options(device)]
    environment = dict(os.environ, PORT='29555')
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f'{" ".join(command)} failed: {done.stderr[-2000:]}')
    run = folder / 'work_dirs/diffusionret'
    costs = json.loads((run / 'costs.json').read_text(encoding='utf-8'))
    metrics = json.loads((run / 'metrics.json').read_text(encoding='utf-8'))
    costs['t2v R@1'] = metrics['t2v/R@1']
    backend = 'nccl, in bfloat16' if device == 'cuda' else 'gloo'
    note = (
        f'`tools/dist_train.sh` with one process, {backend}: one epoch of each stage of '
        f'`configs/comparison/diffusionret.py` on {3 * RUN[device]} clips, with the cache.'
    )
    columns = [label('figure'), Column('value', number=',.1f')]
    yield Table(note, columns, [[name, float(value)] for name, value in costs.items()])


def run_options(device: str) -> list[str]:
    """Options of tools/train.py for a short run."""
    scenes = dict(train=RUN[device], val=2, test=2)
    batch = min(64, 3 * RUN[device])
    options = [f'train_dataloader.batch_size={batch}', f'auto_scale_lr.base_batch_size={batch}']
    options += [
        f'{split}_dataloader.dataset.num_scenes.{part}={count}'
        for split in scenes
        for part, count in scenes.items()
    ]
    options += [
        'train_cfg.max_epochs=2',
        'train_cfg.val_interval=1',
        'default_hooks.stage_switch.begin=1',
        'default_hooks.report.draw=False',
        'default_hooks.costs.type=RunCostHook',
    ]
    return [*(['--amp', 'bfloat16'] if device == 'cuda' else []), '--cfg-options', *options]
