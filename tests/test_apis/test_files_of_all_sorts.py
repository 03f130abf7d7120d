"""Files of variable rate, turned, broken at the end or without pictures: indexed and exported."""

import csv
import os
import pickle
from fractions import Fraction

import av
import numbered_clips
import numpy as np
import pytest
from mmengine.registry import init_default_scope
from numbered_clips import matrix_of, read

from diffusionret_mm.apis import IndexOptions, filling
from diffusionret_mm.apis.decoding import decode
from diffusionret_mm.apis.exporting import export_hits
from diffusionret_mm.datasets.spans import Moments, SpanReader
from diffusionret_mm.datasets.video_reading import open_video

RATE, SIZE, PIXELS = 4, (64, 64), 64
TURNED = (True, False, True)  # as a telephone does
TURN = matrix_of(TURNED, SIZE)
# Milliseconds at which the frames of the clip of variable rate appear; one stays for 5 seconds.
TICKS = [*range(0, 2000, 125), *range(7000, 9000, 400)]
PROMISED, THERE = 40, 26
KINDS = {'none': Moments(), 'windows': Moments('windows', 3, 1), 'shots': Moments('shots')}


def write_sound(path):
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('aac', rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), 'fltp', 'mono')
        frame.sample_rate = 16000
        container.mux([*stream.encode(frame), *stream.encode()])


def write_broken(path):
    """Write a clip whose index comes first, and cut it off."""
    whole = numbered_clips.write(path.with_suffix('.mkv'), PROMISED, rate=RATE, size=SIZE, bf='0')
    options = dict(movflags='faststart')
    with av.open(str(whole)) as source, av.open(str(path), 'w', options=options) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    whole.unlink()
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    path.write_bytes(path.read_bytes()[: places[THERE]])


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """The files."""
    folder = tmp_path_factory.mktemp('sorts') / 'videos'
    folder.mkdir()
    numbered_clips.write(folder / 'turned.mp4', 24, rate=RATE, size=SIZE, matrix=TURN)
    tick = Fraction(1, 1000)
    numbered_clips.write(folder / 'variable.mkv', len(TICKS), size=SIZE, ticks=TICKS, tick=tick)
    write_broken(folder / 'broken.mp4')
    write_sound(folder / 'sound.mp4')
    return folder


def first_frame(name, time):
    """Number of the frame that is on the screen of a file at a time."""
    times = np.array(TICKS) / 1000 if name == 'variable.mkv' else np.arange(PROMISED) / RATE
    return int(np.searchsorted(times, time + 1e-3)) - 1


@pytest.mark.parametrize('kind', KINDS)
def test_they_are_indexed_searched_and_exported(
    new_inferencer, folder, tmp_path, kind, monkeypatch
):
    if KINDS[kind].end_at_cuts:
        pytest.importorskip('scenedetect')
    pytest.importorskip('lance')
    inferencer, tails = new_inferencer(), {}
    note = filling.GalleryFiller.note_broken_tail
    monkeypatch.setattr(
        filling.GalleryFiller,
        'note_broken_tail',
        lambda self, path, reason: note(self, path, reason) or tails.update(self.broken_tails),
    )
    options = IndexOptions(moments=KINDS[kind])
    gallery = inferencer.index(folder, tmp_path / 'gallery', options)
    ((path, reason),) = gallery.unreadable().items()
    assert os.path.basename(path) == 'sound.mp4'
    assert 'no stream of pictures' in reason
    said = f'its header promises {PROMISED} frames, {THERE} are there'
    assert tails == {str(folder / 'broken.mp4'): said}
    result = inferencer.search('a cat', gallery, top_k=50, all_spans=True)
    ends = {}
    for hit in result.hits:
        name = os.path.basename(hit.video)
        ends[name] = max(hit.end, ends.get(name, 0))
    assert ends['turned.mp4'] == pytest.approx(24 / RATE)
    assert ends['broken.mp4'] == pytest.approx(THERE / RATE)
    assert ends['variable.mkv'] == pytest.approx(8.6, abs=0.5)
    assert export_hits(result, tmp_path / 'clips') == []
    check_clips(result, tmp_path / 'clips')


def check_clips(result, folder):
    """Check that clips begin and end where their hits do, and are turned as their videos."""
    ((table,), clips) = folder.glob('*.csv'), {}
    for row in csv.DictReader(table.open()):
        clips[int(row['rank'])] = folder / row['clip']
    for hit in result.hits:
        name = os.path.basename(hit.video)
        with open_video(clips[hit.rank]) as video:
            first = next(video.frames()).image
            assert video.end == pytest.approx(hit.end - hit.start, abs=0.4)
        way, number = read(first)
        assert way == (TURNED if name == 'turned.mp4' else numbered_clips.UPRIGHT)
        assert number == first_frame(name, hit.start)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('decoder', ['pyav', 'decord', 'opencv'])
def test_what_is_encoded_is_turned(folder, clip_pipeline, kind, decoder):
    clip_pipeline[0]['decoders'] = [decoder, 'pyav']
    clip_pipeline[1]['size'] = PIXELS
    path = str(folder / 'turned.mp4')
    if kind == 'none':
        item = decode(pickle.dumps(clip_pipeline), path)
        images = list(item['frames'][item['frame_mask']].transpose(0, 2, 3, 1))
    else:
        if KINDS[kind].end_at_cuts:
            pytest.importorskip('scenedetect')
        init_default_scope('mmaction')
        reader = SpanReader(clip_pipeline, KINDS[kind])
        with open_video(path) as video:
            spans = [*reader.stream(video)]
        images = [image for span in spans for image in span.images.values()]
    assert len(images) >= 4
    assert {read(image)[0] for image in images} == {TURNED}
