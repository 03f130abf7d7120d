"""Token ids, frame numbers and pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmaction.registry import TRANSFORMS
from PIL import Image
from torch import Tensor

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.tokenizers import SPECIAL_TOKENS, load_tokenizer
from diffusionret_mm.models.data_preprocessor import RetrievalDataPreprocessor
from parity.encoders import Subject
from parity.golden import EXACT, PIXELS, GoldenFolder

CLIP_RULES = (
    ('frames start=None end=None', None, None),
    ('frames start=0 end=31', 0, 31),
    ('frames start=2 end=4', 2, 4),
)
ALL_FRAMES = 100_000
ALL_WORDS = 500


def check_tokenizer(golden: GoldenFolder, subject: Subject) -> None:
    """Byte pairs, ids and masks at three lengths."""
    file = golden.file('tokenizer.json')
    clip = load_tokenizer()
    for entry in golden.json('tokenizer.json'):
        caption = entry['caption']
        ids, mask = clip.tokenize([caption], ALL_WORDS)
        inside = ids[0, 1 : int(mask.sum()) - 1].tolist()
        names = {ours: openai for openai, ours in SPECIAL_TOKENS.items()}
        pieces = [clip.tokenizer.decoder[token] for token in inside]
        same = [names.get(piece, piece) for piece in pieces] == entry['tokens']
        file.add(f'{caption[:24]!r}: tokens are the same', same, True, EXACT)
        for length in (8, 32, 64):
            if f'ids_{length}' in entry:
                ids, mask = clip.tokenize([caption], length)
                file.add(f'{caption[:24]!r}: ids_{length}', ids[0], entry[f'ids_{length}'], EXACT)
                file.add(
                    f'{caption[:24]!r}: mask_{length}', mask[0], entry[f'mask_{length}'], EXACT
                )


def check_frame_sampling(golden: GoldenFolder, subject: Subject) -> None:
    """Frame numbers, read off the decoded pictures themselves."""
    file = golden.file('frame_sampling.json')
    for entry in golden.json('frame_sampling.json'):
        path = golden.path / 'videos' / entry['file']
        for name, start, end in CLIP_RULES:
            taken = _frame_numbers(path, ALL_FRAMES, start, end)
            expected = [] if entry[name] == 'no frame' else entry[name]
            file.add(f'{entry["file"]}: {name}', taken, expected, EXACT)
        everything = entry['frames start=None end=None']
        for count in (12, 64):
            kept = entry[f'kept of 1fps list, max_frames={count}']
            expected = [everything[position] for position in kept]
            taken = _frame_numbers(path, count, None, None)
            file.add(f'{entry["file"]}: at most {count}', taken, expected, EXACT)


def _frame_numbers(path: Path, count: int, start: float | None, end: float | None) -> list[int]:
    """Which frames the published rule takes; bit b of the number is column 16 b to 16 b + 15."""
    try:
        images = load_published(path, count, start, end)['imgs']
    except VideoReadError:
        return []
    bits = np.stack(images)[..., :160, :].reshape(len(images), -1, 10, 16, 3).mean((1, 3, 4)) > 127
    return (bits * 2 ** np.arange(10)).sum(axis=1).tolist()


def load_published(
    path: Path, num_frames: int, start: float | None = None, end: float | None = None
) -> dict[str, Any]:
    """Decode a video by the published rule: OpenCV, whole seconds."""
    results: dict[str, Any] = dict(filename=str(path), start=start, end=end)
    for transform in (
        dict(type='OpenCVInit'),
        dict(type='SampleVideoFrames', num_frames=num_frames, rule='whole_seconds'),
        dict(type='OpenCVDecode'),
    ):
        results = TRANSFORMS.build(transform)(results)
    return results


def check_transform(golden: GoldenFolder, subject: Subject) -> None:
    """The image transform on two shapes and a magnified picture, and a loader's whole item."""
    file = golden.file('transform.npz')
    image = _prepare([file.recorded('image')], 224)[0]
    file.compare('out224_every8', image[:, ::8, ::8], PIXELS)
    file.compare('out224_mean', image.mean(dim=(1, 2)), PIXELS)
    tall = _prepare([file.recorded('tall')], 64)[0]
    file.compare('tall_out64_every4', tall[:, ::4, ::4], PIXELS)
    small = Image.fromarray(file.recorded('small'))
    magnified = np.asarray(small.resize((500, 333), Image.Resampling.BILINEAR))
    image = _prepare([magnified], 224)[0]
    file.compare('big_from_small_500x333_out224_every8', image[:, ::8, ::8], PIXELS)
    file.used.update(('image', 'tall', 'small'))
    for count in (4, 8):
        if f'item{count}_mask' in file:
            _check_item(golden, count)


def _check_item(golden: GoldenFolder, count: int) -> None:
    file = golden.file('transform.npz')
    images = load_published(golden.path / 'videos' / 'idx_130_25.mp4', count)['imgs']
    frames = _prepare(images, 224)
    mask = torch.arange(count) < len(frames)
    padded = torch.cat([frames, frames.new_zeros(count - len(frames), *frames.shape[1:])])
    file.compare(f'item{count}_mask', mask, EXACT)
    file.compare(f'item{count}_frame_mean', padded.mean(dim=(2, 3)), PIXELS)
    if f'item{count}_every16' in file:
        file.compare(f'item{count}_every16', padded[..., ::16, ::16], PIXELS)


def _prepare(images: list[np.ndarray], size: int) -> Tensor:
    """Resize, crop and normalise as a pipeline and the model's preprocessor do, [F, 3, H, W]."""
    cropped = TRANSFORMS.build(dict(type='CLIPResizeCrop', size=size))(dict(imgs=images))['imgs']
    frames = torch.from_numpy(np.stack(cropped)).permute(0, 3, 1, 2)
    mask = torch.ones(1, len(frames), dtype=torch.bool)
    return RetrievalDataPreprocessor().normalise(frames[None], mask)[0]
