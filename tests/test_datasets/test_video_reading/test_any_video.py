"""Clips of random containers, codecs, rates, cuts and matrices: no frame is ever a wrong one.

`DIFFUSIONRET_MM_CLIPS=1000 pytest ...` tries more than the hundred of each run.
"""

import os
import random
from collections import Counter
from contextlib import suppress
from fractions import Fraction
from functools import cache

import av
import numbered_clips
import numpy as np
import pytest
from mmaction.registry import TRANSFORMS
from mmengine.registry import DefaultScope

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.datasets.video_reading.video import open_video

GROUPS = 4
CLIPS = int(os.environ.get('DIFFUSIONRET_MM_CLIPS', 100)) // GROUPS
DECODERS = ('pyav', 'decord', 'opencv')
RATES = (24, 25, 30, Fraction(30000, 1001), 50)
# Extension, name of the container, codecs, and whether it takes any times and a display matrix.
CONTAINERS = (
    ('mp4', 'mp4', ('libx264', 'libx264', 'mpeg4', 'libx265', 'mpeg2video'), True, True),
    ('mov', 'mov', ('libx264', 'mjpeg', 'mpeg4'), True, True),
    ('mkv', 'matroska', ('libx264', 'mpeg4', 'libvpx', 'mpeg2video', 'libx265'), True, False),
    ('webm', 'webm', ('libvpx', 'libvpx-vp9'), True, False),
    ('avi', 'avi', ('libx264', 'mpeg4', 'mjpeg', 'msmpeg4', 'mpeg2video'), False, False),
    ('mpg', 'mpeg', ('mpeg1video', 'mpeg2video'), False, False),
    ('vob', 'vob', ('mpeg2video',), False, False),
    ('ts', 'mpegts', ('libx264', 'mpeg2video', 'libx265'), False, False),
    ('wmv', 'asf', ('wmv1', 'wmv2', 'msmpeg4'), False, False),
    ('flv', 'flv', ('libx264', 'flv'), True, False),
    ('gif', 'gif', ('gif',), False, False),
    ('nut', 'nut', ('mpeg4', 'libx264'), False, False),
    ('m2v', 'mpeg2video', ('mpeg2video',), False, False),
)
B_FRAMES = {'libx264', 'mpeg4', 'mpeg2video', 'mpeg1video', 'libx265'}


class Clip:
    """A random clip: its file, the numbers of the frames that are shown, and their times."""

    def __init__(self, seed, folder):
        draw = self.draw = random.Random(seed)
        suffix, name, codecs, self.any_times, takes_matrix = draw.choice(CONTAINERS)
        self.codec = draw.choice(codecs)
        self.path = folder / f'{seed}.{suffix}'
        self.count = draw.randint(1, 45)
        self.rate = 25 if name == 'gif' else draw.choice(RATES)
        self.way = numbered_clips.UPRIGHT
        if takes_matrix and draw.random() < 0.5:
            self.way = draw.choice(numbered_clips.WAYS)
        self.is_even = True
        self.times = [Fraction(index) / self.rate for index in range(self.count)]
        numbered_clips.write(
            self.path, self.count, self.codec, name, self.rate, **self.timing(), **self.options()
        )
        self.numbers = list(range(self.count))
        if suffix in ('mp4', 'mov') and self.codec in ('libx264', 'mpeg4') and draw.random() < 0.5:
            self.cut()

    def timing(self):
        """A variable rate in a third of the clips that may have one."""
        if not self.any_times or self.draw.random() < 0.66 or self.codec == 'mpeg2video':
            return {}
        tick = Fraction(1, 1000)
        gaps = [self.draw.choice((20, 40, 40, 400)) for _ in range(self.count)]
        ticks = [sum(gaps[:index]) for index in range(self.count)]
        self.times = [time * tick for time in ticks]
        self.is_even = len(set(np.diff(ticks))) < 2
        return dict(ticks=ticks, tick=tick)

    def options(self):
        options = dict(g=str(self.draw.choice((1, 5, 12, 50))))
        if self.codec in B_FRAMES:
            options['bf'] = str(self.draw.choice((0, 1, 2, 3)))
        if self.codec == 'libx264':
            options['preset'] = 'veryfast'
            options['x264-params'] = f'open-gop={self.draw.choice((0, 1))}'
        if self.codec == 'libx265':
            options['preset'] = 'ultrafast'
            options['x265-params'] = 'log-level=none:pools=none:frame-threads=1'
        if self.codec.startswith('libvpx'):
            options.update({'deadline': 'good', 'cpu-used': '5', 'lag-in-frames': '12'})
            options['auto-alt-ref'] = str(self.draw.choice((0, 1)))
        if self.way != numbered_clips.UPRIGHT:
            options['matrix'] = numbered_clips.matrix_of(self.way, (96, 64))
        return options

    def cut(self):
        """Cut it without encoding; an edit list hides the frames up to the first one."""
        first = self.draw.randrange(self.count)
        with open_video(self.path) as video:
            pts = video.table.pts or [first]
            if len(pts) == self.count:
                target = self.path.with_stem(f'{self.path.stem}_cut')
                self.path = numbered_clips.copy_from(self.path, target, pts[first])
                self.numbers = self.numbers[first:]
                self.times = [time - self.times[first] for time in self.times[first:]]

    def __repr__(self):
        return f'{self.path.name}, {self.codec}, {self.count} frames, {self.rate} per second'


