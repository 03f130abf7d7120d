import open_clip
import pytest

from diffusionret_mm.passport import (
    Passport,
    UnsupportedEncoderError,
    preprocessings_differ,
    read_passport,
    tags_of,
)


def supported():
    for arch in open_clip.list_models():
        try:
            yield read_passport(arch)
        except UnsupportedEncoderError:
            continue


def test_every_architecture_has_one_or_a_text_tower_of_another_library():
    names = {passport.arch for passport in supported()}
    refused = set(open_clip.list_models()) - names
    assert len(names) > 100
    for arch in refused:
        assert 'hf_model_name' in open_clip.get_model_config(arch)['text_cfg']


@pytest.mark.parametrize(
    ('arch', 'tag', 'facts'),
    [
        ('ViT-B-32', 'openai', dict(quick_gelu=True, padding='masked', resize_mode='shortest')),
        ('ViT-L-14', 'laion2b_s32b_b82k', dict(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))),
        ('PE-Core-B-16', 'meta', dict(context_length=32, resize_mode='squash', embed_dim=1024)),
        ('MobileCLIP2-S0', 'dfndr2b', dict(padding='attended', image_size=(256, 256))),
        ('ViT-B-16-SigLIP2', 'webli', dict(pooling='last', tokenizer='timm/ViT-B-16-SigLIP2')),
        ('ViT-H-14-worldwide', None, dict(pooling='eos', eos_id=2)),
        ('coca_ViT-B-32', None, dict(pooling='class token', context_length=76)),
        ('RN50', 'openai', dict(embed_dim=1024, text_width=512)),
    ],
)
def test_facts_are_those_of_the_architecture_and_the_tag(arch, tag, facts):
    passport = read_passport(arch, tag)
    assert {name: getattr(passport, name) for name in facts} == facts


def test_without_a_tag_what_all_tags_share_holds():
    assert not preprocessings_differ('ViT-B-16-SigLIP')
    assert read_passport('ViT-B-16-SigLIP').mean == (0.5, 0.5, 0.5)
    assert preprocessings_differ('ViT-L-14')
    assert read_passport('ViT-L-14').mean == open_clip.OPENAI_DATASET_MEAN


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"no architecture 'PE-Core-B'. Similar names: .*PE-Core"):
        read_passport('PE-Core-B')
    with pytest.raises(ValueError, match=r"'RN50' has no weights 'webli'; its tags are .'openai'"):
        read_passport('RN50', 'webli')


def test_what_differs_is_named_and_names_do_not_count():
    clip, pe = read_passport('ViT-B-16', 'laion2b_s34b_b88k'), read_passport('PE-Core-B-16', 'meta')
    assert not clip.differences(read_passport('ViT-B-16', 'datacomp_xl_s13b_b90k').facts())
    found = '; '.join(clip.differences(pe.facts()))
    assert 'resize mode: then squash, now shortest' in found
    assert 'context length: then 32, now 77' in found
    assert not clip.differences({})


def test_earlier_versions_ran_clip_as_it_is_run_now_and_no_other():
    for passport, same in (
        (read_passport('ViT-B-32-quickgelu', 'openai'), True),
        (read_passport('ViT-B-32', 'openai'), False),
        (read_passport('ViT-B-16-SigLIP', 'webli'), False),
        (read_passport('MobileCLIP2-S0', 'dfndr2b'), False),
    ):
        assert (not passport.differences(passport.facts_of_earlier_versions())) == same


def test_every_tag_has_a_passport():
    for passport in supported():
        for tag in tags_of(passport.arch):
            assert isinstance(read_passport(passport.arch, tag), Passport)
