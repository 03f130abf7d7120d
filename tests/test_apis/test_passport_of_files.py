"""What was made with one passport is refused with another, and what differs is named."""

import copy
from dataclasses import replace

import pytest
import torch
from mmaction.registry import MODELS

from diffusionret_mm.features.fingerprint import fingerprint
from diffusionret_mm.models.backbones import open_clip_backbone
from diffusionret_mm.models.checkpoint_check import (
    CheckpointError,
    check_passport,
    passport_entry,
)
from diffusionret_mm.passport import read_passport
from diffusionret_mm.search import GalleryError

CHANGES = [
    (dict(mean=(0.5, 0.5, 0.5)), 'mean'),
    (dict(interpolation='bilinear'), 'interpolation'),
    (dict(quick_gelu=False), 'quick gelu'),
    (dict(tokenizer_options=(('clean', 'whitespace'),)), 'tokenizer options'),
]


@pytest.fixture(params=CHANGES, ids=lambda change: change[1])
def changed(request, monkeypatch):
    """A function that gives new backbones another passport; it returns the name of the fact."""

    def change():
        def read(*args):
            return replace(read_passport(*args), **request.param[0])

        monkeypatch.setattr(open_clip_backbone, 'read_passport', read)
        return request.param[1]

    return change


def test_a_gallery(new_inferencer, indexed_clips, changed):
    name = changed()
    with pytest.raises(GalleryError, match=f'made by a model with other .*{name}'):
        new_inferencer().search('a cat', indexed_clips.gallery)


def test_a_feature_cache(tiny_model_cfg, changed):
    before = fingerprint(MODELS.build(tiny_model_cfg), [], {})
    name = changed()
    after = fingerprint(MODELS.build(tiny_model_cfg), [], {})
    assert before.keys() == after.keys()
    assert name in {key for key in before if before[key] != after[key]}


def test_a_checkpoint_in_search(new_inferencer, tiny_model_cfg, tmp_path, changed, monkeypatch):
    model = MODELS.build(dict(tiny_model_cfg, stage='generation'))
    meta = passport_entry(model.backbone.passport)
    name = changed()
    save = torch.save
    monkeypatch.setattr(
        torch, 'save', lambda state, path: save(dict(state_dict=state, meta=meta), path)
    )
    with pytest.raises(CheckpointError, match=rf'random_0.pth was made with .*{name}: then'):
        new_inferencer()


def test_a_checkpoint_of_a_version_before_passports():
    clip = read_passport('ViT-B-32-quickgelu', 'openai')
    check_passport(clip, dict(epoch=3), 'old.pth')
    check_passport(clip, None, 'bare.pth')
    for arch, tag, reason in (
        ('ViT-B-32', 'openai', 'quick gelu: then False, now True'),
        ('ViT-B-16-SigLIP', 'webli', 'tokenizer: then CLIP, now timm/ViT-B-16-SigLIP'),
        ('ViT-L-14', 'laion2b_s32b_b82k', 'mean: then'),
    ):
        with pytest.raises(CheckpointError, match=f'old.pth was made with an earlier .*{reason}'):
            check_passport(read_passport(arch, tag), dict(epoch=3), 'old.pth')


def test_a_conversion_is_refused_by_another_encoder():
    converted = read_passport(dict(embed_dim=512, quick_gelu=True, vision_cfg={}, text_cfg={}))
    meta = passport_entry(converted)
    check_passport(read_passport('ViT-B-32-quickgelu', 'openai'), meta, 'converted.pth')
    with pytest.raises(CheckpointError, match="'custom' and does not fit 'ViT-B-16-SigLIP'"):
        check_passport(read_passport('ViT-B-16-SigLIP'), copy.deepcopy(meta), 'converted.pth')
