"""The report of a run: its numbers and pictures on one page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from diffusionret_mm.evaluation.results import metric_rows
from diffusionret_mm.visualization.curves import draw_curves
from diffusionret_mm.visualization.explain import PictureError
from diffusionret_mm.visualization.page import Picture, Section, Table, write_page
from diffusionret_mm.visualization.pictures import SplitPictures, read_sample
from diffusionret_mm.visualization.samples import draw_samples
from diffusionret_mm.visualization.scalars import read_scalars
from diffusionret_mm.visualization.style import encode_png, evenly, to_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Draw = Callable[[], Figure]

DRAWN_FAILURES = 2


class Report:
    """The report of a test.

    Args:
        pictures: pictures of the test split.
        metrics: its flat metrics.
        work_dir: directory of the run, for its training curves.
        num_queries: texts that are shown, evenly spread over the split, the same in every run.
        num_failures: texts of the worst rank that are listed.
        on_image: function that is given the name and the image of each picture, RGB, [H, W, 3],
            uint8.
    """

    def __init__(
        self,
        pictures: SplitPictures,
        metrics: Mapping[str, float],
        work_dir: Path,
        num_queries: int,
        num_failures: int,
        on_image: Callable[[str, np.ndarray], None],
    ) -> None:
        self.pictures = pictures
        self.metrics = metrics
        self.work_dir = Path(work_dir)
        self.queries = evenly(len(pictures.split.captions), num_queries)
        self.num_failures = num_failures
        self.on_image = on_image

    def write(self, path: Path, title: str, source: str) -> None:
        """Write the page.

        Args:
            path: file to write.
            title: title of the page.
            source: a sentence that says what was tested.
        """
        sections = [self._results(source), *self._training(), self._ranking(), self._errors()]
        sections += [self._query(query) for query in self.queries]
        write_page(path, title, [*sections, self._failures(), self._samples()])

    def _results(self, source: str) -> Section:
        split = self.pictures.split
        rows = metric_rows(self.metrics)
        names = list(dict.fromkeys(name for row in rows.values() for name in row))
        cells = [[*labels, *(row.get(name, '-') for name in names)] for labels, row in rows.items()]
        size = f'{len(split.captions):,} texts, {len(split.video_ids):,} videos.'
        units = 'R@k in %, Rsum = R@1 + R@5 + R@10, MdR and MnR are ranks, 1 is best.'
        return Section('Results', [f'{source} {size}', Table(['', '', *names], cells), units])

    def _training(self) -> Iterator[Section]:
        """The curves, if the directory is that of a training."""
        try:
            scalars = read_scalars(self.work_dir)
        except FileNotFoundError:
            return
        text = 'Losses, R@1 of the validations, learning rate'
        yield Section('Training', [self._draw('curves', text, partial(draw_curves, scalars))])

    def _ranking(self) -> Section:
        recall = self._draw('recall', 'Recall over the cut-off k', self.pictures.recall)
        text = 'Similarity before re-ranking; the scores of right and of the best wrong pairs'
        return Section(
            'Ranking', [recall, self._draw('similarity', text, self.pictures.similarity)]
        )

    def _errors(self) -> Section:
        tables = self.pictures.errors().tables()
        return Section('Errors', [block for pair in tables.items() for block in pair])

    def _query(self, query: int) -> Section:
        draw = self.pictures
        blocks = [
            self._draw(
                f'retrieval_{query}',
                'Best candidates; the large number is the final rank, the ground truth is green',
                partial(draw.retrieval, query),
            ),
            self._draw(
                f'attention_{query}',
                'What the text reads in its video: frames, words, and their match',
                partial(draw.attention, query),
            ),
            self._draw(
                f'diffusion_{query}',
                'From noise (left) to the distribution that re-ranks (right)',
                partial(draw.diffusion, [query]),
            ),
        ]
        return Section(f'Query {query}: {draw.split.captions[query]}', blocks)

    def _failures(self) -> Section:
        draw, split = self.pictures, self.pictures.split
        hardest = draw.hardest_texts(self.num_failures)
        if not hardest:
            return Section('Hardest failures', ['Every text finds its video first.'])
        ranks = draw.ranks()
        rows = [
            [
                str(text),
                split.captions[text],
                split.video_ids[int(split.video_of_text[text])],
                split.video_ids[int(draw.scored.t2v[text].argmax())],
                f'{ranks["discrimination", "t2v"].average[text]:g}',
                f'{ranks["", "t2v"].average[text]:g}',
            ]
            for text in hardest
        ]
        head = ['query', 'text', 'its video', 'found first', 'rank by similarity', 'final rank']
        shown = [
            self._draw(f'failure_{place}', split.captions[text], partial(draw.retrieval, text))
            for place, text in enumerate(hardest[:DRAWN_FAILURES], start=1)
        ]
        return Section('Hardest failures', [Table(head, rows), *shown])

    def _samples(self) -> Section:
        draw = self.pictures
        videos = [int(draw.split.video_of_text[query]) for query in self.queries]

        def draw_all() -> Figure:
            return draw_samples([read_sample(draw.dataset, video) for video in videos])

        text = 'Videos of the queries above as the model gets them, with their captions'
        return Section(
            'Samples of the test split',
            [self._draw('samples', text, draw_all)],
        )

    def _draw(self, name: str, text: str, draw: Draw) -> Picture | str:
        """The picture, or the reason why this model has none."""
        try:
            image = to_image(draw())
        except PictureError as error:
            return f'No picture: {error}'
        self.on_image(name, image)
        return Picture(encode_png(image), text)
