import copy
import os

import pytest
import torch

from diffusionret_mm.features import WholeVideos, fingerprint

SETTINGS = dict(transforms=[dict(type='Resize', scale=8)])


@pytest.fixture
def parts(make_set, make_model):
    """A model, entries and settings."""
    return make_model(), WholeVideos(make_set()).entries, SETTINGS


def changed(one, other):
    assert one.keys() == other.keys()
    return {name for name in one if one[name] != other[name]}


def test_it_repeats(parts, make_set, make_model):
    again = fingerprint(make_model(), WholeVideos(make_set()).entries, copy.deepcopy(SETTINGS))
    assert not changed(fingerprint(*parts), again)


@pytest.mark.parametrize('name', ['similarity.word_weight.0.bias', 'data_preprocessor.mean'])
def test_a_tensor_of_the_extractor_counts(parts, name):
    model, *others = parts
    before = fingerprint(model, *others)
    tensor = dict([*model.named_parameters(), *model.named_buffers()])[name]
    with torch.no_grad():
        tensor.view(-1)[0] += 1e-4
    assert changed(before, fingerprint(model, *others)) == {'weights'}


def test_the_generators_do_not_count(parts):
    model, *others = parts
    before = fingerprint(model, *others)
    with torch.no_grad():
        next(model.generators.parameters()).add_(1)
    assert not changed(before, fingerprint(model, *others))


def test_captions_files_and_settings_count(parts):
    model, entries, settings = parts
    before = fingerprint(*parts)
    other = copy.deepcopy(entries)
    other[0]['captions'][0] += '!'
    assert changed(before, fingerprint(model, other, settings)) == {'data'}
    assert changed(before, fingerprint(model, entries[::-1], settings)) == {'data'}
    other = dict(transforms=[dict(type='Resize', scale=9)])
    assert changed(before, fingerprint(model, entries, other)) == {'transforms'}
    os.utime(entries[2]['filename'], ns=(1, 1))
    assert changed(before, fingerprint(*parts)) == {'data'}
