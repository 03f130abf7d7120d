"""What is a scene, and what are its twins."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from diffusionret_mm.datasets.shapes.drawing import change_scene, draw_scene, draw_twins
from diffusionret_mm.datasets.shapes.scenes import (
    COLOURS,
    SHAPES,
    Action,
    Event,
    Figure,
    Scene,
    reverse_scene,
)


@pytest.fixture(scope='module')
def scenes():
    rng = np.random.default_rng(1)
    return [draw_scene(rng) for _ in range(400)]


def make_scene(scenes, figures, first, second):
    """A scene by hand, staged like any other one with as many figures."""
    staging = next(s.staging for s in scenes if len(s.figures) == len(figures))
    return Scene(tuple(figures), first, second, staging)


def test_reversed_scene_says_what_one_then_sees(scenes):
    scene = make_scene(
        scenes,
        [Figure('red', 'circle'), Figure('green', 'cross')],
        Event(0, Action.LEFT),
        Event(1, Action.RECOLOUR, 'blue'),
    )
    assert scene.key == 'red circle left > green cross recolour blue'
    assert reverse_scene(scene).key == 'blue cross recolour green > red circle right'


def test_swap_names_the_partner(scenes):
    figures = [Figure('red', 'circle'), Figure('green', 'cross')]
    scene = make_scene(scenes, figures, Event(0, Action.SWAP), Event(0, Action.GROW))
    assert scene.key == 'red circle swap green cross > red circle grow'
    assert reverse_scene(scene).key == 'red circle shrink > red circle swap green cross'


def test_reversal_changes_every_scene_and_undoes_itself(scenes):
    for scene in scenes:
        assert reverse_scene(scene).key != scene.key
        assert reverse_scene(reverse_scene(scene)) == scene


def test_changed_scene_differs_in_one_colour_or_shape(scenes):
    rng = np.random.default_rng(2)
    for scene in scenes:
        changed = change_scene(scene, rng)
        pairs = zip(scene.figures, changed.figures, strict=True)
        differences = [(a.colour != b.colour) + (a.shape != b.shape) for a, b in pairs]
        assert sum(differences) == 1
        assert (changed.first, changed.second) == (scene.first, scene.second)
        assert changed.staging == scene.staging


def test_everything_is_drawn(scenes):
    assert {f.shape for s in scenes for f in s.figures} == set(SHAPES)
    assert {f.colour for s in scenes for f in s.figures} == set(COLOURS)
    firsts, seconds = (Counter(getattr(s, n).action for s in scenes) for n in ('first', 'second'))
    assert set(firsts) == set(seconds) == set(Action)
    assert {len(s.figures) for s in scenes} == {1, 2}


def test_twins_never_repeat_a_scene():
    rng, used = np.random.default_rng(3), set()
    keys = [twin.key for _ in range(300) for twin in draw_twins(rng, used).values()]
    assert len(set(keys)) == len(keys) == len(used) == 900


RED, GREEN = Figure('red', 'triangle'), Figure('green', 'square')
LEFT = Event(0, Action.LEFT)


@pytest.mark.parametrize(
    ('figures', 'first', 'second', 'flaw'),
    [
        ([RED], LEFT, Event(0, Action.RIGHT), 'same property'),
        ([GREEN], LEFT, Event(0, Action.CLOCKWISE), 'angle'),
        ([RED], LEFT, Event(0, Action.APPEAR), 'not to be seen'),
        ([RED], Event(0, Action.DISAPPEAR), LEFT, 'not to be seen'),
        ([RED], LEFT, Event(0, Action.RECOLOUR, 'red'), 'colour occurs twice'),
        ([RED, replace(GREEN, colour='red')], LEFT, Event(1, Action.UP), 'colour occurs twice'),
        ([RED, GREEN], LEFT, Event(0, Action.UP), 'does nothing'),
        ([RED, GREEN], LEFT, Event(1, Action.SWAP), 'other event too'),
        ([RED], LEFT, Event(0, Action.SWAP), 'other event too'),
    ],
)
def test_contradictions_are_refused(scenes, figures, first, second, flaw):
    with pytest.raises(ValueError, match=flaw):
        make_scene(scenes, figures, first, second)
