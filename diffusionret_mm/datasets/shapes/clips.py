"""The clips of the data set "shapes": which scenes and sentences it has, before any is rendered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from diffusionret_mm.datasets.shapes.captions import describe_scene, describe_vaguely
from diffusionret_mm.datasets.shapes.drawing import draw_twins
from diffusionret_mm.datasets.shapes.scenes import DETAILS, SHAPES, Scene
from diffusionret_mm.datasets.shapes.shifts import SHIFTS
from diffusionret_mm.evaluation.confusions import Relation

# Part of the seeds of vague captions, which are drawn apart from all else.
VAGUE = 1


@dataclass(frozen=True)
class Clip:
    """One video of the data set.

    Attributes:
        video_id: its name, for instance `'test_0003_reversed'`.
        group: the name it shares with its two twins, `'test_0003'`.
        scene: what it shows.
        captions: what it is described with; each fits this clip alone.
        vague_captions: one sentence for each of `DETAILS`, which it leaves out.
    """

    video_id: str
    group: str
    scene: Scene
    captions: tuple[str, ...]
    vague_captions: tuple[str, ...]

    @property
    def file(self) -> str:
        """Path of the video below the data root."""
        return f'videos/{self.video_id}.mp4'


def draw_clips(
    seed: int, num_scenes: Mapping[str, int], captions_per_video: int
) -> dict[str, list[Clip]]:
    """Draw all scenes and captions of the data set, without rendering them.

    Args:
        seed: seed of all random draws.
        num_scenes: number of scenes per split.
        captions_per_video: captions of each clip.

    Returns:
        The clips of each split, twins next to each other. No scene occurs twice.
    """
    rng, vague_rng = np.random.default_rng(seed), np.random.default_rng((seed, VAGUE))
    used: set[str] = set()
    clips: dict[str, list[Clip]] = {split: [] for split in num_scenes}
    for split, count in num_scenes.items():
        for number in range(count):
            twins = draw_twins(rng, used)
            group = f'{split}_{number:04d}'
            clips[split] += _describe(twins, group, captions_per_video, rng, vague_rng)
    return clips


def draw_shifted_clips(
    shift: str,
    seed: int,
    num_scenes: int,
    captions_per_video: int,
    apart_from: Mapping[str, Sequence[Clip]],
) -> list[Clip]:
    """Draw the scenes and captions of a shifted test set.

    Args:
        shift: one of `SHIFTS`.
        seed: seed of the data set that it belongs to.
        num_scenes: number of scenes.
        captions_per_video: captions of each clip.
        apart_from: clips whose scenes must not occur.

    Returns:
        The clips, twins next to each other.
    """
    number = SHIFTS[shift].number
    rng = np.random.default_rng((seed, VAGUE + number))
    vague_rng = np.random.default_rng((seed, VAGUE + number, VAGUE))
    used = {clip.scene.key for clips in apart_from.values() for clip in clips}
    found: list[Clip] = []
    for scene in range(num_scenes):
        twins = SHIFTS[shift].restage(draw_twins(rng, used), rng)
        group = f'{shift}_{scene:04d}'
        found += _describe(twins, group, captions_per_video, rng, vague_rng)
    return found


def answers_to_vague_captions(clips: Sequence[Clip]) -> list[list[list[str]]]:
    """List the clips that each vague caption fits.

    Args:
        clips: all clips of a split.

    Returns:
        For each clip, for each of its vague captions: the ids of the videos it fits, in order.
    """
    fitting: dict[tuple[str, str], list[str]] = defaultdict(list)
    for clip in clips:
        for detail in DETAILS:
            fitting[detail, clip.scene.key_without(detail)].append(clip.video_id)
    return [
        [fitting[detail, clip.scene.key_without(detail)] for detail in DETAILS] for clip in clips
    ]


def relations_of(clips: Sequence[Clip]) -> dict[str, dict[str, Relation]]:
    """Say what the twins of a scene are to each other.

    Args:
        clips: clips, twins next to each other in the order of `draw_twins`.

    Returns:
        By video id, the relations to its two twins by their ids.
    """
    found: dict[str, dict[str, Relation]] = {clip.video_id: {} for clip in clips}
    for original, backwards, changed in zip(clips[::3], clips[1::3], clips[2::3], strict=True):
        for one, other, relation in (
            (original, backwards, Relation('reversed twin')),
            (original, changed, _change(original.scene, changed.scene)),
            (backwards, changed, Relation('reversed and changed twin')),
        ):
            found[one.video_id][other.video_id] = found[other.video_id][one.video_id] = relation
    return found


def _change(original: Scene, changed: Scene) -> Relation:
    """The relation of a scene to its twin with one other colour or shape."""
    (figures,) = (
        pair for pair in zip(original.figures, changed.figures, strict=True) if pair[0] != pair[1]
    )
    shapes = sorted({figure.shape for figure in figures}, key=SHAPES.index)
    if len(shapes) == 1:
        return Relation('twin of another colour')
    return Relation('twin of another shape', ' / '.join(shapes))


def _describe(
    twins: Mapping[str, Scene],
    group: str,
    captions_per_video: int,
    rng: np.random.Generator,
    vague_rng: np.random.Generator,
) -> list[Clip]:
    return [
        Clip(
            video_id=f'{group}_{twin}',
            group=group,
            scene=scene,
            captions=tuple(describe_scene(scene, captions_per_video, rng)),
            vague_captions=tuple(describe_vaguely(scene, detail, vague_rng) for detail in DETAILS),
        )
        for twin, scene in twins.items()
    ]
