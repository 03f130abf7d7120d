"""The model of a gallery: remembered, named, or the default."""

import json
from argparse import Namespace
from dataclasses import replace

import open_clip
import pytest
import torch
from mmengine.config import Config

from diffusionret_mm.apis import model_choice
from diffusionret_mm.apis.model_choice import build_inferencer
from diffusionret_mm.search import Gallery, GalleryError

pytest.importorskip('lance')
TEXT = 'a red circle moves left'
CPU = '--device', 'cpu'


@pytest.fixture
def encoder(tiny_model, tiny_model_cfg, tmp_path, monkeypatch):
    """A weight file of an encoder that open_clip knows as 'Tiny'."""
    known = open_clip.factory._MODEL_CONFIGS
    monkeypatch.setitem(known, 'Tiny', dict(tiny_model_cfg['backbone']['arch']))
    torch.save(tiny_model.backbone.clip.state_dict(), tmp_path / 'encoder.pt')
    return tmp_path / 'encoder.pt'


@pytest.fixture
def indexed(new_inferencer, run_tool, clips, tmp_path):
    """A gallery of a trained model; its config file is gone."""
    new_inferencer().cfg.dump(tmp_path / 'config.py')
    model = '--config', tmp_path / 'config.py', '--checkpoint', tmp_path / 'random_0.pth'
    done = run_tool('index', clips(3), tmp_path / 'gallery', *model, *CPU)
    assert done.status == 0, done.err
    (tmp_path / 'config.py').unlink()
    return tmp_path / 'gallery'


@pytest.fixture
def arguments(tmp_path):
    """The command line of a tool that is given a gallery and nothing else."""
    names = 'config', 'checkpoint', 'backbone', 'cfg_options', 'onnx'
    return Namespace(**dict.fromkeys(names), gallery=str(tmp_path / 'gallery'), device='cpu')


def test_a_weight_file_and_two_commands(encoder, run_tool, clips, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run_tool('index', clips(3), 'gallery', '--backbone', 'Tiny:encoder.pt', *CPU)
    assert done.status == 0, done.err
    (tmp_path / 'elsewhere').mkdir()
    monkeypatch.chdir(tmp_path / 'elsewhere')
    done = run_tool('search', '../gallery', TEXT, '--json', *CPU)
    assert done.status == 0, done.err
    assert len(json.loads(done.out)['hits']) == 3
    clips(5)
    assert run_tool('index', tmp_path / 'videos', '../gallery', *CPU).status == 0
    assert len(Gallery('../gallery')) == 5
    facts = Gallery('../gallery').facts
    assert facts.checkpoint == ''
    assert f"pretrained='{encoder}'" in facts.config


def test_weights_that_are_gone(encoder, run_tool, clips, tmp_path):
    gallery = tmp_path / 'gallery'
    named = '--backbone', f'Tiny:{encoder}'
    assert run_tool('index', clips(2), gallery, *named, *CPU).status == 0
    moved = encoder.rename(tmp_path / 'moved.pt')
    done = run_tool('search', gallery, TEXT, *CPU)
    assert done.status == 2
    assert f'The weights {encoder}' in done.err
    assert '--cfg-options model.backbone.pretrained=FILE' in done.err
    assert done.err.count('\n') == 1
    option = '--cfg-options', f'model.backbone.pretrained={moved}'
    assert run_tool('search', gallery, TEXT, *CPU, *option).status == 0


def test_a_trained_model_is_remembered(indexed, run_tool, tmp_path):
    assert run_tool('search', indexed, TEXT, *CPU).status == 0
    moved = (tmp_path / 'random_0.pth').rename(tmp_path / 'moved.pth')
    done = run_tool('search', indexed, TEXT, *CPU)
    assert done.status == 2
    assert 'random_0.pth, which the gallery' in done.err
    assert done.err.endswith('is gone; give it by --checkpoint FILE.\n')
    assert run_tool('search', indexed, TEXT, *CPU, '--checkpoint', moved).status == 0


def test_another_config_than_that_of_the_gallery(indexed, run_tool, tmp_path):
    cfg = Config.fromstring(Gallery(indexed).facts.config, '.py')
    cfg.dump(tmp_path / 'same.py')
    assert run_tool('search', indexed, TEXT, *CPU, '--config', tmp_path / 'same.py').status == 0
    cfg.test_dataloader.dataset.pipeline[0].sample.num_frames = 5
    cfg.dump(tmp_path / 'other.py')
    done = run_tool('search', indexed, TEXT, *CPU, '--config', tmp_path / 'other.py')
    assert done.status == 2
    assert 'made by a model with other transforms' in done.err


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (
            lambda text: text.replace('DiffusionRet', 'Gone', 1),
            'Gone is not in the',
        ),
        (lambda text: text.replace('num_negatives', 'of_before'), "argument 'of_before'"),
        (lambda text: f'{text}\nimport os', 'is no assignment of a value'),
        (lambda text: f"{text}\ncustom_imports = dict(imports=['plugin_x'])", 'plugin_x'),
    ],
)
def test_a_stored_config_that_cannot_be_used(indexed, arguments, change, reason):
    facts = Gallery(indexed).facts
    with pytest.raises(GalleryError) as caught:
        build_inferencer(arguments, replace(facts, config=change(facts.config)))
    assert reason in str(caught.value)
    assert str(caught.value).endswith('; give one by --config FILE.')
    assert '\n' not in str(caught.value)


