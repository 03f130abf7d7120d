"""What a second stage adds to an embedding model of one vector per text and video, on shapes.

python tools/benchmarks/pooled_first_stage.py CHECKPOINT --folder work_dirs/pooled

A trained retriever of configs/diffusionret_shapes.py stands in for the embedding model: of each
text and each video one pooled vector is written as .npy, and no words or frames. The vectors are
imported as tools/import_features.py does, and second stages are trained on them with several seeds.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import numpy as np
import torch
from mmaction.registry import DATASETS
from mmengine.config import Config, DictAction

from diffusionret_mm.apis import train_retriever
from diffusionret_mm.apis.encoder import TextVideoEncoder
from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.engine.config_files import read_config_file
from diffusionret_mm.evaluation.tables import Column, format_table, label
from diffusionret_mm.features import WholeVideos
from diffusionret_mm.features.importing import Sources, import_features
from diffusionret_mm.search.pooling import frame_weights, pool_texts, pool_videos
from diffusionret_mm.storage.files import write_json

CONFIGS = Path(__file__).parents[2] / 'configs'
SPLITS = ('train', 'val', 'test')
METRICS = tuple(f'{way}/{name}' for way in ('t2v', 'v2t') for name in ('R@1', 'R@5'))
CHUNK = 512  # videos, or texts, that are encoded at a time
# The generators of DiffusionRet, and words by frames, of which there is one each.
STAGES: dict[str, dict[str, Any]] = {
    'DiffusionGenerator': {},
    'ListwiseReranker': {
        'model.generator': dict(
            _delete_=True,
            type='ListwiseReranker',
            encoder=dict(type='TokenPairEncoder', width=None),
        ),
        'model.loss.generation.scale': 1.0,
    },
}


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('checkpoint', help='of stage one of configs/diffusionret_shapes.py')
    parser.add_argument('--folder', type=Path, default=Path('work_dirs/pooled_first_stage'))
    parser.add_argument('--seeds', type=int, default=3, help='seeds 0 to N-1 of the second stage')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures to this file')
    for name, what in (('encoder', 'stage one'), ('stage', 'stage two')):
        parser.add_argument(
            f'--{name}-options',
            nargs='+',
            action=DictAction,
            metavar='KEY=VALUE',
            help=f'change the config of {what}',
        )
    return parser.parse_args()


@torch.no_grad()
def write_vectors(encoder: TextVideoEncoder, split: str, folder: Path) -> None:
    """Write one vector per text and video of a split, with ids, captions and groups.

    Args:
        encoder: the retriever that stands in for an embedding model.
        split: name of the split.
        folder: folder to make.
    """
    dataset = dict(encoder.cfg[f'{split}_dataloader'].dataset, captions_per_video=None)
    dataset.update(test_mode=True, pipeline=encoder.cfg.test_dataloader.dataset.pipeline)
    entries = WholeVideos(DATASETS.build(dataset)).entries
    files = [entry['filename'] for entry in entries]
    texts = {
        f'{entry["video_id"]}#{number}': caption
        for entry in entries
        for number, caption in enumerate(entry['captions'])
    }
    folder.mkdir(parents=True)
    model, captions = encoder.model, list(texts.values())
    videos = [encoder.encode_video(part) for part in chunks(files)]
    video_rows = [pool_videos(part, frame_weights(model, part)) for part in videos]
    text_rows = [pool_texts(model, encoder.encode_text(part)) for part in chunks(captions)]
    save(folder / 'videos', video_rows, [entry['video_id'] for entry in entries])
    save(folder / 'texts', text_rows, list(texts))
    pairs = [{key: entry[key] for key in ('video_id', 'captions', 'group')} for entry in entries]
    (folder / 'pairs.json').write_text(json.dumps(pairs))


def chunks(items: list[str]) -> list[list[str]]:
    """Cut a list into parts that are encoded at a time."""
    return [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]


def save(path: Path, rows: list[torch.Tensor], ids: list[str]) -> None:
    """Write vectors [n, D] as NAME.npy and their ids as NAME.ids.txt."""
    np.save(path.with_suffix('.npy'), torch.cat(rows).cpu().numpy())
    path.with_suffix('.ids.txt').write_text('\n'.join(ids) + '\n')


def import_vectors(args: argparse.Namespace) -> Path:
    """Write and import the vectors of all splits, unless they are there already."""
    imported = args.folder / 'features'
    missing = [split for split in SPLITS if not (imported / split).is_dir()]
    if missing:
        config = CONFIGS / 'diffusionret_shapes.py'
        encoder = TextVideoEncoder(config, args.checkpoint, cfg_options=args.encoder_options)
    for split in missing:
        write_vectors(encoder, split, args.folder / 'vectors' / split)
        sources = Sources()
        sources.add(args.folder / 'vectors' / split)
        import_features(sources, imported / split, names={}, log=print)
    return imported


def stage_config(name: str, seed: int, features: Path, args: argparse.Namespace) -> Config:
    """Return the config of a run of a second stage."""
    roots = {f'{split}_dataloader.dataset.data_root': str(features / split) for split in SPLITS}
    options = {**roots, **STAGES[name], 'randomness.seed': seed, **(args.stage_options or {})}
    cfg = read_config_file(CONFIGS / 'features/diffusionret_vectors.py', options)
    cfg.work_dir = str(args.folder / f'{name}_seed_{seed}')
    return cfg


def measure(features: Path, args: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """Train and test every second stage with every seed.

    Returns:
        The metrics of the test split of each run, by second stage.
    """
    return {
        name: [
            train_retriever(stage_config(name, seed, features, args)) for seed in range(args.seeds)
        ]
        for name in STAGES
    }


def table(runs: Mapping[str, list[dict[str, float]]]) -> str:
    """Draw R@1 and R@5 without a second stage and with each."""
    (alone, *_), *_ = runs.values()
    rows = [
        ['cosine of the vectors', *(f'{alone[f"discrimination/{key}"]:.2f}' for key in METRICS)]
    ]
    for name, found in runs.items():
        values = [[run[key] for run in found] for key in METRICS]
        rows.append([f'and {name}', *map(mean_and_spread, values)])
    return format_table([label('ranked by'), *map(Column, METRICS)], rows)


def mean_and_spread(values: list[float]) -> str:
    """Mean and standard deviation over seeds (n - 1)."""
    spread = f' ± {statistics.stdev(values):.2f}' if len(values) > 1 else ''
    return f'{statistics.fmean(values):.2f}{spread}'


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    runs = measure(import_vectors(args), args)
    print(table(runs))
    if args.json:
        write_json(args.json, runs, indent=1)


if __name__ == '__main__':
    main()
