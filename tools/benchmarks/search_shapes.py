"""Index 1,000 rendered clips and search them: `search_shapes.py CONFIG CHECKPOINT`.

The clips are scenes that the model was not trained on, each with its two twins (played backwards,
another colour or shape) beside it; the sentences are captions of 100 of them. With `--unanswered N`
as many further sentences are searched whose clips are left out of the gallery, their twins are not.
With `--test-split` the clips are those of the config's test split, and nothing is rendered.
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
import torch
from mmaction.registry import DATASETS
from mmengine.config import Config

from diffusionret_mm.apis import TextVideoInferencer
from diffusionret_mm.apis.command_line import add_config_options, read_config
from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.datasets.shapes.build import DEFAULT_NUM_SCENES, render_shapes
from diffusionret_mm.datasets.shapes.clips import draw_clips
from diffusionret_mm.evaluation.confidence import Matches, auroc, match_metrics
from diffusionret_mm.evaluation.tables import format_figures
from diffusionret_mm.search import Gallery, SearchResult
from diffusionret_mm.search.pooling import pool_texts

CLIPS_PER_SCENE = 3
TRAINING_SEED, CAPTIONS = 0, 4


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Measure indexing and search on rendered clips')
    add_config_options(parser)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--device', help='device of the model (default: a GPU if there is one)')
    parser.add_argument('--clips', type=int, default=1000, help='clips that are rendered')
    parser.add_argument(
        '--test-split', action='store_true', help="take the config's test split; render nothing"
    )
    parser.add_argument('--sentences', type=int, default=100)
    parser.add_argument(
        '--unanswered', type=int, default=0, help='sentences whose clips the gallery does not have'
    )
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


def test_clips(cfg: Config) -> list[tuple[str, list[str]]]:
    """Return file and captions of the clips of the config's test split."""
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    infos = [dataset.get_data_info(row) for row in range(len(dataset))]
    return [(info['filename'], info['captions']) for info in infos]


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Index, search, and count."""
    named = dict(device=args.device, num_workers=args.workers)
    cfg = read_config(args)
    inferencer = TextVideoInferencer(cfg, args.checkpoint, **named)
    clips = test_clips(cfg) if args.test_split else render(args, (folder / 'shapes').resolve())
    queries = draw_queries(args, clips)
    answered, unanswered = queries[: args.sentences], queries[args.sentences :]
    left_out = {path for path, _ in unanswered}
    start = time.perf_counter()
    kept = [path for path, _ in clips if path not in left_out]
    gallery = inferencer.index(kept, folder / 'gallery')
    indexing = time.perf_counter() - start
    inferencer.search('warm up', gallery)
    found, seconds = [], []
    for _, sentence in answered:
        start = time.perf_counter()
        found.append(inferencer.search(sentence, gallery, len(gallery)))
        seconds.append(time.perf_counter() - start)
    without = [inferencer.search(sentence, gallery, len(gallery)) for _, sentence in unanswered]
    return dict(
        clips=len(gallery),
        sentences=len(answered),
        indexing_s=indexing,
        clips_per_s=len(gallery) / indexing,
        **recalls([path for path, _ in answered], found),
        pooled_in_top_100_percent=pooled_recall(inferencer, gallery, answered, 100),
        query_ms_p50=1000 * statistics.median(seconds),
        query_ms_p95=1000 * float(np.percentile(seconds, 95)),
        **no_match(found, without),
    )


def draw_queries(
    args: argparse.Namespace, clips: list[tuple[str, list[str]]]
) -> list[tuple[str, str]]:
    """Draw clips and a caption of each: first those that are to be found, then the others."""
    held_out = [clip for clip in clips if clip[1]]
    rng = np.random.default_rng(args.seed)
    rows = rng.choice(len(held_out), args.sentences + args.unanswered, replace=False)
    return [(held_out[row][0], str(rng.choice(held_out[row][1]))) for row in rows]


def recalls(paths: list[str], found: list[SearchResult]) -> dict[str, float]:
    """How often the right clip is among the first, in percent, and by the similarity alone."""
    ranks, before = [], []
    for path, result in zip(paths, found, strict=True):
        own = next(hit for hit in result.hits if hit.video == path)
        ranks.append(own.rank)
        before.append(1 + sum(hit.similarity > own.similarity for hit in result.hits))
    share = {f'in_top_{k}_percent': 100 * np.mean(np.array(ranks) <= k) for k in (1, 5, 10)}
    return dict(share, similarity_in_top_1_percent=100 * np.mean(np.array(before) == 1))


def no_match(found: list[SearchResult], without: list[SearchResult]) -> dict[str, float]:
    """How well sentences with and without an answer are told apart, in percent."""
    if not without:
        return {}
    largest = [
        torch.tensor([max(hit.similarity for hit in result.hits) for result in results])
        for results in (found, without)
    ]
    figures = dict(
        unanswered_sentences=len(without), similarity_no_match_auroc_percent=auroc(*largest)
    )
    if found[0].confidence is None:
        return figures
    matches = Matches(
        *(torch.tensor([result.confidence for result in results]) for results in (found, without))
    )
    measured = match_metrics(matches, is_probability=True)
    return dict(
        figures,
        no_match_auroc_percent=measured['NM-AUROC'],
        no_match_ece_percent=measured['NM-ECE'],
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
