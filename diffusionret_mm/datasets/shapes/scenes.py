"""Scenes of the data set "shapes": what happens in a clip, and how it is laid out.

A scene has one or two coloured figures and two events, one in each half of the clip. Its *content*
(figures and events) is what a caption tells; its *staging* (positions, speed, background, frame
size, ...) is drawn at random and never mentioned.

Everything is described from the middle of the clip outwards: the state in the middle is part of
the staging, and each event leads away from it, the first one backwards in time, the second one
forwards. Playing a clip backwards then only exchanges the two halves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property

RGB = tuple[int, int, int]
Corner = tuple[int, int]

COLOURS: dict[str, RGB] = {
    'red': (220, 30, 30),
    'green': (20, 150, 40),
    'blue': (30, 60, 225),
    'yellow': (240, 220, 30),
    'purple': (170, 30, 190),
    'cyan': (40, 225, 230),
    'orange': (255, 125, 0),
    'pink': (255, 160, 205),
    'white': (245, 245, 245),
    'black': (12, 12, 12),
}
SHAPES = ('circle', 'square', 'triangle', 'cross')
# What a vague caption may leave out.
DETAILS = ('colours', 'shapes')
# The other shapes look the same after a part of a turn, or always.
TURNING_SHAPES = ('triangle',)


class Action(Enum):
    """What a figure does in one half of a clip."""

    LEFT = 'left'
    RIGHT = 'right'
    UP = 'up'
    DOWN = 'down'
    CLOCKWISE = 'clockwise'
    ANTICLOCKWISE = 'anticlockwise'
    GROW = 'grow'
    SHRINK = 'shrink'
    APPEAR = 'appear'
    DISAPPEAR = 'disappear'
    RECOLOUR = 'recolour'
    SWAP = 'swap'

    @property
    def backwards(self) -> Action:
        """The action one sees when the clip is played backwards."""
        return _BACKWARDS[self]

    @property
    def kind(self) -> str:
        """The property of a figure that the action changes, for instance `'x'` or `'size'`."""
        return _KINDS[self]


_PAIRS = {
    'x': (Action.LEFT, Action.RIGHT),
    'y': (Action.UP, Action.DOWN),
    'angle': (Action.CLOCKWISE, Action.ANTICLOCKWISE),
    'size': (Action.GROW, Action.SHRINK),
    'presence': (Action.APPEAR, Action.DISAPPEAR),
    'colour': (Action.RECOLOUR, Action.RECOLOUR),
    'place': (Action.SWAP, Action.SWAP),
}
_KINDS = {action: kind for kind, pair in _PAIRS.items() for action in pair}
_BACKWARDS = {a: b for pair in _PAIRS.values() for a, b in (pair, pair[::-1])}
# The direction of travel on the picture, y downwards.
DIRECTIONS: dict[Action, Corner] = {
    Action.LEFT: (-1, 0),
    Action.RIGHT: (1, 0),
    Action.UP: (0, -1),
    Action.DOWN: (0, 1),
}


@dataclass(frozen=True)
class Figure:
    """A coloured figure.

    Attributes:
        colour: a key of `COLOURS`; the colour at the beginning of the clip.
        shape: one of `SHAPES`.
    """

    colour: str
    shape: str


@dataclass(frozen=True)
class Event:
    """What one figure does in one half of the clip.

    Attributes:
        actor: index of the figure that acts. With `Action.SWAP` the other figure takes part.
        action: what it does.
        colour: the colour it has afterwards, with `Action.RECOLOUR` only.
    """

    actor: int
    action: Action
    colour: str | None = None


@dataclass(frozen=True)
class Staging:
    """Everything about a clip that captions never mention; the three twins of a scene share it.

    Attributes:
        frame_size: width and height in pixels.
        frame_rate: frames per second.
        num_frames: length of the clip in frames.
        corners: where each figure is in the middle of the clip: -1 or 1 in x (right) and y (down).
        size: diameter of a figure, as a fraction of the shorter side of the frame.
        pace: fraction of a half of the clip that a movement takes.
        shift: shift of the whole scene along the longer side, as a fraction of the spare length.
        quarters: quarter turns (clockwise) of a turning figure in the middle of the clip.
        spin: side on which two figures pass each other while they swap places, -1 or 1.
        background: two colours, joined by a gradient.
        slope: direction of the gradient in radians.
        tints: one offset of the RGB values per figure.
    """

    frame_size: tuple[int, int]
    frame_rate: int
    num_frames: int
    corners: tuple[Corner, ...]
    size: float
    pace: float
    shift: float
    quarters: int
    spin: int
    background: tuple[RGB, RGB]
    slope: float
    tints: tuple[RGB, ...]


@dataclass(frozen=True)
class Scene:
    """A clip: figures, an event in its first half, an event in its second half, and the staging.

    Raises:
        ValueError: if the content contradicts itself or could not be told apart from its reversal.
    """

    figures: tuple[Figure, ...]
    first: Event
    second: Event
    staging: Staging

    def __post_init__(self) -> None:
        """Check the content; see `content_flaw` for the rules."""
        flaw = content_flaw(self.figures, self.first, self.second)
        if flaw is not None:
            raise ValueError(f'The scene is not valid: {flaw} ({self}).')

    @property
    def key(self) -> str:
        """The content in canonical form: two clips show the same if and only if it is equal."""
        return f'{self._event_key(self.first)} > {self._event_key(self.second)}'

    @cached_property
    def outward(self) -> tuple[Event, Event]:
        """Both events as ways from the middle of the clip: to its beginning and to its end.

        The colour of a recoloured figure is its colour at the outer end.
        """
        return reverse_scene(self).second, self.second

    def key_without(self, detail: str) -> str:
        """Return the content without one detail: what a vague caption tells.

        Args:
            detail: one of `DETAILS`.

        Returns:
            The key; a vague caption of one clip fits another if and only if theirs are equal.
        """
        actor = 'the same' if self.first.actor == self.second.actor else 'another'
        first, second = (self._event_key(event, detail) for event in (self.first, self.second))
        return f'{first} > {actor} {second}'

    def _event_key(self, event: Event, without: str | None = None) -> str:
        words = [self._figure_key(event.actor, without), event.action.value]
        if event.colour is not None and without != 'colours':
            words.append(event.colour)
        if event.action is Action.SWAP:
            words.append(self._figure_key(1 - event.actor, without))
        return ' '.join(words)

    def _figure_key(self, index: int, without: str | None) -> str:
        figure = self.figures[index]
        words = dict(colours=figure.colour, shapes=figure.shape)
        return ' '.join(word for detail, word in words.items() if detail != without)


def content_flaw(figures: tuple[Figure, ...], first: Event, second: Event) -> str | None:
    """Name what is wrong with the content of a scene.

    Args:
        figures: the figures.
        first: event of the first half.
        second: event of the second half.

    Returns:
        The flaw in words, or None where there is none.
    """
    events = (first, second)
    colours = [f.colour for f in figures] + [e.colour for e in events if e.colour]
    turners = [figures[e.actor] for e in events if e.action.kind == 'angle']
    with_swap = Action.SWAP in (first.action, second.action)
    # Otherwise one half undoes or prolongs the other: reversed, the clip might say the same.
    repeated = first.actor == second.actor and first.action.kind == second.action.kind
    unseen = first.actor == second.actor and (
        first.action is Action.DISAPPEAR or second.action is Action.APPEAR
    )
    flaws = {
        'a colour occurs twice': len(set(colours)) < len(colours),
        'the shape of a turning figure must show its angle': any(
            f.shape not in TURNING_SHAPES for f in turners
        ),
        'a figure that swaps places has to do the other event too': with_swap
        and (len(figures) < 2 or first.actor != second.actor),
        'a figure does nothing': not with_swap and len({e.actor for e in events}) < len(figures),
        'both events change the same property of the same figure': repeated,
        'a figure acts while it is not to be seen': unseen,
    }
    return next((text for text, found in flaws.items() if found), None)


def reverse_scene(scene: Scene) -> Scene:
    """Describe a scene played backwards.

    Args:
        scene: a scene.

    Returns:
        The scene whose clip has the frames of `scene` in reverse order.
    """
    figures = list(scene.figures)
    events = []
    for event in (scene.second, scene.first):
        target = None
        if event.colour is not None:
            target = scene.figures[event.actor].colour
            figures[event.actor] = replace(figures[event.actor], colour=event.colour)
        events.append(Event(event.actor, event.action.backwards, target))
    return Scene(tuple(figures), events[0], events[1], scene.staging)
