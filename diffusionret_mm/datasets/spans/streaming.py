"""The spans of a video with their frames, each frame once, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from diffusionret_mm.datasets.spans.planning import TOLERANCE, PlannedSpan, Sample, Timeline
from diffusionret_mm.datasets.spans.shots import Bounds, ContentCuts, CutPlanner
from diffusionret_mm.datasets.video_reading import Video

# Frames per second that the detector of cuts sees, at most, and of which spans take theirs.
SEEN_PER_SECOND = 10.0

Prepare = Callable[[np.ndarray], np.ndarray]
Images = dict[int, np.ndarray]


@dataclass(frozen=True)
class StreamedSpan:
    """A span, all of whose frames have come.

    Attributes:
        span: the span.
        images: the frames that no span before has, by number, in order; each [H, W, 3] uint8, as
            the model reads it.
        keep_from: number of the first frame that later spans may have; what came before it is
            needed no more.
    """

    span: PlannedSpan
    images: Images
    keep_from: int


def timeline_of(video: Video) -> Timeline:
    """Return all frames of a video."""
    times = video.table.times
    return Timeline(np.arange(len(times)), times, video.end, video.fps, video.nominal_fps)


def seen_of(video: Video) -> Timeline:
    """Return the first frame of each tenth of a second."""
    times = video.table.times
    tenths = np.floor((times + TOLERANCE) * SEEN_PER_SECOND)
    numbers = np.unique(tenths, return_index=True)[1]
    fps = min(video.fps, SEEN_PER_SECOND)
    return Timeline(numbers, times[numbers], video.end, fps, fps)


def stream_planned(
    video: Video, spans: Sequence[PlannedSpan], prepare: Prepare
) -> Iterator[StreamedSpan]:
    """Yield spans that are known beforehand, as soon as their last frame has come.

    Args:
        video: the video.
        spans: its spans.
        prepare: makes of a frame [H, W, 3] uint8 what the model reads.

    Raises:
        FramesChangedError: at the end, if other frames are shown than were planned with; plan
            again.
        VideoReadError: if none can be decoded.
    """
    ordered = sorted(spans, key=lambda span: span.numbers[-1])
    firsts = [span.numbers[0] for span in ordered] + [len(video.table)]
    # The first frame of each and all later spans.
    needed = np.minimum.accumulate(firsts[::-1])[::-1].tolist()
    images: Images = {}
    done = 0
    for number, image in video.stream({number for span in spans for number in span.numbers}):
        images[number] = prepare(image)
        while done < len(ordered) and ordered[done].numbers[-1] == number:
            yield StreamedSpan(ordered[done], images, keep_from=needed[done + 1])
            images, done = {}, done + 1


def stream_between_cuts(
    video: Video, planner: CutPlanner, sample: Sample, prepare: Prepare
) -> Iterator[StreamedSpan]:
    """Find cuts, and yield the spans between them with their frames, in one pass.

    Up to ten frames per second are looked at. A shot begins with one of them, and spans have some.
    They are kept, as the model reads them, until the span is known.

    Args:
        video: the video.
        planner: says which spans there are; a new one.
        sample: transform that chooses the frames of a span.
        prepare: makes of a frame [H, W, 3] uint8 what the model reads.

    Raises:
        FramesChangedError: at the end, if other frames are shown than it seemed; begin again.
        ModuleNotFoundError: if PySceneDetect is not installed.
        VideoReadError: if none can be decoded.
    """
    seen = seen_of(video)
    cuts, kept = ContentCuts(seen.fps), _Kept(seen, sample, planner)
    frames = zip(seen.times.tolist(), video.stream(seen.numbers.tolist()), strict=True)
    for time, (number, image) in frames:
        for frame in cuts.take(time, image):
            yield from kept.take_out(planner.advance(*frame))
        kept.images[number] = prepare(image)
    bounds = [each for frame in cuts.finish() for each in planner.advance(*frame)]
    yield from kept.take_out(bounds + planner.finish(seen.end))


class _Kept:
    """Frames that spans may have which are not known yet.

    Args:
        seen: the frames that were looked at.
        sample: transform that chooses the frames of a span.
        planner: says where the next span begins.

    Attributes:
        images: the frames, as the model reads them, by number.
    """

    def __init__(self, seen: Timeline, sample: Sample, planner: CutPlanner) -> None:
        self.images: Images = {}
        self._seen, self._sample, self._planner = seen, sample, planner

    def take_out(self, known: Sequence[Bounds]) -> Iterator[StreamedSpan]:
        """Take the frames of spans out, and drop those that later ones do not have."""
        starts = [*[start for start, _ in known], self._planner.start]
        for (start, end), next_start in zip(known, starts[1:], strict=True):
            span = self._seen.span(start, end, self._planner.kind, self._sample)
            images = {
                number: self.images.pop(number) for number in span.numbers if number in self.images
            }
            # It may be on the screen when the next span begins.
            keep_from = self._seen.on_screen(next_start)
            for number in [number for number in self.images if number < keep_from]:
                del self.images[number]
            yield StreamedSpan(span, images, keep_from)
