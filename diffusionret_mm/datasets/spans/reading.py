"""Reading of spans by the steps of a config's pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from mmaction.registry import TRANSFORMS
from mmengine.dataset import Compose

from diffusionret_mm.datasets.spans.moments import Moments
from diffusionret_mm.datasets.spans.planning import (
    PlannedSpan,
    Timeline,
    plan_video,
    plan_windows,
)
from diffusionret_mm.datasets.spans.shots import planner_of
from diffusionret_mm.datasets.spans.streaming import (
    StreamedSpan,
    seen_of,
    stream_between_cuts,
    stream_planned,
    timeline_of,
)
from diffusionret_mm.datasets.transforms.decode_video import PUBLISHED_SEEKS
from diffusionret_mm.datasets.transforms.randomness import draws_at_random
from diffusionret_mm.datasets.video_reading import Video
from diffusionret_mm.extras import import_extra

# Steps that treat each frame on its own, and those that do nothing to frames.
ON_SINGLE_FRAMES = ('CLIPResizeCrop', 'Resize', 'CenterCrop')
NOT_ON_FRAMES = ('TokenizeCaptions', 'PackTextVideoInputs')


class SpanReader:
    """Reads the spans of videos as a pipeline reads whole videos.

    Args:
        transforms: configs of the steps, as `apis.decoding.video_transforms` returns them.
        moments: what the spans are.

    Raises:
        ModuleNotFoundError: if spans end at cuts and PySceneDetect is not installed.
        ValueError: if the pipeline does not decode frame by frame, or draws at random.
    """

    def __init__(self, transforms: Sequence[Mapping[str, Any]], moments: Moments) -> None:
        if moments.end_at_cuts:
            import_extra('scenedetect', 'moments')
        decode, steps = _split(transforms)
        self.moments = moments
        self.sample = TRANSFORMS.build(dict(decode['sample']))
        self._steps = Compose([TRANSFORMS.build(dict(step)) for step in steps])

    @property
    def num_frames(self) -> int:
        """Number F of frames that a span has at most."""
        return self.sample.num_frames

    def stream(self, video: Video) -> Iterator[StreamedSpan]:
        """Yield all spans with their frames, each frame once.

        Args:
            video: the video. If its frames are not those that its file promises, they are others
                the second time.

        Raises:
            FramesChangedError: at the end, if the frames turned out to be others; begin again.
            VideoReadError: if none can be decoded.
        """
        if self.moments.end_at_cuts:
            planner = planner_of(self.moments)
            return stream_between_cuts(video, planner, self.sample, self._prepare)
        return stream_planned(video, self._plan(timeline_of(video)), self._prepare)

    def read_one(self, video: Video, start: float, end: float, kind: str) -> list[np.ndarray]:
        """Return the frames of one span, as the model reads them, [H, W, 3] uint8 each.

        Args:
            video: the video.
            start: second at which the span begins.
            end: second at which it ends.
            kind: its kind.

        Raises:
            FramesChangedError: if the frames turned out to be others; ask again.
            VideoReadError: if none can be decoded.
        """
        timeline = seen_of(video) if self.moments.end_at_cuts else timeline_of(video)
        span = timeline.span(start, end, kind, self.sample)
        (streamed,) = stream_planned(video, [span], self._prepare)
        return [*streamed.images.values()]

    def _plan(self, timeline: Timeline) -> list[PlannedSpan]:
        if self.moments.kind == 'windows':
            return plan_windows(timeline, self.sample, self.moments)
        return plan_video(timeline, self.sample)

    def _prepare(self, image: np.ndarray) -> np.ndarray:
        shape = image.shape[:2]
        return self._steps(dict(imgs=[image], img_shape=shape, original_shape=shape))['imgs'][0]


def _split(
    transforms: Sequence[Mapping[str, Any]],
) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    """Return the step that decodes, and those that treat frames."""
    first = transforms[0] if transforms else dict(type=None)
    if first['type'] != 'DecodeVideo' or PUBLISHED_SEEKS in first.get('decoders', ()):
        raise ValueError(
            f'Spans are read by DecodeVideo alone, without {PUBLISHED_SEEKS!r}; the test pipeline '
            f'begins with {first}.'
        )
    if draws_at_random(first):
        raise ValueError(f"{first} draws at random; spans need a rule such as 'uniform'.")
    steps = [step for step in transforms[1:] if step['type'] not in NOT_ON_FRAMES]
    others = [step['type'] for step in steps if step['type'] not in ON_SINGLE_FRAMES]
    if others:
        raise ValueError(
            f'The test pipeline has {", ".join(others)}. Spans share frames, so a step must treat '
            f'each frame on its own, as {", ".join(ON_SINGLE_FRAMES)} do.'
        )
    return first, steps
