"""All frames of all spans in one pass through the file."""

import weakref
from dataclasses import asdict
from fractions import Fraction

import numbered_clips
import numpy as np
import pytest

from diffusionret_mm.datasets.spans import Moments, SpanReader
from diffusionret_mm.datasets.transforms.decode_video import DecodeVideo
from diffusionret_mm.datasets.video_reading import FramesChangedError, Video, open_video

SAMPLE = dict(type='SampleVideoFrames', num_frames=6)
STEPS = [dict(type='DecodeVideo', sample=SAMPLE)]
MOMENTS = {
    'none': Moments(),
    'windows': Moments('windows'),
    'across': Moments('windows', across_cuts=True),
    'shots': Moments('shots'),
}


@pytest.fixture(autouse=True)
def needs_the_detector(request):
    if 'shots' in request.node.name or 'windows' in request.node.name:
        pytest.importorskip('scenedetect')


def stream(path, moments, steps=STEPS):
    with open_video(path) as video:
        return list(SpanReader(steps, MOMENTS[moments]).stream(video))


def check(streamed, start=0):
    """Spans find their frames among those that came and are still to be kept."""
    kept, came = {}, []
    for item in streamed:
        came += item.images
        kept |= item.images
        assert set(item.span.numbers) <= set(kept)
        kept = {number: image for number, image in kept.items() if number >= item.keep_from}
    assert len(came) == len(set(came))
    assert set(came) == {number for item in streamed for number in item.span.numbers}
    images = {number: image for item in streamed for number, image in item.images.items()}
    read = numbered_clips.numbers(list(images.values()))
    assert read == [start + number for number in images]


@pytest.mark.parametrize('moments', MOMENTS)
@pytest.mark.parametrize('seconds', [0.2, 3, 33])
def test_each_frame_comes_once_in_order_and_in_time(tmp_path, moments, seconds):
    path = numbered_clips.write(tmp_path / 'clip.mp4', int(seconds * 10), rate=10, g='12', bf='2')
    streamed = stream(path, moments)
    check(streamed)
    assert streamed[-1].span.end == pytest.approx(seconds)


@pytest.mark.parametrize('moments', MOMENTS)
def test_frames_of_a_variable_rate(tmp_path, moments):
    rng = np.random.default_rng(0)
    ticks = np.cumsum(rng.integers(20, 600, 120)).tolist()
    path = numbered_clips.write(
        tmp_path / 'clip.mkv', 120, ticks=ticks, tick=Fraction(1, 1000), g='10'
    )
    streamed = stream(path, moments)
    check(streamed)
    with open_video(path) as video:
        times = video.table.times
    for item in streamed:
        shown = times[list(item.span.numbers)]
        assert (shown >= item.span.start - 1e-6).all()
        assert (shown < item.span.end).all()


def test_stills_that_shots_share_come_once(tmp_path):
    pytest.importorskip('scenedetect')
    ticks = [0, 1000, 50_000, 51_000]
    path = numbered_clips.write(tmp_path / 'slides.mkv', 4, ticks=ticks, tick=Fraction(1, 1000))
    streamed = stream(path, 'shots')
    check(streamed)
    assert [item.span.numbers for item in streamed][1] == (1,)


def test_a_whole_video_has_the_frames_of_a_data_set(tmp_path):
    path = numbered_clips.write(tmp_path / 'clip.mp4', 70)
    (item,) = stream(path, 'none')
    read = DecodeVideo(SAMPLE)(dict(filename=str(path)))
    np.testing.assert_array_equal(list(item.images.values()), read['imgs'])


@pytest.mark.usefixtures('no_cuts')
@pytest.mark.parametrize('moments', ['windows', 'across'])
def test_windows_have_the_frames_of_parts_of_a_data_set(tmp_path, moments):
    path = numbered_clips.write(tmp_path / 'clip.mp4', 200, rate=10)
    for item in stream(path, moments):
        part = dict(filename=str(path), start=item.span.start, end=item.span.end)
        assert item.span.numbers == tuple(DecodeVideo(SAMPLE)(part)['frame_inds'])


@pytest.mark.parametrize('moments', MOMENTS)
def test_a_video_that_ends_early_is_read_to_its_end(tmp_path, moments):
    whole = numbered_clips.write(tmp_path / 'whole.mkv', 300, rate=10, g='12')
    data = whole.read_bytes()
    path = tmp_path / 'cut.mkv'
    path.write_bytes(data[: int(0.6 * len(data))])
    with open_video(path) as video:
        reader = SpanReader(STEPS, MOMENTS[moments])
        try:
            streamed = list(reader.stream(video))
        except FramesChangedError:
            streamed = list(reader.stream(video))
        assert 10 < streamed[-1].span.end == video.end < 25
    check(streamed)


def test_a_wrong_promise_is_noticed_at_the_end(tmp_path):
    path = numbered_clips.write(tmp_path / 'clip.mp4', 40, rate=10)
    with open_video(path) as video:
        table = video.table
        video.table = type(table)(np.append(table.times, 4.0))  # one frame too many
        reader = SpanReader(STEPS, Moments())
        with pytest.raises(FramesChangedError):
            list(reader.stream(video))
        (item,) = reader.stream(video)
    assert item.span.end == pytest.approx(4)


