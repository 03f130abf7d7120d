"""Encoders are open_clip's, and a mistake in any fact of a passport is seen."""

import json
from dataclasses import replace

import pytest
from backbone_check import check_architecture
from open_clip import factory

from diffusionret_mm.models.backbones import open_clip_backbone
from diffusionret_mm.passport import read_passport

VISION = dict(image_size=64, patch_size=16, width=64, layers=1, head_width=32)
TEXT = dict(context_length=24, width=16, heads=2, layers=2)
SMALL = {
    'small-clip': TEXT,
    'small-quickgelu': TEXT,
    'small-mobileclip': dict(TEXT, no_causal_mask=True),
    'small-coca': dict(TEXT, embed_cls=True, output_tokens=True),
    'small-siglip': dict(
        TEXT,
        vocab_size=32000,
        hf_tokenizer_name='timm/ViT-B-16-SigLIP',
        tokenizer_kwargs=dict(clean='canonicalize'),
        no_causal_mask=True,
        proj_bias=True,
        pool_type='last',
    ),
    'small-worldwide': dict(
        TEXT,
        vocab_size=32000,
        hf_tokenizer_name='facebook/xlm-v-base',
        pool_type='eos',
        eos_id=2,
    ),
}


@pytest.fixture(autouse=True)
def small_archs(monkeypatch):
    """Small architectures of each kind under names of open_clip, and no hub."""
    monkeypatch.setattr('backbone_check.comparison.hub_has', lambda name: False)
    for name, text in SMALL.items():
        vision = dict(VISION, output_tokens=name == 'small-coca')
        config = dict(embed_dim=64, custom_text=True, vision_cfg=vision, text_cfg=text)
        if name == 'small-coca':
            config['multimodal_cfg'] = dict(layers=1, width=16, heads=2)
        if name == 'small-quickgelu':
            config.update(quick_gelu=True, custom_text=False)
        monkeypatch.setitem(factory._MODEL_CONFIGS, name, config)


@pytest.mark.parametrize('arch', [*SMALL, 'RN50', 'MobileCLIP2-S0', 'ViT-B-16-SigLIP'])
def test_each_kind_is_equal(tmp_path, arch):
    rows = check_architecture(arch, tmp_path, largest=1e7)  # of large ones, two blocks a tower
    assert [row.verdict for row in rows] == ['equal'] * len(rows)
    assert all(row.pixels == 0 and row.text < 1e-5 and row.image < 1e-5 for row in rows)


def test_what_is_not_supported_is_refused(tmp_path):
    (row,) = check_architecture('roberta-ViT-B-32', tmp_path)
    assert row.verdict == 'refused'
    assert 'of the transformers library' in row.note


@pytest.mark.parametrize(
    ('arch', 'mistake', 'seen'),
    [
        ('small-clip', dict(mean=(0.5, 0.5, 0.5)), 'image features'),
        ('small-clip', dict(std=(0.5, 0.5, 0.5)), 'image features'),
        ('small-clip', dict(image_size=(48, 48)), 'image size'),
        ('small-clip', dict(resize_mode='squash'), 'pixels'),
        ('small-clip', dict(resize_mode='longest'), 'pixels'),
        ('small-clip', dict(interpolation='bilinear'), 'pixels'),
        ('small-clip', dict(pooling='last'), 'text features'),
        ('small-clip', dict(pooling='first'), 'text features'),
        ('small-clip', dict(quick_gelu=True), 'text features'),
        ('small-quickgelu', dict(quick_gelu=False), 'text features'),
        ('small-clip', dict(context_length=20), 'token ids'),
        ('small-clip', dict(tokenizer_options=(('clean', 'canonicalize'),)), 'token ids'),
        ('small-mobileclip', dict(padding='masked'), 'text features'),
        ('small-siglip', dict(padding='masked'), 'text features'),
        ('small-siglip', dict(pooling='argmax'), 'text features'),
        ('small-siglip', dict(tokenizer_options=()), 'token ids'),
        ('small-siglip', dict(tokenizer='CLIP'), 'tokenizer of another model'),
        ('small-coca', dict(pooling='argmax'), 'text features'),
        ('small-worldwide', dict(pooling='argmax'), 'text features'),
        ('small-worldwide', dict(eos_id=1), 'text features'),
    ],
)
def test_a_mistake_in_a_passport_is_seen(tmp_path, monkeypatch, arch, mistake, seen):
    def read(*args):
        return replace(read_passport(*args), **mistake)

    monkeypatch.setattr(open_clip_backbone, 'read_passport', read)
    (row,) = check_architecture(arch, tmp_path)
    assert seen in row.note
    assert row.verdict == 'wrong'


def test_the_tool_counts_tags_and_fails_where_one_is_wrong(tmp_path, run_tool, monkeypatch):
    target = tmp_path / 'rows.json'
    archs = ['small-clip', 'roberta-ViT-B-32']
    done = run_tool('check_backbones', *archs, '--json', target)
    assert done.status == 0
    assert done.out.splitlines()[-1] == '1 tags: 0 equal, 1 refused, 0 wrong'
    assert 'Architectures without a tag: 1 (1 equal).' in done.out
    assert [row['arch'] for row in json.loads(target.read_text())['rows']] == archs

    def read(*args):
        return replace(read_passport(*args), mean=(0.5, 0.5, 0.5))

    monkeypatch.setattr(open_clip_backbone, 'read_passport', read)
    done = run_tool('check_backbones', 'small-clip')
    assert done.status == 1
    assert 'image features' in done.out
