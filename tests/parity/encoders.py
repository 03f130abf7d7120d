"""The checkpoint, the encoders and the similarity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from mmaction.registry import MODELS
from torch import Tensor

from diffusionret_mm.conversion import Conversion, convert_state_dict, read_state_dict
from diffusionret_mm.models.generators.denoiser import sine_table
from diffusionret_mm.models.retrievers import DiffusionRet
from diffusionret_mm.structures import TextFeatures, VideoFeatures
from parity.golden import (
    EXACT,
    FEATURES,
    FLOAT32,
    SIMILARITY,
    GoldenFile,
    GoldenFolder,
)


@dataclass
class Subject:
    """Our model with the recorded weights.

    Args:
        model: built from the converted checkpoint alone.
        conversion: how it was converted.
    """

    model: DiffusionRet
    conversion: Conversion

    def published_gradients(self) -> dict[str, Tensor | None]:
        """Return the gradients of the stage's parameters by their published names."""
        names = {own: key for key, own in self.conversion.renamed.items()}
        return {
            names[name]: parameter.grad
            for name, parameter in self.model.trained_parameters(self.model.stage)
        }


def load_subject(golden: GoldenFolder) -> Subject:
    """Convert the recorded checkpoint and build the model from nothing else."""
    state = read_state_dict(golden.path / 'state_dict.npz')
    conversion = convert_state_dict(state, 'diffusionret', 'generation')
    model = MODELS.build(conversion.model)
    model.load_state_dict(conversion.state_dict)
    return Subject(model.eval(), conversion)


def check_converted_weights(golden: GoldenFolder, subject: Subject) -> None:
    """Every tensor of the checkpoint is in the model, unchanged; tables can be computed."""
    file = golden.file('state_dict.npz')
    own = subject.model.state_dict()
    for key, name in subject.conversion.renamed.items():
        file.compare(key, own[name], EXACT)
    for key in subject.conversion.dropped:
        rows, _, width = file.recorded(key).shape
        file.compare(key, sine_table(torch.arange(rows), width)[:, None], FLOAT32)


def check_key_lists(golden: GoldenFolder, subject: Subject) -> None:
    """The listed state dicts convert: shapes only, with half precision where it is listed."""
    for name in ('state_dict_keys.json', 'vitb32_state_dict_keys.json'):
        if not golden.has(name):
            continue
        listed = golden.json(name)
        aliases = listed['aliases'] if isinstance(listed, dict) else {}
        entries = listed['keys'] if isinstance(listed, dict) else listed
        state = {
            key: torch.empty(shape, dtype=getattr(torch, dtypes[-1]), device='meta')
            for key, shape, *dtypes in entries
        }
        for key in aliases:
            state.setdefault(key, torch.empty(5000, 1, 1, device='meta'))
        done = convert_state_dict(state, 'diffusionret', 'generation')
        accounted = len(done.renamed) + len(done.dropped)
        golden.file(name).add('keys accounted for', accounted, len(state), EXACT)
        half = sum(value.dtype != torch.float32 for value in done.state_dict.values())
        golden.file(name).add('tensors left in half precision', half, 0, EXACT)


def encoded(golden: GoldenFolder, subject: Subject) -> tuple[TextFeatures, VideoFeatures]:
    """Encode the recorded texts and videos, pixels to features."""
    file = golden.file('encode.npz')
    model = subject.model
    texts = model.encode_text(file.take('text_ids'), file.take('text_mask').bool())
    videos = model.encode_video(file.take('video'), file.take('video_mask').bool())
    return texts, videos


@torch.no_grad()
def check_encoders(golden: GoldenFolder, subject: Subject) -> None:
    """Features of words and frames, before and after the temporal transformer, and WTI."""
    file, model = golden.file('encode.npz'), subject.model
    file.take('idx')
    if 'video' in file:
        _check_towers(golden, subject)
    # From here on from recorded features, so that the towers' rounding stays out of it.
    frames, mask = file.take('frame_feat_before'), file.take('video_mask').bool()
    file.compare('video_feat', model.temporal(frames, mask), FEATURES)
    texts, videos = recorded_features(file)
    file.compare('text_weight', model.similarity.word_weights(texts), SIMILARITY)
    file.compare('video_weight', model.similarity.frame_weights(videos), SIMILARITY)
    file.compare('wti_logits', model.similarity(texts, videos), SIMILARITY)


def _check_towers(golden: GoldenFolder, subject: Subject) -> None:
    """From token ids and pixels."""
    file, model = golden.file('encode.npz'), subject.model
    texts, videos = encoded(golden, subject)
    frames, mask = file.take('video'), file.take('video_mask').bool()
    file.compare('text_feat', texts.words, FEATURES)
    file.compare('cls', texts.pooled, FEATURES)
    file.compare('frame_feat_before', model.backbone.encode_frames(frames, mask), FEATURES)
    first_two = _image_tokens(model, frames.flatten(0, 1)[:2])
    file.compare('image_hidden_first2', first_two, FEATURES)
    for key, ours in (
        ('video_feat', videos.frames),
        ('wti_logits', model.similarity(texts, videos)),
    ):
        file.add(f'{key} from pixels', ours, file.recorded(key), FEATURES)


@torch.no_grad()
def check_similarity(golden: GoldenFolder, subject: Subject) -> None:
    """WTI alone, on features with many padded words and frames."""
    file = golden.file('wti.npz')
    file.compare('logits', subject.model.similarity(*recorded_features(file)), SIMILARITY)


def recorded_features(file: GoldenFile) -> tuple[TextFeatures, VideoFeatures]:
    """Take the features that a file holds."""
    words, mask = file.take('text_feat'), file.take('text_mask').bool()
    pooled = file.take('cls') if 'cls' in file else words[:, 0]
    frames = VideoFeatures(file.take('video_feat'), file.take('video_mask').bool())
    return TextFeatures(words, mask, pooled), frames


def _image_tokens(model: DiffusionRet, images: Tensor) -> np.ndarray:
    """All tokens of the image tower, projected; the model itself uses the first only."""
    tower = model.backbone.clip.visual
    hidden = []
    handle = tower.transformer.register_forward_hook(lambda *args: hidden.append(args[-1]))
    tower(images)
    handle.remove()
    return tower.ln_post(hidden[0]) @ tower.proj
