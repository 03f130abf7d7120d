"""What subtitles change: `subtitles_shapes.py CONFIG CHECKPOINT`.

Rendered clips, of scenes that the model was not trained on, get a subtitle file each: two sentences
that nothing in the clip shows, though some have words of captions. What is said, parts of it and
captions are searched by the model alone and with subtitles.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import numpy as np
from search_shapes import render

from diffusionret_mm.apis import IndexOptions, TextVideoInferencer
from diffusionret_mm.apis.command_line import add_config_options, read_config
from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.evaluation.tables import Column, format_table, label
from diffusionret_mm.search import Gallery

WHO = ('my grandmother', 'the postman', 'a sailor', 'our teacher', 'the baker', 'her brother')
DID = ('kept', 'sold', 'painted', 'forgot', 'repaired', 'borrowed', 'buried', 'counted')
# Half of them have words of captions.
WHAT = (
    *('bees', 'a piano', 'two umbrellas', 'the old clock', 'wooden boats', 'a letter'),
    *('red apples', 'a blue bicycle', 'a circle of chairs', 'square tables', 'small bells'),
    'a green coat',
)
WHERE = ('behind the mill', 'in the harbour', 'under the bridge', 'on the left bank', 'at night')
TOP = (1, 10)


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_config_options(parser)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--device', help='device of the model (default: a GPU if there is one)')
    parser.add_argument('--clips', type=int, default=200, help='240 at most')
    parser.add_argument('--seed', type=int, default=1, help='seed of clips and sentences; not 0')
    parser.add_argument('--workers', type=int, help='decoding processes (default: one per core)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures to this file')
    return parser.parse_args()


def speak(paths: Sequence[str], seed: int) -> dict[str, tuple[str, str]]:
    """Write a subtitle file beside each clip; return by path what is said, and the end of it."""
    rng = np.random.default_rng(seed)
    ends = [' '.join(parts) for parts in product(DID, WHAT, WHERE)]
    rng.shuffle(ends)
    said = {}
    for path in paths:  # no two say the same
        first, second = ends.pop(), ends.pop()
        whole = [f'{rng.choice(WHO)} {end}' for end in (first, second)]
        rows = f'00:00 --> 00:01\n{whole[0]}\n\n00:01 --> 00:02\n{whole[1]}\n'
        Path(path).with_suffix('.srt').write_text(rows, encoding='utf-8')
        said[path] = whole[0], first
    return said


def measure(
    inferencer: TextVideoInferencer, args: argparse.Namespace, folder: Path
) -> list[dict[str, str | float]]:
    """Index, and search each kind of sentence; return a row of figures for each."""
    clips = render(args, (folder / 'shapes').resolve())
    said = speak([path for path, _ in clips], args.seed)
    options = IndexOptions(subtitles=True)
    gallery = Gallery(inferencer.index(list(said), folder / 'gallery', options).folder)
    kinds = {
        'what is said': [(path, line) for path, (line, _) in said.items()],
        'the same without its subject': [(path, end) for path, (_, end) in said.items()],
        'captions': [(path, captions[0]) for path, captions in clips if captions],
    }
    return [
        dict(sentences=kind, number=len(queries), **recalls(inferencer, gallery, queries))
        for kind, queries in kinds.items()
    ]


def recalls(
    inferencer: TextVideoInferencer, gallery: Gallery, queries: Sequence[tuple[str, str]]
) -> dict[str, float]:
    """Return the shares in percent of the right clips among the first, both ways."""
    texts, figures = [sentence for _, sentence in queries], {}
    for name in ('model alone', 'with subtitles'):
        fused = name == 'with subtitles'
        results = inferencer.search_batch(texts, gallery, max(TOP), subtitles=fused)
        for count in TOP:
            right = [
                path in {hit.video for hit in result.hits[:count]}
                for (path, _), result in zip(queries, results, strict=True)
            ]
            figures[f'{name}, R@{count}'] = 100 * float(np.mean(right))
    return figures


@stop_with_message()
def main() -> None:
    """Run."""
    args = parse_args()
    named = dict(device=args.device, num_workers=args.workers, show_progress=False)
    inferencer = TextVideoInferencer(read_config(args), args.checkpoint, **named)
    folder = Path(tempfile.mkdtemp(prefix='subtitles_shapes_'))
    try:
        figures = measure(inferencer, args, folder)
    finally:
        shutil.rmtree(folder)
    columns = [label('sentences'), Column('number')]
    columns += [Column(key, number=',.1f') for key in list(figures[0])[2:]]
    print(format_table(columns, [tuple(row.values()) for row in figures]))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2))


if __name__ == '__main__':
    main()
