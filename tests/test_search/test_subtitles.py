"""What is said in spans: kept in step with them, found by its words, and fused with ranks."""

import threading
from datetime import timedelta

import numpy as np
import pytest
import torch

from diffusionret_mm.datasets.subtitles import Line
from diffusionret_mm.search import (
    Facts,
    Gallery,
    GalleryWriter,
    Libraries,
    Span,
    SubtitleWriter,
    layout_of,
    maintain,
    search_texts,
    steps,
)
from diffusionret_mm.search.fusion import fuse
from diffusionret_mm.search.hits import Scores, moment_hits
from diffusionret_mm.search.pooling import pool_videos
from diffusionret_mm.search.steps import score_candidates
from diffusionret_mm.search.words import best_line

pytest.importorskip('lance')

# Of video v<i>: who speaks of what.
SAID = ['the harbour sleeps', 'a lighthouse keeper', 'harbour, harbour and harbour', 'Öl im Café']


@pytest.fixture
def say(files):
    """A function that gives a gallery's videos v0, v1 ... a line each."""

    def write(gallery, *texts, source='a'):
        with SubtitleWriter(gallery) as writer:
            for number, text in enumerate(texts):
                (file,) = files(f'v{number}')
                writer.add(file, source, [Line(1, 2, text)] if text else [])

    return write


def found(gallery, sentence, where=None):
    """Names of the videos whose lines fit a sentence, the best first."""
    snapshot = Gallery(gallery.folder).latest()
    matches = snapshot.matches(sentence, 100, where)
    return [span.path.split('/')[-1].split('.')[0] for span in snapshot.spans(matches.rows)]


@pytest.mark.parametrize('has_index', [False, True])
def test_lines_are_found_by_their_words(new_gallery, say, has_index):
    gallery, _ = new_gallery(6)
    say(gallery, *SAID)
    if has_index:
        maintain(gallery)
    assert found(gallery, 'what is in the HARBOUR') == ['v2', 'v0']
    assert found(gallery, 'a harbour sleeps, who knows') == ['v0']
    assert found(gallery, 'a harbour sleeps, and boats') == ['v0']  # two of three words
    assert found(gallery, 'a harbour sleeps, and boats and nets') == []
    assert found(gallery, 'cafe') == ['v3']
    assert found(gallery, 'of the and') == []
    assert found(gallery, '") OR *') == []
    assert found(gallery, 'harbour', "path < 'v2'") == ['v0']
    best = Gallery(gallery.folder).latest().matches('harbour', 1, "path < 'v2'")
    assert best.texts == ['the harbour sleeps']
    with pytest.raises(ValueError, match='No field named mask'):
        found(gallery, 'harbour', 'mask IS NOT NULL')
    assert found(gallery, 'harbour', "metadata IS NOT NULL AND kind = 'shot'") == []


def test_a_gallery_without_subtitles_has_no_matches(new_gallery):
    gallery, _ = new_gallery(2)
    assert found(gallery, 'harbour') == []
    assert gallery.subtitle_sources() == {}
    assert not gallery.subtitles.exists()


def test_lines_change_with_their_files(new_gallery, say):
    gallery, _ = new_gallery(3)
    say(gallery, 'a harbour', 'a lighthouse', '')
    maintain(gallery)
    say(gallery, 'a garden', source='b')
    assert (found(gallery, 'harbour'), found(gallery, 'garden')) == ([], ['v0'])
    assert found(gallery, 'lighthouse') == ['v1']
    sources = {path: source for (_, path), source in gallery.subtitle_sources().items()}
    assert sources == {'v0.mp4': 'b', 'v1.mp4': 'a', 'v2.mp4': 'a'}
    maintain(gallery, keep=timedelta(0))
    assert (found(gallery, 'harbour'), found(gallery, 'garden')) == ([], ['v0'])
    assert gallery.subtitles.open().count_rows() == 3


def test_a_long_lived_reader_sees_new_lines(new_gallery, say):
    gallery, _ = new_gallery(2)
    say(gallery, 'a harbour')
    reader = Gallery(gallery.folder)
    before = reader.latest()
    say(gallery, 'a garden', source='b')
    assert len(before.matches('harbour', 9).texts) == 1
    assert reader.latest().matches('garden', 9).texts == ['a garden']
    assert reader.latest() is reader.latest()


