"""Build a gallery of random features and search it: tools/benchmarks/gallery.py --folder DIR.

Half of the spans are near-duplicates of others; `gallery_features.py` says how they are drawn. The
answers are compared with those of exact WTI over all spans. The same queries go to FAISS, which
`pip install faiss-cpu` installs: all pooled vectors compared, then exact WTI; and, over the first
spans, to Lance's own MaxSim. The model has random weights. The default million spans take 30 GB in
DIR while fragments are written together; DIR must not exist and is deleted afterwards.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import numpy as np
import torch
from gallery_features import BLOCK, KINDS, Features, Sizes
from gallery_rivals import import_faiss, search_by_faiss, search_by_max_sim
from gallery_tables import format_result
from measuring import Clock, forget_pages, memory_mb, quantiles, size_gb, timed
from mmaction.registry import MODELS
from mmengine.config import Config

from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.models.retrievers import DiffusionRet
from diffusionret_mm.search import (
    Facts,
    Gallery,
    GalleryWriter,
    Libraries,
    Span,
    VideoFile,
    layout_of,
    maintain,
    search_texts,
)
from diffusionret_mm.search.pooling import pool_texts, pool_videos
from diffusionret_mm.search.steps import score_candidates
from diffusionret_mm.search.vector_index import SEGMENT_ROWS
from diffusionret_mm.search.writing import COMMIT_ROWS
from diffusionret_mm.structures import TextFeatures

CONFIG = Path(__file__).parents[2] / 'configs/diffusionret_msrvtt.py'
BEST = 32
STEPS = ('pooled', 'similarity', 'generator')
LENGTHS = (64, 128, 256, 512, 1000)
WARM_PASSES = 3


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Measure a large gallery of random features',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add_options(parser, spans=1_000_000)
    parser.add_argument(
        '--max-sim-spans', type=int, default=BLOCK, help="spans that Lance's MaxSim searches"
    )
    return parser.parse_args()


def add_options(parser: argparse.ArgumentParser, spans: int) -> None:
    """Add what says how large a gallery is, and where it and its figures are written."""
    parser.add_argument('--folder', type=Path, required=True, help='folder to build in')
    parser.add_argument('--spans', type=int, default=spans)
    parser.add_argument('--frames', type=int, default=12)
    parser.add_argument('--width', type=int, default=512)
    parser.add_argument('--topics', type=int, default=1000)
    parser.add_argument('--words', type=int, default=12, help='words per query')
    parser.add_argument('--queries', type=int, default=12, help='queries of each kind')
    parser.add_argument('--int8', action='store_true', help='keep frames in 8 bits')
    parser.add_argument(
        '--segment-rows', type=int, default=SEGMENT_ROWS, help='spans per segment of the index'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures to this file')


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


def sizes_of(args: argparse.Namespace) -> Sizes:
    """Sizes that the arguments ask for."""
    return Sizes(args.spans, args.frames, args.width, args.topics, args.words)


def draw_queries(args: argparse.Namespace) -> TextFeatures:
    """Queries of all kinds, one kind after another."""
    features = Features(sizes_of(args))
    return TextFeatures.cat([features.queries(kind, args.queries)[0] for kind in KINDS])


@torch.no_grad()
def build(args: argparse.Namespace) -> dict[str, float]:
    """Write the gallery; return seconds, memory and sizes."""
    features = Features(sizes_of(args))
    clock = Clock('draw_s', 'write_s', 'maintain_s')
    gallery = None
    for block in features.sizes.blocks:
        videos, weights = features.block(block)
        pooled = pool_videos(videos.to(torch.float32), weights)
        tensors = dict(frames=videos.frames, mask=videos.mask, frame_weights=weights, pooled=pooled)
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        clock('draw_s')
        if gallery is None:
            libraries = Libraries({'random': str(args.folder)})
            gallery = Gallery.create(
                args.folder, Facts({}, layout_of(arrays), int8=args.int8), libraries
            )
        first = block * BLOCK
        with GalleryWriter(gallery) as writer:
            writer.add([_span(row) for row in range(first, first + len(videos))], arrays)
        clock('write_s')
    maintain(gallery, timedelta(0), args.segment_rows)
    clock('maintain_s')
    return dict(clock.seconds, build_peak_mb=memory_mb('VmHWM'))


@torch.no_grad()
def find_exactly(args: argparse.Namespace) -> tuple[dict[str, float], np.ndarray, np.ndarray]:
    """Score all spans by exact WTI; return seconds, and rows and scores of the best, [q, BEST]."""
    model, features, texts = build_model(args.width), Features(sizes_of(args)), draw_queries(args)
    scores, rows = torch.empty(len(texts), 0), torch.empty(len(texts), 0, dtype=torch.int64)
    clock = Clock('draw_s', 'exact_s')
    for block in features.sizes.blocks:
        videos, weights = features.block(block)
        clock('draw_s')
        found = model.similarity.score_gallery(texts, videos, weights)
        places = torch.arange(len(videos)).expand(len(texts), -1) + block * BLOCK
        scores, rows = torch.cat([scores, found], dim=1), torch.cat([rows, places], dim=1)
        scores, best = scores.topk(min(BEST, scores.shape[1]), dim=1)
        rows = rows.gather(1, best)
        clock('exact_s')
    return dict(exact_s=clock.seconds['exact_s']), rows.numpy(), scores.numpy()


@torch.no_grad()
def search(args: argparse.Namespace, best: np.ndarray) -> dict[str, Any]:
    """Time the steps of single queries, from a cold disk and then from memory."""
    model, texts = build_model(args.width), draw_queries(args)
    figures: dict[str, Any] = dict(disk_gb=size_gb(args.folder))
    indices = args.folder / 'spans.lance' / '_indices'
    figures['index_gb'] = size_gb(indices)
    for passes, state in ((1, 'cold'), (WARM_PASSES, 'warm')):
        if state == 'cold':
            forget_pages(args.folder)
            start = time.perf_counter()
            gallery = Gallery(args.folder)
            figures['open_ms'] = 1000 * (time.perf_counter() - start)
        results = [
            search_texts(model, [''], texts[row : row + 1], gallery, BEST)[0]
            for _ in range(passes)
            for row in range(len(texts))
        ]
        for step in (*STEPS, 'query'):
            of_step = [result.seconds.get(step, sum(result.seconds.values())) for result in results]
            figures |= quantiles(f'{state}_{step}', of_step)
    figures['search_private_mb'] = memory_mb('RssAnon')
    figures['lookup_ms'] = look_up(gallery)
    found = [[row_of(hit.video) for hit in result.hits] for result in results[: len(texts)]]
    figures['recall'] = recalls(found, best)
    figures['lengths'] = {str(n): try_length(model, texts, gallery, n, best) for n in LENGTHS}
    return figures


def look_up(gallery: Gallery) -> float:
    """Milliseconds to find the rows of a commit's files, as each commit does; the best of 5."""
    dataset = gallery.spans.open()
    paths = np.random.default_rng(0).choice(len(gallery), COMMIT_ROWS).tolist()
    names = ', '.join(f"'{row:09d}.mp4'" for row in paths)
    where = f"library = 'random' AND path IN ({names})"
    return 1000 * min(timed(lambda: dataset.count_rows(where), 'cpu')[0] for _ in range(5))


