"""English captions of scenes, from a small grammar with synonyms.

Every caption tells the complete content of its scene: each figure with its colour and shape, what
it does, and in which order. So a caption fits one scene only.
"""

from __future__ import annotations

import re

import numpy as np

from diffusionret_mm.datasets.shapes.scenes import COLOURS, SHAPES, Action, Event, Figure, Scene

COLOUR_WORDS = {'purple': ('purple', 'violet')}
SHAPE_WORDS = {
    'square': ('square', 'box'),
}
VERBS = {
    Action.LEFT: ('moves to the left', 'moves left', 'slides left'),
    Action.RIGHT: ('moves to the right', 'moves right', 'slides right'),
    Action.UP: ('moves up', 'slides up', 'rises'),
    Action.DOWN: ('moves down', 'slides down', 'sinks'),
    Action.CLOCKWISE: ('turns clockwise', 'spins clockwise'),
    Action.ANTICLOCKWISE: ('turns anticlockwise', 'spins anticlockwise'),
    Action.GROW: ('grows', 'gets bigger'),
    Action.SHRINK: ('shrinks', 'gets smaller'),
    Action.APPEAR: ('appears', 'shows up'),
    Action.DISAPPEAR: ('disappears', 'vanishes'),
    Action.RECOLOUR: ('becomes {colour}', 'changes to {colour}'),
    Action.SWAP: ('swaps places with {partner}', 'changes places with {partner}'),
}
# {a} does {v}, later {b} does {w}.
TWO_FIGURES = (
    '{a} {v}, then {b} {w}',
    '{a} {v} and then {b} {w}',
    'first {a} {v}, then {b} {w}',
    '{a} {v} before {b} {w}',
    'after {a} {v}, {b} {w}',
    '{b} {w} after {a} {v}',
)
# {a} does {v}, later it does {w}.
ONE_FIGURE = (
    '{a} {v}, then {w}',
    '{a} {v} and then {w}',
    '{a} first {v}, then {w}',
    '{a} {v} before {it} {w}',
    'after {a} {v}, {it} {w}',
)


def describe_scene(scene: Scene, count: int, rng: np.random.Generator) -> list[str]:
    """Write captions of a scene.

    Args:
        scene: a scene.
        count: number of captions, at most the number of sentence patterns (8).
        rng: source of randomness.

    Returns:
        `count` different sentences in lower case without a full stop, of 22 words at most.

    Raises:
        ValueError: if more captions are asked for than there are sentence patterns.
    """
    patterns = _patterns(scene)
    if not 1 <= count <= len(ONE_FIGURE):
        raise ValueError(
            f'captions_per_video must lie between 1 and {len(ONE_FIGURE)}; got {count}: '
            'each caption of a video has its own sentence pattern.'
        )
    chosen = rng.choice(len(patterns), size=count, replace=False)
    return [_fill(patterns[i], scene, rng) for i in chosen]


def vocabulary() -> set[str]:
    """List the words of the grammar.

    Returns:
        Every word that may occur in a caption.
    """
    names = [*COLOURS, *SHAPES, 'a', 'it', 'the']
    names += [word for words in (*COLOUR_WORDS.values(), *SHAPE_WORDS.values()) for word in words]
    verbs = [verb for choices in VERBS.values() for verb in choices]
    text = re.sub(r'{\w+}|,', '', ' '.join([*names, *verbs, *ONE_FIGURE, *TWO_FIGURES]))
    return set(text.split())


def _patterns(scene: Scene) -> tuple[str, ...]:
    return ONE_FIGURE if scene.first.actor == scene.second.actor else TWO_FIGURES


def _fill(pattern: str, scene: Scene, rng: np.random.Generator) -> str:
    first, second = scene.first, scene.second
    name = _name(scene.figures[first.actor], rng)
    return pattern.format(
        a=name,
        # With two figures in the sentence before it, "it" could be either.
        it=name.replace('a ', 'the ', 1) if first.action is Action.SWAP else 'it',
        b=_name(scene.figures[second.actor], rng),
        v=_verb(first, scene, rng),
        w=_verb(second, scene, rng),
    )


def _name(figure: Figure, rng: np.random.Generator) -> str:
    colour = _draw(COLOUR_WORDS.get(figure.colour, (figure.colour,)), rng)
    return f'a {colour} {_draw(SHAPE_WORDS.get(figure.shape, (figure.shape,)), rng)}'


def _verb(event: Event, scene: Scene, rng: np.random.Generator) -> str:
    verb = _draw(VERBS[event.action], rng)
    if event.action is Action.RECOLOUR:
        return verb.format(colour=_draw(COLOUR_WORDS.get(event.colour, (event.colour,)), rng))
    if event.action is Action.SWAP:
        return verb.format(partner=_name(scene.figures[1 - event.actor], rng))
    return verb


def _draw(words: tuple[str, ...], rng: np.random.Generator) -> str:
    return words[rng.integers(len(words))]
