"""Indexing on a Ray cluster: its steps alone, and all of it on this machine."""

import os
import signal
import time
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from processes import ROOT, start_script
from tool_modules import load_tool

from diffusionret_mm.apis import Share
from diffusionret_mm.apis.index_work import find_work
from diffusionret_mm.datasets.spans import Moments
from diffusionret_mm.search import Gallery

pytest.importorskip('lance')
# Videos of the test with Ray, 4096 for a thorough one.
NUM_VIDEOS = int(os.environ.get('RAY_VIDEOS', 96))


@pytest.fixture
def inferencer(new_inferencer, tmp_path):
    """An inferencer whose config and checkpoint are files."""
    made = new_inferencer()
    made.cfg.dump(tmp_path / 'config.py')
    return made


@pytest.fixture
def arguments(inferencer, tmp_path):
    """The command line of the tool."""
    named = dict(config=str(tmp_path / 'config.py'), checkpoint=str(tmp_path / 'random_0.pth'))
    named |= dict(gallery=str(tmp_path / 'gallery'), device='cpu', batch_size=3)
    return Namespace(**named, backbone=None, cfg_options=None, onnx=None)


def rows_of(folder):
    rows = Gallery(folder).latest().dataset.to_table().to_pylist()
    return sorted(rows, key=lambda row: row['path'])


def assert_same_rows(one, other):
    for left, right in zip(rows_of(one), rows_of(other), strict=True):
        assert (left['id'], left['end']) == (right['id'], right['end'])
        np.testing.assert_allclose(left['frames'], right['frames'], atol=2e-3)
        np.testing.assert_allclose(left['pooled'], right['pooled'], atol=2e-3)


def test_the_steps_give_the_rows_of_one_process(inferencer, arguments, clips, tmp_path):
    tool, videos, folder = load_tool('index_ray'), clips(5), str(tmp_path / 'gallery')
    (videos / 'broken.mp4').write_bytes(b'nothing')
    work = find_work(inferencer, videos, folder, {}, Share())
    decoded = tool.decode(tool.pack(list(work.wanted.items())), inferencer.transforms, 10.0)
    encoded = tool.Encoder(arguments)(decoded)
    for _ in range(2):  # Ray runs a task again that has died
        done = tool.commit(encoded, folder, inferencer.facts({}, Moments()), work.libraries)
    outcomes = tool.unpack(done)
    assert len(outcomes) == 6
    assert [Path(path).name for path, is_read, _ in outcomes if not is_read] == ['broken.mp4']
    assert list(Gallery(folder).unreadable()) == [str(videos / 'broken.mp4')]
    inferencer.index(videos, tmp_path / 'one')
    assert_same_rows(folder, tmp_path / 'one')


def test_no_gallery_is_made_of_unreadable_videos(inferencer, arguments, tmp_path):
    tool, folder = load_tool('index_ray'), str(tmp_path / 'gallery')
    (tmp_path / 'videos').mkdir()
    (tmp_path / 'videos/broken.mp4').write_bytes(b'nothing')
    work = find_work(inferencer, tmp_path / 'videos', folder, {}, Share())
    decoded = tool.decode(tool.pack(list(work.wanted.items())), inferencer.transforms, 10.0)
    encoded = tool.Encoder(arguments)(decoded)
    facts = inferencer.facts({}, Moments())
    ((_, is_read, why),) = tool.unpack(tool.commit(encoded, folder, facts, work.libraries))
    assert not is_read
    assert 'cannot be read' in why
    assert not Gallery.exists(folder)


def ray_processes(name):
    """Processes of Ray that run a step now."""
    found = []
    for folder in Path('/proc').glob('[0-9]*'):
        try:
            title = (folder / 'cmdline').read_bytes()
        except OSError:  # it has ended
            continue
        if title.startswith(b'ray::') and name in title:
            found.append(int(folder.name))
    return found


def kill_one(name, run):
    """Kill a process that runs a step, once there is one."""
    while not (found := ray_processes(name)):
        assert run.is_alive(), f'no {name} was seen'
        time.sleep(0.02)
    os.kill(found[0], signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.usefixtures('inferencer')
def test_every_row_is_there_once_after_kills(write_clip, tmp_path):
    pytest.importorskip('ray')
    videos, folder = tmp_path / 'videos', tmp_path / 'gallery'
    for number in range(NUM_VIDEOS):
        write_clip(videos / f'{number:05d}.mp4', 4 + number % 20)
    output = tmp_path / 'output.txt'
    run = start_script(
        ROOT / 'tools/index_ray.py',
        *(videos, folder),
        *('--config', tmp_path / 'config.py', '--checkpoint', tmp_path / 'random_0.pth'),
        stdout=output,
        stderr=output,
    )
    kill_one(b'decode', run)
    kill_one(b'Encoder', run)
    run.join(300 + NUM_VIDEOS)
    assert run.exitcode == 0, output.read_text()[-2000:]
    assert Gallery(folder).paths() == sorted(map(str, videos.rglob('*.mp4')))
    ids = [row['id'] for row in rows_of(folder)]
    assert len(set(ids)) == len(ids) == NUM_VIDEOS
