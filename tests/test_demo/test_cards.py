"""Results as HTML."""

from dataclasses import replace

from diffusionret_mm.demo.cards import NOTHING, cards, moment_label, results, scores, table
from diffusionret_mm.demo.found import Found, by_video
from diffusionret_mm.search import SentenceHit


def test_a_video_is_played_from_its_best_moment(scored):
    html = cards(by_video([scored(start=4.0, end=6.0), scored(start=0.0, score=0.4)], 8))
    assert html.count('<video') == 1
    assert '<video src="/video/id4#t=4.000,6.000" data-start="4.000" data-end="6.000"' in html
    assert html.count('class="hit"') == 2
    assert html.index('<b>1.</b> 0:04–0:06') < html.index('<b>2.</b> 0:00–0:02')


def test_names_are_no_html(scored):
    name = '<img src=x onerror=alert(1)>.mp4'
    (video,) = found = by_video([scored(name)], 8)
    assert '<img' not in cards(found)
    assert moment_label(video, video.hits[0]) == f'1. {name}, 0:00–0:02'  # Gradio escapes it


def test_what_is_said_is_shown_and_no_html(scored):
    found = by_video([replace(scored(), subtitle='<b>Hello</b>')], 8)
    assert '<q class="note">&lt;b&gt;Hello&lt;/b&gt;</q>' in cards(found)
    assert '<q' not in cards(by_video([scored()], 8))


def test_scores_in_words(scored):
    assert scores(scored(score=0.25)) == 'similarity 0.250'
    sure = replace(scored(score=0.25, generator=0.125), probability=0.5)
    assert scores(sure) == 'similarity 0.250, generator 0.125, probability 0.50'
    assert scores(scored(score=0.25, generator=0.125)) == 'similarity 0.250, generator 0.125'


def test_how_sure_a_search_is(scored):
    found = by_video([scored()], 8)
    assert results(Found(found)) == cards(found)
    assert results(Found([])) == NOTHING
    sure = results(Found(found, confidence=0.834))
    assert '>Confidence 83 %</p>' in sure
    assert sure.endswith(cards(found))
    unsure = results(Found([], confidence=0.12, no_match=True))
    assert '>No match: confidence 12 %.</p>' in unsure
    assert NOTHING not in unsure
    said = results(Found(found, confidence=0.12, no_match=True))
    assert said == unsure + cards(found)


def test_sentences_are_no_html():
    html = table([SentenceHit(1, '<b>bold</b>', 0.5, None, 0.5)])
    assert '&lt;b&gt;bold&lt;/b&gt;' in html
    assert 'similarity 0.500' in html


def test_nothing_is_said_to_be_found():
    assert cards([]) == NOTHING
