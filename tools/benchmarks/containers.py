"""Score a checkpoint of shapes on its test clips in eight containers, and time their decoding.

`python tools/benchmarks/containers.py CONFIG CHECKPOINT data/shapes --clips 300`

Each container holds the same frames, encoded again. Recall must not depend on the container.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import av
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform
from mmengine.config import Config
from mmengine.registry import DefaultScope

from diffusionret_mm.apis import test_retriever as evaluate
from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.datasets.video_reading import open_video
from diffusionret_mm.evaluation.tables import Column, format_table, label

# Name, extension, container and encoder.
CONTAINERS = (
    ('mp4', 'mp4', 'mp4', 'libx264'),
    ('mkv', 'mkv', 'matroska', 'libx264'),
    ('webm', 'webm', 'webm', 'libvpx-vp9'),
    ('avi, H.264', 'avi', 'avi', 'libx264'),
    ('avi, MPEG-4', 'avi', 'avi', 'mpeg4'),
    ('mpg', 'mpg', 'mpeg', 'mpeg2video'),
    ('ts', 'ts', 'mpegts', 'libx264'),
    ('wmv', 'wmv', 'asf', 'wmv2'),
)
# MPEG-2 knows few rates, so all clips get this one: their frames are what counts.
RATE = 25
BITRATE = 1_000_000


def parse_args() -> argparse.Namespace:
    """Read the command line.

    Returns:
        The options.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config of shapes')
    parser.add_argument('checkpoint', help='checkpoint of that config')
    parser.add_argument('data', type=Path, help='folder of shapes; nothing is written there')
    parser.add_argument('--clips', type=int, default=300, help='number of test clips')
    parser.add_argument('--json', type=Path, help='file to write the figures into')
    return parser.parse_args()


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, suffix, container, codec) in enumerate(CONTAINERS):
            root = Path(folder, str(number))
            paths = encode_clips(args.data, root, args.clips, suffix, container, codec)
            figures.append(dict(container=name, **measure(args, root, paths)))
    keys = list(figures[0])[1:]
    columns = [label('container'), *(Column(key, number='.2f') for key in keys)]
    print(format_table(columns, [tuple(figure.values()) for figure in figures]))
    if args.json is not None:
        args.json.write_text(json.dumps(figures, indent=1) + '\n', encoding='utf-8')


def encode_clips(
    data: Path, root: Path, count: int, suffix: str, container: str, codec: str
) -> list[Path]:
    """Encode the first test clips into another container, with their list.

    Args:
        data: folder of shapes.
        root: folder to write.
        count: number of clips.
        suffix: extension of the files.
        container: name of the container, as FFmpeg calls it.
        codec: name of the encoder.

    Returns:
        The files.
    """
    entries = json.loads((data / 'test.json').read_text(encoding='utf-8'))[:count]
    (root / 'videos').mkdir(parents=True)
    paths = []
    for entry in entries:
        source = data / entry['video']
        entry['video'] = f'{source.stem}.{suffix}'
        paths.append(root / 'videos' / entry['video'])
        encode(source, paths[-1], container, codec)
    (root / 'test.json').write_text(json.dumps(entries), encoding='utf-8')
    return paths


def encode(source: Path, target: Path, container: str, codec: str) -> None:
    """Encode a clip again.

    Args:
        source: the clip.
        target: file to write.
        container: name of the container.
        codec: name of the encoder.
    """
    with open_video(source) as video, av.open(str(target), 'w', format=container) as writer:
        stream = None
        for number, shown in enumerate(video.frames()):
            frame = av.VideoFrame.from_ndarray(shown.image, 'rgb24')
            if stream is None:
                stream = writer.add_stream(codec, rate=RATE, options=dict(g='12'))
                stream.width, stream.height, stream.bit_rate = frame.width, frame.height, BITRATE
                stream.pix_fmt = 'yuv420p'
            frame.pts, frame.time_base = number, 1 / stream.average_rate
            writer.mux(stream.encode(frame))
        writer.mux(stream.encode())


def measure(args: argparse.Namespace, root: Path, paths: list[Path]) -> dict[str, float]:
    """Return recall of texts to videos in percent, and milliseconds to decode a clip.

    Args:
        args: the options.
        root: folder of the clips.
        paths: the clips.
    """
    cfg = Config.fromfile(args.config)
    cfg.work_dir = str(root / 'run')
    cfg.test_dataloader.dataset = dict(
        type='TextVideoDataset',
        data_root=str(root / 'videos'),
        ann_file=str(root / 'test.json'),
        pipeline=cfg.test_dataloader.dataset.pipeline,
        test_mode=True,
    )
    metrics = evaluate(cfg, args.checkpoint, out=None)
    (load, *_) = cfg.test_dataloader.dataset.pipeline
    with DefaultScope.overwrite_default_scope('mmaction'):
        decode = TRANSFORMS.build(load.transforms[0])
    times = [_time(decode, path) for path in paths]
    return {'t2v R@1': metrics['t2v/R@1'], 'ms/clip': statistics.median(times)}


def _time(decode: BaseTransform, path: Path) -> float:
    start = time.perf_counter()
    decode(dict(filename=os.fspath(path)))
    return 1000 * (time.perf_counter() - start)


if __name__ == '__main__':
    main()
