"""Whole runs whose loader workers are not forks."""

import processes  # noqa: F401  the forkserver that the tests share imports torch once
import pytest

from diffusionret_mm.apis import train_retriever

SHORT = {'train_cfg.max_epochs': 2, 'default_hooks.stage_switch.begin': 1}


@pytest.mark.slow
def test_both_stages_with_a_forkserver(make_cfg):
    expected = train_retriever(make_cfg('forked', **SHORT))
    options = dict(SHORT)
    for split in ('train', 'val', 'test'):
        options |= {
            f'{split}_dataloader.num_workers': 1,
            f'{split}_dataloader.persistent_workers': True,
            f'{split}_dataloader.multiprocessing_context': 'forkserver',
        }
    assert train_retriever(make_cfg('served', **options)) == expected
