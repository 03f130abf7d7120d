"""Which spans a video has, and which frames stand for each."""

import numpy as np
import pytest

from diffusionret_mm.datasets.spans import Moments
from diffusionret_mm.datasets.spans.planning import Timeline, plan_video, plan_windows
from diffusionret_mm.datasets.transforms.frames import SampleVideoFrames

WINDOWS = Moments('windows')


def timeline(times, end, fps=25.0):
    times = np.asarray(times, dtype=np.float64)
    return Timeline(np.arange(len(times)), times, end, fps, fps)


def even(seconds, fps):
    count = round(seconds * fps)
    return timeline(np.arange(count) / fps, count / fps, fps)


def bounds(spans):
    return [(span.start, span.end) for span in spans]


@pytest.mark.parametrize(
    ('seconds', 'expected'),
    [
        (4, [(0, 4)]),
        (14.96, [(0, 14.96)]),
        (15, [(0, 10), (5, 15)]),
        (17, [(0, 10), (5, 15), (10, 17)]),
        (20, [(0, 10), (5, 15), (10, 20)]),
        (20.04, [(0, 10), (5, 15), (10, 20), (15, 20.04)]),
    ],
)
def test_windows_of_ten_seconds_every_five_reach_the_end(seconds, expected):
    spans = plan_windows(even(seconds, 25), SampleVideoFrames(4), WINDOWS)
    np.testing.assert_allclose(bounds(spans), expected)
    assert {span.kind for span in spans} == {'video' if seconds < 15 else 'window'}


def test_other_windows():
    spans = plan_windows(even(6.48, 25), SampleVideoFrames(4), Moments('windows', 3, 1.5))
    np.testing.assert_allclose(bounds(spans), [(0, 3), (1.5, 4.5), (3, 6), (4.5, 6.48)])
    (span,) = plan_windows(even(4.4, 25), SampleVideoFrames(4), Moments('windows', 3, 1.5))
    assert (span.start, span.end, span.kind) == (0, pytest.approx(4.4), 'video')


@pytest.mark.parametrize('num_frames', [4, 8, 12])
@pytest.mark.parametrize('fps', [24, 25, 30])
def test_windows_share_their_frames(fps, num_frames):
    spans = plan_windows(even(60, fps), SampleVideoFrames(num_frames), WINDOWS)
    numbers = [number for span in spans for number in span.numbers]
    assert len(numbers) == 11 * num_frames
    assert len(set(numbers)) == 6 * num_frames


def test_windows_share_most_frames_where_seconds_are_no_whole_number_of_frames():
    spans = plan_windows(even(600, 30000 / 1001), SampleVideoFrames(12), WINDOWS)
    numbers = [number for span in spans for number in span.numbers]
    assert len(set(numbers)) < 0.65 * len(numbers)


def test_frames_of_a_span_appear_in_it():
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.01, 0.4, 300))
    times -= times[0]
    for span in plan_windows(timeline(times, times[-1] + 0.1), SampleVideoFrames(12), WINDOWS):
        shown = times[list(span.numbers)]
        assert len(shown) == 12
        assert (shown >= span.start).all()
        assert (shown < span.end).all()
        assert np.diff(shown).min() > 0


def test_where_no_frame_appears_there_is_the_one_on_the_screen():
    slides = timeline([0.0, 3.0, 31.0], end=40.0, fps=0.075)
    spans = plan_windows(slides, SampleVideoFrames(12), WINDOWS)
    assert [span.numbers for span in spans] == [
        (0, 1), (1,), (1,), (1,), (1,), (2,), (2,),
    ]  # fmt: skip


def test_a_whole_video_has_the_frames_of_an_item():
    sample = SampleVideoFrames(12)
    (span,) = plan_video(even(7, 25), sample)
    expected = sample(dict(total_frames=175))['frame_inds']
    assert span.numbers == tuple(expected)
    assert (span.start, span.end, span.kind) == (0, 7, 'video')


def test_every_frame_of_a_short_span_counts_once():
    (span,) = plan_video(even(0.12, 25), SampleVideoFrames(12))
    assert span.numbers == (0, 1, 2)
