"""Time and memory of an evaluation by X-Pool, T-MASS and TextDiff.

`python tools/benchmarks/text_diffusion.py --texts 1000 --videos 1000`
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from pathlib import Path
from typing import Any

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import torch
from mmaction.registry import MODELS

from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.engine.memory import peak_memory
from diffusionret_mm.evaluation.tables import Column, format_table, label
from diffusionret_mm.features.scoring import score_all
from diffusionret_mm.models.retrievers import TextVideoRetriever
from diffusionret_mm.structures import TextFeatures, VideoFeatures

METHODS = ('XPool', 'TMASS', 'TextDiff')


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Time an evaluation, from features to the final matrices of both directions',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--methods', nargs='+', choices=METHODS, default=METHODS)
    parser.add_argument('--texts', type=int, default=1000)
    parser.add_argument('--videos', type=int, default=1000)
    parser.add_argument('--frames', type=int, default=12, help='frames per video')
    parser.add_argument('--width', type=int, default=512)
    parser.add_argument('--samples', type=int, default=20, help='samples per text in T-MASS')
    parser.add_argument('--steps', type=int, default=10, help='denoising steps of TextDiff')
    parser.add_argument('--candidates', type=int, default=32, help='candidates per query, TextDiff')
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--json', type=Path, help='file to write the figures into')
    return parser.parse_args()


def build_model(method: str, args: argparse.Namespace) -> TextVideoRetriever:
    """A model with random weights; its towers are tiny and not used."""
    torch.manual_seed(0)
    arch = dict(
        embed_dim=args.width,
        vision_cfg=dict(image_size=32, patch_size=16, width=64, layers=1, head_width=64),
        text_cfg=dict(context_length=16, width=args.width, heads=1, layers=1),
    )
    cfg = dict(
        type=dict(XPool='TextVideoRetriever').get(method, method),
        backbone=dict(type='OpenCLIPBackbone', arch=arch),
        similarity=dict(type='XPool', width=args.width),
        loss=dict(type='ContrastiveLoss'),
    )
    frames = dict(num_frames=args.frames)
    if method == 'TMASS':
        cfg['similarity'].update(type='StochasticXPool', num_samples=args.samples, **frames)
    if method == 'TextDiff':
        denoiser = dict(type='TextDenoiser', width=args.width, **frames)
        steps = dict(num_train_steps=max(10, args.steps), num_sample_steps=args.steps)
        cfg['diffusion'] = dict(type='TextDiffusion', denoiser=denoiser, **steps)
        cfg['num_candidates'] = args.candidates
    return MODELS.build(cfg).to(args.device).eval()


def draw_features(args: argparse.Namespace) -> tuple[TextFeatures, VideoFeatures]:
    """Features of noise, without padding; no words, which these methods do not read."""
    generator = torch.Generator().manual_seed(1)
    pooled = torch.randn(args.texts, args.width, generator=generator)
    frames = torch.randn(args.videos, args.frames, args.width, generator=generator)
    real = torch.ones(args.texts, 1, dtype=torch.bool)
    texts = TextFeatures(words=pooled[:, None], mask=real, pooled=pooled)
    videos = VideoFeatures(frames, torch.ones(frames.shape[:2], dtype=torch.bool))
    return texts.to(args.device), videos.to(args.device)


@torch.no_grad()
def measure(method: str, args: argparse.Namespace) -> dict[str, Any]:
    """Evaluate once; meant for a process of its own, whose peak of memory is then the method's."""
    model = build_model(method, args)
    features = draw_features(args)
    on_gpu = args.device != 'cpu'
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated() / 2**20 if on_gpu else peak_memory() / 2**20
    start, cpu_start = time.perf_counter(), time.process_time()
    score_all(model, *features, chunk_size=64)
    if on_gpu:
        torch.cuda.synchronize()
    times = dict(seconds=time.perf_counter() - start, cpu_s=time.process_time() - cpu_start)
    peak = torch.cuda.max_memory_allocated() / 2**20 if on_gpu else peak_memory() / 2**20
    return dict(method=method, **times, before_mb=before, growth_mb=peak - before)


FIGURES = ('method', 'seconds', 'cpu_s', 'growth_mb', 'before_mb')
COLUMNS = (
    label('method'),
    Column('time', 's', number='.1f'),
    Column('CPU', 's', number='.1f'),
    Column('memory', 'MiB', number='.0f'),
    Column('before', 'MiB', number='.0f'),
)


def print_table(args: argparse.Namespace, rows: list[dict[str, Any]]) -> None:
    """One row per method."""
    title = (
        f'{args.texts} texts x {args.videos} videos of {args.frames} frames, width {args.width}, '
        f'{args.device}, {torch.get_num_threads()} threads'
    )
    print(format_table(COLUMNS, [[row[name] for name in FIGURES] for row in rows], title))
    print(f'T-MASS: {args.samples} samples; TextDiff: {args.steps} steps, {args.candidates} '
          'candidates per query, both directions')  # fmt: skip
    print('memory: growth of the peak beyond model and features, which are under "before"')


@stop_with_message()
def main() -> None:
    """Run every method in a process of its own, which starts with the imports done."""
    args = parse_args()
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['diffusionret_mm.apis', 'mmaction.models'])
    with context.Pool(1, maxtasksperchild=1) as pool:
        rows = [pool.apply(measure, (method, args)) for method in args.methods]
    print_table(args, rows)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + '\n')


if __name__ == '__main__':
    main()
