"""The hook that chooses the checkpoint to resume from and checks that the config fits it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mmaction.registry import HOOKS
from mmengine.dist import broadcast_object_list, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from diffusionret_mm.engine.config_differences import config_differences
from diffusionret_mm.engine.hooks.checkpoint import POINTER
from diffusionret_mm.models.checkpoint_check import (
    CheckpointError,
    check_passport,
    passport_entry,
)
from diffusionret_mm.models.retrievers import TextVideoRetriever
from diffusionret_mm.storage.checkpoints import is_complete

RULES = ('refuse', 'warn')
AUTO = 'auto'


@HOOKS.register_module()
class ResumeHook(Hook):
    """Finds the newest usable checkpoint, and compares its config with the present one.

    With `resume='auto'` in the config (or True without `load_from`), a run is resumed from the
    checkpoint in `last_checkpoint`. If that is cut short or cannot be read, it is the next older
    one. Without any, training starts from the beginning (from `load_from`, if the config has it).
    With `resume=True` and `load_from`, it is resumed from that file. Settings that change training
    must be those of the checkpoint; others that differ are logged.

    Args:
        differences: what is done if settings that change training differ: 'refuse', or 'warn' to go
            on with the present ones.

    Raises:
        ValueError: if `differences` is neither.
        CheckpointError: if no checkpoint of the folder can be read, or settings differ.
    """

    priority = 'HIGHEST'  # before StageSwitchHook prepares the stage of the checkpoint

    def __init__(self, differences: str = 'refuse') -> None:
        if differences not in RULES:
            raise ValueError(f'differences must be one of {RULES}; got {differences!r}.')
        self.differences = differences

    def before_run(self, runner: Runner) -> None:
        """Choose the checkpoint."""
        named = runner._load_from is not None and runner._resume != AUTO
        if runner._has_loaded or not runner._resume or named:
            return
        found = [newest_checkpoint(runner) if is_main_process() else None]
        broadcast_object_list(found)
        if found[0] is None:
            runner.logger.info(f'{runner.work_dir} holds no checkpoint yet: training starts.')
            runner._resume = False
        else:
            runner._load_from = str(found[0])

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare passport and settings, before anything of the checkpoint is used."""
        passport = TextVideoRetriever.of(runner.model).backbone.passport
        check_passport(passport, checkpoint.get('meta'), runner._load_from or 'The checkpoint')
        if not runner._resume or runner._has_loaded:
            return
        meta = checkpoint['meta']
        if runner.cfg.get('randomness', {}).get('seed') is None:
            # The loader was made with a seed drawn at random.
            runner.train_dataloader.batch_sampler.sampler.seed = meta['seed']
        name = f'{runner._load_from} (epoch {meta["epoch"]}, iteration {meta["iter"]})'
        runner.logger.info(f'Resuming from {name}.')
        then = meta['cfg'], meta.get('processes', get_world_size())
        changing, harmless = config_differences(then, (runner.cfg.pretty_text, get_world_size()))
        if harmless:
            runner.logger.info(_list('Settings that differ and do no harm', harmless))
        if changing and self.differences == 'warn':
            runner.logger.warning(_list(f'Training changes from here on; since {name}', changing))
        elif changing:
            raise CheckpointError(
                _list(f'The config does not fit {name}; nothing was loaded. Since then', changing)
                + '\nTo continue that run, give the settings that it had; to start another, choose '
                'another --work-dir or leave out --resume; to continue it with the present '
                'settings, add --cfg-options default_hooks.resume.differences=warn.'
            )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Record how many processes share the global batch, and the backbone's passport."""
        passport = TextVideoRetriever.of(runner.model).backbone.passport
        checkpoint['meta'].update(processes=get_world_size(), **passport_entry(passport))


def newest_checkpoint(runner: Runner) -> Path | None:
    """Return the newest checkpoint of a run's folder that is complete, or None if it has none.

    Raises:
        CheckpointError: if there are checkpoints and none is complete.
    """
    broken = []
    for path in _newest_first(Path(runner.work_dir)):
        if is_complete(path):
            return path
        broken.append(path.name)
        runner.logger.warning(
            f'{path} ({path.stat().st_size:,} bytes) is cut short or cannot be read; the '
            'checkpoint before it is tried.'
        )
    if broken:
        raise CheckpointError(
            f'No checkpoint of {runner.work_dir} can be read: {", ".join(broken)}. To start from '
            'the beginning, delete them or leave out --resume.'
        )
    return None


def _newest_first(folder: Path) -> Iterator[Path]:
    """The checkpoint that `last_checkpoint` names, then the others by the time of writing."""
    files = [file for form in ('epoch_*.pth', 'iter_*.pth') for file in folder.glob(form)]
    files.sort(key=lambda file: file.stat().st_mtime_ns, reverse=True)
    pointer = folder / POINTER
    named = Path(pointer.read_text().strip()).name if pointer.is_file() else ''
    first = [file for file in files if file.name == named]
    yield from first
    yield from (file for file in files if file not in first)


def _list(title: str, differences: list[str]) -> str:
    return '\n'.join([f'{title}:', *(f'  {line}' for line in differences)])
