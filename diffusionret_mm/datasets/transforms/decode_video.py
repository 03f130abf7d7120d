"""Open, sample and decode a video with the first decoder that manages all three."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log

from diffusionret_mm.datasets.errors import VideoReadError

Results = dict[str, Any]
Step = str | Callable[[Results], Results]

WARNING_SLOTS = 2**20


@TRANSFORMS.register_module()
class DecodeVideo(BaseTransform):
    """Decode sampled frames; a video that one decoder cannot read is tried with the next.

    The decoders are mmaction's own transforms (`DecordInit` and `DecordDecode` and so on). A video
    whose tail is broken may open and fail later, so the next decoder starts from the beginning:
    it opens, samples and decodes. Each video that needs another decoder than the first is logged.

    Required keys: filename, and those of `sample`. Added keys: total_frames, fps (mean frame rate,
    0 if unknown), duration (seconds, 0 if unknown), those of `sample`, imgs (list of [H, W, 3]
    uint8), img_shape and original_shape.

    Args:
        sample: transform that chooses the frames, such as `SampleVideoFrames`; it finds
            total_frames, fps and duration, whichever decoder opened the video.
        decoders: names of decoders in the order of trial: 'decord', 'pyav', 'opencv'.

    Raises:
        ValueError: if a decoder does not exist.
        VideoReadError: if no decoder can read the video; it says why for each.
    """

    def __init__(
        self, sample: Mapping[str, Any], decoders: Sequence[str] = ('decord', 'pyav', 'opencv')
    ) -> None:
        unknown = [name for name in decoders if name not in DECODERS]
        if unknown or not decoders:
            raise ValueError(f'decoders must be some of {tuple(DECODERS)}; got {decoders!r}.')
        self.sample = TRANSFORMS.build(dict(sample))
        self.decoders = tuple(decoders)
        self._steps = {name: tuple(map(_build, DECODERS[name])) for name in decoders}
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
        start, frame_rate, decode = self._steps[name]
        with _as_read_error():
            results = start(results)
            results['fps'] = float(frame_rate(results) or 0)
        total, fps = int(results['total_frames']), results['fps']
        results['duration'] = total / fps if fps > 0 else 0.0
        results = self.sample(results)
        with _as_read_error():
            return decode(results)

    def _warn(self, filename: str, name: str, errors: list[str]) -> None:
        """Log a video once in all workers; of about a million videos, two may share a slot."""
        slot = zlib.crc32(filename.encode()) % WARNING_SLOTS
        if not self._warned[slot]:
            self._warned[slot] = True
            text = f'{filename} is read by {name}, as others fail: {"; ".join(errors)}'
            print_log(text, logger='current', level=30)


def _start_pyav(results: Results) -> Results:
    """Open with PyAV, and count the frames that are there: headers of cut files promise more."""
    results = TRANSFORMS.build(dict(type='PyAVInit'))(results)
    container = results['video_reader']
    results['total_frames'] = sum(packet.size > 0 for packet in container.demux(video=0))
    container.seek(0)
    results['rotation'] = next(container.decode(video=0)).rotation
    container.seek(0)
    return results


def _decode_pyav(results: Results) -> Results:
    """Decode with PyAV, and turn frames as they are to be shown: the other decoders do."""
    turns = results.pop('rotation') // 90 % 4
    results = TRANSFORMS.build(dict(type='PyAVDecode'))(results)
    results['imgs'] = [np.rot90(image, turns) for image in results['imgs']]
    results['img_shape'] = results['original_shape'] = results['imgs'][0].shape[:2]
    return results


def _pyav_frame_rate(results: Results) -> float | None:
    stream = results['video_reader'].streams.video[0]
    return stream.average_rate or stream.guessed_rate


# How to open, where the frame rate is then, how to decode.
DECODERS: Mapping[str, tuple[Step, Callable[[Results], float | None], Step]] = {
    'decord': ('DecordInit', lambda results: results['avg_fps'], 'DecordDecode'),
    'pyav': (_start_pyav, _pyav_frame_rate, _decode_pyav),
    'opencv': ('OpenCVInit', lambda results: results['video_reader'].fps, 'OpenCVDecode'),
}


def _build(step: Step) -> Callable[[Results], Results]:
    return TRANSFORMS.build(dict(type=step)) if isinstance(step, str) else step


@contextmanager
def _as_read_error() -> Iterator[None]:
    """Decoders raise errors of nearly any class; mistakes in `sample` stay what they are."""
    try:
        yield
    except Exception as error:
        text = str(error).strip()[:200]
        raise VideoReadError(f'{type(error).__name__}: {text}') from error
