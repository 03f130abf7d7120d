"""Index 1,000 rendered clips and search them: `search_shapes.py CONFIG CHECKPOINT`.

The clips are scenes that the model was not trained on, each with its two twins (played backwards,
another colour or shape) beside it; the sentences are captions of 100 of them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import numpy as np

from diffusionret_mm.apis import TextVideoInferencer
from diffusionret_mm.apis.command_line import add_config_options, read_config
from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.datasets.shapes.build import DEFAULT_NUM_SCENES, render_shapes
from diffusionret_mm.datasets.shapes.clips import draw_clips
from diffusionret_mm.evaluation.tables import format_figures
from diffusionret_mm.search import Gallery
from diffusionret_mm.search.pooling import pool_texts

CLIPS_PER_SCENE = 3
TRAINING_SEED, CAPTIONS = 0, 4


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Measure indexing and search on rendered clips')
    add_config_options(parser)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--device', help='device of the model (default: a GPU if there is one)')
    parser.add_argument('--clips', type=int, default=1000)
    parser.add_argument('--sentences', type=int, default=100)
    parser.add_argument('--seed', type=int, default=1, help='seed of clips and sentences; not 0')
    parser.add_argument('--workers', type=int, help='decoding processes (default: one per core)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures to this file')
    return parser.parse_args()


def render(args: argparse.Namespace, folder: Path) -> list[tuple[str, list[str]]]:
    """Render clips; return file and captions of those whose captions no training clip has."""
    scenes = dict(train=1, val=1, test=-(-args.clips // CLIPS_PER_SCENE))
    render_shapes(folder, seed=args.seed, num_scenes=scenes, captions_per_video=CAPTIONS)
    trained = draw_clips(TRAINING_SEED, DEFAULT_NUM_SCENES, CAPTIONS)['train']
    known = {caption for clip in trained for caption in clip.captions}
    clips = json.loads((folder / 'test.json').read_text(encoding='utf-8'))[: args.clips]
    return [
        (str(folder / clip['video']), [] if known & {*clip['captions']} else clip['captions'])
        for clip in clips
    ]


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Index, search, and count."""
    named = dict(device=args.device, num_workers=args.workers)
    inferencer = TextVideoInferencer(read_config(args), args.checkpoint, **named)
    clips = render(args, (folder / 'shapes').resolve())
    start = time.perf_counter()
    gallery = inferencer.index([path for path, _ in clips], folder / 'gallery')
    indexing = time.perf_counter() - start
    held_out = [clip for clip in clips if clip[1]]
    rng = np.random.default_rng(args.seed)
    chosen = rng.choice(len(held_out), args.sentences, replace=False)
    queries = [(held_out[row][0], str(rng.choice(held_out[row][1]))) for row in chosen]
    inferencer.search('warm up', gallery)
    ranks, seconds = [], []
    for path, sentence in queries:
        start = time.perf_counter()
        hits = inferencer.search(sentence, gallery, args.clips).hits
        seconds.append(time.perf_counter() - start)
        ranks.append(next(hit.rank for hit in hits if hit.video == path))
    return dict(
        clips=len(gallery),
        sentences=len(queries),
        indexing_s=indexing,
        clips_per_s=len(gallery) / indexing,
        **{f'in_top_{k}_percent': 100 * np.mean(np.array(ranks) <= k) for k in (1, 5, 10)},
        pooled_in_top_100_percent=pooled_recall(inferencer, gallery, queries, 100),
        query_ms_p50=1000 * statistics.median(seconds),
        query_ms_p95=1000 * float(np.percentile(seconds, 95)),
    )


def pooled_recall(
    inferencer: TextVideoInferencer, gallery: Gallery, queries: list[tuple[str, str]], count: int
) -> float:
    """Share in percent of the right clips among the nearest pooled vectors."""
    texts = inferencer.encode_text([sentence for _, sentence in queries])
    pooled = pool_texts(inferencer.model, texts).cpu().numpy()
    found = gallery.latest().candidates(pooled, count)
    hits = [
        path in {span.path for span in candidates.spans}
        for (path, _), candidates in zip(queries, found, strict=True)
    ]
    return 100 * float(np.mean(hits))


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    folder = Path(tempfile.mkdtemp(prefix='search_shapes_'))
    try:
        figures = measure(args, folder)
    finally:
        shutil.rmtree(folder)
    print(format_figures(figures))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2))


if __name__ == '__main__':
    main()
