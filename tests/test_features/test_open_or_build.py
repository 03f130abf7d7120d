import errno
import os
import shutil
import time
from pathlib import Path

import pytest
import torch
from processes import start_script

from diffusionret_mm.features import open_or_build
from diffusionret_mm.features.store import FeatureWriter

ROOT = Path(__file__).parents[2]
ARRAYS = dict(
    words=torch.zeros(6, 8),
    text_mask=torch.ones(3, 2, dtype=torch.bool),
    pooled=torch.zeros(3, 8),
    frames=torch.zeros(2, 4, 8),
    frame_mask=torch.ones(2, 4, dtype=torch.bool),
    video_index=torch.arange(2),
    texts_of_video=torch.tensor([1, 2]),
)


def fill(writer):
    for name, rows in ARRAYS.items():
        writer.append(name, rows)


def test_a_cache_is_built_once_and_again_when_it_is_stale(tmp_path):
    root, said = tmp_path / 'work' / 'cache', []
    for made_of in (dict(weights='1'), dict(weights='1'), dict(weights='2')):
        assert open_or_build(root, made_of, fill, said.append).num_texts == 3
    assert [text.rpartition(': ')[2] for text in said] == [
        'there is none yet.',
        'it was made of other weights.',
    ]
    assert sorted(path.name for path in root.parent.iterdir()) == ['.cache.lock', 'cache']


def test_an_open_cache_survives_its_replacement(tmp_path):
    old = open_or_build(tmp_path / 'cache', dict(weights='1'), fill, print)
    open_or_build(tmp_path / 'cache', dict(weights='2'), fill, print)
    assert old.videos([0, 1]).frames.shape == (2, 4, 8)


def test_a_file_cut_short_is_written_again(tmp_path):
    open_or_build(tmp_path / 'cache', {}, fill, print)
    (tmp_path / 'cache' / 'words.bin').write_bytes(b'')
    said = []
    open_or_build(tmp_path / 'cache', {}, fill, said.append)
    assert 'words.bin has 0 bytes in place of 192' in said[0]
    assert (tmp_path / 'cache' / 'words.bin').stat().st_size == 192


def test_no_space_from_the_start(tmp_path, monkeypatch):
    from diffusionret_mm.features.open_or_build import check_space

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: usage._replace(free=2 * 10**9))

    def need_more(writer):
        fill(writer)
        check_space(writer.root, 5 * 10**9)

    with pytest.raises(OSError, match=r'no room.*5\.0 GB are needed, 2\.0 free.*directory'):
        open_or_build(tmp_path / 'cache', {}, need_more, print)
    assert [path.name for path in tmp_path.iterdir()] == ['.cache.lock']


@pytest.mark.parametrize('when', ['append', 'finish'])
def test_a_disk_that_fills_up_leaves_no_half_cache(tmp_path, monkeypatch, when):
    def fail(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(FeatureWriter, when, fail)
    with pytest.raises(OSError, match='no room.*No space left on device') as caught:
        open_or_build(tmp_path / 'cache', {}, fill, print)
    assert caught.value.errno == errno.ENOSPC
    assert [path.name for path in tmp_path.iterdir()] == ['.cache.lock']


def start(root, name):
    return start_script(ROOT / 'tests/cache_worker.py', root, name)


def wait_for(path):
    limit = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < limit, f'{path} did not appear'
        time.sleep(0.05)


def test_a_killed_builder_leaves_nothing_usable_and_the_next_takes_over(tmp_path):
    root = tmp_path / 'cache'
    first = start(root, 'first')
    wait_for(tmp_path / 'first.building')
    others = [start(root, name) for name in ('second', 'third')]
    for name in ('second', 'third'):
        wait_for(tmp_path / f'{name}.waiting')
    assert not root.exists()
    assert not list(tmp_path.glob('*.done'))
    first.kill()
    first.join()
    wait_for_one = [tmp_path / f'{name}.building' for name in ('second', 'third')]
    limit = time.monotonic() + 120
    while not any(path.exists() for path in wait_for_one):
        assert time.monotonic() < limit
        time.sleep(0.05)
    (tmp_path / 'go').touch()
    for process in others:
        process.join(120)
    assert [process.exitcode for process in others] == [0, 0]
    # One of them built, both opened it, and the dead process's files are gone.
    assert sum(path.exists() for path in wait_for_one) == 1
    assert len(list(tmp_path.glob('*.done'))) == 2
    assert not list(tmp_path.glob('.cache.*.tmp'))
