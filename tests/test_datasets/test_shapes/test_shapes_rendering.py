"""Pictures of scenes, and the video files made of them."""

from dataclasses import replace
from itertools import pairwise

import decord
import numpy as np
import pytest

from diffusionret_mm.datasets.shapes.drawing import draw_scene
from diffusionret_mm.datasets.shapes.rendering import figure_states, render_frames, write_video
from diffusionret_mm.datasets.shapes.scenes import Action, reverse_scene


@pytest.fixture(scope='module')
def scenes():
    rng = np.random.default_rng(4)
    return [draw_scene(rng) for _ in range(2000)]


def acting(scenes, action):
    """A scene whose second event is `action`, and the index of its actor."""
    scene = next(s for s in scenes if s.second.action is action)
    return scene, scene.second.actor


def test_reversed_scene_has_the_frames_in_reverse_order(scenes):
    for scene in scenes[:60]:
        frames = render_frames(scene)
        assert np.array_equal(render_frames(reverse_scene(scene)), frames[::-1])
        assert not np.array_equal(frames, frames[::-1])


def test_frames_have_the_size_of_the_staging(scenes):
    for scene in scenes[:10]:
        width, height = scene.staging.frame_size
        frames = render_frames(scene)
        assert frames.shape == (scene.staging.num_frames, height, width, 3)
        assert frames.dtype == np.uint8
        assert 2 <= len(frames) / scene.staging.frame_rate <= 6.1


def test_figures_stay_inside_and_apart(scenes):
    for scene in scenes:
        for time in np.linspace(-1, 1, 21):
            states = figure_states(scene, time)
            for state in states:
                # A grown figure that swaps places may cross the border by a pixel or two.
                assert max(abs(state.x), abs(state.y)) + state.radius <= 0.535, scene.key
            if len(states) == 2:
                a, b = states
                apart = max(abs(a.x - b.x), abs(a.y - b.y))
                # Corners of squares that pass each other may touch.
                assert apart >= 0.85 * (a.radius + b.radius) - 0.005, scene.key
                assert np.hypot(a.x - b.x, a.y - b.y) >= a.radius + b.radius, scene.key


@pytest.mark.parametrize(
    ('action', 'field', 'change'),
    [
        (Action.LEFT, 'x', -0.47),
        (Action.RIGHT, 'x', 0.47),
        (Action.UP, 'y', -0.47),
        (Action.DOWN, 'y', 0.47),
        (Action.CLOCKWISE, 'angle', np.pi),
        (Action.ANTICLOCKWISE, 'angle', -np.pi),
        (Action.APPEAR, 'opacity', 1),
        (Action.DISAPPEAR, 'opacity', -1),
    ],
)
def test_actions_change_what_they_say(scenes, action, field, change):
    scene, actor = acting(scenes, action)
    start, end = (getattr(figure_states(scene, time)[actor], field) for time in (0, 1))
    assert end - start == pytest.approx(change)


def test_grow_and_shrink(scenes):
    for action, ratio in ((Action.GROW, 2.2), (Action.SHRINK, 1 / 2.2)):
        scene, actor = acting(scenes, action)
        start, end = (figure_states(scene, time)[actor].radius for time in (0, 1))
        assert end / start == pytest.approx(ratio)


def test_swap_exchanges_positions(scenes):
    scene, _ = acting(scenes, Action.SWAP)
    start, end = ([(s.x, s.y) for s in figure_states(scene, time)] for time in (0, 1))
    assert np.allclose(end, start[::-1])


def test_clockwise_is_clockwise_on_the_picture(scenes):
    """A triangle that points up points to the right after a quarter turn."""
    scene = next(
        s
        for s in scenes
        if (s.second.action, len(s.figures)) == (Action.CLOCKWISE, 1)
        and s.first.action.kind != 'colour'
    )
    staging = replace(scene.staging, quarters=0, background=((128,) * 3,) * 2, num_frames=41)
    scene = replace(scene, figures=(replace(scene.figures[0], shape='triangle'),), staging=staging)
    assert figure_states(scene, 0.5)[0].angle == pytest.approx(np.pi / 2)
    frame = render_frames(scene)[30].astype(int)
    heights = (np.abs(frame - 128).max(-1) > 60).sum(0)
    base, *_, tip = heights[heights > 0]
    assert tip < base / 2


def test_colours_are_those_of_the_figures(scenes):
    scene = next(
        s for s in scenes if s.figures[0].colour == 'red' and s.figures[0].shape == 'cross'
    )
    frames = render_frames(scene).astype(int)
    reddish = (frames[..., 0] > 180) & (frames[..., 1:].max(-1) < 70)
    assert reddish.any(axis=(1, 2)).any()


def test_each_half_holds_one_event(scenes):
    for scene in scenes[:40]:
        for half, event in ((-1, scene.first), (1, scene.second)):
            states = [figure_states(scene, half * t) for t in np.linspace(0.01, 1, 12)]
            moving = {
                index
                for a, b in pairwise(states)
                for index, (p, q) in enumerate(zip(a, b, strict=True))
                if p != q
            }
            expected = {0, 1} if event.action is Action.SWAP else {event.actor}
            assert moving == expected


def test_video_is_what_was_drawn(scenes, tmp_path):
    for number, scene in enumerate(scenes[:8]):
        frames = render_frames(scene)
        path = tmp_path / f'{number}.mp4'
        write_video(path, frames, scene.staging.frame_rate)
        reader = decord.VideoReader(str(path))
        decoded = np.stack([reader[i].asnumpy() for i in range(len(reader))])
        assert decoded.shape == frames.shape
        assert reader.get_avg_fps() == pytest.approx(scene.staging.frame_rate)
        assert np.abs(decoded.astype(int) - frames).mean() < 6


def test_unwritable_video_is_reported(tmp_path):
    frames = np.zeros((3, 80, 80, 3), np.uint8)
    with pytest.raises(OSError, match='disk has space left'):
        write_video(tmp_path / 'absent' / 'a.mp4', frames, 10)
