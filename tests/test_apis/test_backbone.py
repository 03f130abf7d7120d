"""One key sets how texts and frames are read."""

from pathlib import Path

import pytest
from backbone_check import make_tokenizer
from mmaction.registry import MODELS, TRANSFORMS
from mmengine.config import Config
from mmengine.registry import DefaultScope

from diffusionret_mm.apis.backbone import follow_backbone, passport_of, use_backbone

ROOT = Path(__file__).parents[2]


def config(name='diffusionret_msvd.py'):
    return Config.fromfile(ROOT / 'configs' / name)


def steps(cfg, split='test'):
    return {step['type']: step for step in cfg[f'{split}_dataloader'].dataset.pipeline}


def test_frames_and_texts_follow(tmp_path):
    cfg = config()
    use_backbone(cfg, 'ViT-B-16-SigLIP2')
    cfg.model.backbone.tokenizer = str(make_tokenizer(tmp_path / 'gemma', 'ViT-B-16-SigLIP2'))
    follow_backbone(cfg)
    assert cfg.model.backbone.pretrained == 'webli'
    for split in ('train', 'val', 'test'):
        found = steps(cfg, split)
        assert found['CLIPResizeCrop'] == dict(type='CLIPResizeCrop', size=224, mode='squash')
        assert found['TokenizeCaptions'].tokenizer.name == 'timm/ViT-B-16-SigLIP2'
        assert found['TokenizeCaptions'].tokenizer.pad_to == 64
    TRANSFORMS.build(found['TokenizeCaptions'])


def test_clip_reads_as_it_always_did():
    cfg = config()
    follow_backbone(cfg)
    found = steps(cfg)
    assert found['CLIPResizeCrop'] == dict(type='CLIPResizeCrop', size=224)
    assert found['TokenizeCaptions'] == dict(type='TokenizeCaptions', max_words=32)
    before = cfg.pretty_text
    follow_backbone(cfg)
    assert cfg.pretty_text == before


def test_texts_are_cut_to_the_context_and_it_is_said():
    cfg = config('diffusionret_didemo.py')
    use_backbone(cfg, 'PE-Core-B-16')
    said = follow_backbone(cfg)
    assert steps(cfg)['TokenizeCaptions'].max_words == 32
    assert said == ["Texts are cut to 32 tokens, the context of 'PE-Core-B-16'."]


@pytest.mark.parametrize(
    ('step', 'said'),
    [
        (dict(type='CLIPResizeCrop', size=224), "'PE-Core-S-16-384' was trained with .*384"),
        (dict(type='CLIPResizeCrop', size=384), "trained with .*'squash'"),
        (dict(type='TokenizeCaptions', tokenizer=dict(name='x')), 'takes the one of CLIP'),
    ],
)
def test_settings_of_another_encoder_are_refused(step, said):
    cfg = config()
    use_backbone(cfg, 'PE-Core-S-16-384')
    cfg.test_dataloader.dataset.pipeline = [step]
    with pytest.raises(ValueError, match=said):
        follow_backbone(cfg)


def test_stored_frames_follow_too():
    cfg = config()
    inside = [dict(type='CLIPResizeCrop')]
    cfg.test_dataloader.dataset.pipeline = [dict(type='LoadStoredFrames', transforms=inside)]
    follow_backbone(cfg)
    assert cfg.test_dataloader.dataset.pipeline[0].transforms[0].size == 224


@pytest.mark.parametrize(
    ('name', 'pretrained'),
    [
        ('RN50', 'openai'),
        ('MobileCLIP2-S0', 'dfndr2b'),
        ('ViT-B-16:dfn2b', 'dfn2b'),
        ('ViT-H-14-378-quickgelu:none', None),
        ('convnext_tiny', None),
    ],
)
def test_a_name_without_a_tag_takes_the_only_one_or_that_of_openai(name, pretrained):
    cfg = config()
    use_backbone(cfg, name)
    assert cfg.model.backbone.arch == name.split(':')[0]
    assert cfg.model.backbone.pretrained == pretrained


@pytest.mark.parametrize(
    ('name', 'said'),
    [
        ('ViT-H-14', 'has several weights; choose: --backbone ViT-H-14:TAG of'),
        ('ViT-B-16:nothing', "'nothing' is neither a tag of 'ViT-B-16' .* nor a file"),
        ('ViT-B-33', 'open_clip knows no architecture'),
        ('roberta-ViT-B-32', 'of the transformers library'),
    ],
)
def test_names_that_say_too_little_are_refused(name, said):
    cfg = config()
    with pytest.raises(ValueError, match=said):
        use_backbone(cfg, name)


def test_a_weight_file(tmp_path):
    file = tmp_path / 'weights.pt'
    file.touch()
    cfg = config()
    use_backbone(cfg, f'ViT-B-16:{file}')
    assert cfg.model.backbone.pretrained == str(file)


def test_every_backbone_of_the_configs_fits_every_data_set():
    backbones = sorted((ROOT / 'configs/_base_/backbones').glob('*.py'))
    assert len(backbones) >= 14
    for path in backbones:
        part = Config.fromfile(path)
        if path.stem == 'tiny':
            continue
        cfg = config()
        cfg.model.backbone = part.backbone
        passport = passport_of(cfg)
        if passport.tokenizer == 'CLIP':
            follow_backbone(cfg)
        assert passport.weights == part.backbone.pretrained
        with DefaultScope.overwrite_default_scope('mmaction'):
            temporal = MODELS.build(dict(part.temporal, width=passport.embed_dim))
        assert temporal.position_embedding.shape == (77, passport.embed_dim)


def test_a_width_of_another_encoder_is_refused(tiny_model_cfg):
    tiny_model_cfg['temporal']['width'] = 128
    with pytest.raises(ValueError, match='TemporalTransformer has width=128, but .* 64. Leave it'):
        MODELS.build(tiny_model_cfg)
