"""Whole runs of seconds."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from diffusionret_mm.apis import train_retriever

ROOT = Path(__file__).parents[2]
SCENES = dict(train=6, val=2, test=2)
EPOCHS = dict(stage_one=2, total=4)


@pytest.fixture(scope='session')
def data_root(tmp_path_factory):
    return tmp_path_factory.mktemp('data') / 'shapes'


@pytest.fixture
def make_cfg(tmp_path, data_root, tiny_model_cfg):
    """A function that makes a config of a run of seconds from the top-level config."""

    def make(name='run', **options):
        cfg = Config.fromfile(ROOT / 'configs/diffusionret_shapes.py')
        cfg.model = tiny_model_cfg | dict(stage='generation')
        cfg.work_dir = str(tmp_path / name)
        transforms = cfg.load_frames.transforms
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            loader.batch_size = 6
            loader.dataset.update(data_root=str(data_root), num_scenes=SCENES)
            loader.dataset.pipeline[0].transforms = transforms
            loader.dataset.pipeline[0].transforms[-1].scale = (32, 32)
            loader.dataset.pipeline[1].max_words = 16
        cfg.train_cfg.update(max_epochs=EPOCHS['total'], val_interval=1)
        cfg.param_scheduler = [dict(type='ConstantLR', factor=1.0)]
        cfg.default_hooks.stage_switch.update(begin=EPOCHS['stage_one'], param_scheduler=[])
        cfg.auto_scale_lr.base_batch_size = 6
        cfg.default_hooks.checkpoint.max_keep_ckpts = -1
        cfg.default_hooks.report.draw = False
        cfg.merge_from_dict(options)
        return cfg

    with DefaultScope.overwrite_default_scope('mmaction'):
        yield make


@pytest.fixture(scope='session')
def whole_runs(tmp_path_factory):
    """Folder and metrics of the run that `whole` makes, once it did."""
    return dict(folder=tmp_path_factory.mktemp('whole') / 'run')


@pytest.fixture
def whole(make_cfg, whole_runs):
    """Folder and metrics of one run of both stages, trained and tested; tests only read them."""
    folder = whole_runs['folder']
    if 'metrics' not in whole_runs:
        cfg = make_cfg()
        cfg.work_dir = str(folder)
        whole_runs['metrics'] = train_retriever(cfg)
    return folder, whole_runs['metrics']
