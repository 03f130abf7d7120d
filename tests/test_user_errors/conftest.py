"""A tiny config, its checkpoint, and tools that are run as a user types them."""

import shutil
from pathlib import Path

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config

ROOT = Path(__file__).parents[2]
SCENES = dict(train=2, val=1, test=2)


@pytest.fixture(scope='session')
def rendered(tmp_path_factory):
    """Folder of the rendered clips, which all tests of this folder share."""
    return tmp_path_factory.mktemp('rendered') / 'shapes'


@pytest.fixture
def config(tiny_model_cfg, tmp_path, rendered):
    """Config file of a tiny model on six rendered videos; one epoch of one iteration."""
    cfg = Config.fromfile(ROOT / 'configs/diffusionret_shapes.py')
    cfg.model = tiny_model_cfg
    cfg.work_dir = str(tmp_path / 'run')
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.batch_size = 6
        loader.dataset.update(data_root=str(rendered), num_scenes=SCENES)
        loader.dataset.pipeline[0].transforms[-1].scale = (32, 32)
        loader.dataset.pipeline[1].max_words = 16
    cfg.train_cfg.update(max_epochs=1, val_interval=1)
    cfg.auto_scale_lr.base_batch_size = 6
    cfg.default_hooks.stage_switch = cfg.default_hooks.feature_cache = None
    cfg.default_hooks.report.draw = False
    path = tmp_path / 'tiny.py'
    cfg.dump(path)
    return path


@pytest.fixture
def state(tiny_model_cfg):
    """Random weights of the tiny model."""
    torch.manual_seed(0)
    return MODELS.build(tiny_model_cfg).state_dict()


@pytest.fixture
def checkpoint(state, tmp_path):
    """A file of these weights."""
    torch.save(dict(state_dict=state, meta={}), tmp_path / 'weights.pth')
    return tmp_path / 'weights.pth'


@pytest.fixture
def model(config, checkpoint):
    """Options of tools that make a gallery: this config and these weights."""
    return '--config', config, '--checkpoint', checkpoint


@pytest.fixture
def sentence(run_tool):
    """A function that runs a tool and returns what it says on stderr, which is no traceback."""

    def run(name, *arguments):
        done = run_tool(name, *arguments)
        assert done.status == 2, (done.status, done.out, done.err)
        assert 'Traceback' not in done.err, done.err
        assert 'Error:' not in done.err.partition(':')[0]
        assert done.err.strip().endswith(('.', '?'))
        return done.err.strip()

    return run


@pytest.fixture
def remove():
    """A function that removes a folder, such as that of a run."""
    return lambda path: shutil.rmtree(path, ignore_errors=True)
