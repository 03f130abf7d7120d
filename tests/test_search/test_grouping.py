"""Results by moments: neighbours as one, and room for other videos."""

import random
from types import SimpleNamespace

import numbered_clips
import pytest
import torch

from diffusionret_mm.apis import IndexOptions
from diffusionret_mm.datasets.spans import Moments
from diffusionret_mm.search import FoundSpan
from diffusionret_mm.search.grouping import (
    SPANS_PER_VIDEO,
    best_of_each_video,
    first_videos,
    join_neighbours,
)
from diffusionret_mm.search.hits import Scores, moment_hits

pytest.importorskip('lance')

TEXT = 'a red circle moves left'


def span(path, start, end):
    return FoundSpan(f'{path}{start}', path, start, end, 'window')


SPANS = [
    *(span('film', 5 * number, 5 * number + 10) for number in range(6)),
    span('film', 60, 70),
    span('other', 20, 30),
    span('other', 30, 40),
]


def joined(*order):
    spans = dict(enumerate(SPANS))
    return [(each.best, each.start, each.end) for each in join_neighbours(spans, order)]


VIDEOS = [each.path for each in SPANS]
CANDIDATES = SimpleNamespace(videos=VIDEOS, at=lambda places: [SPANS[place] for place in places])


def test_spans_that_overlap_are_one_moment():
    assert joined(2, 0, 1) == [(2, 0, 20)]
    assert joined(8, 7) == [(8, 30, 40), (7, 20, 30)]  # the one ends where the other begins
    assert joined(0, 2) == [(0, 0, 10), (2, 10, 20)]


def test_spans_apart_and_those_of_other_videos_are_moments_of_their_own():
    assert joined(6, 4, 7, 5) == [(6, 60, 70), (4, 20, 35), (7, 20, 30)]
    assert joined(0, 3) == [(0, 0, 10), (3, 15, 25)]


def test_a_span_inside_another_does_not_end_it():
    spans = [span('film', 0, 30), span('film', 5, 10), span('film', 20, 40)]
    (moment,) = join_neighbours(dict(enumerate(spans)), [1, 2, 0])
    assert (moment.best, moment.start, moment.end) == (1, 0, 40)


def test_no_video_has_more_than_three_spans():
    scores = [5.0, 9, 1, 7, 8, 6, 4, 2, 3]
    assert best_of_each_video(VIDEOS, scores) == [1, 4, 3, 8, 7]


def test_hits_have_the_scores_of_the_best_span():
    similarity = [0.1, 0.2, 0.3, 0, 0, 0, 0.4, 0.5, 0]
    scores = Scores(similarity, [0.1, 0.9, *similarity[2:]], {1: 0.7})
    first, second, third, fourth = moment_hits(CANDIDATES, scores, top_k=5, each_alone=False)
    assert (first.rank, first.video, first.start, first.end) == (1, 'film', 5, 20)
    assert (first.similarity, first.generator, first.score) == (0.2, 0.7, 0.9)
    assert first.span == SPANS[1]
    assert (second.rank, second.video, second.start, second.end) == (2, 'other', 20, 30)
    assert (third.rank, third.video, third.start, third.generator) == (3, 'film', 60, None)
    assert (fourth.rank, fourth.video, fourth.start, fourth.end) == (4, 'other', 30, 40)
    alone = moment_hits(CANDIDATES, scores, top_k=4, each_alone=True)
    assert [(hit.video, hit.start) for hit in alone] == [
        ('film', 5), ('other', 20), ('film', 60), ('film', 10),
    ]  # fmt: skip


@pytest.mark.parametrize('count', [1, 2, 5, 40])
@pytest.mark.parametrize('num_videos', [3, 30])
def test_the_first_moments_are_those_of_all_spans(count, num_videos):
    generator = random.Random(0)
    starts = [20 * generator.randrange(9) for _ in range(100)]
    spans = {
        place: span(f'video{generator.randrange(num_videos)}', start, start + 25)
        for place, start in enumerate(starts)
    }
    videos = [each.path for each in spans.values()]
    order = best_of_each_video(videos, [generator.random() for _ in spans])
    some = first_videos(videos, order, count)
    assert join_neighbours(spans, some)[:count] == join_neighbours(spans, order)[:count]
    assert len(some) <= SPANS_PER_VIDEO**2 * count


@pytest.fixture
def folder(tmp_path):
    """A long film and four short clips."""
    for name, count in dict(film=900, a=60, b=70, c=80, d=90).items():
        (tmp_path / 'videos').mkdir(exist_ok=True)
        numbered_clips.write(tmp_path / f'videos/{name}.mp4', count, rate=10)
    return tmp_path / 'videos'


def test_a_long_film_does_not_fill_the_shortlist(new_inferencer, folder, tmp_path):
    inferencer = new_inferencer()
    options = IndexOptions(moments=Moments('windows', across_cuts=True))
    gallery = inferencer.index(folder, tmp_path / 'gallery', options)
    assert len(gallery.latest()) == 17 + 4
    alone = inferencer.search(TEXT, gallery, 100, all_spans=True).hits
    assert len(alone) == 21
    reranked = [hit for hit in alone if hit.generator is not None]
    assert len(reranked) == inferencer.model.num_candidates('t2v') == 4
    assert sum(hit.video.endswith('film.mp4') for hit in reranked) <= 3
    hits = inferencer.search(TEXT, gallery, 100).hits
    film = [hit for hit in hits if hit.video.endswith('film.mp4')]
    assert 1 <= len(film) <= 3
    assert len(hits) - len(film) == 4
    assert all(
        one.end < other.start or other.end < one.start
        for one in film
        for other in film
        if one is not other
    )
    by_span = {hit.span.id: (hit.similarity, hit.generator, hit.score) for hit in alone}
    assert {hit.span.id: (hit.similarity, hit.generator, hit.score) for hit in hits}.items() <= (
        by_span.items()
    )
    where = "path = 'film.mp4'"
    others = inferencer.search(TEXT, gallery, 100, where, all_spans=True).hits
    assert sum(hit.generator is not None for hit in others) == 4  # there are none of other videos
    like = inferencer.search(folder / 'a.mp4', gallery, 100).hits
    assert like[0].video.endswith('a.mp4')
    assert sum(hit.video.endswith('film.mp4') for hit in like) <= 3
    assert len(inferencer.search(folder / 'a.mp4', gallery, 100, all_spans=True).hits) == 21


def test_whole_videos_are_found_as_before(new_inferencer, folder, tmp_path):
    inferencer = new_inferencer()
    gallery = inferencer.index(folder, tmp_path / 'gallery')
    hits = inferencer.search(TEXT, gallery).hits
    assert hits == inferencer.search(TEXT, gallery, all_spans=True).hits
    paths = [hit.video for hit in hits]
    assert sorted(paths) == gallery.paths()
    texts, videos = inferencer.encode_text(TEXT), inferencer.encode_video(paths)
    kept = videos.to(torch.float16).to(torch.float32)
    scores = inferencer.model.similarity(texts, kept)
    index = torch.zeros(1, dtype=torch.int64)
    final = inferencer.model.rerank_queries('t2v', scores, texts, kept, index)
    assert [hit.similarity for hit in hits] == pytest.approx(scores[0].tolist(), abs=1e-5)
    assert [hit.score for hit in hits] == pytest.approx(final[0].tolist(), abs=1e-5)
    assert sorted(hit.end for hit in hits) == pytest.approx([6, 7, 8, 9, 90])
