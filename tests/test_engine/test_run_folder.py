"""One run at a time works in a folder."""

import multiprocessing
import re
from pathlib import Path

import pytest
from processes import run_ranks

from diffusionret_mm.apis import test_retriever as evaluate
from diffusionret_mm.apis import train_retriever
from diffusionret_mm.apis.pictures import evaluate_for_pictures
from diffusionret_mm.apis.run import run_folder
from diffusionret_mm.storage.locks import LockedError, locked

FORK = multiprocessing.get_context('fork')
WORKER = Path(__file__).parents[1] / 'run_folder_worker.py'


def _hold(folder, is_held):
    with locked(folder / 'run'):
        is_held.set()
        multiprocessing.Event().wait(100)


@pytest.fixture
def other_run(tmp_path):
    """A process that holds the folder `run`."""
    is_held = FORK.Event()
    process = FORK.Process(target=_hold, args=(tmp_path / 'run', is_held))
    process.start()
    assert is_held.wait(60)
    yield process
    process.kill()
    process.join()


@pytest.mark.parametrize(
    'start',
    [
        lambda cfg: train_retriever(cfg),
        lambda cfg: train_retriever(type(cfg)(cfg.to_dict() | dict(resume='auto'))),
        lambda cfg: evaluate(cfg, 'none.pth', out=None),
        lambda cfg: evaluate_for_pictures(cfg, 'none.pth'),
    ],
    ids=['train', 'resume', 'test', 'pictures'],
)
def test_a_second_run_is_refused_before_it_writes(make_cfg, tmp_path, other_run, start):
    refused = rf'folder of another run \(process {other_run.pid} on .*--work-dir\.$'
    with pytest.raises(LockedError, match=refused):
        start(make_cfg())
    assert [path.name for path in (tmp_path / 'run').iterdir()] == ['.run.lock']
    with run_folder(make_cfg('another folder')):
        pass


def test_the_lock_of_a_killed_run_is_taken_over(make_cfg, tmp_path, other_run):
    other_run.kill()
    other_run.join()
    assert str(other_run.pid) in (tmp_path / 'run/.run.lock').read_text()
    with run_folder(make_cfg()):
        pass


def test_runs_of_one_process_follow_each_other(make_cfg):
    with pytest.raises(ZeroDivisionError), run_folder(make_cfg()):
        raise ZeroDivisionError
    for _ in range(2):
        with run_folder(make_cfg()):
            pass


def test_the_processes_of_a_run_share_its_folder_and_leave_it_together(tmp_path, other_run):
    done = run_ranks(2, WORKER, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert re.search(rf'another run \(process {other_run.pid} on ', done.stdout)
    assert 'inside' not in done.stdout
    other_run.kill()
    other_run.join()
    for _ in range(2):
        done = run_ranks(2, WORKER, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count('inside') == 2


def test_a_folder_that_cannot_be_written_is_named(make_cfg, tmp_path):
    (tmp_path / 'run').write_text('a file')
    with pytest.raises(OSError, match=f'{tmp_path}/run'), run_folder(make_cfg()):
        pass
