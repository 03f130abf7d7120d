"""Recall on pure noise, by X-Pool and by the scoring published with T-MASS and TextDiff.

`python tools/benchmarks/leak.py`
"""

from __future__ import annotations

import argparse

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import torch
from mmaction.registry import MODELS
from torch import Tensor
from torch.nn import functional as F

from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.evaluation import evaluate_ranking
from diffusionret_mm.evaluation.tables import Column, format_table, label
from diffusionret_mm.models.similarity import XPool
from diffusionret_mm.structures import TextFeatures, VideoFeatures

SHOWN = ('t2v/R@1', 't2v/R@5', 'v2t/R@1')


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Recall on noise: chance, unless the scores know the answer',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--pairs', type=int, default=1000, help='number of texts, and of videos')
    parser.add_argument('--frames', type=int, default=12, help='frames per video')
    parser.add_argument('--width', type=int, default=512)
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args()


def draw_noise(args: argparse.Namespace) -> tuple[TextFeatures, VideoFeatures]:
    """Texts and videos that have nothing to do with each other."""
    generator = torch.Generator().manual_seed(args.seed)
    pooled = torch.randn(args.pairs, args.width, generator=generator)
    frames = torch.randn(args.pairs, args.frames, args.width, generator=generator)
    real = torch.ones(args.pairs, args.frames, dtype=torch.bool)
    return TextFeatures(pooled[:, None], real[:, :1], pooled), VideoFeatures(frames, real)


def published_scores(xpool: XPool, texts: TextFeatures, videos: VideoFeatures) -> Tensor:
    """Score as published: video c is pooled by caption c, whatever the text. [N, N]."""
    queries = xpool.prepare_texts(texts).queries
    own = xpool.pool(queries[:, None], xpool.prepare_videos(videos))[:, 0]
    return F.normalize(texts.pooled, dim=-1) @ F.normalize(own, dim=-1).t()


@stop_with_message()
@torch.no_grad()
def main() -> None:
    """Run."""
    args = parse_args()
    xpool = MODELS.build(dict(type='XPool', width=args.width)).eval()
    noise = draw_noise(args)
    results = {'as published': published_scores(xpool, *noise), 'XPool': xpool(*noise)}
    rows = []
    for name, scores in results.items():
        metrics = evaluate_ranking(scores, scores.t(), torch.arange(args.pairs))
        rows.append([name, *(metrics[key] for key in SHOWN)])
    columns = [label('scoring'), *(Column(key, number='.1f') for key in SHOWN)]
    print(format_table(columns, rows))
    print(f'R@k in %; chance: R@1 {100 / args.pairs:.1f}, R@5 {500 / args.pairs:.1f}')


if __name__ == '__main__':
    main()
