"""Small tokenizers with the special ids of those on the hub, for machines without it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import open_clip
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True)
class Family:
    """Special tokens of a tokenizer, with their ids.

    Args:
        ids: id of each special token.
        names: which of them is pad_token, eos_token and so on.
        text: how a text is framed; `$A` is the text.
    """

    ids: dict[str, int]
    names: dict[str, str]
    text: str = '$A </s>'


T5 = Family({'<pad>': 0, '</s>': 1}, dict(pad_token='<pad>', eos_token='</s>'))
# SigLIP pads with the end of text.
SIGLIP = Family({'</s>': 1}, dict(pad_token='</s>', eos_token='</s>'))
FAMILIES = {
    'timm/ViT-B-16-SigLIP': SIGLIP,
    'timm/ViT-B-16-SigLIP-i18n-256': SIGLIP,
    'google/mt5-base': T5,
    'bert-base-uncased': Family(
        {'[PAD]': 0, '[CLS]': 101, '[SEP]': 102},
        dict(pad_token='[PAD]', cls_token='[CLS]', sep_token='[SEP]'),
        '[CLS] $A [SEP]',
    ),
    'facebook/xlm-v-base': Family(
        {'<s>': 0, '<pad>': 1, '</s>': 2},
        dict(pad_token='<pad>', bos_token='<s>', eos_token='</s>'),
        '<s> $A </s>',
    ),
}


def make_tokenizer(folder: Path, arch: str) -> Path:
    """Write a tokenizer of bytes that stands in for the one of an architecture on the hub.

    Its ids are spread over the vocabulary of the architecture. `open_clip.get_tokenizer` reads the
    folder by 'local-dir:FOLDER'.

    Args:
        folder: folder to make.
        arch: name of an open_clip model with a tokenizer of its own.

    Returns:
        The folder.
    """
    config = open_clip.get_model_config(arch)
    text = config['text_cfg']
    family = FAMILIES.get(text['hf_tokenizer_name'], T5)  # SigLIP 2 has Gemma's, framed like T5's
    free = [i for i in range(text['vocab_size']) if i not in set(family.ids.values())]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    step = len(free) // len(alphabet)
    spread = {sign: free[(number + 1) * step - 1] for number, sign in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=family.ids | spread, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=family.text, special_tokens=list(family.ids.items())
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **family.names)
    fast.save_pretrained(folder)
    (folder / 'open_clip_config.json').write_text(json.dumps(dict(model_cfg=config)))
    return folder