def test_a_gallery_that_does_not_say_what_made_it(indexed, arguments, tmp_path):
    facts = Gallery(indexed).facts
    with pytest.raises(GalleryError, match='does not say what made it; give --config FILE'):
        build_inferencer(arguments, replace(facts, config='', checkpoint=''))
    Config.fromstring(facts.config, '.py').dump(tmp_path / 'same.py')
    given = dict(config=str(tmp_path / 'same.py'), checkpoint=facts.checkpoint)
    args = Namespace(**vars(arguments) | given)
    made = build_inferencer(args, replace(facts, config='', checkpoint=''))
    assert made.fingerprint == facts.fingerprint


@pytest.mark.parametrize(
    ('backbone', 'told'),
    [
        (None, 'PE-Core-B-16 and the weights meta'),
        ('MobileCLIP2-S0', 'MobileCLIP2-S0 and the weights dfndr2b'),
    ],
)
def test_the_default_is_named(arguments, monkeypatch, backbone, told):
    lines = []
    monkeypatch.setattr(model_choice, 'TextVideoInferencer', lambda *given, **named: given)
    monkeypatch.setattr(model_choice, 'print_log', lambda text, **kwargs: lines.append(text))
    cfg, checkpoint = build_inferencer(Namespace(**vars(arguments) | dict(backbone=backbone)), None)
    assert checkpoint is None
    assert f'zeroshot/zeroshot_mean.py with the encoder {told}, without training' in lines[0]
    assert cfg.model.backbone.arch in told


def test_a_checkpoint_needs_its_config(arguments):
    args = Namespace(**vars(arguments) | dict(checkpoint='c.pth'))
    with pytest.raises(ValueError, match=r'--checkpoint c\.pth needs --config FILE'):
        build_inferencer(args, None)


@pytest.mark.parametrize(
    ('tool', 'rest', 'order'),
    [
        ('index', ['videos', 'gallery'], 'tools/index.py VIDEOS... GALLERY'),
        ('index_ray', ['videos', 'gallery'], 'tools/index_ray.py VIDEOS... GALLERY'),
        ('search', ['gallery', TEXT], 'tools/search.py GALLERY SENTENCE'),
        ('demo', ['gallery'], 'tools/demo.py GALLERY'),
    ],
)
def test_the_order_of_before_is_refused(run_tool, tool, rest, order):
    done = run_tool(tool, 'c.py', 'c.pth', *rest)
    assert done.status == 2
    assert done.err.count('\n') == 1
    assert f'the order is now: {order} [--config CONFIG --checkpoint CHECKPOINT].' in done.err
