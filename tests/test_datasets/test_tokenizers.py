"""Tokenizers from local folders give what open_clip gives."""

import pickle

import open_clip
import pytest
import torch
from backbone_check import make_tokenizer
from mmaction.registry import TRANSFORMS

from diffusionret_mm.datasets import tokenizers
from diffusionret_mm.datasets.tokenizers import TokenizerError, load_tokenizer
from diffusionret_mm.passport import read_passport
from diffusionret_mm.storage.hub import HubError

CAPTIONS = ('A dog, running!', '.', 'a dog 🐕 at 7:30', 'word ' * 200)


def open_folder(tmp_path, arch):
    folder = make_tokenizer(tmp_path / arch, arch)
    passport = read_passport(arch, tokenizer_folder=str(folder))
    return passport, load_tokenizer(passport.tokenizer_settings)


@pytest.mark.parametrize(
    'arch',
    ['ViT-B-16-SigLIP', 'ViT-B-16-SigLIP2', 'ViT-L-14-CLIPA', 'ViT-H-14-worldwide'],
)
def test_ids_are_open_clips(tmp_path, arch):
    passport, tokenizer = open_folder(tmp_path, arch)
    reference = open_clip.get_tokenizer(f'local-dir:{tmp_path / arch}')
    ids, _ = tokenizer.tokenize(CAPTIONS, passport.context_length)
    torch.testing.assert_close(ids, reference(list(CAPTIONS)))


@pytest.mark.parametrize(
    ('arch', 'longest', 'names'),
    [
        ('ViT-B-16-SigLIP', 10, ['d', 'o', 'g', 's', 'x', '</s>']),
        ('ViT-B-16-SigLIP2', 10, ['d', 'o', 'g', 's', 'x', '</s>']),
        (
            'ViT-L-14-CLIPA',
            9,
            [  # it blanks the end of text
                '[CLS]',
                'd',
                'o',
                'g',
                's',
                'x',
            ],
        ),
        ('ViT-H-14-worldwide', 10, ['<s>', 'd', 'o', 'g', 's', 'x', '</s>']),
    ],
)
def test_the_mask_says_which_ids_are_words(tmp_path, arch, longest, names):
    passport, tokenizer = open_folder(tmp_path, arch)
    ids, mask = tokenizer.tokenize(['dogsx', 'word ' * 200], 10)
    assert ids.shape[1] == (passport.context_length if passport.fills_context else 10)
    assert mask.sum(dim=1).tolist() == [len(names), longest]
    assert tokenizer.token_names('dogsx', 10) == names


def test_a_text_that_is_all_punctuation_has_a_word(tmp_path):
    _, tokenizer = open_folder(tmp_path, 'ViT-B-16-SigLIP2')
    _, mask = tokenizer.tokenize(['?!', '.'], 8)
    assert mask.sum(dim=1).tolist() == [1, 1]


def test_a_file_of_the_folder_will_do(tmp_path):
    folder = make_tokenizer(tmp_path / 'folder', 'ViT-B-16-SigLIP')
    ids = [
        load_tokenizer(dict(name='timm/ViT-B-16-SigLIP', folder=str(path))).tokenize(['a'], 4)[0]
        for path in (folder, folder / 'tokenizer.json')
    ]
    torch.testing.assert_close(*ids)


@pytest.mark.parametrize('name', ['none', 'empty', 'broken'])
def test_missing_files_are_named(tmp_path, name):
    folder = tmp_path / name
    if name != 'none':
        folder.mkdir()
    if name == 'broken':
        (folder / 'tokenizer.json').write_text('no json')
    with pytest.raises(TokenizerError, match=r'must hold tokenizer.json .* of .*/timm/ViT-B'):
        load_tokenizer(dict(name='timm/ViT-B-16-SigLIP2', folder=str(folder)))


@pytest.fixture
def hub(monkeypatch):
    """A hub with files of 3 MB each, and tokenizers that cannot be fetched in the end."""

    def fail(*args, **kwargs):
        raise OSError("We couldn't connect")

    monkeypatch.setattr(open_clip.tokenizer, 'HFTokenizer', fail)
    monkeypatch.setattr(tokenizers, 'is_cached', lambda name, file: False)
    monkeypatch.setattr(tokenizers, 'size_on_hub', lambda name, file: 3_000_000)


def test_a_download_is_announced(hub, monkeypatch):
    told = []
    monkeypatch.setattr(tokenizers, 'print_log', lambda text, logger: told.append(text))
    with pytest.raises(TokenizerError, match=r"couldn't connect.*model.backbone.tokenizer=FOLDER"):
        load_tokenizer(dict(name='timm/none'))
    assert 'The tokenizer timm/none is downloaded from the Hugging Face hub (6.0 MB)' in told[0]


def test_a_hub_that_cannot_be_reached(hub, monkeypatch):
    def refuse(*arguments):
        raise HubError('https://huggingface.co cannot be reached')

    monkeypatch.setattr(tokenizers, 'size_on_hub', refuse)
    with pytest.raises(TokenizerError, match=r'cannot be reached.*model.backbone.tokenizer=FOLDER'):
        load_tokenizer(dict(name='timm/none'))


def test_the_tokenizer_of_another_model_is_refused(tmp_path):
    make_tokenizer(tmp_path / 'large', 'ViT-B-16-SigLIP2')
    passport = read_passport('ViT-B-16-SigLIP', tokenizer_folder=str(tmp_path / 'large'))
    with pytest.raises(TokenizerError, match='the text tower knows 32,000'):
        load_tokenizer(passport.tokenizer_settings).tokenize(['a dog'], 64)


def test_a_transform_that_has_one_can_be_sent_to_another_process(tmp_path):
    passport, _ = open_folder(tmp_path, 'ViT-B-16-SigLIP')
    config = dict(type='TokenizeCaptions', max_words=12, tokenizer=passport.tokenizer_settings)
    transform = TRANSFORMS.build(config)
    again = pickle.loads(pickle.dumps(transform))(dict(captions=['a dog'], video_id='v'))
    assert again['ids'].shape == (1, 64)
    torch.testing.assert_close(again['ids'], transform(dict(captions=['a dog']))['ids'])
