"""Configs whose weights are all pre-trained need no checkpoint; all others do."""

import json
from pathlib import Path

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config

from diffusionret_mm.apis import TextVideoInferencer
from diffusionret_mm.models.backbones import TextVideoBackbone
from diffusionret_mm.models.checkpoint_check import CheckpointError

ROOT = Path(__file__).parents[2]
TEXT = 'a red circle moves left'


@pytest.fixture
def weight_file(tiny_model, tmp_path):
    """A small file of encoder weights, as open_clip's are."""
    torch.save(tiny_model.backbone.clip.state_dict(), tmp_path / 'encoder.pt')
    return tmp_path / 'encoder.pt'


@pytest.fixture
def zeroshot(tiny_model_cfg, weight_file, tmp_path):
    """A function that writes a zero-shot config for a few shapes with an encoder of a file."""

    def write(similarity='mean', **backbone):
        cfg = Config.fromfile(ROOT / f'configs/zeroshot/zeroshot_{similarity}_shapes.py')
        weights = dict(pretrained=str(weight_file))
        cfg.model.backbone = dict(tiny_model_cfg['backbone'], **weights) | backbone
        cfg.work_dir = str(tmp_path / 'run')
        dataset = cfg.test_dataloader.dataset
        dataset.update(data_root=str(tmp_path / 'shapes'), num_scenes=dict(train=2, val=1, test=2))
        dataset.pipeline[0].transforms[-1].scale = (32, 32)
        dataset.pipeline[1].max_words = 16
        cfg.default_hooks.report.draw = False
        cfg.dump(tmp_path / 'zeroshot.py')
        return tmp_path / 'zeroshot.py'

    return write


@pytest.mark.parametrize('similarity', ['mean', 'words'])
def test_shapes_are_tested_without_a_checkpoint(zeroshot, run_tool, tmp_path, similarity):
    config, out = zeroshot(similarity), tmp_path / 'metrics.json'
    assert run_tool('test', config, '--out', out, '--dump', tmp_path / 'x.npz').status == 0
    metrics = json.loads(out.read_text())
    model = MODELS.build(Config.fromfile(config).model)
    model.load_pretrained()
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'same.pth')
    assert run_tool('test', config, tmp_path / 'same.pth', '--out', out).status == 0
    assert json.loads(out.read_text()) == metrics


def test_folders_are_indexed_and_searched_without_a_checkpoint(zeroshot, run_tool, clips, tmp_path):
    pytest.importorskip('lance')
    config, gallery = zeroshot(), tmp_path / 'gallery'
    cpu = '--device', 'cpu'
    done = run_tool('index', clips(3), gallery, '--config', config, *cpu, '--workers', 1)
    assert done.status == 0, done.err
    found = run_tool('search', gallery, TEXT, '--json', *cpu)
    hits = json.loads(found.out)['hits']
    inferencer = TextVideoInferencer(config, device='cpu', num_workers=1, show_progress=False)
    videos = inferencer.encode_video([hit['video'] for hit in hits])
    scores = inferencer.model.similarity(inferencer.encode_text(TEXT), videos)[0]
    assert [hit['similarity'] for hit in hits] == pytest.approx(scores.tolist(), abs=1e-3)


def test_pictures_are_drawn_without_a_checkpoint(zeroshot, run_tool, tmp_path):
    done = run_tool('visualize', 'similarity', zeroshot(), '--out', tmp_path / 'out')
    assert done.status == 0, done.err
    assert (tmp_path / 'out/similarity.png').exists()


def test_random_parts_are_named(zeroshot, run_tool, tiny_model_cfg, weight_file, clips, tmp_path):
    cfg = Config.fromfile(zeroshot())
    cfg.model = tiny_model_cfg
    cfg.model.backbone.pretrained = str(weight_file)
    cfg.dump(tmp_path / 'random.py')
    for done in (
        run_tool('test', tmp_path / 'random.py'),
        run_tool('index', clips(1), tmp_path / 'gallery', '--config', tmp_path / 'random.py'),
        run_tool('export_onnx', tmp_path / 'random.py'),
    ):
        assert done.status == 2
        assert done.err.count('\n') == 1
        assert 'DiffusionRet would be random: temporal, similarity, generators;' in done.err
        assert 'take a config of configs/zeroshot' in done.err


def test_a_random_backbone_is_refused(zeroshot, run_tool):
    done = run_tool('test', zeroshot(pretrained=None))
    assert done.status == 2
    assert 'the backbone of TextVideoRetriever would be random' in done.err
    assert '--backbone ARCH:FILE' in done.err
    with pytest.raises(CheckpointError, match='would be random'):
        TextVideoInferencer(zeroshot(pretrained=None), device='cpu')


def test_weights_that_are_no_numbers_are_refused(zeroshot, weight_file):
    state = torch.load(weight_file)
    state['logit_scale'].fill_(torch.nan)
    torch.save(state, weight_file)
    with pytest.raises(CheckpointError, match='What the backbone starts from holds NaN'):
        TextVideoInferencer(zeroshot(), device='cpu')


def test_parts_with_parameters_are_untrained(zeroshot):
    model = MODELS.build(Config.fromfile(zeroshot()).model)
    assert model.untrained_parts() == []
    model.similarity.learnt = torch.nn.Linear(2, 2)
    assert model.untrained_parts() == ['similarity']
    model.backbone.pretrained = None
    assert model.untrained_parts() == ['backbone', 'similarity']


def test_a_backbone_says_whether_it_is_pretrained():
    class Learnt(TextVideoBackbone):
        embed_dim = logit_scale = encode_words = encode_frames = None

    backbone = Learnt()
    assert backbone.is_pretrained  # it has nothing to learn
    backbone.layer = torch.nn.Linear(2, 2)
    assert not backbone.is_pretrained
