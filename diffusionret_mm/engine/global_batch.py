"""The global batch: how many texts and videos are contrasted, however many processes there are."""

from __future__ import annotations

from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from torch.utils.data import DataLoader


def share_global_batch(cfg: Config, world_size: int) -> None:
    """Share the config's global batch among the processes, or check that it is shared.

    The global batch is `auto_scale_lr.base_batch_size`, the one that the learning rate belongs to.
    A `train_dataloader.batch_size` that equals it is divided by the number of processes; another
    one is a process's own, and the sum over the processes must be the global batch. With
    `--auto-scale-lr` the batches are left as they are: the learning rate follows them.

    Args:
        cfg: the whole config; its `train_dataloader.batch_size` may change.
        world_size: number of processes.

    Raises:
        ValueError: if the batches do not add up to the global batch, if it cannot be shared
            equally, or if gradients were accumulated over smaller batches, which would have fewer
            negatives.
    """
    refuse_accumulation(cfg)
    scaling = cfg.get('auto_scale_lr') or {}
    wanted = scaling.get('base_batch_size')
    if wanted is None or scaling.get('enable'):
        return
    own = cfg.train_dataloader.batch_size
    if own * world_size == wanted:
        return
    if own != wanted:
        raise ValueError(
            f'{world_size} processes with train_dataloader.batch_size={own} train on batches of '
            f'{world_size * own}, but the global batch of the config '
            f'(auto_scale_lr.base_batch_size) is {wanted}: other negatives, other results. Less '
            f'memory with the same negatives: model.encode_chunk={min(own, wanted)}. Another batch '
            'on purpose: --auto-scale-lr, or with the same learning rate '
            f'auto_scale_lr.base_batch_size={world_size * own}.'
        )
    if wanted % world_size:
        raise ValueError(
            f'A global batch of {wanted} cannot be shared equally by {world_size} processes: '
            'choose another number of processes or another batch.'
        )
    cfg.train_dataloader.batch_size = wanted // world_size
    print_log(
        f'The global batch of {wanted} is shared by {world_size} processes: '
        f'{wanted // world_size} each.',
        'current',
    )


def refuse_no_batches(loader: DataLoader) -> None:
    """Refuse a training set that is smaller than a batch, of which nothing would be learned.

    Args:
        loader: of the training set.

    Raises:
        ValueError: if it gives no batch.
    """
    if not len(loader):
        processes = get_world_size()
        wanted = f'{processes} x {loader.batch_size}' if processes > 1 else f'{loader.batch_size}'
        raise ValueError(
            f'The training set has {len(loader.dataset):,} items, fewer than a batch of {wanted}, '
            'and incomplete batches are dropped. Set train_dataloader.batch_size and '
            'auto_scale_lr.base_batch_size to fewer, or add videos.'
        )


def refuse_accumulation(cfg: Config) -> None:
    """Refuse gradients that are accumulated over batches smaller than the one that is contrasted.

    Raises:
        ValueError: if an optimizer wrapper accumulates where negatives are of the batch.
    """
    wrappers = {'optim_wrapper': cfg.optim_wrapper}
    if cfg.model.get('negatives') != 'training_set':
        stage_switch = (cfg.get('default_hooks') or {}).get('stage_switch')
        if stage_switch is not None:
            wrappers['default_hooks.stage_switch.optim_wrapper'] = stage_switch.optim_wrapper
    for name, wrapper in wrappers.items():
        if wrapper.get('accumulative_counts', 1) > 1:
            raise ValueError(
                f'{name}.accumulative_counts={wrapper.accumulative_counts} would contrast each '
                'text with the videos of a small batch only. Keep the batch, and encode it in '
                'parts instead: model.encode_chunk=16 needs the memory of 16 videos.'
            )
