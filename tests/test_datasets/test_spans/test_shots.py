"""From cuts to shots and windows within them, and cuts of a made clip."""

import itertools
import sys

import av
import numpy as np
import pytest

from diffusionret_mm.datasets.spans import Moments, SpanReader
from diffusionret_mm.datasets.spans.planning import Timeline, plan_windows
from diffusionret_mm.datasets.spans.shots import DELAY, ContentCuts, planner_of
from diffusionret_mm.datasets.transforms.frames import SampleVideoFrames
from diffusionret_mm.datasets.video_reading import open_video

STEPS = [
    dict(type='DecodeVideo', sample=dict(type='SampleVideoFrames', num_frames=4)),
    dict(type='CLIPResizeCrop', size=32),
]


def planned(moments, cuts, end, step=0.2):
    planner, found = planner_of(moments), []
    for time in np.arange(0, end, step):
        found += planner.advance(time, is_cut=any(abs(time - cut) < step / 2 for cut in cuts))
    found += planner.finish(end)
    assert planner.start == end
    return np.round(found, 6).tolist()


def shots_of(cuts, end):
    return planned(Moments('shots'), cuts, end)


def windows_of(cuts, end, length=10.0, step=5.0):
    return planned(Moments('windows', length, step), cuts, end)


@pytest.mark.parametrize(
    ('cuts', 'end', 'expected'),
    [
        ([], 1, [[0, 1]]),
        ([], 9, [[0, 9]]),
        ([3, 7], 10, [[0, 3], [3, 7], [7, 10]]),
        ([1], 10, [[0, 10]]),  # the first shot is too short
        ([4, 5], 10, [[0, 4], [4, 10]]),  # one in between is
        ([4, 9], 10, [[0, 4], [4, 10]]),  # the last is
        ([0.2, 0.4, 0.6], 1, [[0, 1]]),
        ([], 50, [[0, 20], [20, 40], [40, 50]]),
        ([], 41, [[0, 20], [20, 30.5], [30.5, 41]]),  # one second would be left
        ([21], 30, [[0, 10.5], [10.5, 21], [21, 30]]),
        ([20], 21, [[0, 10.5], [10.5, 21]]),
    ],
)
def test_long_shots_are_cut_and_short_ones_joined(cuts, end, expected):
    assert shots_of(cuts, end) == expected


@pytest.mark.parametrize('seed', range(20))
def test_shots_have_no_gaps_and_last_two_to_twenty_seconds(seed):
    rng = np.random.default_rng(seed)
    end = rng.uniform(2, 200)
    cuts = np.cumsum(rng.exponential(rng.choice([0.5, 3, 15]), 400))
    shots = np.array(shots_of(cuts, end))
    assert shots[0, 0] == 0
    assert shots[-1, 1] == pytest.approx(end)
    np.testing.assert_array_equal(shots[1:, 0], shots[:-1, 1])
    lengths = np.diff(shots, axis=1)
    assert lengths.min() >= 2 - 1e-5
    assert lengths.max() <= 20 + 1e-5


@pytest.mark.parametrize(
    ('cuts', 'end', 'expected'),
    [
        ([], 1, [[0, 1]]),
        ([], 14.8, [[0, 14.8]]),
        ([], 17, [[0, 10], [5, 15], [10, 17]]),
        ([7], 17, [[0, 7], [7, 17]]),
        ([3, 20], 22, [[0, 3], [3, 13], [8, 18], [13, 20], [20, 22]]),
        ([1], 16, [[0, 10], [5, 15], [10, 16]]),  # the first shot is too short
        ([15], 16, [[0, 10], [5, 15], [10, 16]]),  # the last is
        ([4, 5], 10, [[0, 4], [4, 10]]),  # one in between is
    ],
)
def test_windows_end_at_cuts(cuts, end, expected):
    assert windows_of(cuts, end) == expected


def test_windows_shorter_than_the_shortest_shot_end_at_more_cuts():
    assert windows_of([1], 3, length=3, step=1) == [[0, 3]]
    assert windows_of([1], 3, length=1, step=1) == [[0, 1], [1, 2], [2, 3]]
    assert windows_of([1.6], 3, length=1, step=1) == [[0, 1.6], [1.6, 3]]


@pytest.mark.parametrize('seconds', [0.4, 3, 14.8, 15, 15.2, 20, 20.2, 61])
@pytest.mark.parametrize(('length', 'step'), [(10, 5), (3, 1), (2, 0.7)])
def test_without_cuts_windows_are_those_across_cuts(seconds, length, step):
    times = np.arange(0, seconds, 0.2)
    moments = Moments('windows', length, step, across_cuts=True)
    timeline = Timeline(np.arange(len(times)), times, seconds, 5, 5)
    spans = plan_windows(timeline, SampleVideoFrames(4), moments)
    expected = [[span.start, span.end] for span in spans]
    np.testing.assert_allclose(windows_of([], seconds, length, step), expected, atol=1e-6)


