"""A function over many tasks, in processes that may crash or hang."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from pebble import ProcessExpired, ProcessPool

from diffusionret_mm.storage.progress import progress_bar

Task = TypeVar('Task')
Outcome = tuple[Any, str]
Failures = type[Exception] | tuple[type[Exception], ...]

# A process that is forked need not import torch again; elsewhere forking is not safe.
START_METHOD = 'fork' if sys.platform == 'linux' else 'spawn'
CRASHED = 'the process that read it crashed'


def run_in_parallel(
    function: Callable[[Task], Any],
    tasks: Sequence[Task],
    workers: int | None,
    title: str | None,
    failures: Failures,
    timeout: float | Callable[[Task], float] | None = None,
    when_idle: Callable[[], None] | None = None,
) -> Generator[tuple[Task, Any, str], None, None]:
    """Call a function for every task.

    Decoders crash on some broken files. A task whose process dies or takes too long is given up,
    the others go on. An interrupt stops all at once.

    Args:
        function: What to do; it must be importable.
        tasks: Its arguments.
        workers: Number of processes; None: one per CPU core.
        title: What the progress bar, with rate and time left, is called; None: there is none.
        failures: Errors of the function that only mean that its task has failed. Any other error
            is raised here.
        timeout: Seconds that a task may take, once it is begun, or a function of it that gives
            them; None sets no limit.
        when_idle: What to do in each second in which no task ends.

    Yields:
        As they finish: task, result and what is wrong; the result is None if anything is.
    """
    job = _Job(function, failures, timeout, when_idle)
    workers = min(workers or os.cpu_count() or 1, max(len(tasks), 1))
    waiting = deque(tasks)
    with progress_bar(len(tasks), title, 'video') as progress:
        while waiting:
            for task, outcome in job.run(waiting, workers):
                progress.update()
                yield task, *outcome


@dataclass(frozen=True)
class _Job(Generic[Task]):
    """What is done with each task; see `run_in_parallel`."""

    function: Callable[[Task], Any]
    failures: Failures
    timeout: float | Callable[[Task], float] | None
    when_idle: Callable[[], None] | None

    def run(self, waiting: deque[Task], workers: int) -> Iterator[tuple[Task, Outcome]]:
        """Work tasks off until none is left, or the pool itself has broken."""
        running: dict[Future[Any], Task] = {}
        with _pool(workers) as pool:
            while running or (waiting and pool.active):
                with suppress(RuntimeError):  # it has broken, and takes no more
                    while waiting and len(running) < 2 * workers:
                        running[self._schedule(pool, waiting[0])] = waiting[0]
                        waiting.popleft()
                for future in self._finished(pool, running):
                    task = running.pop(future)
                    try:
                        outcome = self._outcome(future, task)
                    except BrokenProcessPool:
                        outcome = self._run_alone(task)
                    yield task, outcome

    def _run_alone(self, task: Task) -> Outcome:
        """Run a task that was in a broken pool, which says not who is to blame."""
        with _pool(1) as pool:
            future = self._schedule(pool, task)
            self._finished(pool, {future: task})
            try:
                return self._outcome(future, task)
            except BrokenProcessPool:
                return None, CRASHED

    def _schedule(self, pool: ProcessPool, task: Task) -> Future[Any]:
        return pool.schedule(self.function, args=[task], timeout=self._seconds(task))

    def _seconds(self, task: Task) -> float | None:
        return self.timeout(task) if callable(self.timeout) else self.timeout

    def _finished(self, pool: ProcessPool, running: dict[Future[Any], Task]) -> set[Future[Any]]:
        """Wait for some tasks; of a pool that has broken, give back all."""
        while pool.active:
            done, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
            if done:
                return done
            if self.when_idle is not None:
                self.when_idle()
        return set(running)

    def _outcome(self, future: Future[Any], task: Task) -> Outcome:
        if not future.done():
            raise BrokenProcessPool
        try:
            return future.result(), ''
        except ProcessExpired:
            return None, CRASHED
        except concurrent.futures.TimeoutError:
            if self.timeout is None:
                raise
            return None, f'the process that read it took longer than {self._seconds(task):.3g} s'
        except self.failures as error:
            return None, str(error)


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPool]:
    """Give a pool; whatever it still does at the end is stopped."""
    context = multiprocessing.get_context(START_METHOD)
    pool = ProcessPool(workers, context=context, initializer=start_worker, initargs=(os.getpid(),))
    try:
        yield pool
    finally:
        pool.stop()
        pool.join()


def start_worker(parent: int) -> None:
    """Leave an interrupt to the parent, and silence decoders: thousands of lines a broken file.

    Called first in a process of decoders. To be ended is left to the system: a decoder that hangs
    never gets to a handler of Python.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    torch.set_num_threads(1)  # the others that OpenMP had were not forked, and would be waited for
    with open(os.devnull, 'w') as nowhere:
        os.dup2(nowhere.fileno(), 2)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this process once its parent was killed; it would wait for work forever."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
