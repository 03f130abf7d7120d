"""What subtitles cost per query: tools/benchmarks/subtitles.py --folder DIR.

Spans have random features, as of `gallery.py`, and lines of made-up words, some of which are far
more frequent than others. Each query has words of the lines of one span. DIR must not exist and is
deleted afterwards.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import numpy as np
from gallery import build, build_model, in_own_process
from gallery_features import Features, Sizes
from measuring import quantiles, size_gb

from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.datasets.subtitles import Line
from diffusionret_mm.evaluation.tables import format_figures
from diffusionret_mm.search import Gallery, SubtitleWriter, VideoFile, maintain, search_texts
from diffusionret_mm.search.vector_index import SEGMENT_ROWS

VOCABULARY = 20_000
LINES, WORDS = 4, 7
ASKED = 5
PASSES = 3
TOP = 10


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Measure the search of subtitles in a gallery of random features',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument('--folder', type=Path, required=True, help='folder to build in')
    parser.add_argument('--spans', type=int, default=60_000)
    parser.add_argument('--frames', type=int, default=12)
    parser.add_argument('--width', type=int, default=512)
    parser.add_argument('--topics', type=int, default=1000)
    parser.add_argument('--words', type=int, default=12, help='words per query, as features')
    parser.add_argument('--queries', type=int, default=48)
    parser.add_argument('--int8', action='store_true', help='keep frames in 8 bits')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures to this file')
    parser.set_defaults(segment_rows=SEGMENT_ROWS)
    return parser.parse_args()


def texts_of(spans: int) -> Iterator[list[str]]:
    """Yield the lines of each span; the word of rank r is as frequent as 1 / r."""
    rng = np.random.default_rng(0)
    shares = 1 / np.arange(1, VOCABULARY + 1)
    shares /= shares.sum()
    for _ in range(spans):
        words = rng.choice(VOCABULARY, (LINES, WORDS), p=shares)
        yield [' '.join(f'w{word}' for word in line) for line in words]


def write_lines(args: argparse.Namespace) -> dict[str, float]:
    """Draw and write the lines of all spans; return seconds and sizes."""
    gallery = Gallery(args.folder)
    start = time.perf_counter()
    with SubtitleWriter(gallery) as writer:
        for row, texts in enumerate(texts_of(args.spans)):
            file = VideoFile('random', f'{row:09d}.mp4', 1, 1)
            writer.add(file, '', [Line(0, 1, text) for text in texts])
    written = time.perf_counter()
    maintain(gallery)
    maintained = time.perf_counter()
    table = args.folder / 'subtitles.lance'
    sizes = dict(table_mb=1000 * size_gb(table), index_mb=1000 * size_gb(table / '_indices'))
    return dict(draw_and_write_s=written - start, maintain_s=maintained - written, **sizes)


def search(args: argparse.Namespace) -> dict[str, float]:
    """Time single queries without subtitles and with them, in turn, when warm."""
    model, gallery = build_model(args.width), Gallery(args.folder)
    sizes = Sizes(args.spans, args.frames, args.width, args.topics, args.words)
    texts, _ = Features(sizes).queries('easy', args.queries)
    rows, sentences = draw_sentences(args.spans, args.queries)
    times: dict[str, list[float]] = {}
    found = dict.fromkeys(('model', 'fused'), 0)
    for is_warm in (False, *[True] * PASSES):
        for place, (row, sentence) in enumerate(zip(rows, sentences, strict=True)):
            for name in found:
                query = model, [sentence], texts[place : place + 1], gallery, TOP
                (result,) = search_texts(*query, subtitles=name == 'fused')
                steps = dict(result.seconds, query=sum(result.seconds.values()))
                if is_warm:
                    for step, seconds in steps.items():
                        times.setdefault(f'{name}_{step}', []).append(seconds)
                else:
                    found[name] += any(int(Path(hit.video).stem) == row for hit in result.hits)
    figures = {f'{name}_found_percent': 100 * n / len(rows) for name, n in found.items()}
    for name, seconds in times.items():
        figures |= quantiles(name, seconds)
    return dict(queries=len(rows), **figures)


def draw_sentences(spans: int, count: int) -> tuple[list[int], list[str]]:
    """Draw spans, and of each some words of one of its lines in any order."""
    rng = np.random.default_rng(1)
    rows = sorted(rng.choice(spans, count, replace=False).tolist())
    lines = [texts[0] for row, texts in enumerate(texts_of(spans)) if row in {*rows}]
    return rows, [' '.join(rng.choice(line.split(), ASKED, replace=False)) for line in lines]


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    if args.folder.exists():
        raise ValueError(f'{args.folder} exists; give a folder that does not.')
    figures: dict[str, float] = dict(spans=args.spans)
    try:
        in_own_process(build, args)
        figures |= in_own_process(write_lines, args)
        figures |= in_own_process(search, args)
    finally:
        shutil.rmtree(args.folder, ignore_errors=True)
    print(format_figures(figures))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2))


if __name__ == '__main__':
    main()
