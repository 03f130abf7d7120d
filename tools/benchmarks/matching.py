"""Time the matching of texts and videos against the published procedure.

`python tools/benchmarks/matching.py --texts 1000 --videos 1000`; other second stages beside it:
`--second-stages published listwise token_diffusion`
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import torch
from measuring import forget_peak_memory, machine_rate, timed
from mmaction.registry import MODELS
from published_matching import published_matching
from torch import Tensor

from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.engine.memory import peak_memory
from diffusionret_mm.evaluation.tables import Column, format_table, label
from diffusionret_mm.features.scoring import similarity_matrix
from diffusionret_mm.models.generators import DIRECTIONS
from diffusionret_mm.models.retrievers import DiffusionRet
from diffusionret_mm.structures import TextFeatures, VideoFeatures

SHARE_FULL = 0.8  # videos with all frames
TIED = 1e-6
SECOND_STAGES = ('published', 'listwise', 'token_diffusion')

Matrices = tuple[Tensor, Tensor, Tensor]


def parse_args(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line, or other words in its place."""
    parser = argparse.ArgumentParser(
        description='Time matching: similarity and re-ranking in both directions',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--texts', type=int, default=1000)
    parser.add_argument('--videos', type=int, default=1000)
    parser.add_argument('--words', type=int, default=32, help='tokens per text, with padding')
    parser.add_argument(
        '--mean-words', type=float, default=11.0, help='real tokens per text; MSR-VTT has about 11'
    )
    parser.add_argument('--frames', type=int, default=12, help='frames per video, with padding')
    parser.add_argument('--width', type=int, default=512)
    parser.add_argument('--steps', type=int, default=50, help='denoising steps')
    parser.add_argument('--candidates', type=int, default=32, help='candidates per query')
    parser.add_argument('--full-length', action='store_true', help='no padding: the worst case')
    parser.add_argument(
        '--second-stages',
        nargs='+',
        choices=SECOND_STAGES,
        default=['published'],
        help='what re-ranks; the published side runs beside the published one alone',
    )
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--only-ours', action='store_true', help='leave the published side out')
    parser.add_argument('--growth', action='store_true', help='measure our side at several sizes')
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--json', type=Path, help='file to write the figures into')
    parser.set_defaults(second_stage='published')  # that of one measurement
    return parser.parse_args(words)


def second_stage(args: argparse.Namespace) -> dict[str, Any]:
    """The options of a model with the second stage of this measurement."""
    diffusion = dict(
        type='DiffusionGenerator', num_train_steps=args.steps, num_sample_steps=args.steps
    )
    if args.second_stage == 'published':
        attention = dict(type='TextFrameAttentionHead', masking='after_softmax')
        denoiser = dict(type='QueryCandidateDenoiser', width=args.width)
        return dict(generator=dict(diffusion, attention=attention, denoiser=denoiser))
    generator = dict(type='ListwiseReranker')
    if args.second_stage == 'token_diffusion':
        generator = dict(diffusion, denoiser=dict(type='CandidateListDenoiser'))
    encoder = dict(type='TokenPairEncoder', width=args.width)
    return dict(generator=dict(generator, encoder=encoder), negatives='sampled_gallery')


def build_model(args: argparse.Namespace) -> DiffusionRet:
    """A model with random weights in the published protocol; its towers are not used."""
    torch.manual_seed(0)
    width = args.width
    arch = dict(
        embed_dim=width,
        vision_cfg=dict(image_size=32, patch_size=16, width=64, layers=1, head_width=64),
        text_cfg=dict(context_length=16, width=width, heads=width // 64, layers=1),
    )
    cfg = dict(
        type='DiffusionRet',
        backbone=dict(type='OpenCLIPBackbone', arch=arch),
        similarity=dict(type='WeightedTokenInteraction', width=width, padding='zero'),
        loss=dict(type='KLContrastiveLoss'),
        num_candidates=min(args.candidates, args.texts, args.videos),
        **second_stage(args),
    )
    return MODELS.build(cfg).to(args.device).eval()


def draw_features(args: argparse.Namespace) -> tuple[TextFeatures, VideoFeatures]:
    """Features of CLIP's scale (norms of about 10) whose pairs resemble each other."""
    generator = torch.Generator().manual_seed(1)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    topics = normal(args.videos, args.width)
    own = torch.arange(args.texts) % args.videos
    pooled = topics[own] * 0.2 + normal(args.texts, args.width) * 0.4
    words = pooled[:, None] + normal(args.texts, args.words, args.width) * 0.3
    frames = topics[:, None] * 0.2 + normal(args.videos, args.frames, args.width) * 0.4
    count = torch.poisson(torch.full((args.texts, 1), args.mean_words - 3), generator=generator) + 3
    shown = torch.randint(1, args.frames + 1, (args.videos, 1), generator=generator)
    is_full = torch.rand(args.videos, 1, generator=generator) < SHARE_FULL
    count = count.clamp(max=args.words)
    if args.full_length:
        count, is_full = torch.full_like(count, args.words), torch.ones_like(is_full)
    shown = torch.where(is_full, args.frames, shown)
    texts = TextFeatures(words, torch.arange(args.words) < count, pooled)
    videos = VideoFeatures(frames, torch.arange(args.frames) < shown)
    return texts.to(args.device), videos.to(args.device)


@torch.no_grad()
def our_matching(
    model: DiffusionRet, texts: TextFeatures, videos: VideoFeatures, noise: dict[str, Tensor]
) -> tuple[Matrices, float]:
    """What the evaluation loop does with features, and the seconds of the similarity."""
    seconds, scores = timed(
        lambda: similarity_matrix(model, texts, videos, chunk_size=64), texts.words.device.type
    )
    t2v = model.rerank_from_noise('t2v', scores, texts, videos, noise['t2v'])
    v2t = model.rerank_from_noise('v2t', scores.t(), videos, texts, noise['v2t'])
    return (scores, t2v, v2t), seconds


def same_ranks(ours: Matrices, theirs: Matrices, own: Tensor) -> bool:
    """Whether the right candidates have the same ranks, apart from scores that nearly tie."""
    first_text = torch.arange(ours[2].shape[0], device=own.device)
    for mine, other, target in ((ours[1], theirs[1], own), (ours[2], theirs[2], first_text)):
        bounds = []
        for matrix in (mine, other):
            score = matrix.gather(1, target[:, None])
            better = (matrix > score + TIED).sum(dim=1), (matrix > score - TIED).sum(dim=1)
            bounds.append(better)
        (low, high), (other_low, other_high) = bounds
        if not ((low < other_high) & (other_low < high)).all():
            return False
    return True


@dataclass
class Runs:
    """What repeated runs gave: seconds of each, the last scores, and memory in MB.

    Args:
        before: memory before the first run.
        ours_s: seconds of our side.
        similarity_s: the seconds that the similarity takes of these.
        published_s: seconds of the published side; empty if it did not run.
        ours: scores of our side, both directions.
        theirs: scores of the published side; None if it did not run.
        our_peak: largest memory of our side alone.
    """

    before: float
    ours_s: list[float] = field(default_factory=list)
    similarity_s: list[float] = field(default_factory=list)
    published_s: list[float] = field(default_factory=list)
    ours: Any = None
    theirs: Any = None
    our_peak: float = 0.0


def run_alternately(args: argparse.Namespace, *inputs: Any) -> Runs:
    """Run both sides in turn, as often as the command line says."""
    forget_peak_memory()
    runs = Runs(before=peak_memory() / 1e6)
    for _ in range(args.repeats):
        seconds, (runs.ours, of_similarity) = timed(lambda: our_matching(*inputs), args.device)
        runs.ours_s.append(seconds)
        runs.similarity_s.append(of_similarity)
        if runs.theirs is None:  # the published side needs more
            runs.our_peak = peak_memory() / 1e6
        if not args.only_ours:
            seconds, runs.theirs = timed(lambda: published_matching(*inputs), args.device)
            runs.published_s.append(seconds)
    return runs


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run both alternately and compare what they give."""
    model = build_model(args)
    texts, videos = draw_features(args)
    count = model.num_candidates('t2v')
    noise = {
        direction: torch.randn(1, length, count).to(args.device)
        for direction, length in zip(DIRECTIONS, (len(texts), len(videos)), strict=True)
    }
    runs = run_alternately(args, model, texts, videos, noise)
    products = 2 * args.width * int(texts.mask.sum()) * int(videos.mask.sum())
    seconds = statistics.median(runs.similarity_s)
    figures = dict(
        second_stage=args.second_stage,
        sizes={name: getattr(args, name) for name in SIZES},
        full_length=args.full_length,
        real_words=int(texts.mask.sum()),
        real_frames=int(videos.mask.sum()),
        ours_s=statistics.median(runs.ours_s),
        similarity_s=seconds,
        similarity_share_of_rate=products / seconds / machine_rate(args.device),
        rss_before_mb=runs.before,
        peak_rss_mb=runs.our_peak,
    )
    return figures if runs.theirs is None else figures | compare(args, runs)


def compare(args: argparse.Namespace, runs: Runs) -> dict[str, Any]:
    """The figures of both sides together."""
    own = torch.arange(args.texts, device=args.device) % args.videos
    published = statistics.median(runs.published_s)
    pairs = zip(runs.ours, runs.theirs, strict=True)
    return dict(
        published_s=published,
        ratio=published / statistics.median(runs.ours_s),
        max_abs_diff=max(float((a - b).abs().max()) for a, b in pairs),
        same_ranks=same_ranks(runs.ours, runs.theirs, own),
    )


SIZES = ('texts', 'videos', 'words', 'frames', 'width', 'steps', 'candidates')
GROWTH = (
    dict(),
    dict(texts=2000, videos=2000),
    dict(candidates=64),
    dict(candidates=128),
    dict(steps=25),
    dict(steps=100),
    dict(frames=24),
    dict(frames=48),
)


SHOWN_SIZES = ('texts', 'videos', 'words', 'frames', 'candidates', 'steps')
COLUMNS = (
    label('second stage'),
    *(Column('K' if name == 'candidates' else name, number='') for name in SHOWN_SIZES),
    Column('published', 's', number='.2f'),
    Column('ours', 's', number='.2f'),
    Column('ratio', number='.1f'),
    Column('similarity', 's', number='.2f'),
    Column('of sgemm rate', number='.0%'),
    Column('max diff', number='.1e'),
    Column('same ranks'),
    Column('memory', 'MB', number='.0f'),
)


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print one row per measurement."""
    print(format_table(COLUMNS, [table_row(row) for row in rows]))
    print('seconds: medians; memory: growth of the peak beyond model and features')


def table_row(row: dict[str, Any]) -> list[Any]:
    """The cells of a measurement; what was measured of ours alone has dashes."""
    return [
        row['second_stage'],
        *(row['sizes'][name] for name in SHOWN_SIZES),
        row.get('published_s'),
        row['ours_s'],
        row.get('ratio'),
        row['similarity_s'],
        row['similarity_share_of_rate'],
        row.get('max_abs_diff'),
        str(row.get('same_ranks', '-')),
        row['peak_rss_mb'] - row['rss_before_mb'],
    ]


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    rows = [measure(argparse.Namespace(**vars(args) | change)) for change in measurements(args)]
    print_table(rows)
    if args.json:
        args.json.write_text(json.dumps(rows if len(rows) > 1 else rows[0], indent=1) + '\n')


def measurements(args: argparse.Namespace) -> list[dict[str, Any]]:
    """List what differs from the command line in each measurement."""
    alone = args.only_ours or args.growth
    return [
        dict(change, second_stage=name, only_ours=alone or name != 'published')
        for name in args.second_stages
        for change in (GROWTH if args.growth else (dict(),))
    ]


if __name__ == '__main__':
    main()
