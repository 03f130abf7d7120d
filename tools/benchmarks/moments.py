"""Recall of moments: test clips of shapes, joined into long videos.

`python tools/benchmarks/moments.py configs/diffusionret_shapes.py CHECKPOINT`

Their captions are searched in the clips as files, in the long videos as wholes, and in their spans.
A hit is right if its video is, and if it has at least half of the seconds that it or the clip has.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import av
import numpy as np

from diffusionret_mm.apis import IndexOptions, TextVideoInferencer
from diffusionret_mm.apis.command_line import add_config_options, read_config
from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.datasets.shapes.build import render_shapes
from diffusionret_mm.datasets.spans import Moments
from diffusionret_mm.datasets.video_reading import open_video
from diffusionret_mm.evaluation.tables import Column, format_table, label
from diffusionret_mm.search import Gallery, Hit

# Width and height of long videos; clips have others, and the model reads squares.
SIZE = (128, 96)
TICK = Fraction(1, 1000)
IOU = 0.5
TOP = (1, 5)
# Seconds: shorter clips have a recall of their own.
SHORT = 3


@dataclass(frozen=True)
class Clip:
    """A clip, or where it is in a long video.

    Args:
        video: path.
        start: second at which it begins.
        end: second at which it ends.
        captions: sentences that describe it.
    """

    video: str
    start: float
    end: float
    captions: tuple[str, ...]


def parse_args() -> argparse.Namespace:
    """Read the command line.

    Returns:
        The options.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_config_options(parser)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--device', help='device of the model (default: a GPU if there is one)')
    parser.add_argument('--data', type=Path, default=Path('data/shapes'), help='the data set')
    parser.add_argument('--split', choices=['val', 'test'], default='test', help='whose clips')
    parser.add_argument('--clips', type=int, default=60, help='number of clips')
    parser.add_argument('--videos', type=int, default=3, help='number of long videos')
    parser.add_argument(
        '--windows',
        type=float,
        nargs='+',
        default=[3, 1, 2, 0.5],
        metavar='SECONDS',
        help='length and step of windows, of one kind after the other',
    )
    parser.add_argument('--workers', type=int, help='decoding processes (default: one per core)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures to this file')
    return parser.parse_args()


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    inferencer = TextVideoInferencer(
        read_config(args),
        args.checkpoint,
        device=args.device,
        num_workers=args.workers,
        show_progress=False,
    )
    render_shapes(args.data)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(inferencer, args, Path(folder).resolve())
    keys = list(figures[0])[1:]
    columns = [label('searched'), *(Column(key, number=',.1f') for key in keys)]
    print(format_table(columns, [tuple(row.values()) for row in figures]))
    if args.json is not None:
        args.json.write_text(json.dumps(figures, indent=1) + '\n', encoding='utf-8')


def measure(
    inferencer: TextVideoInferencer, args: argparse.Namespace, folder: Path
) -> list[dict[str, str | float]]:
    """Index and search in each way; return a row of figures for each."""
    clips = read_clips(args.data, args.split, args.clips)
    parts = [clips[number :: args.videos] for number in range(args.videos)]
    placed = [
        each
        for number, part in enumerate(parts)
        for each in join(part, folder / f'videos/{number}.mp4')
    ]
    files = inferencer.index([clip.video for clip in clips], folder / 'clips')
    rows = [dict(searched='clips as files', **recall(inferencer, files, clips, False))]
    pairs = zip(args.windows[::2], args.windows[1::2], strict=True)
    ending = [Moments('windows', *pair) for pair in pairs]
    windows = [each for one in ending for each in (replace(one, across_cuts=True), one)]
    for moments in (Moments(), *windows, Moments('shots')):
        options = IndexOptions(moments=moments)
        gallery = inferencer.index(folder / 'videos', folder / str(moments), options)
        for all_spans in (False, True)[: 1 if moments.kind == 'none' else 2]:
            name = 'whole videos' if moments.kind == 'none' else str(moments)
            name += ', each alone' if all_spans else ''
            rows.append(dict(searched=name, **recall(inferencer, gallery, placed, all_spans)))
    return rows


def read_clips(data: Path, split: str, count: int) -> list[Clip]:
    """Return the first clips of a split."""
    found = json.loads((data / f'{split}.json').read_text(encoding='utf-8'))[:count]
    paths = [str((data / clip['video']).resolve()) for clip in found]
    return [
        Clip(path, 0.0, length_of(path), tuple(clip['captions']))
        for path, clip in zip(paths, found, strict=True)
    ]


def length_of(path: str) -> float:
    """Return the seconds of a clip."""
    with open_video(path) as video:
        return video.end


def join(clips: Sequence[Clip], path: Path) -> list[Clip]:
    """Write clips one after the other into one video; return where they are."""
    path.parent.mkdir(exist_ok=True)
    placed, start = [], 0.0
    with av.open(str(path), 'w') as out:
        stream = out.add_stream('libx264', rate=25, options=dict(preset='ultrafast', crf='12'))
        stream.width, stream.height = SIZE
        stream.pix_fmt = 'yuv420p'
        stream.time_base = stream.codec_context.time_base = TICK
        for clip in clips:
            with open_video(clip.video) as video:
                for shown in video.frames():
                    frame = av.VideoFrame.from_ndarray(shown.image, format='rgb24')
                    frame = frame.reformat(*SIZE, format='yuv420p')
                    frame.pts, frame.time_base = round((start + shown.start) / TICK), TICK
                    out.mux(stream.encode(frame))
            placed.append(Clip(str(path), start, start + clip.end, clip.captions))
            start += clip.end
        out.mux(stream.encode())
    return placed


def recall(
    inferencer: TextVideoInferencer, gallery: Gallery, clips: Sequence[Clip], all_spans: bool
) -> dict[str, float]:
    """Return recalls in percent, of all captions."""
    queries = [(clip, caption) for clip in clips for caption in clip.captions]
    texts = [caption for _, caption in queries]
    results = inferencer.search_batch(texts, gallery, max(TOP), all_spans=all_spans)
    pairs = [(clip, result.hits) for (clip, _), result in zip(queries, results, strict=True)]
    figures: dict[str, float] = dict(spans=len(gallery.latest()), sentences=len(texts))
    for count in TOP:
        right = [any(is_right(hit, clip) for hit in hits[:count]) for clip, hits in pairs]
        figures[f'R@{count}'] = 100 * float(np.mean(right))
    first = np.array([is_right(hits[0], clip) for clip, hits in pairs])
    is_short = np.array([clip.end - clip.start < SHORT for clip, _ in pairs])
    for name, rows in ((f'R@1 under {SHORT} s', is_short), (f'R@1 from {SHORT} s on', ~is_short)):
        if rows.any():
            figures[name] = 100 * float(first[rows].mean())
    in_video = [hits[0].video == clip.video for clip, hits in pairs]
    lengths = [hits[0].end - hits[0].start for _, hits in pairs]
    return figures | {
        'right video first': 100 * float(np.mean(in_video)),
        'seconds of the first': float(np.mean(lengths)),
    }


def is_right(hit: Hit, clip: Clip) -> bool:
    """Tell whether a hit is in the right video and has enough of the right seconds."""
    both = min(hit.end, clip.end) - max(hit.start, clip.start)
    either = max(hit.end, clip.end) - min(hit.start, clip.start)
    return hit.video == clip.video and both >= IOU * either


if __name__ == '__main__':
    main()
