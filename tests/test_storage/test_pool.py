import hashlib
import os
import signal
import time

import pytest
import torch

from diffusionret_mm.storage.pool import run_in_parallel


class BrokenTaskError(RuntimeError):
    pass


def work(number):
    if number == 3:
        raise BrokenTaskError('three is broken')
    if number == 5:
        os._exit(1)  # as a decoder that crashes
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)  # as the system does when memory is short
    return number * number


def mistake(number):
    raise KeyError(number)


def test_broken_and_crashing_tasks_do_not_stop_the_others():
    results = run_in_parallel(work, range(9), 2, 'x', BrokenTaskError)
    outcomes = {task: (result, error) for task, result, error in results}
    assert len(outcomes) == 9
    assert outcomes.pop(3) == (None, 'three is broken')
    assert outcomes.pop(5) == (None, 'the process that read it crashed')
    assert outcomes.pop(7) == (None, 'the process that read it crashed')
    assert outcomes == {number: (number * number, '') for number in (0, 1, 2, 4, 6, 8)}


def crash(number):
    os._exit(1)


def test_every_task_may_crash():
    results = list(run_in_parallel(crash, range(12), 3, None, BrokenTaskError))
    assert sorted(results) == [
        (number, None, 'the process that read it crashed') for number in range(12)
    ]


class Unreadable:
    """Its pickle cannot be read, which breaks the whole pool."""

    def __reduce__(self):
        return int, ('too', 'many', 'arguments')


def give_unreadable(number):
    return Unreadable() if number == 2 else number


def test_a_pool_that_breaks_loses_no_other_task():
    results = run_in_parallel(give_unreadable, range(9), 2, None, BrokenTaskError)
    outcomes = {task: (result, error) for task, result, error in results}
    assert outcomes.pop(2) == (None, 'the process that read it crashed')
    assert outcomes == {number: (number, '') for number in (0, 1, 3, 4, 5, 6, 7, 8)}


def hang(number):
    if number == 1:
        time.sleep(600)
    return number


def test_a_task_that_hangs_is_given_up():
    results = run_in_parallel(hang, range(4), 2, None, BrokenTaskError, lambda number: 1)
    outcomes = {task: (result, error) for task, result, error in results}
    assert outcomes.pop(1) == (None, 'the process that read it took longer than 1 s')
    assert outcomes == {number: (number, '') for number in (0, 2, 3)}


def late(number):
    raise TimeoutError(f'{number} came late')


def test_a_mistake_of_the_program_is_raised():
    with pytest.raises(KeyError):
        list(run_in_parallel(mistake, [1, 2], 2, 'x', BrokenTaskError))
    with pytest.raises(TimeoutError, match='came late'):
        list(run_in_parallel(late, [1, 2], 2, 'x', BrokenTaskError))


def name_process(number):
    time.sleep(0.2)
    return os.getpid()


def test_a_run_that_is_left_ends_its_processes():
    results = run_in_parallel(name_process, range(8), 2, None, BrokenTaskError)
    _, process, _ = next(results)
    os.kill(process, 0)  # is there
    results.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_nothing_to_do():
    assert list(run_in_parallel(work, [], None, 'x', BrokenTaskError)) == []


@pytest.mark.usefixtures('interrupts')
def test_an_interrupt_stops_at_once_and_keeps_what_is_done():
    done, idle = [], []

    def interrupt():
        idle.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    def run():
        for task, *_ in run_in_parallel(
            hang, range(4), 2, None, BrokenTaskError, when_idle=interrupt
        ):
            done.append(task)

    with pytest.raises(KeyboardInterrupt):  # as Ctrl-C
        run()
    assert time.monotonic() - idle[0] < 2  # a second, and what a busy machine adds
    assert sorted(done) == [0, 2, 3]


def hang_in_c(number):
    """As a decoder that never comes back: no handler of Python runs."""
    if number == 1:
        signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals) - {signal.SIGTERM})
        hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)
    return number


def test_a_task_that_hangs_outside_of_python_is_ended_soon():
    start = time.monotonic()
    results = run_in_parallel(hang_in_c, range(3), 2, None, BrokenTaskError, lambda number: 0.5)
    outcomes = {task: error for task, _, error in results}
    assert outcomes[1] == 'the process that read it took longer than 0.5 s'
    assert time.monotonic() - start < 3


def sum_of_ones(size):
    return float((torch.ones(size) * 2).sum())


def test_threads_that_the_parent_has_used_are_not_waited_for():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert sum_of_ones(10**6) == 2e6  # OpenMP has threads now, which are not forked
        found = list(run_in_parallel(sum_of_ones, [10**6] * 3, 2, None, (), timeout=20))
    finally:
        torch.set_num_threads(before)
    assert found == [(10**6, 2e6, '')] * 3
