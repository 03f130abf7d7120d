import pytest
from mmengine.config import Config

from diffusionret_mm.engine.global_batch import share_global_batch


def config(batch_size=32, **options):
    cfg = Config(
        dict(
            model=dict(negatives='batch'),
            train_dataloader=dict(batch_size=batch_size),
            optim_wrapper=dict(type='OptimWrapper'),
            default_hooks=dict(
                stage_switch=dict(type='StageSwitchHook', optim_wrapper=dict(type='OptimWrapper'))
            ),
            auto_scale_lr=dict(enable=False, base_batch_size=32),
        )
    )
    cfg.merge_from_dict(options)
    return cfg


@pytest.mark.parametrize(('batch_size', 'processes'), [(32, 1), (32, 4), (8, 4)])
def test_the_processes_share_the_global_batch(batch_size, processes):
    cfg = config(batch_size)
    share_global_batch(cfg, processes)
    assert cfg.train_dataloader.batch_size * processes == 32


def test_other_batches_are_refused_unless_lr_follows():
    with pytest.raises(ValueError, match=r'4 processes with .*=16 train on batches of 64.* is 32'):
        share_global_batch(config(16), 4)
    cfg = config(16, **{'auto_scale_lr.enable': True})
    share_global_batch(cfg, 4)
    assert cfg.train_dataloader.batch_size == 16
    cfg = config(16, **{'auto_scale_lr.base_batch_size': 64})
    share_global_batch(cfg, 4)
    assert cfg.train_dataloader.batch_size == 16


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(ValueError, match='32 cannot be shared equally by 3 processes'):
        share_global_batch(config(), 3)


@pytest.mark.parametrize('name', ['optim_wrapper', 'default_hooks.stage_switch.optim_wrapper'])
def test_accumulation_is_refused(name):
    cfg = config(**{f'{name}.accumulative_counts': 4})
    with pytest.raises(ValueError, match=f'{name}.accumulative_counts=4 .*model.encode_chunk'):
        share_global_batch(cfg, 1)


def test_accumulation_changes_no_negatives_of_a_gallery():
    options = {
        'default_hooks.stage_switch.optim_wrapper.accumulative_counts': 4,
        'model.negatives': 'training_set',
    }
    share_global_batch(config(**options), 1)
