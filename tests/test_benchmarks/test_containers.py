"""The benchmark of containers: each holds the same frames, and its clips are found again."""

import json

import numbered_clips
import pytest
from tool_modules import load_tool

from diffusionret_mm.datasets.video_reading import open_video

TOOL = load_tool('benchmarks/containers')


@pytest.mark.parametrize('container', TOOL.CONTAINERS, ids=lambda container: container[0])
def test_every_container_holds_the_same_frames(tmp_path, container):
    (tmp_path / 'data/videos').mkdir(parents=True)
    entries = []
    for name, count in (('a', 20), ('b', 31), ('c', 9)):
        numbered_clips.write(tmp_path / f'data/videos/{name}.mp4', count, 'mpeg4', rate=12)
        entries.append(dict(video_id=name, video=f'videos/{name}.mp4', captions=['x']))
    (tmp_path / 'data/test.json').write_text(json.dumps(entries))
    paths = TOOL.encode_clips(tmp_path / 'data', tmp_path / 'out', 2, *container[1:])
    assert len(paths) == 2
    listed = json.loads((tmp_path / 'out/test.json').read_text())
    assert [entry['video'] for entry in listed] == [path.name for path in paths]
    for path, count in zip(paths, (20, 31), strict=True):
        with open_video(path) as video:
            assert container[2] in (video.format, 'mp4', 'matroska', 'webm')
            assert numbered_clips.numbers(video.read(range(count))) == list(range(count))
            assert len(video.table) == count
