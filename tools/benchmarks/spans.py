"""Time and memory of encoding the spans of long videos.

`python tools/benchmarks/spans.py --minutes 10 60`

The videos are a minute of moving textures, cut every few seconds, again and again. The encoder has
random weights. Nothing is downloaded.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import av
import numpy as np
from measuring import RowCount, forget_peak_memory, timed
from mmaction.registry import MODELS
from mmengine.registry import init_default_scope

from diffusionret_mm.apis.backbone import follow_backbone, use_backbone
from diffusionret_mm.apis.decoding import video_transforms
from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.datasets.spans import Moments, SpanReader
from diffusionret_mm.datasets.video_reading import open_video
from diffusionret_mm.engine.config_files import read_config_file
from diffusionret_mm.engine.memory import peak_memory
from diffusionret_mm.evaluation.tables import Column, format_table, label
from diffusionret_mm.features.spans import encode_spans
from diffusionret_mm.models.retrievers import TextVideoRetriever

CONFIG = Path(__file__).parents[2] / 'configs/zeroshot/zeroshot_mean_msrvtt.py'
RATE, SIZE = 25, (640, 360)
MINUTE = 60
KINDS = {
    'none': Moments(),
    'windows': Moments('windows'),
    'across_cuts': Moments('windows', across_cuts=True),
    'shots': Moments('shots'),
}
# Seconds of the shortest and the longest shot.
SHOT = (3, 15)


def parse_args() -> argparse.Namespace:
    """Read the command line.

    Returns:
        The options.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--minutes', type=int, nargs='+', default=[10, 60], help='lengths')
    parser.add_argument('--moments', nargs='+', choices=KINDS, default=[*KINDS][1:])
    parser.add_argument('--backbone', default='MobileCLIP2-S0:none', help='encoder of open_clip')
    parser.add_argument('--json', type=Path, help='file to write the figures into')
    return parser.parse_args()


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    cfg = read_config_file(CONFIG)
    init_default_scope(cfg.default_scope)
    use_backbone(cfg, args.backbone)
    follow_backbone(cfg)
    model = MODELS.build(cfg.model).eval()
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        minute = render_minute(Path(folder, 'minute.mp4'))
        for minutes in args.minutes:
            path = repeat(minute, Path(folder, f'{minutes}.mp4'), minutes)
            for moments in args.moments:
                reader = SpanReader(video_transforms(cfg), KINDS[moments])
                figures.append(
                    dict(minutes=minutes, moments=moments, **measure(model, reader, path))
                )
    keys = list(figures[0])[2:]
    columns = [label('minutes'), label('moments'), *(Column(key, number=',.1f') for key in keys)]
    rows = [(str(row['minutes']), *list(row.values())[1:]) for row in figures]
    print(format_table(columns, rows))
    if args.json is not None:
        args.json.write_text(json.dumps(figures, indent=1) + '\n', encoding='utf-8')


def measure(model: TextVideoRetriever, reader: SpanReader, path: Path) -> dict[str, float]:
    """Return the figures of a video."""
    with open_video(path) as video:
        shown, length = len(video.table), video.end
    encoded = RowCount(model.backbone.clip.visual)
    forget_peak_memory()
    before = peak_memory()
    seconds, (spans, _) = timed(lambda: encode_spans(model, reader, path), 'cpu')
    numbers = [number for span in spans for number in span.numbers]
    return {
        'spans': len(spans),
        'frames shown': shown,
        'frames of spans': len(numbers),
        'different ones': len(set(numbers)),
        'images encoded': encoded.take(),
        'seconds': seconds,
        'x real time': length / seconds,
        'MB more at peak': (peak_memory() - before) / 1e6,
    }


def render_minute(path: Path) -> Path:
    """Write a minute of textures that move, of other colours after each cut."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]].astype(np.float32)
    cuts = np.cumsum(rng.uniform(*SHOT, MINUTE))
    shot = -1
    with av.open(str(path), 'w') as out:
        stream = out.add_stream('libx264', rate=RATE, options=dict(preset='ultrafast', g='250'))
        stream.width, stream.height = SIZE
        stream.pix_fmt = 'yuv420p'
        for number in range(MINUTE * RATE):
            place = int(np.searchsorted(cuts, number / RATE, side='right'))
            if place != shot:
                shot, wave = place, columns / rng.uniform(20, 90) + rows / rng.uniform(20, 90)
                image = 128 + 50 * np.sin(wave)[..., None] + rng.uniform(-70, 70, 3)
                image = np.clip(image, 0, 255).astype(np.uint8)
            moved = np.ascontiguousarray(np.roll(image, number % SIZE[0], axis=1))
            out.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format='rgb24')))
        out.mux(stream.encode())
    return path


def repeat(source: Path, target: Path, times: int) -> Path:
    """Write a clip several times over, without encoding it again."""
    with av.open(str(target), 'w') as out:
        copied = None
        for turn in range(times):
            with av.open(str(source)) as reader:
                stream = reader.streams.video[0]
                copied = copied or out.add_stream_from_template(stream)
                shift = turn * int(MINUTE / stream.time_base)
                for packet in reader.demux(stream):
                    if packet.size:
                        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                        packet.stream = copied
                        out.mux(packet)
    return target


if __name__ == '__main__':
    main()
