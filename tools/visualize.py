"""Draw pictures of a model, a run or a data set: python tools/visualize.py PICTURE ..."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import diffusionret_mm  # noqa: F401  first: it prepares what the others load

# isort: split
import numpy as np
from mmengine.dist import is_main_process

from diffusionret_mm.apis.command_line import (
    add_config_options,
    add_run_options,
    leave_processes,
    load_config,
    read_config,
)
from diffusionret_mm.apis.pictures import build_dataset, evaluate_for_pictures
from diffusionret_mm.apis.user_errors import stop_with_message
from diffusionret_mm.storage.files import open_atomically, write_json
from diffusionret_mm.visualization import (
    SplitPictures,
    draw_curves,
    encode_png,
    evenly,
    read_sample,
    read_scalars,
    to_image,
    write_samples_page,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mmengine.visualization import Visualizer

Figures = Iterator[tuple[str, 'Figure']]


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Draw pictures of a model, a run or a data set')
    pictures = parser.add_subparsers(dest='picture', required=True, metavar='PICTURE')
    diffusion = _add_evaluation(
        pictures, 'diffusion', 'from noise to a distribution over the candidates of queries'
    )
    _add_evaluation(
        pictures, 'attention', 'attention of texts over the frames of their video, word weights'
    )
    retrieval = _add_evaluation(
        pictures, 'retrieval', 'candidates of texts with their ranks before and after re-ranking'
    )
    _add_evaluation(pictures, 'similarity', 'similarity matrix and recall curves')
    _add_evaluation(
        pictures,
        'errors',
        'tables of what is found in place of the right videos, before and after re-ranking',
    )
    diffusion.add_argument('--direction', choices=['t2v', 'v2t'], default='t2v')
    retrieval.add_argument('--top-k', type=int, default=5, help='candidates shown; default 5')
    retrieval.add_argument(
        '--hardest',
        type=int,
        metavar='N',
        help='draw the N texts of the worst rank in place of --queries',
    )
    curves = pictures.add_parser('curves', help='training curves of both stages')
    curves.add_argument('run', type=Path, help='work dir of a training run')
    samples = pictures.add_parser('samples', help='a page of videos with their captions')
    add_config_options(samples)
    samples.add_argument('--split', choices=['train', 'val', 'test'], default='test')
    samples.add_argument(
        '--count', type=int, default=50, help='number of videos, evenly spread; default 50'
    )
    for part in pictures.choices.values():
        part.add_argument(
            '--out', type=Path, default=Path('pictures'), help='folder; default pictures'
        )
    return parser.parse_args()


def _add_evaluation(
    pictures: argparse._SubParsersAction, name: str, text: str
) -> argparse.ArgumentParser:
    parser = pictures.add_parser(name, help=text, description=f'Draw {text}.')
    add_run_options(parser, checkpoint=True)
    if name not in ('similarity', 'errors'):
        parser.add_argument(
            '--queries',
            type=int,
            nargs='+',
            default=[0, 1, 2],
            metavar='ROW',
            help='rows of the queries in the test split, from 0; default 0 1 2',
        )
    return parser


def draw(args: argparse.Namespace, pictures: SplitPictures) -> Figures:
    """Draw what the command line asks for, from a test.

    Yields:
        Name and figure of each picture.
    """
    if args.picture == 'diffusion':
        rows = '_'.join(map(str, args.queries))
        yield f'diffusion_{args.direction}_{rows}', pictures.diffusion(args.queries, args.direction)
    elif args.picture == 'attention':
        for query in args.queries:
            yield f'attention_{query}', pictures.attention(query)
    elif args.picture == 'retrieval':
        hardest = pictures.hardest_texts(args.hardest) if args.hardest else args.queries
        for query in hardest:
            yield f'retrieval_{query}', pictures.retrieval(query, args.top_k)
    else:
        yield 'similarity', pictures.similarity()
        yield 'recall', pictures.recall()


def save(folder: Path, name: str, image: np.ndarray) -> None:
    """Write an image as PNG and say where."""
    path = folder / f'{name}.png'
    with open_atomically(path) as file:
        file.write(encode_png(image))
    print(path)


def draw_evaluation(args: argparse.Namespace) -> None:
    """Test the checkpoint; draw on the main process, for files and the config's visualizer."""
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    pictures, visualizer = evaluate_for_pictures(load_config(args), args.checkpoint)
    if is_main_process():
        if args.picture == 'errors':
            print_errors(args, pictures)
        else:
            draw_all(args, pictures, visualizer)
    leave_processes()


def draw_all(args: argparse.Namespace, pictures: SplitPictures, visualizer: Visualizer) -> None:
    """Draw what the command line asks for, for files and a visualizer."""
    for name, figure in draw(args, pictures):
        image = to_image(figure)
        visualizer.add_image(name, image)
        save(args.out, name, image)


def print_errors(args: argparse.Namespace, pictures: SplitPictures) -> None:
    """Print the errors of a test, and write their counts."""
    errors, path = pictures.errors(), args.out / 'errors.json'
    write_json(path, errors.figures(), indent=1)
    print(errors.text(), path, sep='\n')


def draw_samples_page(args: argparse.Namespace) -> None:
    """Write the page of a split."""
    dataset = build_dataset(read_config(args), args.split)
    path = args.out / f'samples_{args.split}.html'
    rows = evenly(len(dataset), args.count)
    title = f'{len(rows)} of {len(dataset):,} items of {dataset.ann_file}'
    write_samples_page(path, title, (read_sample(dataset, row) for row in rows))
    print(path)


@stop_with_message()
def main() -> None:
    """Run.

    Raises:
        SystemExit: if a picture cannot be drawn; it says why.
    """
    args = parse_args()
    if args.picture == 'curves':
        save(args.out, 'curves', to_image(draw_curves(read_scalars(args.run))))
    elif args.picture == 'samples':
        draw_samples_page(args)
    else:
        draw_evaluation(args)


if __name__ == '__main__':
    main()
