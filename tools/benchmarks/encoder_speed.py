"""Images and texts a second of encoders, one after another in one process."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial

import torch
from measuring import timed

from diffusionret_mm.evaluation.tables import Column, format_table, label
from diffusionret_mm.models.backbones import OpenCLIPBackbone

COLUMNS = [
    label('encoder'),
    Column('pixels', number='d'),
    Column('image tower', 'M', number='.0f'),
    Column('text tower', 'M', number='.0f'),
    Column('images/s', number='.1f'),
    Column('texts/s', number='.0f'),
]


@torch.no_grad()
def time_encoder(arch: str, batch: int, repeats: int, device: str) -> dict[str, float]:
    """Time both towers of an encoder at random weights, after a first pass.

    Args:
        arch: name of an open_clip model.
        batch: images, and texts, per pass.
        repeats: passes, of which the median counts.
        device: where it runs.

    Returns:
        Height of an image in pixels, parameters of the towers in millions, images and texts per
        second. Texts are as long as the tower's context.
    """
    backbone = OpenCLIPBackbone(arch).eval().to(device)
    passport = backbone.passport
    images = torch.randn(1, batch, 3, *passport.image_size, device=device)
    ids = torch.randint(3, passport.vocabulary, (batch, passport.context_length), device=device)
    towers = dict(
        images=(backbone.encode_frames, images, torch.ones_like(images[:, :, 0, 0, 0]) > 0),
        texts=(backbone.encode_words, ids, torch.ones_like(ids) > 0),
    )
    rates = {}
    for name, (encode, *inputs) in towers.items():
        run = partial(encode, *inputs)
        seconds = [timed(run, device)[0] for _ in range(repeats + 1)][1:]
        rates[name] = batch / statistics.median(seconds)
    image_tower = sum(parameter.numel() for parameter in backbone.clip.visual.parameters())
    whole = sum(parameter.numel() for parameter in backbone.parameters())
    return dict(
        pixels=passport.image_size[0],
        image_millions=image_tower / 1e6,
        text_millions=(whole - image_tower) / 1e6,
        images_per_s=rates['images'],
        texts_per_s=rates['texts'],
    )


def compare_encoders(
    archs: Sequence[str], batch: int, repeats: int, device: str
) -> dict[str, dict[str, float]]:
    """Time encoders, print their table, and return it by architecture."""
    table = {arch: time_encoder(arch, batch, repeats, device) for arch in archs}
    print(format_table(COLUMNS, [[arch, *row.values()] for arch, row in table.items()]))
    threads = torch.get_num_threads()
    print(f'{device}, {threads} threads; batches of {batch}, median of {repeats} passes.')
    return table
