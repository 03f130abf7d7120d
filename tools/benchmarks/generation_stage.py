"""An epoch of stage two with cached features against one without.

python tools/benchmarks/generation_stage.py --sizes vit-b32

The model has random weights; the videos are clips that the project renders. Both kinds of epoch run
in one process, in turn, from the same weights and seed, and must have the same losses.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import torch
from measuring import RowCount
from mmaction.registry import DATASETS, MODELS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader

from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.datasets.samplers import GroupSampler
from diffusionret_mm.engine.memory import peak_memory
from diffusionret_mm.evaluation.tables import format_figures
from diffusionret_mm.features import (
    WholeVideos,
    cache_features,
    cached_loader,
    open_or_build,
)

CONFIGS = Path(__file__).parents[2] / 'configs'
# Config, videos and batch size; ViT-B/32 is cut to what two cores encode in a minute.
SIZES = {
    'shapes': ('diffusionret_shapes.py', 384, 64),
    'vit-b32': ('diffusionret_msrvtt.py', 48, 24),
}
TOLERANCE = dict(rtol=1e-6, atol=1e-5)


def parse_args(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line, or other words in its place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--sizes', choices=SIZES, default='shapes', help='sizes of the model')
    parser.add_argument('--videos', type=int, help='number of videos, a multiple of 3')
    parser.add_argument('--batch-size', type=int, help='videos per batch')
    parser.add_argument('--repeats', type=int, default=3, help='epochs of each kind')
    parser.add_argument('--workers', type=int, default=0, help='loader processes')
    parser.add_argument('--device', default='cpu', help='device of the model: cpu or cuda')
    parser.add_argument('--json', type=Path, metavar='FILE', help='file for the figures')
    args = parser.parse_args(words)
    _, videos, batch_size = SIZES[args.sizes]
    args.videos = args.videos or videos
    args.batch_size = args.batch_size or batch_size
    return args


def build_model(cfg: Config, device: str) -> torch.nn.Module:
    """Build the model of a config in stage two, with random weights."""
    torch.manual_seed(0)
    cfg.model.backbone.pretrained = None
    return MODELS.build(cfg.model).to(device).train()


def build_loader(cfg: Config, folder: Path, args: argparse.Namespace) -> DataLoader:
    """Render videos and read them as training does, with the frames of the config's tests."""
    dataset = DATASETS.build(
        dict(
            type='ShapesDataset',
            data_root=str(folder / 'shapes'),
            num_scenes=dict(train=args.videos // 3, val=1, test=1),
            captions_per_video=1,
            pipeline=cfg.test_dataloader.dataset.pipeline,
        )
    )
    return DataLoader(
        dataset,
        batch_size=args.batch_size,
        sampler=GroupSampler(dataset, shuffle=True, seed=0),
        num_workers=args.workers,
        drop_last=True,
        collate_fn=pseudo_collate,
    )


def build_cached(
    model: torch.nn.Module, loader: DataLoader, folder: Path, args: argparse.Namespace
) -> DataLoader:
    """Encode the videos and all their captions once."""

    def fill(writer: object) -> None:
        videos = WholeVideos(loader.dataset)
        cache_features(writer, model, videos, batch_size=32, num_workers=args.workers, log=print)

    return cached_loader(loader, open_or_build(folder / 'cache', {}, fill, print))


def epoch(model: torch.nn.Module, loader: DataLoader, start: dict) -> tuple[float, list[float]]:
    """Train the generators for an epoch.

    Args:
        model: the model.
        loader: gives frames and ids, or cached features.
        start: weights that the generators start from.

    Returns:
        Seconds, and the loss of each iteration.
    """
    model.generators.load_state_dict(start)
    optimizer = torch.optim.AdamW(model.generators.parameters(), lr=1e-4)
    torch.manual_seed(0)
    losses = []
    begin = time.perf_counter()
    for batch in loader:
        loss = sum(model(**model.data_preprocessor(batch, True), mode='loss').values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return time.perf_counter() - begin, losses


def alternate(
    model: torch.nn.Module, loader: DataLoader, cached: DataLoader, repeats: int
) -> tuple[dict[str, list[float]], dict[str, list[float]], dict[str, int]]:
    """Run epochs 'without' and 'with' cache in turn.

    Returns:
        By kind: seconds of each epoch, losses of each iteration, images that an epoch encodes.
    """
    start = {name: value.clone() for name, value in model.generators.state_dict().items()}
    seconds, losses, images = {'without': [], 'with': []}, {}, {}
    count = RowCount(model.backbone.clip.visual)
    for _ in range(repeats):
        for kind, data in (('without', loader), ('with', cached)):
            taken, losses[kind] = epoch(model, data, start)
            seconds[kind].append(taken)
            images[kind] = count.take()
            print(f'{kind} cache: {taken:.2f} s', flush=True)
    return seconds, losses, images


def measure(args: argparse.Namespace, folder: Path) -> dict:
    """Run both kinds of epoch in turn.

    Returns:
        The figures.

    Raises:
        SystemExit: if their losses differ.
    """
    cfg = Config.fromfile(CONFIGS / SIZES[args.sizes][0])
    model, loader = build_model(cfg, args.device), build_loader(cfg, folder, args)
    begin = time.perf_counter()
    cached = build_cached(model, loader, folder, args)
    build_s = time.perf_counter() - begin
    seconds, losses, images = alternate(model, loader, cached, args.repeats)
    found, wanted = torch.tensor(losses['with']), torch.tensor(losses['without'])
    difference = (found - wanted).abs().max().item()
    if not torch.allclose(found, wanted, **TOLERANCE):
        raise SystemExit(f'The losses differ by up to {difference:.2e}: {found} and {wanted}.')
    published_s, ours_s = (statistics.median(seconds[kind]) for kind in ('without', 'with'))
    return dict(
        published_s=published_s,
        ours_s=ours_s,
        ratio=published_s / ours_s,
        max_abs_diff=difference,
        build_s=build_s,
        cache_mb=sum(file.stat().st_size for file in (folder / 'cache').iterdir()) / 1e6,
        peak_rss_mb=peak_memory() / 1e6,
        sizes=args.sizes,
        videos=args.videos,
        batch_size=args.batch_size,
        batches=len(loader),
        images_without=images['without'],
        images_with=images['with'],
        device=args.device,
        repeats=args.repeats,
    )


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    with DefaultScope.overwrite_default_scope('mmaction'), tempfile.TemporaryDirectory() as folder:
        figures = measure(args, Path(folder))
    print(format_figures(figures))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
