"""The benchmarks of moments, at sizes that take seconds."""

import sys
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from tool_modules import TOOLS, load_tool

from diffusionret_mm.apis import TextVideoInferencer
from diffusionret_mm.datasets.shapes.build import render_shapes
from diffusionret_mm.datasets.video_reading import open_video
from diffusionret_mm.search import Hit

pytest.importorskip('lance')
pytest.importorskip('scenedetect')

CONFIG = Path(__file__).parents[2] / 'configs/diffusionret_shapes.py'


@pytest.fixture(scope='module')
def shapes(tmp_path_factory):
    """Six test clips, with all that the data set has."""
    folder = tmp_path_factory.mktemp('data') / 'shapes'
    render_shapes(folder, num_scenes=dict(train=1, val=1, test=2))
    return folder


def test_clips_are_joined_in_time(shapes, tmp_path):
    tool = load_tool('benchmarks/moments')
    clips = tool.read_clips(shapes, 'test', 3)
    placed = tool.join(clips, tmp_path / 'videos/0.mp4')
    assert [clip.captions for clip in placed] == [clip.captions for clip in clips]
    with open_video(placed[0].video) as video:
        assert video.end == pytest.approx(placed[-1].end, abs=0.2)
        times = video.table.times
    total = 0
    for clip, place in zip(clips, placed, strict=True):
        assert place.end - place.start == pytest.approx(clip.end)
        with open_video(clip.video) as video:
            own = video.table.times
        shown = times[total : total + len(own)]
        assert shown == pytest.approx(place.start + own, abs=2e-3)
        total += len(own)
    assert total == len(times)


def test_half_of_the_seconds_make_a_hit_right():
    tool = load_tool('benchmarks/moments')
    clip = tool.Clip('a', 10, 14, ())

    def is_right(start, end, video='a'):
        return tool.is_right(Hit(1, video, start, end, 0.0, None, 0.0, None), clip)

    assert is_right(10, 14)
    assert is_right(8, 16)
    assert not is_right(7, 16)
    assert not is_right(20, 30)
    assert not is_right(10, 14, 'b')


def test_clips_are_found_in_each_way(shapes, tmp_path):
    torch.manual_seed(0)
    torch.save(MODELS.build(Config.fromfile(CONFIG).model).state_dict(), tmp_path / 'random.pth')
    options = dict(device='cpu', num_workers=1, show_progress=False)
    inferencer = TextVideoInferencer(CONFIG, tmp_path / 'random.pth', **options)
    args = Namespace(data=shapes, split='test', clips=6, videos=2, windows=(3, 1))
    files, whole, across, across_alone, windows, alone, *shots = load_tool(
        'benchmarks/moments'
    ).measure(inferencer, args, tmp_path)
    assert (files['spans'], whole['spans']) == (6, 2)
    assert files['R@1'] == files['right video first'] <= files['R@5'] < 100.1
    assert whole['R@1'] == whole['R@5'] == 0  # none is half as long
    assert across['spans'] == across_alone['spans'] > windows['spans'] == alone['spans'] >= 6
    assert windows['seconds of the first'] >= 3 >= alone['seconds of the first']
    assert len(shots) == 2


def test_the_frames_of_long_videos_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, 'path', [str(TOOLS / 'benchmarks'), *sys.path])
    spans, tool = load_tool('benchmarks/spans'), load_tool('benchmarks/long_videos')
    monkeypatch.setattr(spans, 'SIZE', (64, 48))
    monkeypatch.setattr(spans, 'MINUTE', 8)
    for name in ('open_container', 'decode_all'):  # the tool replaces them
        monkeypatch.setattr(tool.video, name, getattr(tool.video, name))
    path = spans.repeat(spans.render_minute(tmp_path / 'minute.mp4'), tmp_path / 'long.mp4', 4)
    inferencer = tool.random_inferencer('ViT-S-32:none', tmp_path)
    figures = tool.measure(inferencer, path, tmp_path / 'gallery', 'windows', tool.count_decoded())
    assert figures['spans'] == 6
    assert figures['frames shown'] == 4 * 8 * 25
    assert 0.9 * 800 < figures['decoded'] <= 800
    assert figures['images encoded'] < 6 * 12
