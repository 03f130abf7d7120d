"""tools/visualize.py, as a user calls it."""

import json
from pathlib import Path

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from PIL import Image

ROOT = Path(__file__).parents[2]


@pytest.fixture
def visualize(run_tool, tmp_path):
    """A function that runs the tool and returns the files that it says it wrote, or its error."""

    def run(*arguments):
        done = run_tool('visualize', *arguments, '--out', tmp_path / 'out')
        if done.status:
            return done.err
        lines = done.out.splitlines()
        return [Path(line) for line in lines if line.startswith(str(tmp_path / 'out'))]

    return run


@pytest.fixture
def config(tmp_path, tiny_model_cfg):
    """A config of a tiny model and a split of six rendered videos."""
    cfg = Config.fromfile(ROOT / 'configs/diffusionret_shapes.py')
    cfg.model = tiny_model_cfg | dict(stage='generation')
    cfg.work_dir = str(tmp_path / 'run')
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        scenes = dict(train=2, val=1, test=2)
        loader.dataset.update(data_root=str(tmp_path / 'shapes'), num_scenes=scenes)
        loader.dataset.pipeline[0].transforms[-1].scale = (32, 32)
        loader.dataset.pipeline[1].max_words = 16
    cfg.train_cfg = cfg.train_dataloader = cfg.optim_wrapper = cfg.param_scheduler = None
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.default_hooks.stage_switch = cfg.default_hooks.feature_cache = None
    path = tmp_path / 'tiny.py'
    cfg.dump(path)
    return path


def test_pictures_of_a_checkpoint_and_a_page_of_its_split(visualize, config, tmp_path):
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(config).model)
    checkpoint = tmp_path / 'model.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), checkpoint)
    (path,) = visualize('diffusion', config, checkpoint, '--queries', 3, 5)
    assert path.name == 'diffusion_t2v_3_5.png'
    assert Image.open(path).width == 800
    (given,) = (tmp_path / 'run').glob('*/vis_data/vis_image/*.png')
    assert given.name == 'diffusion_t2v_3_5_0.png'
    error = visualize('retrieval', config, checkpoint, '--queries', 24)
    assert 'no query 24: the split has 24 texts' in error

    (page,) = visualize('samples', config, '--count', 2)
    assert page.read_text().count('<h2>test_') == 2
    assert '2 of 6 items of' in page.read_text()
    assert 'has no train_dataloader' in visualize('samples', config, '--split', 'train')


def test_errors_of_stage_one_alone(run_tool, config, tmp_path):
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(config).model)
    checkpoint = tmp_path / 'model.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), checkpoint)
    options = '--out', tmp_path, '--cfg-options', 'model.stage=discrimination'
    done = run_tool('visualize', 'errors', config, checkpoint, *options)
    assert done.status == 0, done.err
    assert 'final' not in done.out[done.out.index('What comes first') :].lower()
    counts = json.loads((tmp_path / 'errors.json').read_text())
    kinds = {kind['kind'] for kind in counts['t2v']['kinds']}
    assert {'another scene', 'reversed twin', 'reversed and changed twin'} < kinds
    pairs = {row['relation']['kind']: row['pairs'] for row in counts['v2t']['told_apart']}
    assert pairs['reversed twin'] == 4  # two scenes, in both directions


def test_mistakes(visualize, tmp_path):
    assert 'give the work dir of a training run' in visualize('curves', tmp_path)
    assert 'There is no config none.py' in visualize('samples', 'none.py')
