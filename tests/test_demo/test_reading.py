"""Frames of spans as the model has seen them."""

from pathlib import Path

import numpy as np
import pytest

from diffusionret_mm.apis import decoding
from diffusionret_mm.datasets.spans import Moments, SpanReader
from diffusionret_mm.datasets.video_reading import open_video
from diffusionret_mm.demo.reading import FileReader
from diffusionret_mm.search import FoundSpan


@pytest.mark.parametrize(
    'moments',
    [
        Moments('windows', length=2, step=1),
        Moments('windows', length=2, step=1, across_cuts=True),
        Moments('shots'),
    ],
)
def test_frames_of_a_span(inferencer, film_service, moments):
    path = next(path for path in film_service.gallery.paths() if Path(path).suffix == '.avi')
    reader, seen = SpanReader(inferencer.transforms, moments), {}
    with open_video(path) as video:
        for streamed in reader.stream(video):
            seen |= streamed.images
            last = streamed.span
    span = FoundSpan('id', path, last.start, last.end, last.kind)
    frames = FileReader(inferencer.transforms, moments).frames(span)
    np.testing.assert_array_equal(frames, [seen[number] for number in last.numbers])


def test_frames_of_a_whole_video(inferencer, service):
    span = service.find('a sentence').videos[0].hits[0].span
    frames = FileReader(inferencer.transforms, Moments()).frames(span)
    item = decoding.decode(decoding.pickle.dumps(inferencer.transforms), span.path)
    expected = item['frames'].transpose(0, 2, 3, 1)[item['frame_mask']]
    np.testing.assert_array_equal(frames, expected)
