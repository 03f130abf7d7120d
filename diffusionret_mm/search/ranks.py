"""The first step of a search by several processes, each of which holds a part of the index."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import distributed

from diffusionret_mm.search.candidates import Nearest, Question, Searchers, join, search_parts
from diffusionret_mm.search.errors import GalleryError
from diffusionret_mm.search.tables import Table, readable
from diffusionret_mm.search.vector_index import Part

if TYPE_CHECKING:
    import lance

# The next question may be long in coming, an answer may not.
QUESTION_TIMEOUT = timedelta(days=365)
ANSWER_TIMEOUT = timedelta(minutes=10)


@dataclass(frozen=True)
class Task:
    """What rank 0 tells the others to do.

    Args:
        version: version of the table of spans.
        parts: the parts of each rank.
        question: the queries.
    """

    version: int
    parts: list[list[Part]]
    question: Question


# What a rank has found for each query, or why it has found nothing.
Answer = list[Nearest] | str


class Ranks(Searchers):
    """The processes of a launcher, as rank 0 sees them; it looks through a part itself.

    Rank 0 says which version of the table is searched, and who looks through which part. The others
    run `serve`. All are in a process group, and each is made at the same time.

    Args:
        table: the table of spans.
    """

    def __init__(self, table: Table) -> None:
        self.count = distributed.get_world_size()
        self._channel = _Channel(table.place)

    def nearest(
        self, dataset: lance.LanceDataset, parts: Sequence[Part], question: Question
    ) -> list[Nearest]:
        """Find the nearest rows; see `Searchers.nearest`.

        Raises:
            GalleryError: if another process cannot read its part, or has ended.
        """
        shares = [list(parts[rank :: self.count]) for rank in range(self.count)]
        self._channel.tell(Task(dataset.version, shares, question))
        own = _answer(dataset.uri, lambda: search_parts(dataset, shares[0], question))
        answers = self._channel.gather(own)
        for rank, answer in enumerate(answers):
            if isinstance(answer, str):
                raise GalleryError(f'Process {rank} of {self.count}: {answer}')
        return [join(found, question.count) for found in zip(*answers, strict=True)]

    def dismiss(self) -> None:
        """Let the other processes end, as far as they have not."""
        with suppress(GalleryError):
            self._channel.tell(None)


def serve(table: Table) -> None:
    """Look through the parts that rank 0 names, until it lets this process end.

    Args:
        table: the table of spans.

    Raises:
        GalleryError: if rank 0 or another process has ended.
    """
    channel, rank = _Channel(table.place), distributed.get_rank()
    dataset = None

    def look(task: Task) -> list[Nearest]:
        nonlocal dataset
        dataset = dataset or table.open()
        if dataset.version != task.version:  # the new one shares what is cached of the table
            dataset = dataset.checkout_version(task.version)
        return search_parts(dataset, task.parts[rank], task.question)

    while (task := channel.tell()) is not None:
        channel.gather(_answer(table.place, partial(look, task)))


def _answer(place: str, look: Callable[[], list[Nearest]]) -> Answer:
    try:
        with readable(place):
            return look()
    except Exception as error:  # whatever it is, rank 0 has to know
        return str(error) or type(error).__name__


class _Channel:
    """What rank 0 and the others tell each other.

    Args:
        place: folder or address of the table, for messages.
    """

    def __init__(self, place: str) -> None:
        self._place = place
        self._questions: Any = distributed.new_group(timeout=QUESTION_TIMEOUT, backend='gloo')
        self._answers: Any = distributed.new_group(timeout=ANSWER_TIMEOUT, backend='gloo')

    def tell(self, task: Task | None = None) -> Task | None:
        """Give all ranks the task of rank 0; None: there is none any more."""
        tasks = [task]
        with self._connected():
            distributed.broadcast_object_list(tasks, src=0, group=self._questions)
        return tasks[0]

    def gather(self, answer: Answer) -> list[Answer]:
        """Give rank 0 the answers of all ranks; the others get none."""
        is_first = distributed.get_rank() == 0
        answers = [answer] * distributed.get_world_size() if is_first else []
        with self._connected():
            distributed.gather_object(answer, answers or None, dst=0, group=self._answers)
        return answers

    @contextmanager
    def _connected(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise GalleryError(
                f'A process that searches a part of {self._place} has ended, or has not answered '
                f'for {ANSWER_TIMEOUT.total_seconds() / 60:g} minutes. Start all of them again.'
            ) from error
