"""A config of a data set with other encoders, by one option of tools/train.py."""

import json

import open_clip
import pytest
from backbone_check import make_tokenizer
from open_clip import factory

CONFIG = 'configs/diffusionret_msvd.py'
SHORT_RUN = {
    'train_cfg.max_epochs': 2,
    'train_cfg.val_interval': 1,
    'default_hooks.stage_switch.begin': 1,
    'default_hooks.report.draw': False,
    'auto_scale_lr.base_batch_size': 4,
    'train_dataloader.batch_size': 4,
    'train_dataloader.pin_memory': False,
}


def paths(root):
    """Where the data is; all in this process."""
    for split in ('train', 'val', 'test'):
        yield f'{split}_dataloader.dataset.data_root', root
        yield f'{split}_dataloader.num_workers', 0
        yield f'{split}_dataloader.persistent_workers', False


def narrow(config):
    """The same texts, frames and tokens; towers that two cores train in seconds."""
    text = config['text_cfg'] | dict(width=16, heads=1, layers=2)
    if text.get('hf_tokenizer_name'):
        text['vocab_size'] = 2000
    vision = dict(image_size=config['vision_cfg'].get('image_size', 224), width=64, layers=1)
    if isinstance(config['vision_cfg'].get('layers'), list):
        vision.update(width=8, layers=[1, 1, 1, 1])
    else:
        vision.update(patch_size=56 if vision['image_size'] == 224 else 64, head_width=64)
    return config | dict(text_cfg=text, vision_cfg=vision, embed_dim=128)


@pytest.mark.parametrize(
    'arch',
    ['MobileCLIP2-S0', 'ViT-B-16-SigLIP2', 'PE-Core-B-16', 'RN50', 'ViT-H-14-378-quickgelu'],
)
def test_a_config_trains_and_evaluates(arch, official, tmp_path, run_tool, monkeypatch):
    config = narrow(open_clip.get_model_config(arch))
    monkeypatch.setitem(factory._MODEL_CONFIGS, arch, config)
    options = SHORT_RUN | dict(paths(official('msvd')))
    if config['text_cfg'].get('hf_tokenizer_name'):
        folder = make_tokenizer(tmp_path / 'tokenizer', arch)
        options['model.backbone.tokenizer'] = folder / 'tokenizer.json'
    command = [CONFIG, '--backbone', f'{arch}:none', '--work-dir', tmp_path / 'run']
    settings = [f'{key}={value}' for key, value in options.items()]
    assert run_tool('train', *command, '--cfg-options', *settings).status == 0
    metrics = json.loads((tmp_path / 'run/metrics.json').read_text())
    assert metrics['t2v/R@5'] == metrics['v2t/R@5'] == 100
