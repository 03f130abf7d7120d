import os

import pytest

from diffusionret_mm.datasets.errors import VideoReadError
from diffusionret_mm.storage.pool import run_in_parallel


def work(number):
    if number == 3:
        raise VideoReadError('three is broken')
    if number == 5:
        os._exit(1)  # as a decoder that crashes
    return number * number


def mistake(number):
    raise KeyError(number)


def test_broken_and_crashing_tasks_do_not_stop_the_others():
    outcomes = {
        task: (result, error) for task, result, error in run_in_parallel(work, range(9), 2, 'x')
    }
    assert len(outcomes) == 9
    assert outcomes.pop(3) == (None, 'three is broken')
    assert outcomes.pop(5) == (None, 'the process that read it crashed')
    assert outcomes == {number: (number * number, '') for number in (0, 1, 2, 4, 6, 7, 8)}


def test_a_mistake_of_the_program_is_raised():
    with pytest.raises(KeyError):
        list(run_in_parallel(mistake, [1, 2], 2, 'x'))


def test_nothing_to_do():
    assert list(run_in_parallel(work, [], None, 'x')) == []
