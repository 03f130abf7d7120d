"""Which settings changed, and whether they matter."""

from mmengine.config import Config

from diffusionret_mm.engine.config_differences import config_differences

SETTINGS = dict(
    model=dict(type='DiffusionRet', layers=[2, 3]),
    model_wrapper_cfg=dict(type='A'),
    train_dataloader=dict(batch_size=32, num_workers=2, dataset=dict(data_root='a', item='video')),
    optim_wrapper=dict(optimizer=dict(lr=1e-3, betas=(0.9, 0.98))),
    default_hooks=dict(
        stage_switch=dict(type='StageSwitchHook', begin=3),
        feature_cache=dict(type='FeatureCacheHook'),
        checkpoint=dict(interval=1, save_best='t2v/R@1'),
        logger=dict(interval=20),
    ),
    work_dir='a',
)


def text(**changes):
    cfg = Config(SETTINGS)
    cfg.merge_from_dict(changes)
    return cfg.pretty_text


def compare(changes, processes=(1, 1)):
    return config_differences((text(), processes[0]), (text(**changes), processes[1]))


def test_the_same():
    assert compare({}) == ([], [])
    assert compare({'optim_wrapper.optimizer.betas': [0.9, 0.98]}) == ([], [])


def test_what_is_no_value_is_compared_as_text():
    then, now = (f'model = dict(size=torch.Size({size}))' for size in (2, 3))
    assert config_differences((then, 1), (then, 1)) == ([], [])
    changing, _ = config_differences((then, 1), (now, 1))
    assert changing == ["model.size: then 'torch.Size(2)', now 'torch.Size(3)'"]


def test_what_changes_training():
    changing, harmless = compare(
        {
            'model.layers': [2, 4],
            'optim_wrapper.optimizer.lr': 1e-4,
            'default_hooks.stage_switch.begin': 4,
            'default_hooks.checkpoint.save_best': 'v2t/R@1',
            'train_dataloader.dataset.captions_per_video': 1,
        }
    )
    assert changing == [
        "default_hooks.checkpoint.save_best: then 't2v/R@1', now 'v2t/R@1'",
        'default_hooks.stage_switch.begin: then 3, now 4',
        'model.layers: then [2, 3], now [2, 4]',
        'optim_wrapper.optimizer.lr: then 0.001, now 0.0001',
        "train_dataloader.dataset.captions_per_video: then 'not set', now 1",
    ]
    assert not harmless


def test_what_does_not():
    changes = {
        'work_dir': 'b',
        'model_wrapper_cfg.type': 'B',
        'train_dataloader.num_workers': 8,
        'train_dataloader.dataset.data_root': 'b',
        'default_hooks.feature_cache.directory': 'cache',
        'default_hooks.checkpoint.interval': 2,
        'default_hooks.logger.interval': 1,
    }
    changing, harmless = compare(changes)
    assert not changing
    assert [line.split(':')[0] for line in harmless] == sorted(changes)


def test_hooks_of_earlier_versions_are_found_under_their_names():
    old = Config(SETTINGS)
    hooks = old.default_hooks
    old.custom_hooks = [hooks.pop('stage_switch'), hooks.pop('feature_cache')]
    assert config_differences((old.pretty_text, 1), (text(), 1)) == ([], [])
    changing, _ = config_differences(
        (old.pretty_text, 1), (text(**{'default_hooks.stage_switch.begin': 4}), 1)
    )
    assert changing == ['default_hooks.stage_switch.begin: then 3, now 4']


def test_the_global_batch_counts():
    assert compare({'train_dataloader.batch_size': 16}, processes=(1, 2)) == ([], [])
    assert compare({}, processes=(1, 2)) == (
        ['train_dataloader.batch_size x processes: then 32, now 64'],
        [],
    )
