import os
import signal
import time

import pytest

from diffusionret_mm.storage.streams import StreamJob, stream_in_parallel


class BrokenTaskError(RuntimeError):
    pass


def parts(number):
    yield os.getpid()
    if number == 3:
        raise BrokenTaskError
    if number == 5:
        os._exit(1)  # as a decoder that crashes
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)  # as the system does when memory is short
    if number == 8:
        signal.pause()  # as a decoder that hangs
    yield from range(number)


def run(function, tasks, workers=2, seconds=1.0, when_idle=lambda: None):
    job = StreamJob(function, BrokenTaskError, lambda task: seconds)
    return stream_in_parallel(job, tasks, workers, None, when_idle)


def test_tasks_that_fail_crash_or_hang_do_not_stop_the_others():
    came, ended = {}, {}
    for event in run(parts, range(10)):
        if event.error is None:
            came.setdefault(event.task, []).append(event.part)
        else:
            ended[event.task] = event.error
    assert ended.pop(3) == 'BrokenTaskError'
    assert ended.pop(5) == ended.pop(7) == 'the process that read it crashed'
    assert ended.pop(8) == 'the process that read it took longer than 1 s'
    assert ended == dict.fromkeys((0, 1, 2, 4, 6, 9), '')
    assert {task: found[1:] for task, found in came.items() if task in ended} == {
        number: [*range(number)] for number in ended
    }
    assert os.getpid() not in {found[0] for found in came.values()}


def slow_parts(number):
    for part in range(4):
        time.sleep(0.3)
        yield part


def test_the_time_is_that_of_a_part():
    events = list(run(slow_parts, [1], seconds=0.9))
    assert [event.part for event in events] == [0, 1, 2, 3, None]
    assert events[-1].error == ''


def quick_parts(number):
    yield 1
    yield 2


def test_the_time_that_a_process_waits_for_its_reader_does_not_count():
    for event in run(quick_parts, [1, 2, 3], seconds=0.2):
        time.sleep(0.3)
        assert not event.error


def mistake(number):
    yield 1
    raise KeyError(number)


def test_other_errors_are_raised():
    with pytest.raises(KeyError):
        list(run(mistake, [1]))


def counted_parts(path):
    for number in range(100):
        path.write_text(str(number))
        yield bytes(1_000_000)


def test_a_process_goes_one_part_ahead(tmp_path):
    events = run(counted_parts, [tmp_path / 'number'])
    for expected in range(3):
        next(events)
        time.sleep(0.2)  # for what it should not do
        assert int((tmp_path / 'number').read_text()) <= expected + 1
    events.close()


def test_processes_end_with_their_reader():
    events = run(parts, [8], seconds=60)
    process = next(events).part
    os.kill(process, 0)
    events.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_there_is_something_to_do_while_nothing_comes():
    calls = []
    list(run(parts, [8], seconds=1.5, when_idle=lambda: calls.append(time.monotonic())))
    assert calls


def test_without_tasks_there_is_nothing():
    assert list(run(parts, [])) == []