@pytest.mark.parametrize('seed', range(20))
def test_windows_fill_shots_and_contain_no_cut(seed):
    rng = np.random.default_rng(seed)
    end = rng.uniform(2, 200)
    cuts = 0.2 * np.cumsum(rng.integers(10, 200, 100))
    cuts = cuts[cuts < end - 2]
    windows = np.array(windows_of(cuts, end, length=5.0, step=2.0))
    assert np.diff(windows[:, 1]).min(initial=1) > 0
    for start, stop in itertools.pairwise([0, *cuts, end]):
        inside = windows[(windows[:, 0] > start - 1e-3) & (windows[:, 1] < stop + 1e-3)]
        assert inside[0, 0] == pytest.approx(start)
        assert inside[-1, 1] == pytest.approx(stop)
        assert (inside[1:, 0] <= inside[:-1, 1]).all()
        windows = windows[len(inside) :]
    assert not len(windows)


@pytest.mark.parametrize('moments', [Moments('shots'), Moments('windows')])
def test_spans_are_known_soon(moments):
    rng = np.random.default_rng(0)
    planner = planner_of(moments)
    for time in np.arange(0, 600, 0.2):
        planner.advance(time, is_cut=rng.random() < 0.02)
        assert time - planner.start <= (24 if moments.kind == 'shots' else 17)


def write_scenes(path, cuts, seconds, rate=25, size=(160, 96)):
    """Write textured scenes that move slowly, each of its own colours."""
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[: size[1], : size[0]]
    with av.open(str(path), 'w') as out:
        stream = out.add_stream('libx264', rate=rate, options=dict(preset='ultrafast', g='50'))
        stream.width, stream.height = size
        stream.pix_fmt = 'yuv420p'
        scene = -1
        for number in range(int(seconds * rate)):
            place = int(np.searchsorted(cuts, number / rate, side='right'))
            if place != scene:
                scene = place
                wave = columns / rng.uniform(8, 30) + rows / rng.uniform(8, 30)
                image = 128 + 40 * np.sin(wave)[..., None] + rng.uniform(-80, 80, 3)
                image = np.clip(image, 0, 255).astype(np.uint8)
            moved = np.ascontiguousarray(np.roll(image, number, axis=1))
            out.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format='rgb24')))
        out.mux(stream.encode())
    return path


def test_windows_of_a_clip_end_where_it_was_cut(tmp_path):
    pytest.importorskip('scenedetect')
    path = write_scenes(tmp_path / 'scenes.mp4', [3.0, 5.4, 6.2, 11.0], seconds=18.5, rate=10)
    with open_video(path) as video:
        streamed = list(SpanReader(STEPS, Moments('windows', 3, 2)).stream(video))
    bounds = [(item.span.start, item.span.end) for item in streamed]
    expected = [
        (0, 3), (3, 5.4), (5.4, 8.4), (7.4, 10.4), (9.4, 11),
        (11, 14), (13, 16), (15, 18), (17, 18.5),
    ]  # fmt: skip
    np.testing.assert_allclose(bounds, expected, atol=1e-6)
    assert {item.span.kind for item in streamed} == {'window'}


@pytest.mark.parametrize('rate', [10, 25, 50])
def test_shots_of_a_clip_begin_where_it_was_cut(tmp_path, rate):
    pytest.importorskip('scenedetect')
    cuts = [3.0, 5.4, 6.2, 11.0, 33.4]
    path = write_scenes(tmp_path / 'scenes.mp4', cuts, seconds=36, rate=rate)
    with open_video(path) as video:
        streamed = list(SpanReader(STEPS, Moments('shots')).stream(video))
        times = video.table.times
    spans = [item.span for item in streamed]
    # 6.2 ends a shot of less than two seconds, and 11.0 to 33.4 is longer than twenty.
    expected = [0, 3.0, 5.4, 11.0, 31.0, 33.4]
    starts = [span.start for span in spans]
    assert len(starts) == len(expected)
    np.testing.assert_allclose(starts, expected, atol=0.21)
    assert [span.end for span in spans] == pytest.approx([*starts[1:], 36])
    for span in spans:
        shown = times[list(span.numbers)]
        assert (shown >= span.start - 1e-6).all()
        assert (shown < span.end).all()
        assert len(shown) == 4


def test_a_change_that_stands_out_is_a_cut():
    pytest.importorskip('scenedetect')
    rng = np.random.default_rng(0)
    scene = rng.integers(60, 200, (90, 160, 3))
    for level, expected in ((4, []), (50, [6])):
        cuts, found = ContentCuts(fps=10.0), []
        for number in range(12):
            image = scene + rng.integers(-2, 3, scene.shape) + level * (number >= 6)
            found += cuts.take(number / 10, np.clip(image, 0, 255).astype(np.uint8))
        assert len(found) == 12 - DELAY
        found += cuts.finish()
        assert [time for time, _ in found] == [number / 10 for number in range(12)]
        assert [number for number, (_, is_cut) in enumerate(found) if is_cut] == expected


@pytest.mark.parametrize('moments', ['shots', 'windows'])
def test_without_the_extra_it_is_said_how_to_install_it(monkeypatch, moments):
    monkeypatch.setitem(sys.modules, 'scenedetect', None)
    with pytest.raises(ModuleNotFoundError, match=r'\[moments\]'):
        SpanReader(STEPS, Moments(moments))
    SpanReader(STEPS, Moments('windows', across_cuts=True))
