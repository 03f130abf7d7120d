"""Indexing by several processes, some of which are killed or started twice."""

import os
import random
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from processes import ROOT, run_command, start_script

from diffusionret_mm.apis import Share
from diffusionret_mm.search import Gallery

pytest.importorskip('lance')

WORKER = Path(__file__).parents[1] / 'indexing_worker.py'
# How often ranks are killed at random; 20 for a thorough run.
KILLS = int(os.environ.get('GALLERY_KILLS', 2))


@pytest.fixture
def start(new_inferencer, clips, tmp_path):
    """A function that starts a rank; the videos and the gallery are its attributes."""
    new_inferencer().cfg.dump(tmp_path / 'config.py')
    started = []

    def start_rank(rank, world_size=2, rows=2, last_merge=0):
        arguments = tmp_path / 'config.py', tmp_path / 'random_0.pth', start_rank.videos
        environment = dict(RANK=str(rank), WORLD_SIZE=str(world_size))
        output = tmp_path / f'rank{rank}.txt'
        process = start_script(
            WORKER,
            *(*arguments, start_rank.gallery, rows, last_merge),
            env=environment,
            stdout=output,
            stderr=output,
        )
        started.append(process)
        return process

    start_rank.videos, start_rank.gallery = clips(12), tmp_path / 'gallery'
    yield start_rank
    for process in started:
        process.kill()
        process.join()


def wait(*processes):
    for process in processes:
        process.join(120)
    return [process.exitcode for process in processes]


def rows_of(folder):
    rows = Gallery(folder).latest().dataset.to_table().to_pylist()
    return sorted(rows, key=lambda row: row['path'])


def assert_complete(start):
    """Every video is there once, and as one process would have it."""
    gallery = Gallery(start.gallery)
    videos = sorted(map(str, start.videos.rglob('*.mp4')))
    assert gallery.paths() == videos
    found = rows_of(start.gallery)
    assert [str(start.videos / row['path']) for row in found] == videos
    files = gallery.files.open().to_table().to_pylist()
    assert len(files) == len({file['id'] for file in files}) == len(videos)


@pytest.mark.slow
def test_two_ranks_give_the_rows_of_one(start, new_inferencer, tmp_path):
    assert wait(start(0), start(1)) == [0, 0]
    assert_complete(start)
    one = new_inferencer().index(start.videos, tmp_path / 'one')
    for left, right in zip(rows_of(start.gallery), rows_of(one.folder), strict=True):
        assert left['id'] == right['id']
        np.testing.assert_allclose(left['frames'], right['frames'], atol=2e-3)
        np.testing.assert_allclose(left['pooled'], right['pooled'], atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize('last', [3, 4])  # before the spans of a commit, and before their files
def test_a_killed_rank_that_is_started_again(start, last):
    assert wait(start(0), start(1, last_merge=last)) == [0, -signal.SIGKILL]
    spans, files = len(rows_of(start.gallery)), len(Gallery(start.gallery))
    assert files < 12
    assert spans - files == (0 if last == 3 else 2)
    assert wait(start(1)) == [0]
    assert_complete(start)


@pytest.mark.slow
def test_a_rank_that_is_started_twice(start):
    assert wait(start(0), start(1), start(1)) == [0, 0, 0]
    assert_complete(start)


@pytest.mark.slow
def test_ranks_that_are_killed_at_random(start):
    generator, killed = random.Random(0), 0
    while killed < KILLS:
        ranks = [start(rank, rows=1) for rank in (0, 1)]
        time.sleep(generator.uniform(0.5, 5.0))  # when is what is tested
        ranks[killed % 2].kill()
        statuses = wait(*ranks)
        assert set(statuses) <= {0, -signal.SIGKILL}
        killed += -signal.SIGKILL in statuses  # one that had ended already does not count
        if Gallery.exists(start.gallery):
            paths = [row['path'] for row in rows_of(start.gallery)]
            assert len(paths) == len(set(paths))
            for path in paths[::2]:  # more to do for the next ones
                os.utime(start.videos / path)
    assert wait(start(0), start(1)) == [0, 0]
    assert_complete(start)


@pytest.mark.slow
def test_torchrun_starts_the_ranks(start, tmp_path):
    model = '--config', tmp_path / 'config.py', '--checkpoint', tmp_path / 'random_0.pth'
    command = 'bash', ROOT / 'tools/dist_index.sh', 2, start.videos, start.gallery
    done = run_command(*command, *model, '--device', 'cpu', '--workers', 1)
    assert done.returncode == 0, done.stderr
    assert_complete(start)
    counts = re.findall(r'Indexed (\d+) videos', done.stdout + done.stderr)
    assert len(counts) == 2
    assert sum(map(int, counts)) == 12


def test_shares_are_disjoint_and_all():
    paths = [f'folder/{number}.mp4' for number in range(1000)]
    shares = [[path for path in paths if Share(rank, 3).has(path)] for rank in range(3)]
    assert sorted(sum(shares, [])) == sorted(paths)
    assert all(250 < len(share) < 420 for share in shares)


def test_what_a_launcher_sets(monkeypatch):
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'LOCAL_WORLD_SIZE'):
        monkeypatch.delenv(name, raising=False)
    assert Share.of_this_process() == Share()
    monkeypatch.setenv('RANK', '5')
    with pytest.raises(ValueError, match="RANK='5' and WORLD_SIZE=None do not fit"):
        Share.of_this_process()
    monkeypatch.setenv('WORLD_SIZE', '5')
    with pytest.raises(ValueError, match='do not fit'):
        Share.of_this_process()
    monkeypatch.setenv('WORLD_SIZE', '8')
    monkeypatch.setenv('LOCAL_RANK', '1')
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '4')
    assert Share.of_this_process() == Share(5, 8, 1, 4)


def test_devices_and_cores_of_a_process(monkeypatch):
    monkeypatch.setattr('os.cpu_count', lambda: 10)
    monkeypatch.setattr('torch.cuda.device_count', lambda: 2)
    assert [str(device) for device in Share().devices()] == ['cuda:0', 'cuda:1']
    assert [str(device) for device in Share(3, 4, 1, 2).devices()] == ['cuda:1']
    assert (Share().workers(), Share(3, 4, 1, 4).workers()) == (10, 2)
    monkeypatch.setattr('torch.cuda.device_count', lambda: 0)
    assert [str(device) for device in Share().devices()] == ['cpu']
