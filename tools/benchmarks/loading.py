"""Time loading videos with decoding and with stored frames: `python tools/benchmarks/loading.py`.

It renders clips, loads all of them in turn both ways, checks that the tensors are the same, and
counts how often a video is decoded in an evaluation with several captions per video.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmaction.registry import DATASETS
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader

import diffusionret_mm  # noqa: F401  registers the data set and its transforms
from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.datasets.preparation import check_dataset, frame_transforms, store_frames
from diffusionret_mm.datasets.text_video import TextVideoDataset
from diffusionret_mm.evaluation.tables import Column, format_table, label

FRAME_RATE = 25
CAPTIONS_PER_VIDEO = 5


def parse_args() -> argparse.Namespace:
    """Read the command line.

    Returns:
        The options.
    """
    parser = argparse.ArgumentParser(
        description='Time one epoch of loading with decoding and with stored frames.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--videos', type=int, default=500, help='number of clips')
    parser.add_argument('--seconds', type=float, default=4, help='length of a clip')
    parser.add_argument('--video-size', type=int, nargs=2, default=(320, 240), help='in pixels')
    parser.add_argument('--frames', type=int, default=12, help='frames taken of a clip')
    parser.add_argument('--size', type=int, default=224, help='side of a frame in pixels')
    parser.add_argument('--workers', type=int, default=0, help='processes that load; 0: this one')
    parser.add_argument('--repeats', type=int, default=5, help='epochs of each kind')
    parser.add_argument('--cache', type=Path, help='folder that keeps the clips (None: temporary)')
    parser.add_argument('--json', type=Path, help='file to write the figures into')
    return parser.parse_args()


@stop_with_message()
def main() -> None:
    """Measure, print a table and write the figures."""
    args = parse_args()
    if args.cache is not None:
        figures = measure(args, args.cache)
    else:
        with tempfile.TemporaryDirectory() as folder:
            figures = measure(args, Path(folder))
    rows = []
    for kind in ('decoding', 'stored'):
        times = figures[f'{kind}_all_s']
        median = statistics.median(times)
        rows.append((kind, median, min(times), max(times), figures['num_videos'] / median))
    columns = [Column(f'{name} s', number='.3f') for name in ('median', 'min', 'max')]
    print(format_table([label('loading'), *columns, Column('videos/s', number='.1f')], rows))
    print(f'stored frames are {figures["ratio"]:.1f} times as fast; all tensors are equal')
    print(f'{figures["videos_mb"]:.1f} MB of videos, {figures["frames_mb"]:.1f} MB of frames')
    print(
        f'an evaluation with {figures["num_captions"]} captions of {figures["num_videos"]} videos '
        f'decoded {figures["num_decoded"]} times'
    )
    if args.json is not None:
        args.json.write_text(json.dumps(figures, indent=1) + '\n', encoding='utf-8')


def measure(args: argparse.Namespace, root: Path) -> dict[str, Any]:
    """Return the figures.

    Args:
        args: the options.
        root: folder for the clips and the stored frames.
    """
    render_clips(root, args.videos, round(args.seconds * FRAME_RATE), tuple(args.video_size))
    preparation = check_dataset('json', root, root / 'videos', root / 'manifest.json')
    decode = frame_transforms(args.frames, args.size)
    store = root / f'frames_{args.frames}_{args.size}'
    start = time.perf_counter()
    print(store_frames(preparation, store, decode))
    store_seconds = time.perf_counter() - start
    load = [dict(type='LoadStoredFrames', store=str(store), transforms=decode)]
    with DefaultScope.overwrite_default_scope('mmaction'):
        decoding, stored = build_dataset(root, decode), build_dataset(root, load)
    num_decoded = check_equal(decoding, stored)
    times: dict[str, list[float]] = {'decoding': [], 'stored': []}
    for _ in range(args.repeats):
        times['decoding'].append(time_epoch(decoding, args.workers))
        times['stored'].append(time_epoch(stored, args.workers))
    medians = {kind: statistics.median(values) for kind, values in times.items()}
    return {
        'decoding_s': medians['decoding'],
        'stored_s': medians['stored'],
        'ratio': medians['decoding'] / medians['stored'],
        'decoding_all_s': times['decoding'],
        'stored_all_s': times['stored'],
        'store_s': store_seconds,
        'videos_mb': sum(file.stat().st_size for file in (root / 'videos').iterdir()) / 1e6,
        'frames_mb': (store / 'frames.npy').stat().st_size / 1e6,
        'num_videos': len(decoding),
        'num_captions': sum(len(info['captions']) for info in _infos(decoding)),
        'num_decoded': num_decoded,
        'options': {
            key: value for key, value in vars(args).items() if key not in ('cache', 'json')
        },
    }


def render_clips(root: Path, number: int, num_frames: int, size: tuple[int, int]) -> None:
    """Write clips of moving noise and their list, unless they are there.

    Args:
        root: folder to write into.
        number: number of clips.
        num_frames: number of frames of a clip.
        size: width and height in pixels.
    """
    (root / 'videos').mkdir(parents=True, exist_ok=True)
    width, height = size
    entries = []
    for index in range(number):
        name = f'{index}_{num_frames}_{width}x{height}.mp4'
        captions = [f'clip {index} seen for the time {time}' for time in range(CAPTIONS_PER_VIDEO)]
        entries.append(dict(video_id=f'clip{index}', video=name, captions=captions))
        if (root / 'videos' / name).is_file():
            continue
        coarse = np.random.default_rng(index).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        scene = cv2.resize(coarse, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)
        path = root / 'videos' / f'.{name}.mp4'
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), FRAME_RATE, size)
        for frame in range(num_frames):
            left, top = (side * frame // num_frames for side in size)
            writer.write(np.ascontiguousarray(scene[top : top + height, left : left + width]))
        writer.release()
        path.replace(root / 'videos' / name)
    (root / 'test.json').write_text(json.dumps(entries), encoding='utf-8')


def build_dataset(root: Path, load_frames: list[dict[str, Any]]) -> TextVideoDataset:
    """Return the data set of the clips as an evaluation reads it.

    Args:
        root: folder of the clips.
        load_frames: the first transforms of the pipeline.
    """
    rest = [dict(type='TokenizeCaptions'), dict(type='PackTextVideoInputs')]
    return DATASETS.build(
        dict(
            type='TextVideoDataset',
            data_root=str(root / 'videos'),
            ann_file=str((root / 'test.json').resolve()),
            pipeline=[*load_frames, *rest],
            test_mode=True,
        )
    )


def check_equal(decoding: TextVideoDataset, stored: TextVideoDataset) -> int:
    """Compare all items, and return how often a video was decoded for them.

    Args:
        decoding: the data set that decodes.
        stored: the same one with stored frames.

    Raises:
        AssertionError: if a tensor differs.
    """
    for index in range(len(decoding)):
        one, other = decoding[index]['inputs'], stored[index]['inputs']
        for key, value in one.items():
            if not value.equal(other[key]):
                raise AssertionError(f'{key} of item {index} is not what was stored.')
    return sum(decoding.pipeline.transforms[0].reads.values())


def time_epoch(dataset: TextVideoDataset, workers: int) -> float:
    """Return the seconds that loading all items once takes.

    Args:
        dataset: what to load.
        workers: number of processes; 0: this one.
    """
    loader = DataLoader(dataset, batch_size=16, num_workers=workers, collate_fn=list)
    start = time.perf_counter()
    num_items = sum(len(batch) for batch in loader)
    seconds = time.perf_counter() - start
    if num_items != len(dataset):
        raise AssertionError(f'{num_items} items were loaded, not {len(dataset)}.')
    return seconds


def _infos(dataset: TextVideoDataset) -> list[dict[str, Any]]:
    return [dataset.get_data_info(index) for index in range(len(dataset))]


if __name__ == '__main__':
    main()