def expected(clip, count, start, end):
    """Numbers of the frames to come, by the times that were written."""
    first, behind = 0, len(clip.times)
    if end is not None:
        behind = sum(time < end for time in clip.times)
        # Of an even rate, the part begins with the frame that is on the screen.
        first = sum(time <= start for time in clip.times) - 1
        if not clip.is_even:
            first = min(sum(time < start for time in clip.times), behind - 1)
    count = min(count, behind - first)
    edges = np.linspace(first, behind, count + 1)
    places = (edges[:-1] + 0.5 * np.diff(edges)).astype(int)
    return [clip.numbers[place] for place in np.minimum(places, behind - 1)]


@cache
def transform_of(decoder, count):
    sample = dict(type='SampleVideoFrames', num_frames=count)
    return TRANSFORMS.build(dict(type='DecodeVideo', sample=sample, decoders=(decoder,)))


def decode(path, decoder, count, start=None, end=None):
    results = dict(filename=str(path), start=start, end=end)
    return transform_of(decoder, count)(results)['imgs']


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmaction'):
        yield


@pytest.mark.parametrize('group', range(GROUPS))
def test_no_decoder_gives_a_wrong_frame(tmp_path, group):
    read = Counter()
    for seed in range(group * CLIPS, (group + 1) * CLIPS):
        clip = Clip(seed, tmp_path)
        for decoder in DECODERS:
            read[decoder] += check(clip, decoder)
        clip.path.unlink()
    assert read['pyav'] == CLIPS
    assert read['opencv'] > 0.9 * CLIPS
    assert read['decord'] >= 1


def check(clip, decoder):
    """Compare what comes for some ways of sampling; return whether the decoder reads it."""
    middle = float(clip.times[len(clip.times) // 2]) + 0.003
    spans = [(0, None), (middle, middle + 0.5)]
    for start, end in spans:
        for count in (1, 8, 12) if decoder == 'pyav' else (12,):
            wanted = expected(clip, count, start, end)
            try:
                images = decode(clip.path, decoder, count, start, end)
            except VideoReadError:
                assert decoder != 'pyav', clip
                return False
            found = list(map(numbered_clips.read, images))
            assert found == [(clip.way, number) for number in wanted], (clip, decoder, start, end)
    return True


def shown(path):
    """Numbers of the frames that decoding from the first byte to the last one gives."""
    frames = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        # What hides damage in a picture depends on the threads.
        stream.thread_type, stream.codec_context.thread_count = 'NONE', 1
        with suppress(av.error.FFmpegError):
            for packet in container.demux(stream):
                with suppress(av.error.FFmpegError):
                    frames += stream.decode(packet)
        with suppress(av.error.FFmpegError):
            frames += stream.decode(None)
        return [numbered_clips.read(frame.to_ndarray(format='rgb24')) for frame in frames]


def damage(path, draw):
    """Cut the end off, or the beginning of a stream, or overwrite a part."""
    content = bytearray(path.read_bytes())
    size = len(content)
    kind = draw.choice(('end', 'zeros', 'noise') + ('beginning',) * (path.suffix in STREAMS))
    place = draw.randrange(size // 4, size)
    if kind == 'end':
        content = content[:place]
    elif kind == 'beginning':
        content = content[draw.randrange(size // 2) :]
    else:
        length = min(draw.randrange(1, size // 4), size - place)
        content[place : place + length] = (
            draw.randbytes(length) if kind == 'noise' else bytes(length)
        )
    path.write_bytes(content)
    return kind


STREAMS = {'.ts', '.mpg', '.vob', '.m2v'}
DAMAGED = [container for container in CONTAINERS if container[0] not in ('gif', 'nut')]


@pytest.mark.parametrize('group', range(GROUPS))
def test_damaged_files_give_what_a_player_shows_or_an_error(tmp_path, group):
    outcomes = Counter()
    for seed in range(group * CLIPS, (group + 1) * CLIPS):
        draw = random.Random(seed)
        suffix, name, codecs, _, _ = draw.choice(DAMAGED)
        path = tmp_path / f'{seed}.{suffix}'
        codec = draw.choice(codecs)
        numbered_clips.write(path, 40, codec, name, 25, g=str(draw.choice((5, 12, 50))))
        kind = damage(path, draw)
        count = draw.choice((1, 8, 12))
        try:
            found = list(map(numbered_clips.read, decode(path, 'pyav', count)))
        except VideoReadError:
            outcomes['error'] += 1
            continue
        there = shown(path)
        edges = np.linspace(0, len(there), min(count, len(there)) + 1)
        places = (edges[:-1] + 0.5 * np.diff(edges)).astype(int)
        wanted = [there[place] for place in places]
        pairs = zip(found, wanted, strict=True)
        # A damaged picture may show anything.
        is_right = all(one == other or None in (one, other) for one, other in pairs)
        outcomes['right' if is_right else f'wrong: {seed} {kind}'] += 1
    # Damage between key frames where nothing is taken is not noticed.
    wrong = [outcome for outcome in outcomes if outcome.startswith('wrong')]
    assert len(wrong) <= CLIPS // 100, wrong
    assert outcomes['right'] > 0.5 * CLIPS