class Counter:
    """Counts how many of the images that were made are alive."""

    def __init__(self):
        self.alive = self.most = self.made = 0

    def __call__(self, image):
        self.made += 1
        self.alive += 1
        self.most = max(self.most, self.alive)
        image = image.copy()
        weakref.finalize(image, self.drop)
        return image

    def drop(self):
        self.alive -= 1


@pytest.mark.usefixtures('no_cuts')
@pytest.mark.parametrize(('moments', 'limit'), [('across', 10), ('windows', 90), ('shots', 125)])
def test_images_in_memory_do_not_grow_with_the_video(tmp_path, moments, limit, monkeypatch):
    most, made = [], []
    for seconds in (60, 180):
        counter = Counter()
        own = Video._image
        monkeypatch.setattr(Video, '_image', lambda *a, own=own, count=counter: count(own(*a)))
        path = numbered_clips.write(tmp_path / f'{seconds}.mp4', seconds * 5, rate=5)
        with open_video(path) as video:
            for _ in SpanReader(STEPS, MOMENTS[moments]).stream(video):
                pass
        monkeypatch.setattr(Video, '_image', own)
        most.append(counter.most)
        made.append(counter.made)
    assert made[1] == pytest.approx(3 * made[0], rel=0.1)
    assert most[1] <= most[0] + 2
    assert most[1] <= limit


def test_frames_are_prepared_one_by_one_as_the_pipeline_does(tmp_path):
    path = numbered_clips.write(tmp_path / 'clip.mp4', 20)
    resize = dict(type='Resize', scale=(20, 30), keep_ratio=False)
    (item,) = stream(path, 'none', [*STEPS, resize, dict(type='PackTextVideoInputs')])
    assert {image.shape for image in item.images.values()} == {(30, 20, 3)}
    crop = dict(type='CLIPResizeCrop', size=24)
    (item,) = stream(path, 'none', [*STEPS, crop])
    assert {image.shape for image in item.images.values()} == {(24, 24, 3)}


@pytest.mark.parametrize(
    ('steps', 'said'),
    [
        ([], 'read by DecodeVideo alone'),
        ([dict(type='LoadStoredFrames', transforms=[])], 'read by DecodeVideo alone'),
        ([dict(STEPS[0], decoders=('opencv_seeks',))], "without 'opencv_seeks'"),
        ([dict(STEPS[0], sample=dict(SAMPLE, rule='random'))], 'draws at random; spans need'),
        ([*STEPS, dict(type='ShuffleFrames')], 'has ShuffleFrames. Spans share frames'),
    ],
)
def test_pipelines_that_do_not_read_frame_by_frame_are_refused(steps, said):
    with pytest.raises(ValueError, match=said):
        SpanReader(steps, MOMENTS['across'])


def test_other_moments_are_refused():
    with pytest.raises(ValueError, match="moments must be one of .*; got 'scenes'"):
        Moments('scenes')
    for values in ((5,), (10, 5, True)):
        with pytest.raises(ValueError, match=r"Only 'windows' have a length .*, not 'shots'"):
            Moments('shots', *values)
    with pytest.raises(ValueError, match='end at cuts are at most 120 s long, not 121 s'):
        Moments('windows', 121)
    assert Moments('windows', 121, across_cuts=True).length == 121
    for length, step in ((3, 4), (3, 0), (-1, -1)):
        with pytest.raises(ValueError, match=f'got windows of {length} s every {step} s'):
            Moments('windows', length, step)


def test_windows_of_galleries_of_before_go_across_cuts():
    before = dict(kind='windows', length=3, step=1)
    assert Moments.of_gallery(before) == Moments('windows', 3, 1, across_cuts=True)
    assert Moments.of_gallery(dict(kind='shots', length=10, step=5)) == MOMENTS['shots']
    assert Moments.of_gallery({}) == MOMENTS['none']
    for moments in MOMENTS.values():
        assert Moments.of_gallery(asdict(moments)) == moments


class CountingContainer:
    """A container that remembers which frames were decoded."""

    def __init__(self, container):
        self._container, self.decoded = container, []

    def decode(self, stream):
        for frame in self._container.decode(stream):
            self.decoded.append(frame.pts)
            yield frame

    def __getattr__(self, name):
        return getattr(self._container, name)


@pytest.mark.parametrize('moments', MOMENTS)
@pytest.mark.parametrize('group', ['8', '250'])
def test_no_frame_is_decoded_twice(tmp_path, moments, group):
    path = numbered_clips.write(tmp_path / 'clip.mp4', 400, rate=10, g=group, bf='2')
    with open_video(path) as video:
        assert video.table.can_seek
        video._container = CountingContainer(video._container)
        assert list(SpanReader(STEPS, MOMENTS[moments]).stream(video))
        decoded = video._container.decoded
    assert 0 < len(decoded) <= 400
    assert len(set(decoded)) == len(decoded)
