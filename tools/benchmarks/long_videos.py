"""Indexing of long videos: time, memory, and frames that were decoded and encoded.

`python tools/benchmarks/long_videos.py --minutes 10 60`

The videos and the encoder are those of spans.py. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
from collections.abc import Iterator
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import torch
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from measuring import RowCount, forget_peak_memory, timed
from mmaction.registry import MODELS
from mmengine.registry import init_default_scope
from spans import CONFIG, KINDS, MINUTE, render_minute, repeat

from diffusionret_mm.apis import IndexOptions, TextVideoInferencer
from diffusionret_mm.apis.backbone import follow_backbone, use_backbone
from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.datasets.video_reading import video
from diffusionret_mm.engine.config_files import read_config_file
from diffusionret_mm.engine.memory import RSS_UNIT, peak_memory
from diffusionret_mm.evaluation.tables import Column, format_table, label


def parse_args() -> argparse.Namespace:
    """Read the command line.

    Returns:
        The options.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--minutes', type=int, nargs='+', default=[10, 60], help='lengths')
    parser.add_argument('--moments', choices=KINDS, default='windows')
    parser.add_argument('--backbone', default='MobileCLIP2-S0:none', help='encoder of open_clip')
    parser.add_argument('--json', type=Path, help='file to write the figures into')
    return parser.parse_args()


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        inferencer = random_inferencer(args.backbone, folder)
        decoded = count_decoded()
        minute = render_minute(folder / 'minute.mp4')
        figures = []
        for minutes in sorted(args.minutes):  # the peak of ended processes never falls
            path = repeat(minute, folder / f'{minutes}.mp4', minutes)
            row = measure(inferencer, path, folder / f'gallery_{minutes}', args.moments, decoded)
            figures.append(dict(minutes=minutes) | row | speed(minutes, row['seconds']))
    columns = [label('minutes'), *(Column(key, number=',.1f') for key in list(figures[0])[1:])]
    rows = [(str(row['minutes']), *list(row.values())[1:]) for row in figures]
    print(format_table(columns, rows))
    if args.json is not None:
        args.json.write_text(json.dumps(figures, indent=1) + '\n', encoding='utf-8')


def random_inferencer(backbone: str, folder: Path) -> TextVideoInferencer:
    """Return an inferencer of random weights, on the CPU."""
    cfg = read_config_file(CONFIG)
    init_default_scope(cfg.default_scope)
    use_backbone(cfg, backbone)
    follow_backbone(cfg)
    torch.manual_seed(0)
    checkpoint = folder / 'random.pth'
    torch.save(MODELS.build(cfg.model).state_dict(), checkpoint)
    return TextVideoInferencer(cfg, checkpoint, device='cpu', show_progress=False)


class CountingContainer:
    """A container that counts the frames that are decoded.

    Args:
        container: the container.
        count: the number, for all processes.
    """

    def __init__(self, container: InputContainer, count: Synchronized[int]) -> None:
        self._container = container
        self._count = count

    def decode(self, stream: VideoStream) -> Iterator[VideoFrame]:
        """Yield frames."""
        for frame in self._container.decode(stream):
            self._count.value += 1
            yield frame

    def __getattr__(self, name: str) -> Any:
        """Return what else a container has."""
        return getattr(self._container, name)


def count_decoded() -> Synchronized[int]:
    """Let decoding processes count the frames that they decode; return the number."""
    count = multiprocessing.Value('q', 0)
    own, own_all = video.open_container, video.decode_all

    def open_and_count(path: str, **options: Any) -> tuple[CountingContainer, VideoStream]:
        container, stream = own(path, **options)
        return CountingContainer(container, count), stream

    def decode_and_count(container: CountingContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        for frame in own_all(container, stream):
            count.value += 1
            yield frame

    video.open_container, video.decode_all = open_and_count, decode_and_count
    return count


def measure(
    inferencer: TextVideoInferencer,
    path: Path,
    gallery: Path,
    moments: str,
    decoded: Synchronized[int],
) -> dict[str, float]:
    """Index a video and return the figures."""
    options = IndexOptions(moments=KINDS[moments])
    encoded = RowCount(inferencer.model.backbone.clip.visual)
    decoded.value = 0
    forget_peak_memory()
    before = peak_memory()
    seconds, made = timed(lambda: inferencer.index(path, gallery, options), 'cpu')
    with video.open_video(path) as opened:
        shown = len(opened.table)
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * RSS_UNIT
    return {
        'frames shown': shown,
        'decoded': decoded.value,
        'images encoded': encoded.take(),
        'spans': len(made.latest()),
        'seconds': seconds,
        'MB before': before / 1e6,
        'MB at peak': peak_memory() / 1e6,
        'MB of the decoder': children / 1e6,
    }


def speed(minutes: int, seconds: float) -> dict[str, float]:
    """Return how many times faster than the video plays."""
    return {'x real time': minutes * MINUTE / seconds}


if __name__ == '__main__':
    main()