def test_videos_go_with_their_lines(new_gallery, say, spans, draw_arrays):
    gallery, _ = new_gallery(3)
    say(gallery, *['a harbour'] * 3)
    GalleryWriter(gallery).remove([('videos', 'v0.mp4')])
    with GalleryWriter(gallery) as writer:  # the same span of another video
        writer.add(spans('v1', bytes=2), draw_arrays(1))
    assert found(gallery, 'harbour') == ['v2']
    assert gallery.subtitles.open().count_rows() == 1
    say(gallery, *['a garden'] * 3)
    assert sorted(found(gallery, 'garden')) == ['v1', 'v2']


def test_lines_belong_to_each_span_they_overlap_with(new_gallery, files, draw_arrays):
    gallery, _ = new_gallery(1)
    film, whole = files('film', 'v0')
    windows = [Span(film, start, start + 10, 'window') for start in (0.0, 5.0, 10.0)]
    lines = [Line(9, 11, 'in each'), Line(2, 5, 'first'), Line(20, 21, 'behind the end')]
    with GalleryWriter(gallery) as writer:
        writer.add(windows, draw_arrays(3))
    with SubtitleWriter(gallery) as writer:
        writer.add(film, 'a', lines)
        writer.add(whole, 'a', lines)
    rows = gallery.subtitles.open().to_table(columns=['path', 'start', 'text']).to_pylist()
    assert {(row['path'], row['start']): row['text'] for row in rows} == {
        ('film.mp4', 0): 'first\nin each',
        ('film.mp4', 5): 'in each',
        ('film.mp4', 10): 'in each',
        ('v0.mp4', 0): 'first\nin each\nbehind the end',
    }


def test_equal_lines_come_in_the_order_of_their_ids(new_gallery, say):
    gallery, _ = new_gallery(40)
    say(gallery, *['a harbour'] * 40)
    for _ in range(2):
        snapshot = Gallery(gallery.folder).latest()
        rows = snapshot.matches('harbour', 100).rows
        ids = [span.id for span in snapshot.spans(rows)]
        assert ids == sorted(ids)
        assert len(ids) == 40
        maintain(gallery)


def test_ranks_are_fused_by_their_reciprocals():
    scores = np.array([0.1, 0.9, 0.5, 0.7])  # ranks 4, 1, 3, 2
    values = fuse(scores.tolist(), [0, 2])
    sums = [1 / 64 + 1 / 61, 1 / 61, 1 / 63 + 1 / 62, 1 / 62]
    assert np.argsort(values)[::-1].tolist() == np.argsort(sums)[::-1].tolist() == [0, 2, 1, 3]
    assert len(set(values)) == 4


def test_of_equal_sums_the_scores_decide():
    values = fuse([0.5, 0.9], [0, 1])  # ranks 2 and 1, 1 and 2
    assert values[1] > values[0]


def test_a_moment_has_the_line_that_fits_best_of_its_spans(new_gallery, files, draw_arrays):
    gallery, _ = new_gallery(1)
    (film,) = files('film')
    windows = [Span(film, start, start + 10, 'window') for start in (0.0, 5.0)]
    arrays = draw_arrays(2, seed=4)
    with GalleryWriter(gallery) as writer:
        writer.add(windows, arrays)
    with SubtitleWriter(gallery) as writer:
        writer.add(
            film,
            'a',
            [Line(2, 4, 'no word of it'), Line(11, 14, 'the old harbour'), Line(11, 15, 'yes')],
        )
    snapshot = Gallery(gallery.folder).latest()
    (candidates,) = snapshot.candidates(arrays['pooled'][:1], 3)
    values = [1.0 if span.start == 0 and 'film' in span.path else 0.1 for span in candidates.spans]
    matches = snapshot.matches('harbour', 9)
    scores = Scores(values, values).fused_with(matches, 'a harbour', candidates.rows)
    hit = moment_hits(candidates, scores, 1, each_alone=False)[0]
    assert (hit.start, hit.end, hit.subtitle) == (0, 15, 'the old harbour')
    alone = moment_hits(candidates, scores, 3, each_alone=True)
    lines = {(hit.video, hit.start): hit.subtitle for hit in alone}
    assert lines == {
        ('/videos/film.mp4', 0): None,
        ('/videos/film.mp4', 5): 'the old harbour',
        ('/videos/v0.mp4', 0): None,
    }


