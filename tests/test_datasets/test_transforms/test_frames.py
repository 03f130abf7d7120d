import numpy as np
import pytest
from mmaction.registry import TRANSFORMS
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

from diffusionret_mm.datasets.errors import VideoReadError


def build(name, **kwargs):
    return TRANSFORMS.build(dict(type=name, **kwargs))


def test_the_middle_of_each_segment():
    results = build('SampleVideoFrames', num_frames=4)(dict(total_frames=20))
    assert results['frame_inds'].tolist() == [2, 7, 12, 17]


def test_random_frames_stay_in_their_segments_and_repeat_by_seed():
    sample = build('SampleVideoFrames', num_frames=4, rule='random')
    draws = []
    for epoch in (0, 1, 0):
        results = sample(dict(total_frames=20, item_seed=(0, epoch, 3)))
        assert (results['frame_inds'] // 5).tolist() == [0, 1, 2, 3]
        draws.append(results['frame_inds'].tolist())
    assert draws[0] == draws[2] != draws[1]


def test_a_short_video_gives_all_its_frames():
    results = build('SampleVideoFrames', num_frames=12)(dict(total_frames=5))
    assert results['frame_inds'].tolist() == [0, 1, 2, 3, 4]
    assert results['num_frames'] == 12


def test_thinned_frames_are_one_of_each_segment_and_repeat_by_seed():
    thin, draws = build('ThinFrames', num_frames=4), []
    for epoch in (0, 1, 0):
        results = thin(dict(imgs=list(range(20)), item_seed=(0, epoch, 3)))
        assert [frame // 5 for frame in results['imgs']] == [0, 1, 2, 3]
        assert results['num_frames'] == 4
        draws.append(results['imgs'])
    assert draws[0] == draws[2] != draws[1]
    assert thin(dict(imgs=[7, 8], item_seed=(0, 0, 0)))['imgs'] == [7, 8]
    with pytest.raises(ValueError, match='at least 1; got 0'):
        build('ThinFrames', num_frames=0)


def whole_seconds(num_frames=12, **results):
    return build('SampleVideoFrames', num_frames=num_frames, rule='whole_seconds')(results)


def test_whole_seconds_cut_the_frame_rate_and_include_both_ends():
    assert whole_seconds(total_frames=90, fps=29.97)['frame_inds'].tolist() == [0, 29, 58, 87]
    assert whole_seconds(total_frames=125, avg_fps=25)['frame_inds'].tolist() == [
        0,
        25,
        50,
        75,
        100,
    ]
    part = whole_seconds(total_frames=700, fps=30, start=2, end=4)
    assert part['frame_inds'].tolist() == [60, 90, 120]


def test_too_many_whole_seconds_are_thinned():
    frames = whole_seconds(num_frames=4, total_frames=301, fps=3)['frame_inds']
    assert frames.tolist() == [0, 99, 198, 300]


def test_segments_of_a_part():
    sample = build('SampleVideoFrames', num_frames=4)
    results = sample(dict(total_frames=100, fps=10, start=2.0, end=6.0))
    assert results['frame_inds'].tolist() == [25, 35, 45, 55]
    assert sample(dict(total_frames=100, fps=10, start=9.0, end=60.0))['frame_inds'].tolist() == [
        91, 93, 96, 98,
    ]  # fmt: skip


@pytest.mark.parametrize('rule', ['uniform', 'whole_seconds'])
def test_a_part_without_frames(rule):
    sample = build('SampleVideoFrames', rule=rule)
    with pytest.raises(VideoReadError, match=r'no frame from second 20 to 30'):
        sample(dict(total_frames=100, fps=10, start=20, end=30, filename='x.mp4'))


def test_the_frame_rate_is_found_with_any_decoder(tmp_path, write_clip):
    path = write_clip(tmp_path / 'clip.mp4', num_frames=24)
    for decoder in ('OpenCV', 'Decord'):
        results = dict(filename=str(path), start=1.0, end=2.0)
        for step in (f'{decoder}Init', 'SampleVideoFrames', f'{decoder}Decode'):
            results = build(step)(results)
        assert results['frame_inds'].min() == 10
        assert results['frame_inds'].max() == 19


def test_an_unknown_frame_rate_or_rule():
    with pytest.raises(VideoReadError, match=r'frame rate of x\.mp4 is not known'):
        whole_seconds(total_frames=5, filename='x.mp4')
    with pytest.raises(VideoReadError, match='less than one frame per second'):
        whole_seconds(total_frames=5, fps=0.5)
    with pytest.raises(ValueError, match='rule must be one of'):
        build('SampleVideoFrames', rule='some')


def test_no_frame_at_all():
    with pytest.raises(VideoReadError, match=r'x\.mp4 has no frame'):
        build('SampleVideoFrames')(dict(total_frames=0, filename='x.mp4'))
    with pytest.raises(ValueError, match='at least 1'):
        build('SampleVideoFrames', num_frames=0)


def test_sampled_frames_are_the_ones_decoded(tmp_path, write_clip):
    path = write_clip(tmp_path / 'clip.mp4', num_frames=24)
    results = dict(filename=str(path))
    for transform in ('DecordInit', 'SampleVideoFrames', 'DecordDecode'):
        results = build(transform)(results)
    grey = np.array([image.mean() for image in results['imgs']])
    np.testing.assert_allclose(grey, 8 * results['frame_inds'], atol=4)


@pytest.mark.parametrize('shape', [(90, 121), (121, 90), (64, 64)])
def test_resize_crop_is_that_of_clip(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    out = build('CLIPResizeCrop', size=32)(dict(imgs=[image]))['imgs'][0]
    published = Compose([Resize(32, InterpolationMode.BICUBIC), CenterCrop(32)])
    np.testing.assert_array_equal(out, np.asarray(published(Image.fromarray(image))))


def test_shuffling_permutes_by_item_and_keeps_all_frames():
    images = [np.full((2, 2, 3), index) for index in range(8)]
    shuffle = build('ShuffleFrames')
    order = [
        [int(image[0, 0, 0]) for image in shuffle(dict(imgs=images, item_seed=seed))['imgs']]
        for seed in ((0, 0, 1), (0, 0, 2), (0, 0, 1))
    ]
    assert order[0] == order[2] != order[1]
    assert sorted(order[0]) == list(range(8))


def parts(times, rate, **span):
    """First and last frame of a part, taken one by one."""
    results = dict(total_frames=len(times), frame_times=np.array(times), fps=rate, **span)
    frames = build('SampleVideoFrames', num_frames=10**4)(results)['frame_inds']
    assert frames.tolist() == list(range(frames[0], frames[-1] + 1))
    return int(frames[0]), int(frames[-1])


def test_a_part_of_a_variable_rate_goes_by_the_times():
    times = [*np.arange(50) * 0.04, *(2 + np.arange(10) * 0.8)]
    assert parts(times, 6, start=0, end=2) == (0, 49)
    assert parts(times, 6, start=5, end=10) == (54, 59)
    assert parts(times, 6, start=4.5, end=5.1) == (53, 53)  # none begins; it is on the screen
    assert parts(times, 6, start=0.05, end=0.09) == (2, 2)
    pauses = [0, 1, 5, 5.1, 5.2, 9]
    assert parts(pauses, 6 / 9, start=3, end=5.15) == (2, 3)
    assert parts(pauses, 6 / 9, start=5.1, end=6) == (3, 4)
    assert parts(pauses, 6 / 9, start=10) == (5, 5)
    with pytest.raises(VideoReadError, match='no frame from second 20'):
        parts(pauses, 6 / 9, start=20)
    late = 1 + np.arange(100) / 25  # an even rate, after a second of sound
    assert parts(late, 25, start=1.08, end=2) == (2, 24)
    assert parts(late, 25, start=0, end=1.04) == (0, 0)


@pytest.mark.parametrize('rate', [10, 24, 25, 30000 / 1001, 59.94])
def test_a_part_of_an_even_rate_is_what_it_was(rate):
    """With times, and with times that a file rounds to milliseconds, as without."""
    rng = np.random.default_rng(0)
    exact = np.arange(500) / rate
    for start, length in rng.uniform(0, 5, (200, 2)).round(2):
        span = dict(start=start, end=start + length + 0.2)
        results = dict(total_frames=500, fps=rate, **span)
        without = build('SampleVideoFrames', num_frames=8)(results)['frame_inds']
        for times in (exact, exact.round(3)):
            now = build('SampleVideoFrames', num_frames=8)(results | dict(frame_times=times))
            assert now['frame_inds'].tolist() == without.tolist()


def test_the_published_rule_takes_the_rate_that_the_file_states():
    results = dict(total_frames=100, fps=7.8, nominal_fps=25.0)
    assert whole_seconds(**results)['frame_inds'].tolist() == [0, 25, 50, 75]
