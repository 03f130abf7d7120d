"""The time line of a video."""

import re

import pytest

from diffusionret_mm.demo.found import FoundVideo, by_video
from diffusionret_mm.demo.timeline import Scale, address, clock, timeline, times


def test_bars_are_where_their_spans_are_and_as_high_as_their_scores(scored):
    spans = [scored(start=0.0, score=0.1), scored(start=4.0, end=6.0, score=0.9)]
    video = FoundVideo([spans[1]], spans)
    html = timeline(video, Scale.of([video]))
    assert 'style="--seconds: 6.000"' in html
    heights = re.findall(r'--from: ([\d.]+); --to: ([\d.]+); --height: ([\d.]+)', html)
    assert heights == [('0.000', '2.000', '0.200'), ('4.000', '6.000', '1.000')]
    assert html.count('class="bar shown"') == html.count('tabindex="0"') == 1
    assert 'data-src="/video/id4#t=4.000,6.000" data-start="4.000" data-end="6.000"' in html
    assert 'aria-label="0:04–0:06, score 0.900"' in html


def test_equal_scores_have_equal_bars(scored):
    video = FoundVideo([scored()], [scored(), scored(start=2.0, end=4.0)])
    assert timeline(video, Scale.of([video])).count('--height: 1.000') == 2


def test_joined_spans_are_shown_as_one_and_played_from_the_first(scored):
    (video,) = by_video([scored(start=1.0, end=3.0), scored(start=2.0, end=4.0, score=0.4)], 8)
    (hit,) = video.hits
    assert (hit.start, hit.end, hit.span.start) == (1.0, 4.0, 1.0)
    assert video.first_span(hit) == 'id1'
    assert timeline(video, Scale.of([video])).count('class="bar shown"') == 2


def test_names_are_no_html(scored):
    video = FoundVideo([scored('<img>".mp4')], [scored('<img>".mp4')])
    html = timeline(video, Scale.of([video]))
    assert 'aria-label="Time line of &lt;img&gt;&quot;.mp4"' in html


@pytest.mark.parametrize(
    ('seconds', 'text'),
    [(0, '0:00'), (59.96, '1:00'), (2.54, '0:02.5'), (75, '1:15'), (3725, '1:02:05')],
)
def test_clock(seconds, text):
    assert clock(seconds) == text


def test_a_span_of_unknown_end_is_the_whole_video():
    assert times(0.0, 0.0) == 'whole video'
    assert address('a', 0.0, 0.0) == '/video/a#t=0.000'
