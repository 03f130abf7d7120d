import multiprocessing
import os
import threading

import pytest

from diffusionret_mm.storage.locks import lock_file_of, locked

FORK = multiprocessing.get_context('fork')


def _hold(target, is_held, may_end):
    with locked(target):
        is_held.set()
        may_end.wait(60)


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of `work/cache`, and the event that lets it end."""
    is_held, may_end = FORK.Event(), FORK.Event()
    process = FORK.Process(target=_hold, args=(tmp_path / 'work' / 'cache', is_held, may_end))
    process.start()
    assert is_held.wait(60)
    yield process, may_end
    process.kill()
    process.join()


def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path, holder):
    target = tmp_path / 'work' / 'cache'
    process, _ = holder
    refused = rf'Another process is preparing {target} \(process {process.pid} on .*\); wait'
    with pytest.raises(RuntimeError, match=refused), locked(target):
        pass
    process.kill()
    process.join()
    with locked(target):
        pass


def test_a_second_process_waits_and_says_for_whom(tmp_path, holder):
    said, target = [], tmp_path / 'work' / 'cache'
    process, may_end = holder

    def let_it_end(message):
        said.append(message)
        may_end.set()

    with locked(target, on_wait=let_it_end):
        assert f'process {os.getpid()} on ' in lock_file_of(target).read_text()
    assert len(said) == 1
    assert said[0].startswith(f'Waiting for process {process.pid} on ')
    assert said[0].endswith(f', which is working on {target}.')
    assert [path.name for path in target.parent.iterdir()] == ['.cache.lock']


def test_threads_of_one_process_take_turns(tmp_path):
    inside, most = [], []

    def enter():
        with locked(tmp_path / 'cache', on_wait=lambda message: None):
            inside.append(1)
            most.append(len(inside))
            inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]


def test_children_do_not_inherit_the_lock(tmp_path):
    """A worker that outlives its killed parent for a moment must not keep others out."""
    reader, writer = os.pipe()
    with locked(tmp_path / 'cache'):
        child = os.fork()
        if child == 0:
            os.close(writer)
            os.read(reader, 1)  # until the parent says so
            os._exit(0)
    with locked(tmp_path / 'cache'):
        pass
    os.close(writer)
    os.waitpid(child, 0)
    os.close(reader)
