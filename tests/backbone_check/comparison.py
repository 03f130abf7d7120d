"""One architecture: the same sentences and images through `OpenCLIPBackbone` and open_clip."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import numpy as np
import open_clip
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import Normalize

from backbone_check.cut_depth import few_blocks, num_parameters
from backbone_check.stand_ins import make_tokenizer
from diffusionret_mm.datasets.tokenizers import HubTokenizer, TokenizerError
from diffusionret_mm.datasets.transforms import CLIPResizeCrop
from diffusionret_mm.models.backbones import OpenCLIPBackbone
from diffusionret_mm.models.data_preprocessor import RetrievalDataPreprocessor
from diffusionret_mm.passport import UnsupportedEncoderError, preprocessing_of, tags_of

SENTENCES = (
    'a dog',
    '.',
    'x',
    'A dog runs over the GREEN field, then it jumps: "hop"!',
    'a dog 🐕 on the beach 🏖️ at 7:30',
    'one two three four five six seven eight nine ten ' * 20,
)
# Height and width.
SHAPES = ((97, 150), (300, 180), (480, 640))
TOLERANCE = 1e-5


@dataclass
class Row:
    """What came out of one architecture and one way to preprocess its images.

    Args:
        arch: name of the architecture.
        tags: tags of the weights that are preprocessed so; none if it has no weights.
        verdict: 'equal', 'refused' or 'wrong'.
        text: largest difference of text features of unit length.
        image: the same of image features.
        pixels: largest difference of pixels, in 8-bit levels.
        tokenizer: 'CLIP', 'hub', or 'stand-in' for one that could not be fetched.
        cut: whether the towers had fewer blocks.
        note: why it was refused, or what is wrong.
    """

    arch: str
    tags: Sequence[str]
    verdict: str = 'equal'
    text: float | None = None
    image: float | None = None
    pixels: int | None = None
    tokenizer: str = ''
    cut: bool = False
    note: str = ''
    wrong: list[str] = field(default_factory=list)

    def check(self, is_right: bool, what: str) -> None:
        """Note what is wrong, if it is."""
        if not is_right:
            self.wrong.append(what)
            self.verdict, self.note = 'wrong', ', '.join(self.wrong)


def check_architecture(arch: str, folder: Path, largest: float = 2e8) -> list[Row]:
    """Compare an architecture at random weights, once for each way to preprocess its images.

    Args:
        arch: name of an open_clip model.
        folder: folder for a stand-in of its tokenizer.
        largest: number of parameters above which its depth is cut.

    Returns:
        A row for each way.
    """
    rows = []
    for tags in _tags_by_preprocessing(arch):
        row = Row(arch, tags)
        rows.append(row)
        try:
            OpenCLIPBackbone.read_passport(dict(arch=arch))
        except UnsupportedEncoderError as error:
            row.verdict, row.note = 'refused', str(error)
            continue
        row.cut = num_parameters(arch) > largest
        with few_blocks(arch) if row.cut else nullcontext():
            try:
                _compare(row, folder)
            except Exception as error:  # whatever stops the comparison is a fault to report
                row.check(False, f'{type(error).__name__}: {error}')
    return rows


def _tags_by_preprocessing(arch: str) -> list[list[str]]:
    """Tags in groups of the same preprocessing and activation; one empty group without tags."""
    groups: dict[str, list[str]] = {}
    for tag in tags_of(arch):
        quick = bool(open_clip.get_pretrained_cfg(arch, tag).get('quick_gelu'))
        groups.setdefault(json.dumps([preprocessing_of(arch, tag), quick]), []).append(tag)
    return list(groups.values()) or [[]]


@torch.no_grad()
def _compare(row: Row, folder: Path) -> None:
    torch.manual_seed(0)
    tag = row.tags[0] if row.tags else None
    stand_in, tokenize = _reference_tokenizer(row, folder)
    ours = OpenCLIPBackbone(row.arch, pretrained=tag, tokenizer=stand_in).eval()
    _disturb(ours.clip)
    reference, transform = _reference(row.arch, tag)
    missing, unknown = reference.load_state_dict(ours.clip.state_dict(), strict=False)
    row.check(not unknown and all(key.startswith('text_decoder.') for key in missing), 'weights')
    _compare_texts(row, ours, reference.eval(), tokenize)
    _compare_images(row, ours, reference, transform)


def _reference_tokenizer(row: Row, folder: Path) -> tuple[str | None, Callable]:
    """open_clip's own tokenizer: from the hub, or of a stand-in's folder."""
    name = open_clip.get_model_config(row.arch)['text_cfg'].get('hf_tokenizer_name')
    row.tokenizer = 'CLIP' if name is None else 'hub' if hub_has(name) else 'stand-in'
    if row.tokenizer == 'stand-in':
        stand_in = make_tokenizer(folder / row.arch, row.arch)
        return str(stand_in), open_clip.get_tokenizer(f'local-dir:{stand_in}')
    return None, open_clip.get_tokenizer(row.arch)


def hub_has(name: str) -> bool:
    """Whether a tokenizer of the hub can be fetched."""
    try:
        HubTokenizer(name)
    except TokenizerError:
        return False
    return True


def _reference(arch: str, tag: str | None) -> tuple[nn.Module, Callable]:
    """open_clip's own model, with the activation of the weights, and its transform."""
    options = {}
    if tag is not None:
        options['quick_gelu'] = bool(open_clip.get_pretrained_cfg(arch, tag).get('quick_gelu'))
    with mock.patch('open_clip.factory.download_pretrained', return_value='not loaded'):
        model, _, transform = open_clip.create_model_and_transforms(
            arch, pretrained=tag, load_weights=False, **options
        )
    return model, transform


