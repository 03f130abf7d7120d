"""Functions that give one part after the other, in processes that may crash or hang."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Generic, TypeVar

from diffusionret_mm.storage.pool import CRASHED, START_METHOD, Failures, start_worker
from diffusionret_mm.storage.progress import progress_bar

Task = TypeVar('Task')
# A part, or at the end why the task has failed ('' if it has not), or an error to raise.
Message = tuple[Any, str | None, BaseException | None]


@dataclass(frozen=True)
class Event(Generic[Task]):
    """What came of a task.

    Attributes:
        task: the task.
        part: the next part; None at the end.
        error: None while more is to come; at the end why the task has failed, '' if it has not.
    """

    task: Task
    part: Any
    error: str | None


@dataclass(frozen=True)
class StreamJob(Generic[Task]):
    """What is done with each task; the processes do one after the other.

    Args:
        function: returns an iterator of the parts of a task; it must be importable.
        failures: errors of the function that only mean that its task has failed. Any other error
            is raised.
        timeout: seconds that are spent on waiting for a part of a task, at most.
    """

    function: Callable[[Task], Iterator[Any]]
    failures: Failures
    timeout: Callable[[Task], float]


def stream_in_parallel(
    job: StreamJob[Task],
    tasks: Sequence[Task],
    workers: int | None,
    title: str | None,
    when_idle: Callable[[], None],
) -> Generator[Event[Task], None, None]:
    """Run tasks in processes, and give their parts as they come.

    A process goes on to the next part while its last one is used, and then waits: a part per
    process is in memory. A task whose process dies or hangs is given up, the others go on.

    Args:
        job: what to do.
        tasks: its arguments.
        workers: number of processes; None: one per CPU core.
        title: what the progress bar is called; None: there is none.
        when_idle: what to do in each second in which nothing comes.

    Yields:
        Parts of several tasks, mixed; those of a task in order.
    """
    count = min(workers or os.cpu_count() or 1, len(tasks))
    with progress_bar(len(tasks), title, 'video') as progress, _Crew(job, tasks, count) as crew:
        while crew.begin():
            is_idle = True
            for event in crew.events():
                is_idle = False
                progress.update(event.error is not None)
                yield event
            if is_idle:
                when_idle()


class _Crew(Generic[Task]):
    """Processes, and what each of them does; they are killed at the end of a `with` block."""

    def __init__(self, job: StreamJob[Task], tasks: Sequence[Task], count: int) -> None:
        self._job = job
        self._waiting = deque(tasks)
        self._free = [_Worker(job) for _ in range(count)]
        self._busy: list[_Worker[Task]] = []

    def __enter__(self) -> _Crew[Task]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for worker in self._free + self._busy:
            worker.kill()

    def begin(self) -> bool:
        """Give tasks to those who are free; tell whether anybody is busy."""
        while self._free and self._waiting:
            worker = self._free.pop()
            worker.begin(self._waiting.popleft())
            self._busy.append(worker)
        return bool(self._busy)

    def events(self) -> Iterator[Event[Task]]:
        """Yield what comes within a second, at most one event of each process."""
        start = time.monotonic()
        ready = wait([worker.connection for worker in self._busy], timeout=1)
        waited = time.monotonic() - start
        for worker in list(self._busy):
            event = worker.receive() if worker.connection in ready else worker.wait(waited)
            if event is None:
                continue
            if event.error is not None:
                self._busy.remove(worker)
                self._free.append(worker if worker.is_alive else self._replaced(worker))
            yield event

    def _replaced(self, worker: _Worker[Task]) -> _Worker[Task]:
        worker.kill()
        return _Worker(self._job)


class _Worker(Generic[Task]):
    """A process."""

    def __init__(self, job: StreamJob[Task]) -> None:
        self._job = job
        context: Any = multiprocessing.get_context(START_METHOD)  # its class depends on the method
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, job, os.getpid()), daemon=True)
        self._process.start()
        theirs.close()  # so that the end of the process is the end of what comes
        self.is_alive = True

    def begin(self, task: Task) -> None:
        """Begin with a task."""
        self._task, self._seconds = task, self._job.timeout(task)
        self._left = self._seconds
        try:
            self.connection.send(task)
        except OSError:  # it has died while it had nothing to do
            self.is_alive = False

    def receive(self) -> Event[Task]:
        """Take what has come."""
        try:
            part, end, error = self.connection.recv()
        except (EOFError, OSError):
            return self._given_up(CRASHED)
        if error is not None:
            raise error
        self._left = self._seconds
        return Event(self._task, part, end)

    def wait(self, seconds: float) -> Event[Task] | None:
        """Count seconds in which nothing has come."""
        self._left -= seconds
        if self._left > 0:
            return None
        return self._given_up(f'the process that read it took longer than {self._seconds:.3g} s')

    def kill(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self.connection.close()

    def _given_up(self, reason: str) -> Event[Task]:
        self.is_alive = False
        return Event(self._task, None, reason)


def _serve(connection: Connection, job: StreamJob[Task], parent: int) -> None:
    """Do one task after the other, in a process of its own."""
    start_worker(parent)
    while True:
        for message in _messages(job, connection.recv()):
            connection.send(message)


def _messages(job: StreamJob[Task], task: Task) -> Iterator[Message]:
    """Yield the parts of a task, and how it ended."""
    try:
        for part in job.function(task):
            yield part, None, None
    except job.failures as error:
        yield None, str(error) or type(error).__name__, None
    except Exception as error:
        yield None, None, error
    else:
        yield None, '', None
