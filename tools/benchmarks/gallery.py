"""Build a gallery of random features and search it: tools/benchmarks/gallery.py --folder DIR.

A video is a topic plus a direction of its own, its frames are that plus noise, and a query is made
of words around the direction of one video, the target. The model has random weights. The default
million videos take 14.4 GB in DIR, which must not exist; it is deleted afterwards.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import numpy as np
import torch
from diffusionret_mm.search.segments import layout_of
from mmaction.registry import MODELS
from mmengine.config import Config
from torch import Tensor

from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.evaluation.tables import format_figures
from diffusionret_mm.models.retrievers import DiffusionRet
from diffusionret_mm.search import Gallery, VideoFile, search_texts, writing_gallery
from diffusionret_mm.search.pooling import frame_weights, pool_texts, pool_videos
from diffusionret_mm.search.steps import NUM_CANDIDATES
from diffusionret_mm.structures import TextFeatures, VideoFeatures

CONFIG = Path(__file__).parents[2] / 'configs/diffusionret_msrvtt.py'
BLOCK = 4096
STEPS = ('pooled', 'similarity', 'generator')


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Measure a large gallery of random features',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--folder', type=Path, required=True, help='folder to build in')
    parser.add_argument('--videos', type=int, default=1_000_000)
    parser.add_argument('--frames', type=int, default=12)
    parser.add_argument('--width', type=int, default=512)
    parser.add_argument('--topics', type=int, default=1000)
    parser.add_argument('--words', type=int, default=12, help='words per query')
    parser.add_argument('--queries', type=int, default=100, help='queries that are timed')
    parser.add_argument(
        '--recall-queries',
        type=int,
        default=50,
        help='queries of these that are also searched by exact WTI',
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures to this file')
    return parser.parse_args()


class Features:
    """Random features, block by block; the same whenever they are drawn.

    Args:
        args: sizes.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.topics = torch.randn(args.topics, args.width, generator=_generator(0))

    def directions(self, block: int) -> Tensor:
        """Directions of a block's videos, [BLOCK, D]."""
        generator = _generator(1, block)
        topic = torch.randint(self.args.topics, (BLOCK,), generator=generator)
        own = torch.randn(BLOCK, self.args.width, generator=generator)
        return self.topics[topic] + own

    def videos(self, block: int) -> VideoFeatures:
        """A block of videos, in half precision; the last one is cut."""
        count = min(BLOCK, self.args.videos - block * BLOCK)
        shape = (count, self.args.frames, self.args.width)
        noise = torch.randn(shape, generator=_generator(2, block))
        frames = (self.directions(block)[:count, None] + noise).half()
        return VideoFeatures(frames=frames, mask=torch.ones(shape[:2], dtype=torch.bool))

    def queries(self) -> tuple[TextFeatures, list[int]]:
        """Queries and the rows of their targets."""
        args, generator = self.args, _generator(3)
        targets = torch.randint(args.videos, (args.queries,), generator=generator).tolist()
        own = torch.stack([self.directions(row // BLOCK)[row % BLOCK] for row in targets])
        noise = torch.randn(args.queries, args.words, args.width, generator=generator)
        words = own[:, None] + 3 * noise
        mask = torch.ones(words.shape[:2], dtype=torch.bool)
        return TextFeatures(words=words, mask=mask, pooled=words[:, -1]), targets


def build_model(width: int) -> DiffusionRet:
    """The model of the configs with random weights; its encoders are small, as they are not run."""
    torch.manual_seed(0)
    cfg = Config.fromfile(CONFIG).model
    tower = dict(width=64, layers=1)
    arch = dict(
        embed_dim=width,
        vision_cfg=dict(image_size=32, patch_size=16, head_width=64, **tower),
        text_cfg=dict(heads=1, **tower),
    )
    cfg.backbone = dict(
        type='OpenCLIPBackbone', arch=arch, pretrained=None, freeze_patch_embedding=False
    )
    cfg.temporal = None
    cfg.similarity.width = cfg.generator.denoiser.width = width
    return MODELS.build(cfg).eval()


@torch.no_grad()
def build(args: argparse.Namespace) -> dict[str, float]:
    """Write the gallery; return seconds and memory."""
    model, features = build_model(args.width), Features(args)
    seconds = dict.fromkeys(('draw_s', 'weigh_and_pool_s', 'write_s', 'index_s'), 0.0)
    clock = _Clock(seconds)
    with writing_gallery(args.folder) as writer:
        for block in range(-(-args.videos // BLOCK)):
            half = features.videos(block)
            clock('draw_s')
            videos = half.to(torch.float32)
            weights = frame_weights(model, videos)
            pooled = pool_videos(videos, weights)
            clock('weigh_and_pool_s')
            tensors = dict(
                frames=half.frames, frame_mask=half.mask, frame_weights=weights, pooled=pooled
            )
            arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
            if writer.gallery is None:
                writer.create({}, layout_of(arrays))
            names = range(block * BLOCK, block * BLOCK + len(half))
            writer.add([VideoFile(f'{row:09d}.mp4', 1, 1) for row in names], arrays)
            clock('write_s')
    clock('index_s')
    sizes = {file.name: file.stat().st_size for file in args.folder.iterdir()}
    index = sum(size for name, size in sizes.items() if name.endswith('.faiss'))
    memory = dict(build_peak_mb=_memory('VmHWM'))
    return dict(seconds, disk_gb=sum(sizes.values()) / 1e9, index_gb=index / 1e9, **memory)


class _Clock:
    """Adds the time since the last call to one of several sums."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds = seconds
        self.last = time.perf_counter()

    def __call__(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] += now - self.last
        self.last = now


@torch.no_grad()
def search(args: argparse.Namespace) -> dict[str, Any]:
    """Time the steps of single queries, from a cold disk and then from memory."""
    model, features = build_model(args.width), Features(args)
    texts, targets = features.queries()
    _forget_pages(args.folder)
    start = time.perf_counter()
    gallery = Gallery(args.folder)
    figures: dict[str, Any] = dict(open_ms=1000 * (time.perf_counter() - start))
    for state in ('cold', 'warm'):
        results = [
            search_texts(model, [''], texts[row : row + 1], gallery, 10)[0]
            for row in range(args.queries)
        ]
        for step in STEPS:
            milliseconds = [1000 * result.seconds[step] for result in results]
            for quantile in (50, 95):
                value = float(np.percentile(milliseconds, quantile))
                figures[f'{state}_{step}_ms_p{quantile}'] = value
        totals = [1000 * sum(result.seconds.values()) for result in results]
        figures |= {f'{state}_ms_p{q}': float(np.percentile(totals, q)) for q in (50, 95)}
    figures['search_private_mb'] = _memory('RssAnon')
    return figures | recall(model, gallery, texts, targets, args)


def recall(
    model: DiffusionRet,
    gallery: Gallery,
    texts: TextFeatures,
    targets: list[int],
    args: argparse.Namespace,
) -> dict[str, float]:
    """Shares in percent of the best by exact WTI that the first step hands on."""
    texts = texts[: args.recall_queries]
    pooled = pool_texts(model, texts).numpy()
    found, _ = gallery.first_step.search(pooled, NUM_CANDIDATES)
    best = torch.cat(list(_exact_scores(model, gallery, texts, args)), dim=1)
    figures = {}
    for count in (1, 10, 32):
        wanted = best.topk(count, dim=1).indices.numpy()
        shares = [np.isin(row, rows).mean() for row, rows in zip(wanted, found, strict=True)]
        figures[f'recall_of_exact_top_{count}_percent'] = 100 * float(np.mean(shares))
    hits = [target in rows for target, rows in zip(targets[: len(found)], found, strict=True)]
    figures['recall_of_target_percent'] = 100 * float(np.mean(hits))
    own = best[torch.arange(len(best)), torch.tensor(targets[: len(best)])]
    first = (best > own[:, None]).sum(dim=1) == 0
    return figures | dict(target_first_by_exact_percent=100 * first.float().mean().item())


def _exact_scores(
    model: DiffusionRet, gallery: Gallery, texts: TextFeatures, args: argparse.Namespace
) -> Iterator[Tensor]:
    for start in range(0, args.videos, BLOCK):
        rows = np.arange(start, min(start + BLOCK, args.videos))
        frames, mask, weights = (
            torch.from_numpy(gallery.arrays.read(name, rows))
            for name in ('frames', 'frame_mask', 'frame_weights')
        )
        yield model.similarity.score_gallery(texts, VideoFeatures(frames, mask), weights)


def _generator(*seed: int) -> torch.Generator:
    words = np.random.SeedSequence(seed).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(words[0] >> 1))


def _memory(name: str) -> float:
    """A figure of /proc/self/status in MB; Linux alone has it."""
    status = Path('/proc/self/status').read_text()
    return int(status.split(f'{name}:')[1].split()[0]) / 1000


def _forget_pages(folder: Path) -> None:
    """Let the kernel drop what it holds of the files."""
    for file in folder.iterdir():
        handle = os.open(file, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


@stop_with_message()
def main() -> None:
    """Run; each part in a process of its own, so that its memory is its own."""
    args = parse_args()
    if args.folder.exists():
        raise SystemExit(f'{args.folder} exists; give a folder that does not.')
    figures: dict[str, Any] = dict(videos=args.videos, threads=torch.get_num_threads())
    try:
        for part in (build, search):
            with multiprocessing.get_context('spawn').Pool(1) as pool:
                figures |= pool.apply(part, (args,))
    finally:
        shutil.rmtree(args.folder, ignore_errors=True)
    print(format_figures(figures))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2))


if __name__ == '__main__':
    main()
