"""Open, sample and decode a video."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.video_reading import (
    DECODERS,
    FramesChangedError,
    Video,
    open_video,
)
from diffusionret_mm.datasets.video_reading.container import read_errors

Results = dict[str, Any]

WARNING_SLOTS = 2**20
# OpenCV with its own count of frames and its own seeks, as published code uses it.
PUBLISHED_SEEKS = 'opencv_seeks'
NAMES = (*DECODERS, PUBLISHED_SEEKS)


@TRANSFORMS.register_module()
class DecodeVideo(BaseTransform):
    """Decode sampled frames: those that a player shows, turned and mirrored as it shows them.

    The frames are those of `Video`, whichever decoder gives them; a decoder that cannot be trusted
    with a file gives an error, and the next one is tried. PyAV reads all that can be read, and its
    frames are checked by their times. The one exception is 'opencv_seeks', which seeks as the
    published code does and gives other frames in some files.

    Required keys: filename, and those of `sample`. Added keys: total_frames (those that are shown),
    frame_times (seconds [total_frames] float64), fps (mean frame rate, 0 if unknown), nominal_fps
    (what the file states), duration (seconds until the last frame ends), those of `sample`, imgs
    (list of [H, W, 3] uint8), img_shape, original_shape and broken_tail (that of `Video`).

    Args:
        sample: transform that chooses the frames, such as `SampleVideoFrames`; it finds the keys
            above.
        decoders: names of decoders in the order of trial: 'pyav', 'decord', 'opencv' or
            'opencv_seeks'.

    Raises:
        ValueError: if a decoder does not exist.
        VideoReadError: if no decoder can read the video; it says why for each.
    """

    def __init__(self, sample: Mapping[str, Any], decoders: Sequence[str] = ('pyav',)) -> None:
        unknown = [name for name in decoders if name not in NAMES]
        if unknown or not decoders:
            raise ValueError(f'decoders must be some of {NAMES}; got {decoders!r}.')
        self.sample = TRANSFORMS.build(dict(sample))
        self.decoders = tuple(decoders)
        # In shared memory, so that loader workers that outlive an epoch count and warn together.
        self._reads = torch.zeros(len(decoders), dtype=torch.int64).share_memory_()
        self._warned = torch.zeros(WARNING_SLOTS, dtype=torch.bool).share_memory_()

    @property
    def reads(self) -> dict[str, int]:
        """How many items each decoder has read so far, in all workers."""
        return dict(zip(self.decoders, self._reads.tolist(), strict=True))

    def transform(self, results: Results) -> Results:
        """Add the frames."""
        errors: list[str] = []
        for number, name in enumerate(self.decoders):
            try:
                done = self._read(dict(results), name)
            except VideoReadError as error:
                errors.append(f'{name}: {error}')
                continue
            self._reads[number] += 1
            if errors:
                self._warn(results['filename'], name, errors)
            return done
        raise VideoReadError(
            f'{results["filename"]} cannot be read by any decoder: {"; ".join(errors)}.'
        )

    def _read(self, results: Results, name: str) -> Results:
        if name == PUBLISHED_SEEKS:
            return _read_as_published(results, self.sample)
        with open_video(results['filename']) as video:
            try:
                return self._read_open(results, video, name)
            except FramesChangedError:  # the video knows better now
                return self._read_open(results, video, name)

    def _read_open(self, results: Results, video: Video, name: str) -> Results:
        try:
            chosen = self.sample(results | _describe(video))
        except VideoReadError:  # perhaps there are other frames than it seems
            if not video.confirm():
                raise
            chosen = self.sample(results | _describe(video))
        images = DECODERS[name](video, np.ravel(chosen['frame_inds']))
        shape = images[0].shape[:2]
        read = dict(imgs=images, img_shape=shape, original_shape=shape)
        return chosen | read | dict(broken_tail=video.broken_tail)

    def _warn(self, filename: str, name: str, errors: list[str]) -> None:
        """Log a video once in all workers; of about a million videos, two may share a slot."""
        slot = zlib.crc32(filename.encode(errors='replace')) % WARNING_SLOTS
        if not self._warned[slot]:
            self._warned[slot] = True
            text = f'{filename} is read by {name}, as others fail: {"; ".join(errors)}'
            print_log(text, logger='current', level=30)


def _describe(video: Video) -> Results:
    return dict(
        total_frames=len(video.table),
        frame_times=video.table.times,
        fps=video.fps,
        nominal_fps=video.nominal_fps,
        duration=video.end,
    )


def _read_as_published(results: Results, sample: Callable[[Results], Results]) -> Results:
    """Let OpenCV count and seek: what published code reads, right or wrong."""
    with read_errors():
        results = TRANSFORMS.build(dict(type='OpenCVInit'))(results)
        results['fps'] = float(results['video_reader'].fps or 0)
    total, fps = int(results['total_frames']), results['fps']
    results['duration'] = total / fps if fps > 0 else 0.0
    results = sample(results)
    with read_errors():
        return TRANSFORMS.build(dict(type='OpenCVDecode'))(results)
