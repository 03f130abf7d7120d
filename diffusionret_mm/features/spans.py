"""Features of the spans of a video: each frame is encoded once, then put into context per span."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from diffusionret_mm.datasets.spans import PlannedSpan, SpanReader, StreamedSpan
from diffusionret_mm.datasets.video_reading import FramesChangedError, open_video
from diffusionret_mm.models.retrievers import TextVideoRetriever
from diffusionret_mm.structures import VideoFeatures

# Frames that are encoded at a time, at least.
BATCH_SIZE = 64

EncodedSpans = tuple[list[PlannedSpan], VideoFeatures]


def encode_spans(
    model: TextVideoRetriever,
    reader: SpanReader,
    path: str | os.PathLike[str],
    batch_size: int = BATCH_SIZE,
) -> EncodedSpans:
    """Encode the spans of a video file.

    The file is decoded once; only if its frames turn out to be others than it promises, because it
    is damaged or ends early, it is decoded again.

    Args:
        model: the retriever, in evaluation mode.
        reader: says what the spans are and reads them.
        path: the file.
        batch_size: frames that are encoded at a time, at least.

    Returns:
        S spans in the order of their ends, and their features on the CPU, [S, F, D] float32.

    Raises:
        ModuleNotFoundError: if spans end at cuts and PySceneDetect is not installed.
        VideoReadError: if the file cannot be read.
    """
    with open_video(path) as video:
        while True:
            encoder = SpanEncoder(model, reader.num_frames)
            try:
                stream = blocks_of(reader.stream(video), batch_size)
                blocks = [encoder.encode_block(block) for block in stream]
            except FramesChangedError:  # the video knows better now
                continue
            spans = [span for part, _ in blocks for span in part]
            return spans, VideoFeatures.cat([features.to('cpu') for _, features in blocks])


def blocks_of(
    stream: Iterable[StreamedSpan], batch_size: int = BATCH_SIZE
) -> Iterator[list[StreamedSpan]]:
    """Collect spans until there is enough to encode.

    Args:
        stream: what `SpanReader.stream` yields.
        batch_size: frames of a block, at least; only the last block may have fewer.
    """
    block: list[StreamedSpan] = []
    waiting = 0
    for streamed in stream:
        block.append(streamed)
        waiting += len(streamed.images)
        if waiting >= batch_size:
            yield block
            block, waiting = [], 0
    if block:
        yield block


class SpanEncoder:
    """Encodes the spans of one video; it holds the features of those frames that spans still need.

    Args:
        model: the retriever, in evaluation mode.
        num_frames: number F of frames of a span, at most.
    """

    def __init__(self, model: TextVideoRetriever, num_frames: int) -> None:
        self._model = model
        self._num_frames = num_frames
        self._features: dict[int, Tensor] = {}
        self._padding: Tensor | None = None

    @torch.no_grad()
    def encode_block(self, block: Sequence[StreamedSpan]) -> EncodedSpans:
        """Encode the next spans of the video.

        Args:
            block: what `blocks_of` yields.

        Returns:
            The spans, and their features on the device of the model, [S, F, D] float32: those of
            `TextVideoRetriever.encode_video` for the frames of each span, to rounding.
        """
        images = {number: image for item in block for number, image in item.images.items()}
        if images:
            stacked = np.stack(list(images.values()))
            if self._padding is None:  # the same for all spans: the feature of no image
                self._padding = self._encode_images(stacked[:1], is_real=False)[0]
            encoded = self._encode_images(stacked)
            self._features.update(zip(images, encoded, strict=True))
        spans = [item.span for item in block]
        features = self._model.add_context(*self._assemble(spans))
        for number in [one for one in self._features if one < block[-1].keep_from]:
            del self._features[number]
        return spans, features

    def _encode_images(self, images: np.ndarray, is_real: bool = True) -> Tensor:
        """Encode images [B, H, W, 3], each on its own; return their features [B, D]."""
        preprocessor = self._model.data_preprocessor
        frames = torch.from_numpy(images).permute(0, 3, 1, 2)[:, None].to(preprocessor.device)
        mask = torch.full(frames.shape[:2], is_real, device=frames.device)
        return self._model.encode_frames(preprocessor.normalise(frames, mask), mask)[:, 0]

    def _assemble(self, spans: Sequence[PlannedSpan]) -> tuple[Tensor, Tensor]:
        """Put the features of spans side by side, [S, F, D], with their mask [S, F]."""
        assert self._padding is not None  # the first block has images
        frames = self._padding.repeat(len(spans), self._num_frames, 1)
        mask = torch.zeros(frames.shape[:2], dtype=torch.bool, device=frames.device)
        for row, span in enumerate(spans):
            chosen = torch.stack([self._features[number] for number in span.numbers])
            frames[row, : len(chosen)] = chosen
            mask[row, : len(chosen)] = True
        return frames, mask