def _disturb(model: nn.Module) -> None:
    """Move what starts at 0 or 1, so that no part of the model is without effect."""
    for parameter in model.parameters():
        if parameter.dim() < 2 and parameter.numel() > 1:
            parameter.add_(torch.randn_like(parameter) * 0.1)
    for name, buffer in model.named_buffers():
        if name.endswith('running_var'):
            buffer.uniform_(0.5, 1.5)
        elif name.endswith('running_mean'):
            buffer.normal_(std=0.1)


def _compare_texts(
    row: Row, ours: OpenCLIPBackbone, reference: nn.Module, tokenize: Callable
) -> None:
    passport = ours.passport
    wanted = tokenize(list(SENTENCES))
    ids, mask = ours.text_side.tokenize(SENTENCES, passport.context_length)
    row.check(torch.equal(ids, wanted), 'token ids')
    expected = _encode(reference.encode_text, wanted)
    row.text = _difference(ours.encode_words(ids, mask)[1], expected)
    short = ours.text_side.tokenize(SENTENCES[:1], min(14, passport.context_length))
    row.text = max(row.text, _difference(ours.encode_words(*short)[1], expected[:1]))
    row.check(row.text <= TOLERANCE, 'text features')


def _compare_images(
    row: Row, ours: OpenCLIPBackbone, reference: nn.Module, transform: Callable
) -> None:
    images = [_image(number, *shape) for number, shape in enumerate(SHAPES)]
    wanted = torch.stack([transform(Image.fromarray(image)) for image in images])
    resize = CLIPResizeCrop(**ours.passport.resize_settings)
    frames = torch.from_numpy(np.stack(resize.transform(dict(imgs=images))['imgs']))
    frames = frames.permute(0, 3, 1, 2)[None]
    row.check(frames.shape[2:] == wanted.shape[1:], 'image size')
    if frames.shape[2:] != wanted.shape[1:]:
        return
    (scale,) = (one for one in transform.transforms if isinstance(one, Normalize))
    levels = wanted * torch.tensor(scale.std).view(3, 1, 1) + torch.tensor(scale.mean).view(3, 1, 1)
    row.pixels = int((frames[0].int() - (levels * 255).round().int()).abs().max())
    row.check(row.pixels == 0, 'pixels')
    config = RetrievalDataPreprocessor.follow({}, ours.passport)
    mask = torch.ones(1, len(images), dtype=torch.bool)
    normalised = RetrievalDataPreprocessor(**config).normalise(frames, mask)
    features = ours.encode_frames(normalised, mask)[0]
    row.image = _difference(features, _encode(reference.encode_image, wanted))
    row.check(row.image <= TOLERANCE, 'image features')


def _encode(encode: Callable, inputs: Tensor) -> Tensor:
    return encode(inputs, normalize=True)


def _difference(features: Tensor, expected: Tensor) -> float:
    return float((F.normalize(features, dim=-1) - expected).abs().max())


def _image(seed: int, height: int, width: int) -> np.ndarray:
    """Colours that change slowly, with noise."""
    generator = np.random.default_rng(seed)
    coarse = Image.fromarray(generator.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=int)
    return np.clip(smooth + generator.integers(-30, 31, smooth.shape), 0, 255).astype(np.uint8)
