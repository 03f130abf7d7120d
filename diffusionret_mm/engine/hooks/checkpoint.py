"""Checkpoints of which the newest can always be resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmaction.registry import HOOKS
from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from diffusionret_mm.storage.files import open_atomically, remove_leftovers

POINTER = 'last_checkpoint'


@HOOKS.register_module()
class DurableCheckpointHook(CheckpointHook):
    """Saves checkpoints such that a run killed at any moment can be resumed.

    mmengine's hook deletes the oldest checkpoint and the previous best one before it writes what
    replaces them. This one writes the checkpoint, then `last_checkpoint`, then deletes; a file that
    the newest checkpoint refers to is there as long as that checkpoint is the newest. So the disk
    must hold one checkpoint more than `max_keep_ckpts`. What a killed run could not delete is
    deleted when it is resumed.

    Args:
        within_epoch: number of iterations after which to save within an epoch, as `iter_*.pth`; a
            later checkpoint replaces such a file. 0: at the end of epochs only.
        **kwargs: arguments of `mmengine.hooks.CheckpointHook`.

    Raises:
        ValueError: if `within_epoch` is negative.
    """

    def __init__(self, *, within_epoch: int = 0, **kwargs: Any) -> None:
        if within_epoch < 0:
            raise ValueError(f'within_epoch counts iterations; got {within_epoch}.')
        super().__init__(**kwargs)
        self.file_backend: Any  # of mmengine
        self.within_epoch = within_epoch
        self._replaced: list[str] = []
        self._within: str | None = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take over what the checkpoint replaced and its run had no time to delete."""
        if runner._resume and not runner._has_loaded:
            meta = checkpoint['meta']
            self._replaced = list(meta.get('replaces', ()))
            self._within = meta.get('within_epoch')

    def before_train(self, runner: Runner) -> None:
        """Find the best checkpoint again, and clear away what a killed run left."""
        _follow_moved_best(runner)
        super().before_train(runner)
        self.last_ckpt = runner.message_hub.runtime_info.get('last_ckpt')
        self.file_backend = _Postponed(self.file_backend, self._replaced)
        if is_main_process():
            remove_leftovers(self.out_dir)
        self._delete_replaced()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Name what is to be deleted once this checkpoint is the newest."""
        checkpoint['meta'].update(replaces=self._replaced, within_epoch=self._within)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """Save within the epoch if it is time; its end has a checkpoint of its own."""
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        ends = self.end_of_epoch(runner.train_loop.dataloader, batch_idx)
        saved_then = ends and self.every_n_epochs(runner, self.interval, self.save_begin)
        if self.every_n_train_iters(runner, self.within_epoch) and not saved_then:
            self._save_within_epoch(runner)

    def _save_within_epoch(self, runner: Runner) -> None:
        _collect_optimizer(runner)
        self._replace_within(f'iter_{runner.iter + 1}.pth')
        runner.logger.info(f'Saving checkpoint at {runner.iter + 1} iterations')
        runner.save_checkpoint(
            self.out_dir,
            self._within,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=dict(epoch=runner.epoch, iter=runner.iter + 1),
            by_epoch=False,
        )
        self._conclude(runner, self._within)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        self._replace_within(None)
        _collect_optimizer(runner)
        super()._save_checkpoint_with_step(runner, step, meta)
        self._conclude(runner, Path(self.last_ckpt).name)

    def _replace_within(self, name: str | None) -> None:
        if self._within is not None:
            self._replaced.append(str(Path(self.out_dir, self._within)))
        self._within = name

    def _conclude(self, runner: Runner, newest: str) -> None:
        """Point to the newest checkpoint, and only then delete what it replaces."""
        if is_main_process():
            with open_atomically(Path(runner.work_dir, POINTER)) as file:
                file.write(str(Path(self.out_dir, newest)).encode())
        self._delete_replaced()

    def _delete_replaced(self) -> None:
        if is_main_process():
            for path in map(Path, self._replaced):
                # A run resumed from another's folder leaves that folder as it is.
                if path.parent.resolve() == Path(self.out_dir).resolve():
                    path.unlink(missing_ok=True)
        self._replaced.clear()


def _collect_optimizer(runner: Runner) -> None:
    """Bring the state of an optimizer that is spread over the processes to the first of them."""
    collect = getattr(runner.optim_wrapper.optimizer, 'consolidate_state_dict', None)
    if collect is not None:
        collect()


class _Postponed:
    """A file backend that only notes what it is to remove."""

    def __init__(self, backend: Any, notes: list[str]) -> None:
        self._backend = backend
        self._notes = notes

    def remove(self, path: str) -> None:
        self._notes.append(path)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)


def _follow_moved_best(runner: Runner) -> None:
    """Let the run know where its best checkpoint is if its folder was moved since."""
    best = runner.message_hub.runtime_info.get('best_ckpt')
    if best is not None and not Path(best).is_file():
        moved = Path(runner.work_dir, Path(best).name)
        if moved.is_file():
            runner.message_hub.update_info('best_ckpt', str(moved))
