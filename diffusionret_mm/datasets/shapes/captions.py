"""English captions of scenes, from a small grammar with synonyms.

A full caption tells the complete content of its scene: each figure with its colour and shape, what
it does, and in which order. So it fits one scene only. A vague caption leaves out all colours or
all shapes, and fits several.
"""

from __future__ import annotations

import re

import numpy as np

from diffusionret_mm.datasets.shapes.scenes import COLOURS, SHAPES, Action, Event, Scene

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
VAGUE_RECOLOUR = ('changes its colour', 'takes on another colour')
FIGURE = 'figure'
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
    return [_Words(scene, rng).fill(patterns[i]) for i in chosen]


def describe_vaguely(scene: Scene, detail: str, rng: np.random.Generator) -> str:
    """Write a caption that leaves a detail out.

    Args:
        scene: a scene.
        detail: 'colours' or 'shapes'.
        rng: source of randomness.

    Returns:
        A sentence that fits every scene with the same `Scene.key_without(detail)`.
    """
    return _Words(scene, rng, without=detail).fill(_draw(_patterns(scene), rng))


def vocabulary() -> set[str]:
    """List the words of the grammar.

    Returns:
        Every word that may occur in a caption.
    """
    names = [*COLOURS, *SHAPES, FIGURE, 'a', 'another', 'it', 'the', *VAGUE_RECOLOUR]
    names += [word for words in (*COLOUR_WORDS.values(), *SHAPE_WORDS.values()) for word in words]
    verbs = [verb for choices in VERBS.values() for verb in choices]
    text = re.sub(r'{\w+}|,', '', ' '.join([*names, *verbs, *ONE_FIGURE, *TWO_FIGURES]))
    return set(text.split())


def _patterns(scene: Scene) -> tuple[str, ...]:
    return ONE_FIGURE if scene.first.actor == scene.second.actor else TWO_FIGURES


class _Words:
    """The words for one sentence about a scene.

    Args:
        scene: the scene.
        rng: source of randomness.
        without: the detail that is left out, if any.
    """

    def __init__(self, scene: Scene, rng: np.random.Generator, without: str | None = None) -> None:
        self.scene = scene
        self.rng = rng
        self.without = without

    def fill(self, pattern: str) -> str:
        """Fill a sentence pattern."""
        first, second = self.scene.first, self.scene.second
        name = self._name(first.actor)
        return pattern.format(
            a=name,
            # With two figures in the sentence before it, "it" could be either.
            it=name.replace('a ', 'the ', 1) if first.action is Action.SWAP else 'it',
            b=self._other_name(second.actor, first.actor),
            v=self._verb(first),
            w=self._verb(second),
        )

    def _name(self, index: int) -> str:
        figure, words = self.scene.figures[index], []
        if self.without != 'colours':
            words.append(self._draw(COLOUR_WORDS.get(figure.colour, (figure.colour,))))
        if self.without != 'shapes':
            words.append(self._draw(SHAPE_WORDS.get(figure.shape, (figure.shape,))))
        return ' '.join(['a', *words] if self.without != 'shapes' else ['a', *words, FIGURE])

    def _other_name(self, index: int, named: int) -> str:
        """Name a figure after another one, which a vague name may fit as well."""
        name = self._name(index)
        first, other = self.scene.figures[named], self.scene.figures[index]
        is_alike = self.without == 'colours' and index != named and first.shape == other.shape
        return name.replace('a ', 'another ', 1) if is_alike else name

    def _verb(self, event: Event) -> str:
        is_vague = event.action is Action.RECOLOUR and self.without == 'colours'
        verb = self._draw(VAGUE_RECOLOUR if is_vague else VERBS[event.action])
        if event.colour is not None and not is_vague:
            return verb.format(colour=self._draw(COLOUR_WORDS.get(event.colour, (event.colour,))))
        if event.action is Action.SWAP:
            return verb.format(partner=self._other_name(1 - event.actor, event.actor))
        return verb

    def _draw(self, words: tuple[str, ...]) -> str:
        return _draw(words, self.rng)


def _draw(words: tuple[str, ...], rng: np.random.Generator) -> str:
    return words[rng.integers(len(words))]
