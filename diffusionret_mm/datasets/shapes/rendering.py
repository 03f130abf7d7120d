"""Pictures and video files of scenes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from diffusionret_mm.datasets.shapes.scenes import COLOURS, DIRECTIONS, Action, Event, Scene

# Distance of a corner from the centre; sizes of a shrunken and a grown figure; how far two figures
# that swap places swing out. Chosen together so that no figure leaves the frame or covers another.
_REACH = 0.235
_SMALL, _LARGE = 0.5, 1.1
_SWING = 0.8
# A figure appears, or takes on another colour, in this part of a half of the clip.
_SWITCH = (0.3, 0.5)
_SUBPIXEL_BITS = 6


def _circle(radius: float) -> np.ndarray:
    angles = np.arange(40) * (2 * np.pi / 40)
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _cross(arm: float) -> np.ndarray:
    quarter = [(-arm, -1.0), (arm, -1.0), (arm, -arm)]
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])
    return np.concatenate([quarter @ np.linalg.matrix_power(turn, k) for k in range(4)])


# Outlines of upright figures of radius 1, y downwards. They differ in area too, because small
# frames show that before corners.
# The triangle is far from equilateral: a turn of it could not be followed in few frames.
_OUTLINES: dict[str, tuple[np.ndarray, ...]] = {
    'circle': (_circle(0.85),),
    'square': (np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]),),
    'triangle': (np.array([(0.0, -1.05), (0.78, 0.85), (-0.78, 0.85)]),),
    'cross': (_cross(0.28),),
}


@dataclass(frozen=True)
class FigureState:
    """How one figure looks at one moment.

    Attributes:
        x: position of its centre, from the centre of the frame to the right, in shorter sides.
        y: the same, downwards.
        radius: its radius in shorter sides.
        angle: its clockwise turn from upright in radians.
        colour: RGB values, 0 to 255.
        opacity: 0 where it is not to be seen, 1 where it is.
    """

    x: float
    y: float
    radius: float
    angle: float
    colour: tuple[float, float, float]
    opacity: float


def figure_states(scene: Scene, time: float) -> list[FigureState]:
    """Compute how the figures of a scene look at one moment.

    Args:
        scene: a scene.
        time: -1 at the beginning of the clip, 0 in its middle, 1 at its end.

    Returns:
        One state per figure.
    """
    states = [_middle_state(scene, index) for index in range(len(scene.figures))]
    event = scene.outward[0 if time < 0 else 1]
    for index in _moved_figures(event, len(states)):
        states[index] = _advance(states[index], event, abs(time), scene, index)
    return states


def render_frames(scene: Scene) -> np.ndarray:
    """Draw the frames of a scene.

    Args:
        scene: a scene.

    Returns:
        RGB frames, uint8 `[num_frames, height, width, 3]`. The frames of `reverse_scene(scene)`
        are the same in reverse order, to the bit.
    """
    background = _draw_background(scene)
    last = scene.staging.num_frames - 1
    frames = []
    for number in range(last + 1):
        frame = background.copy()
        # Integers until the last step: the times are exactly symmetric about 0.
        for index, state in enumerate(figure_states(scene, (2 * number - last) / last)):
            _draw_figure(frame, state, scene, index)
        frames.append(frame)
    return np.stack(frames)


def write_video(path: Path, frames: np.ndarray, frame_rate: float) -> None:
    """Write frames to an .mp4 file.

    Args:
        path: the file; an existing one is overwritten.
        frames: RGB frames, uint8 `[num_frames, height, width, 3]`.
        frame_rate: frames per second.

    Raises:
        OSError: if OpenCV cannot encode the video or the file is incomplete.
    """
    height, width = frames.shape[1:3]
    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter.fourcc(*'mp4v'), float(frame_rate), (width, height)
    )
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    # OpenCV reports neither a missing encoder nor a full disk; the index is written at the end.
    if not path.is_file() or b'moov' not in path.read_bytes():
        raise OSError(
            f'Could not write the video {path}. Check that the disk has space left, and that this '
            "build of OpenCV encodes 'mp4v' (cv2.getBuildInformation() lists FFMPEG: YES)."
        )


def _middle_state(scene: Scene, index: int) -> FigureState:
    """The state from which the events lead away."""
    staging = scene.staging
    x, y = staging.corners[index]
    size, angle, opacity = 1.0, 0.0, 1.0
    colour = scene.figures[index].colour
    if scene.first.actor == index and scene.first.colour is not None:
        colour = scene.first.colour
    for event in scene.outward:
        if event.actor != index:
            continue
        size = {Action.GROW: _SMALL, Action.SHRINK: _LARGE}.get(event.action, size)
        opacity = 0.0 if event.action is Action.APPEAR else opacity
        angle = staging.quarters * np.pi / 2 if event.action.kind == 'angle' else angle
    return FigureState(
        x=_REACH * x,
        y=_REACH * y,
        radius=staging.size / 2 * size,
        angle=angle,
        colour=_tinted(scene, index, colour),
        opacity=opacity,
    )


def _moved_figures(event: Event, count: int) -> list[int]:
    return list(range(count)) if event.action is Action.SWAP else [event.actor]


def _advance(
    state: FigureState, event: Event, distance: float, scene: Scene, index: int
) -> FigureState:
    """Move a figure away from its middle state; `distance` goes from 0 to 1."""
    staging, action = scene.staging, event.action
    rest = (1 - staging.pace) / 2
    progress = _ramp(distance, rest, 1 - rest)
    switched = _ramp(distance, *_SWITCH)
    if action in DIRECTIONS:
        x, y = DIRECTIONS[action]
        way = 2 * _REACH * progress
        return replace(state, x=state.x + x * way, y=state.y + y * way)
    if action is Action.SWAP:
        along, across = np.cos(np.pi * progress), staging.spin * _SWING * np.sin(np.pi * progress)
        return replace(
            state, x=along * state.x - across * state.y, y=along * state.y + across * state.x
        )
    if action in (Action.GROW, Action.SHRINK):
        ratio = _LARGE / _SMALL if action is Action.GROW else _SMALL / _LARGE
        return replace(state, radius=state.radius * (1 + (ratio - 1) * progress))
    if action.kind == 'angle':
        sense = 1 if action is Action.CLOCKWISE else -1
        return replace(state, angle=state.angle + sense * np.pi * progress)
    if action is Action.RECOLOUR:
        target = _tinted(scene, index, event.colour)
        pairs = zip(state.colour, target, strict=True)
        return replace(state, colour=tuple(a + (b - a) * switched for a, b in pairs))
    return replace(state, opacity=switched if action is Action.APPEAR else 1 - switched)


def _ramp(value: float, start: float, end: float) -> float:
    """Rise from 0 at `start` to 1 at `end`."""
    return min(max((value - start) / (end - start), 0.0), 1.0)


def _tinted(scene: Scene, index: int, colour: str) -> tuple[float, float, float]:
    pairs = zip(COLOURS[colour], scene.staging.tints[index], strict=True)
    red, green, blue = (float(min(max(value + tint, 0), 255)) for value, tint in pairs)
    return red, green, blue


def _draw_background(scene: Scene) -> np.ndarray:
    """Draw the gradient, uint8 `[height, width, 3]`."""
    width, height = scene.staging.frame_size
    x, y = np.linspace(-1, 1, width)[None, :], np.linspace(-1, 1, height)[:, None]
    ramp = x * np.cos(scene.staging.slope) + y * np.sin(scene.staging.slope)
    weight = np.clip(0.5 + 0.5 * ramp, 0, 1)[..., None]
    start, end = (np.array(colour, dtype=float) for colour in scene.staging.background)
    return np.round(start + (end - start) * weight).astype(np.uint8)


def _draw_figure(frame: np.ndarray, state: FigureState, scene: Scene, index: int) -> None:
    """Draw one figure into an RGB frame, uint8 `[height, width, 3]`, in place."""
    if state.opacity == 0:
        return
    height, width = frame.shape[:2]
    unit = min(width, height)
    spare = scene.staging.shift
    centre = (
        width / 2 - 0.5 + state.x * unit + spare * (width - unit),
        height / 2 - 0.5 + state.y * unit + spare * (height - unit),
    )
    cosine, sine = np.cos(state.angle), np.sin(state.angle)
    turn = state.radius * unit * np.array([[cosine, sine], [-sine, cosine]])
    scale = 1 << _SUBPIXEL_BITS
    outlines = [
        np.round((outline @ turn + centre) * scale).astype(np.int32)
        for outline in _OUTLINES[scene.figures[index].shape]
    ]
    covered = frame if state.opacity == 1 else frame.copy()
    cv2.fillPoly(covered, outlines, state.colour, lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)
    if covered is not frame:
        cv2.addWeighted(covered, state.opacity, frame, 1 - state.opacity, 0, dst=frame)
