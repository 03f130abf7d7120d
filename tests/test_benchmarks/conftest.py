"""The folder of the benchmarks, from which they import one another."""

from pathlib import Path

import pytest
from mmengine.config import Config
from tool_modules import TOOLS

ROOT = Path(__file__).parents[2]


@pytest.fixture
def benchmarks(monkeypatch):
    """Let the benchmarks import one another, as they do when they are run."""
    monkeypatch.syspath_prepend(TOOLS / 'benchmarks')


@pytest.fixture
def small_machine_rate(benchmarks, monkeypatch):
    """Measure the rate of the machine by small matrices, in milliseconds."""
    monkeypatch.setattr('measuring.MATRIX_SIZE', 256)


@pytest.fixture
def tiny_second_stage(tmp_path, tiny_model_cfg):
    """Write configs of a tiny model, of a shifted set and of vague captions, a few clips each.

    Returns:
        The config of the model.
    """
    encoder = dict(type='TokenPairEncoder', width=None, hidden_width=8, num_heads=2, pair_width=8)
    cfg = Config.fromfile(ROOT / 'configs/second_stage/token_diffusion_shapes.py')
    cfg.model = tiny_model_cfg | dict(
        stage='generation',
        negatives='sampled_gallery',
        generator=dict(
            type='DiffusionGenerator',
            encoder=encoder,
            denoiser=dict(type='CandidateListDenoiser', pair_width=8, num_heads=2),
        ),
    )
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        scenes = dict(train=1, val=2, test=2)
        loader.dataset.update(data_root=str(tmp_path / 'shapes'), num_scenes=scenes)
        loader.dataset.pipeline[0].transforms[-1].scale = (32, 32)
        loader.dataset.pipeline[1].max_words = 16
    cfg.dump(tmp_path / 'tiny.py')
    fresh = dict(data_root=str(tmp_path / 'fresh'), shift='fresh', num_scenes=dict(test=2))
    for name, dataset in (('fresh', fresh), ('vague', dict(captions='vague'))):
        loader = cfg.test_dataloader.to_dict()
        other = Config(dict(test_dataloader=loader | dict(dataset=loader['dataset'] | dataset)))
        other.dump(tmp_path / f'to_{name}.py')
    return cfg.model
