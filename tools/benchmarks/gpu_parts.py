"""What gpu.py measures of speed: steps, matching, epochs and encoders, by the other benchmarks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import encode
import generation_stage
import matching
import torch
from encoder_speed import time_encoder

from diffusionret_mm.evaluation.tables import Cell, Column, label

# Options of encode.py, and the variants of it that are run.
STEP = dict(
    cuda=['--batch', '128', '--frames', '12', '--repeats', '5'],
    cpu=['--batch', '2', '--frames', '2', '--repeats', '1', '--arch', 'ViT-S-32-alt'],
)
STEPS = dict(cuda=('float32', 'float32, with_cp', 'bfloat16'), cpu=('float32',))
# Options of matching.py: texts and videos, and what else.
LARGE = ['--words', '64', '--frames', '64', '--mean-words', '50', '--only-ours', '--repeats', '1']
TINY = ['--words', '9', '--frames', '4', '--width', '64', '--mean-words', '6', '--repeats', '1']
MATCHINGS = dict(
    cuda=[(1000, 1000, ['--repeats', '3']), (4917, 4917, LARGE)],
    cpu=[(60, 40, TINY), (50, 50, [*TINY, '--only-ours'])],
)
# Options of generation_stage.py.
EPOCH = dict(
    cuda=['--sizes', 'vit-b32', '--videos', '384', '--batch-size', '128', '--workers', '8'],
    cpu=['--sizes', 'shapes', '--videos', '6', '--batch-size', '3', '--repeats', '1'],
)
# Encoders, images per batch, and batches.
ENCODERS = dict(
    cuda=(('ViT-B-32-quickgelu', 'ViT-B-16', 'ViT-L-14', 'PE-Core-B-16'), 256, 5),
    cpu=(('ViT-S-32-alt',), 2, 1),
)
# Many CPUs have no products of shorter numbers.
DTYPES = dict(cuda=(torch.float32, torch.bfloat16), cpu=(torch.float32,))


@dataclass(frozen=True)
class Table:
    """A table of the page.

    Args:
        note: what it shows, above it.
        columns: the columns.
        rows: a cell per column.
    """

    note: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]


def gpu_memory(device: str) -> float | None:
    """Return the peak of the GPU's memory since the last call, in GB; None on the CPU."""
    if device == 'cpu':
        return None
    peak = torch.cuda.max_memory_allocated() / 1e9
    torch.cuda.reset_peak_memory_stats()
    return peak


def train_stage_one(device: str, folder: Path) -> Iterator[Table]:
    """Time a training step of stage one."""
    args = encode.parse_args([*STEP[device], '--device', device])
    gpu_memory(device)
    rows = []
    for name in STEPS[device]:
        figures = encode.time_step(args, name)
        rows.append([name, *figures.values(), gpu_memory(device)])
    columns = [
        label('step'),
        Column('time', 's', number='.3f'),
        Column('videos/s', number='.0f'),
        Column('of the rate of matrix products', number='.0%'),
        Column('kept for the backward pass', 'MB', number=',.0f'),
        Column('GPU memory', 'GB', number='.1f'),
    ]
    note = (
        f'{args.arch} with random weights, {args.batch} videos of {args.frames} frames, '
        f'{args.words} words, AdamW. The rate is that of products of two 4,096 x 4,096 matrices in '
        'the same dtype.'
    )
    yield Table(note, columns, rows)


def match_features(device: str, folder: Path) -> Iterator[Table]:
    """Time the similarity and re-ranking of both directions."""
    gpu_memory(device)
    rows = []
    for texts, videos, options in MATCHINGS[device]:
        sizes = ['--texts', str(texts), '--videos', str(videos), '--device', device]
        figures = matching.measure(matching.parse_args([*sizes, *options]))
        *cells, _ = matching.table_row(figures)  # the last is the memory of the process
        rows.append([*cells, gpu_memory(device)])
        torch.cuda.empty_cache()
    columns = [*matching.COLUMNS[:-1], Column('GPU memory', 'GB', number='.1f')]
    note = (
        'From features to both re-ranked matrices, in float32, as `tools/benchmarks/matching.py` '
        'measures it. Memory is that of both sides where the published one ran too.'
    )
    yield Table(note, columns, rows)


def train_stage_two(device: str, folder: Path) -> Iterator[Table]:
    """Time an epoch of stage two with the cache of features and without.

    Raises:
        SystemExit: if their losses differ.
    """
    torch.backends.cudnn.allow_tf32 = False  # both kinds of epoch have to round alike
    args = generation_stage.parse_args([*EPOCH[device], '--device', device])
    figures = generation_stage.measure(args, folder)
    names = ('videos', 'batch_size', 'published_s', 'ours_s', 'ratio', 'build_s', 'cache_mb')
    note = (
        f'{figures["sizes"]} with random weights, clips that the project renders. `published_s` is '
        'an epoch that encodes, `ours_s` one with the cache, `build_s` the making of the cache. '
        f'Their losses differ by {figures["max_abs_diff"]:.0e} at most.'
    )
    rows = [[name, float(figures[name])] for name in names]
    yield Table(note, [label('figure'), Column('value', number=',.2f')], rows)


def encode_images(device: str, folder: Path) -> Iterator[Table]:
    """Time the towers of encoders."""
    archs, batch, repeats = ENCODERS[device]
    gpu_memory(device)
    rows: list[list[Cell]] = []
    for arch in archs:
        for dtype in DTYPES[device]:
            with torch.autocast(device, dtype, enabled=dtype != torch.float32):
                figures = time_encoder(arch, batch, repeats, device)
            rates = figures['images_per_s'], figures['texts_per_s']
            rows.append([arch, str(dtype).removeprefix('torch.'), *rates, gpu_memory(device)])
    columns = [
        label('encoder'),
        label('dtype'),
        Column('images/s', number=',.0f'),
        Column('texts/s', number=',.0f'),
        Column('GPU memory', 'GB', number='.1f'),
    ]
    yield Table(f'Batches of {batch}, median of {repeats}, random weights.', columns, rows)