def try_length(
    model: DiffusionRet, texts: TextFeatures, gallery: Gallery, length: int, best: np.ndarray
) -> dict[str, Any]:
    """Take so many candidates from step 1 to step 2; return warm times and recalls."""
    pooled, snapshot = pool_texts(model, texts).numpy(), gallery.latest()
    for _ in range(2):  # the first pass warms up
        found, seconds = [], {'pooled': [], 'similarity': []}
        for row in range(len(texts)):
            times = [time.perf_counter()]
            (candidates,) = snapshot.candidates(pooled[row : row + 1], length)
            times.append(time.perf_counter())
            text = texts[row : row + 1]
            _, scores = score_candidates(model, text, snapshot, candidates.rows)
            times.append(time.perf_counter())
            places = scores.topk(min(BEST, len(scores))).indices.tolist()
            found.append([row_of(span.path) for span in candidates.at(places)])
            for step, value in zip(seconds, np.diff(times).tolist(), strict=True):
                seconds[step].append(value)
    figures = dict(recall=recalls(found, best))
    for step, values in seconds.items():
        figures |= quantiles(step, values)
    return figures


@torch.no_grad()
def search_rivals(args: argparse.Namespace, best: np.ndarray) -> dict[str, Any]:
    """Send the queries to FAISS with exact WTI, and to Lance's MaxSim over the first spans."""
    model, texts = build_model(args.width), draw_queries(args)
    figures, found = search_by_faiss(model, texts, Gallery(args.folder), BEST)
    figures = dict(faiss=dict(figures, recall=recalls(found, best)))
    count = min(args.max_sim_spans, args.spans, BLOCK)
    if count:
        videos, weights = Features(sizes_of(args)).block(0)
        videos, weights = videos[:count], weights[:count]
        scores = model.similarity.score_gallery(texts, videos, weights)
        exact = scores.topk(min(BEST, count), dim=1).indices.numpy()
        folder = args.folder / 'max_sim.lance'
        measured, found = search_by_max_sim(texts, videos, folder, BEST)
        figures['max_sim'] = dict(measured, spans=count, recall=recalls(found, exact))
    return figures


def recalls(found: list[list[int]], best: np.ndarray) -> dict[str, float]:
    """Share in percent of the best rows that were found, by kind of query."""
    shares = [np.isin(wanted, rows).mean() for wanted, rows in zip(best, found, strict=True)]
    by_kind = np.array(shares).reshape(len(KINDS), -1).mean(axis=1)
    return {kind: 100 * float(share) for kind, share in zip(KINDS, by_kind, strict=True)}


def _span(row: int) -> Span:
    return Span(VideoFile('random', f'{row:09d}.mp4', 1, 1), 0.0, 0.0)


def row_of(path: str) -> int:
    """The row of a span, from the path of its video."""
    return int(Path(path).stem)


def in_own_process(part: Any, *args: Any) -> Any:
    """Run a part in a process of its own, so that its memory is its own."""
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        return pool.apply(part, args)


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    if args.folder.exists():
        raise ValueError(f'{args.folder} exists; give a folder that does not.')
    import_faiss()  # before hours of work
    figures: dict[str, Any] = dict(
        spans=args.spans, int8=args.int8, threads=torch.get_num_threads()
    )
    try:
        figures |= in_own_process(build, args)
        seconds, best, _ = in_own_process(find_exactly, args)
        figures |= seconds
        for part in (search, search_rivals):
            figures |= in_own_process(part, args, best)
    finally:
        shutil.rmtree(args.folder, ignore_errors=True)
    print(format_result(figures))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2))


if __name__ == '__main__':
    main()
