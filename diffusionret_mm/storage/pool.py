"""A function over many videos, in processes that may crash."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from tqdm import tqdm

from diffusionret_mm.datasets.errors import VideoReadError

Task = TypeVar('Task')
Outcome = tuple[Any, str]

# A process that is forked need not import torch again; elsewhere forking is not safe.
_START_METHOD = 'fork' if sys.platform == 'linux' else 'spawn'


def run_in_parallel(
    function: Callable[[Task], Any], tasks: Sequence[Task], workers: int | None, title: str | None
) -> Iterator[tuple[Task, Any, str]]:
    """Call a function for every task.

    Decoders crash on some broken files. A task whose process dies is given up, the others go on.

    Args:
        function: what to do; it must be importable, and raise VideoReadError if a video is at
            fault.
        tasks: its arguments.
        workers: number of processes; None: one per CPU core.
        title: what the progress bar, with rate and time left, is called; None: there is none.

    Yields:
        As they finish: task, result and what is wrong; the result is None if anything is.
    """
    workers = min(workers or os.cpu_count() or 1, max(len(tasks), 1))
    waiting = deque(tasks)
    # A log file needs no new line several times a second.
    interval = 0.2 if sys.stderr.isatty() else 5
    options = dict(desc=title, unit='video', mininterval=interval, disable=title is None)
    with tqdm(total=len(tasks), **options) as progress:
        while waiting:
            for task, outcome in _run_until_crash(function, waiting, workers):
                progress.update()
                yield task, *outcome


def _run_until_crash(
    function: Callable[[Task], Any], waiting: deque[Task], workers: int
) -> Iterator[tuple[Task, Outcome]]:
    """Work tasks off; after a crash, each that may be to blame is run in a process of its own."""
    running: dict[Future, Task] = {}
    pool = _pool(workers)
    try:
        while waiting or running:
            while waiting and len(running) < 2 * workers:
                running[pool.submit(function, waiting[0])] = waiting[0]
                waiting.popleft()
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                outcome = _outcome(future)
                yield running.pop(future), outcome
    except BrokenProcessPool:
        for task in running.values():
            yield task, _run_alone(function, task)
    finally:
        pool.shutdown(cancel_futures=True)


def _run_alone(function: Callable[[Task], Any], task: Task) -> Outcome:
    with _pool(1) as pool:
        try:
            return _outcome(pool.submit(function, task))
        except BrokenProcessPool:
            return None, 'the process that read it crashed'


def _outcome(future: Future) -> Outcome:
    try:
        return future.result(), ''
    except VideoReadError as error:
        return None, str(error)


def _pool(workers: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context(_START_METHOD)
    return ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start_worker, initargs=(os.getpid(),)
    )


def _start_worker(parent: int) -> None:
    """Leave an interrupt to the parent, and silence decoders: thousands of lines a broken file."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open(os.devnull, 'w') as nowhere:
        os.dup2(nowhere.fileno(), 2)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process once its parent was killed; it would wait for work forever."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
