"""What the features of a cache or a gallery depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from mmengine.config import Config

from diffusionret_mm.datasets.transforms.stored_frames import settings_of, version_of
from diffusionret_mm.models.retrievers import TextVideoRetriever
from diffusionret_mm.storage.fingerprint import fingerprint_of

# Parts of a model config that features depend on.
EXTRACTOR = ('backbone', 'temporal', 'similarity', 'data_preprocessor')
# To be raised when the same settings would give other files than before.
FORMAT_VERSION = 1


def fingerprint(
    model: TextVideoRetriever, entries: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]
) -> dict[str, str]:
    """Return short texts, each of which differs for other features.

    Args:
        model: the retriever; the tensors that its first stage trains count.
        entries: entries of the videos: video_id, filename, captions, and start and end if set. Of
            the files, size and time of the last change count.
        settings: what else counts, by name; values that JSON can hold.

    Returns:
        The text of each part: `weights`, `data`, `format`, the settings, and the facts of the
        backbone's passport.
    """
    parts = dict(data=[_data_of(entry) for entry in entries], format=FORMAT_VERSION, **settings)
    return dict(
        weights=hash_of_weights(model),
        **{name: fingerprint_of(value) for name, value in parts.items()},
        **passport_facts(model),
    )


def gallery_fingerprint(
    model: TextVideoRetriever, config: Mapping[str, Any], transforms: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    """Return short texts, each of which differs for other features of any video.

    Args:
        model: the retriever.
        config: its config.
        transforms: configs of what reads videos.

    Returns:
        The text of each part: `weights`, `model`, `transforms`, and the facts of the backbone's
        passport.
    """
    plain = Config(dict(model=config)).to_dict()['model']
    (plain.get('backbone') or {}).pop('pretrained', None)
    return dict(
        weights=hash_of_weights(model),
        model=fingerprint_of({key: plain.get(key) for key in EXTRACTOR}),
        transforms=fingerprint_of(settings_of(transforms)),
        **passport_facts(model),
    )


def passport_facts(model: TextVideoRetriever) -> dict[str, str]:
    """Return what the backbone wants of texts and frames, by name; empty without a passport."""
    passport = model.backbone.passport
    return {} if passport is None else passport.facts()


def _data_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    file = entry['filename']
    return dict(
        version_of(file, entry),
        video_id=entry['video_id'],
        video_index=entry['video_index'],
        filename=file,
        captions=entry['captions'],
    )


def hash_of_weights(model: TextVideoRetriever) -> str:
    """Hash what the first stage trains: names, types, shapes and bytes of all its tensors.

    Buffers count too, those that no checkpoint holds included.
    """
    result = hashlib.sha256()
    for name, tensor in chain(model.named_parameters(), model.named_buffers()):
        if model.stage_of(name) == model.stages[0]:
            result.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
            flat = tensor.detach().cpu().contiguous().reshape(-1)
            result.update(flat.view(torch.uint8).numpy().data)
    return result.hexdigest()[:16]