def test_the_line_with_most_letters_of_common_words_is_shown():
    text = 'In the end\nÉclairs in the kitchen\nthe end'
    assert best_line(text, 'an eclair? eclairs!') == 'Éclairs in the kitchen'
    assert best_line(text, 'xyz') == 'In the end'
    assert best_line('どこにあるの\n鍵は台所にある', '台所にある') == '鍵は台所にある'


def test_scripts_without_spaces(new_gallery, say):
    gallery, _ = new_gallery(3)
    say(gallery, '我昨天去了北京大学', '鍵は台所にある', '北京在下雨')
    maintain(gallery)
    assert found(gallery, '北京大学') == ['v0']
    assert found(gallery, '台所') == ['v1']


def test_spans_with_fitting_lines_join_the_candidates(
    tiny_model, features, files, tmp_path, monkeypatch
):
    monkeypatch.setattr(steps, 'NUM_CANDIDATES', 1)
    texts, videos = features(num_texts=1, num_videos=5)
    weights = torch.full(videos.mask.shape, 0.25)
    arrays = dict(
        frames=videos.frames.half().numpy(),
        mask=videos.mask.numpy(),
        frame_weights=weights.numpy(),
        pooled=pool_videos(videos, weights).numpy(),
    )
    facts = Facts({}, layout_of(arrays))
    gallery = Gallery.create(tmp_path / 'gallery', facts, Libraries({'videos': '/videos'}))
    with GalleryWriter(gallery) as writer:
        writer.add([Span(file, 0, 5) for file in files(*(f'v{i}' for i in range(5)))], arrays)
    alone = search_texts(tiny_model, ['a harbour'], texts, gallery, 1)[0].hits[0].video
    wanted = next(f'v{i}' for i in range(5) if f'v{i}.mp4' not in alone)
    with SubtitleWriter(gallery) as writer:
        writer.add(files(wanted)[0], 'a', [Line(0, 1, 'the harbour')])
    query = tiny_model, ['a harbour'], texts, Gallery(gallery.folder), 1
    (hit,) = search_texts(*query)[0].hits
    assert hit.video == f'/videos/{wanted}.mp4'
    assert (hit.rank, hit.subtitle) == (1, 'the harbour')
    row = gallery.latest().find(hit.span.id).rows
    scores = score_candidates(tiny_model, texts, gallery.latest(), row)[1]
    assert hit.similarity == pytest.approx(scores.item(), abs=1e-5)
    assert search_texts(*query, subtitles=False)[0].hits[0].video == alone


def test_words_count_that_are_said_together(new_gallery, files):
    gallery, _ = new_gallery(2)
    near, far = files('v0', 'v1')
    between = [Line(2, 3, 'well'), Line(3, 4, 'then'), Line(4, 5, 'so')]
    with SubtitleWriter(gallery) as writer:
        writer.add(
            near, 'a', [Line(0, 1, 'an old'), Line(1, 2, 'lighthouse'), Line(2, 3, 'keeper')]
        )
        writer.add(far, 'a', [Line(0, 1, 'an old lighthouse'), *between, Line(6, 7, 'keeper')])
    assert found(gallery, 'the old lighthouse keeper') == ['v0']
    assert sorted(found(gallery, 'an old lighthouse')) == ['v0', 'v1']


def test_two_write_at_the_same_time(new_gallery, files):
    gallery, _ = new_gallery(8)
    both = threading.Barrier(2)

    def write(numbers):
        mine = Gallery(gallery.folder)
        both.wait()
        for number in numbers:
            with SubtitleWriter(mine) as writer:
                writer.add(files(f'v{number}')[0], 'a', [Line(0, 1, 'a harbour')])

    threads = [threading.Thread(target=write, args=[part]) for part in (range(4), range(4, 8))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found(gallery, 'harbour')) == [f'v{number}' for number in range(8)]
    maintain(gallery)
    assert gallery.subtitles.open().count_rows() == len(found(gallery, 'harbour')) == 8
