"""Random draws of scenes, their staging and their twins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product

import numpy as np

from diffusionret_mm.datasets.shapes.scenes import (
    COLOURS,
    DIRECTIONS,
    SHAPES,
    Action,
    Corner,
    Event,
    Figure,
    Scene,
    Staging,
    content_flaw,
    reverse_scene,
)

# Close to squares: a pipeline may squeeze the frames into a square without spoiling the shapes.
FRAME_SIZES = ((80, 80), (96, 96), (112, 112), (112, 96), (96, 112))
FRAME_RATES = (8, 10, 12, 15)
_CORNERS: tuple[Corner, ...] = ((-1, -1), (1, -1), (-1, 1), (1, 1))
# Turns are the hardest to see in small frames, swaps the longest to tell.
_WEIGHTS = {Action.CLOCKWISE: 0.3, Action.ANTICLOCKWISE: 0.3, Action.SWAP: 0.5}


def change_scene(scene: Scene, rng: np.random.Generator) -> Scene:
    """Replace one colour or one shape of a scene; events and staging stay.

    Args:
        scene: a scene.
        rng: source of randomness.

    Returns:
        A scene that differs from `scene` in exactly one colour or one shape.
    """
    index = int(rng.integers(len(scene.figures)))
    options = {'colour': _replacements(scene, index, 'colour', COLOURS)}
    options['shape'] = _replacements(scene, index, 'shape', SHAPES)
    # A turning figure has no other shape to take.
    attributes = [attribute for attribute, found in options.items() if found]
    chosen = options[attributes[rng.integers(len(attributes))]]
    return chosen[rng.integers(len(chosen))]


def _replacements(scene: Scene, index: int, attribute: str, values: Iterable[str]) -> list[Scene]:
    """List the valid scenes in which one attribute of one figure has another value."""
    found = []
    for value in values:
        figures = list(scene.figures)
        figures[index] = replace(figures[index], **{attribute: value})
        flaw = content_flaw(tuple(figures), scene.first, scene.second)
        if flaw is None and figures[index] != scene.figures[index]:
            found.append(replace(scene, figures=tuple(figures)))
    return found


def draw_scene(rng: np.random.Generator) -> Scene:
    """Draw a scene at random.

    Args:
        rng: source of randomness.

    Returns:
        A valid scene.
    """
    actions = list(Action)
    weights = np.array([_WEIGHTS.get(action, 1.0) for action in actions])
    while True:
        first, second = (actions[i] for i in rng.choice(len(actions), 2, p=weights / weights.sum()))
        count = 2 if Action.SWAP in (first, second) else int(rng.choice((1, 2), p=(0.25, 0.75)))
        last_actor = 0 if Action.SWAP in (first, second) else count - 1
        colours = iter([list(COLOURS)[i] for i in rng.permutation(len(COLOURS))])
        shapes = [SHAPES[i] for i in rng.integers(len(SHAPES), size=count)]
        figures = tuple(Figure(next(colours), shape) for shape in shapes)
        one, other = (
            Event(actor, action, next(colours) if action is Action.RECOLOUR else None)
            for actor, action in ((0, first), (last_actor, second))
        )
        if content_flaw(figures, one, other) is None:
            return Scene(figures, one, other, _draw_staging(rng, count, one, other))


def draw_twins(rng: np.random.Generator, used: set[str]) -> dict[str, Scene]:
    """Draw a scene together with its two twins.

    Args:
        rng: source of randomness.
        used: keys of scenes that must not be drawn; the three new ones are added to it.

    Returns:
        The scenes `'original'`, `'reversed'` and `'changed'`.
    """
    while True:
        scene = draw_scene(rng)
        twins = {
            'original': scene,
            'reversed': reverse_scene(scene),
            'changed': change_scene(scene, rng),
        }
        keys = {twin.key for twin in twins.values()}
        if len(keys) == len(twins) and keys.isdisjoint(used):
            used |= keys
            return twins


def _draw_staging(rng: np.random.Generator, count: int, first: Event, second: Event) -> Staging:
    frame_rate = int(rng.choice(FRAME_RATES))
    layouts = list(_layouts(count, first, second))
    grey = rng.integers(95, 160, size=(2, 1))
    background = grey + rng.integers(-12, 13, size=(2, 3))
    return Staging(
        frame_size=FRAME_SIZES[rng.integers(len(FRAME_SIZES))],
        frame_rate=frame_rate,
        num_frames=round(frame_rate * rng.uniform(2.0, 6.0)),
        corners=layouts[rng.integers(len(layouts))],
        size=float(rng.uniform(0.39, 0.42)),
        pace=float(rng.uniform(0.7, 0.95)),
        shift=float(rng.uniform(-0.1, 0.1)),
        quarters=int(rng.integers(4)),
        spin=int(rng.choice((-1, 1))),
        background=tuple(tuple(row) for row in background.tolist()),
        slope=float(rng.uniform(0, 2 * np.pi)),
        tints=tuple(tuple(row) for row in rng.integers(-10, 11, size=(count, 3)).tolist()),
    )


def _layouts(count: int, first: Event, second: Event) -> Iterator[tuple[Corner, ...]]:
    """Yield corners in the middle of the clip that fit the events and keep figures apart."""
    outward = (Event(first.actor, first.action.backwards), second)
    for corners in product(_CORNERS, repeat=count):
        if Action.SWAP in (first.action, second.action) and corners[0] != _opposite(corners[1]):
            continue
        if all(_has_room(corners, event) for event in outward):
            yield corners


def _has_room(corners: tuple[Corner, ...], event: Event) -> bool:
    """Whether the actor can travel across the frame, and its way from the middle is free."""
    ends = list(corners)
    direction = DIRECTIONS.get(event.action)
    if direction is not None:
        x, y = corners[event.actor]
        if x * direction[0] + y * direction[1] == 1:
            return False
        ends[event.actor] = (x + 2 * direction[0], y + 2 * direction[1])
    return len(set(corners)) == len(set(ends)) == len(corners)


def _opposite(corner: Corner) -> Corner:
    return -corner[0], -corner[1]
