"""What adds the lines of videos to a gallery; any number of processes may, at the same time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from diffusionret_mm.datasets.subtitles import Line, text_between
from diffusionret_mm.search.gallery import Gallery
from diffusionret_mm.search.schema import SOURCE, TEXT, VIDEO, VideoFile, subtitles_schema
from diffusionret_mm.search.subtitles import make_text_index, once_per_id
from diffusionret_mm.search.tables import readable, rows_of

if TYPE_CHECKING:
    import pyarrow

# Videos wait for a commit until there are so many, or so many lines, or for so long.
COMMIT_VIDEOS = 1024
COMMIT_LINES = 65_536
COMMIT_SECONDS = 60.0
EVER = float('inf')


@dataclass(frozen=True)
class _Said:
    """The lines of a video, and what they were read from."""

    source: str
    lines: Sequence[Line]

    def text_of(self, start: float, end: float, kind: str) -> str | None:
        """Return what is said in a span; a whole video has all lines."""
        bounds = (-EVER, EVER) if kind == VIDEO else (start, end)
        return text_between(self.lines, *bounds)


class SubtitleWriter:
    """Collects lines and commits them, those of a video together.

    The table of subtitles is made with the first commit. It has a row for each span in which
    something is said, and for the first span of each video in which nothing is.

    A block under `with` ends with a commit of what is left, also on an interrupt.

    Args:
        gallery: the gallery.
    """

    def __init__(self, gallery: Gallery) -> None:
        self.gallery = gallery
        self._said: dict[tuple[str, str], _Said] = {}
        self._since = time.monotonic()

    def __enter__(self) -> SubtitleWriter:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Commit what is left."""
        self.commit()

    def add(self, file: VideoFile, source: str, lines: Sequence[Line]) -> None:
        """Add the lines of a video; those that the gallery has of it are replaced.

        Args:
            file: the video; without spans in the gallery it is passed over.
            source: what tells the files that the lines were read from from their other states.
            lines: all lines.

        Raises:
            OSError: if the disk has no room.
        """
        if not self._said:
            self._since = time.monotonic()
        self._said[file.key] = _Said(source, lines)
        self.commit_if_due()

    def commit_if_due(self) -> None:
        """Commit if there is enough, or if something has waited long enough."""
        num_lines = sum(len(said.lines) for said in self._said.values())
        is_full = len(self._said) >= COMMIT_VIDEOS or num_lines >= COMMIT_LINES
        if is_full or time.monotonic() - self._since >= COMMIT_SECONDS:
            self.commit()

    def commit(self) -> None:
        """Commit what was collected."""
        said, self._said = self._said, {}  # what fails is not tried again
        if not said:
            return
        schema = subtitles_schema(self.gallery.facts)
        self.gallery.subtitles.create(schema)
        make_text_index(self.gallery.subtitles)
        columns = [name for name in schema.names if name not in (TEXT, SOURCE)]
        where = rows_of([*said])
        with readable(self.gallery.spans.place):
            spans = self.gallery.spans.open().to_table(columns=columns, filter=where)
        rows = _with_lines(once_per_id(spans).sort_by('id'), said, schema)
        self.gallery.subtitles.replace(where, rows)


def _with_lines(
    spans: pyarrow.Table, said: Mapping[tuple[str, str], _Said], schema: pyarrow.Schema
) -> pyarrow.Table:
    """Return the rows of spans with lines, and of each other video that of one span."""
    keys = list(zip(spans['library'].to_pylist(), spans['path'].to_pylist(), strict=True))
    parts = zip(*(spans[name].to_pylist() for name in ('start', 'end', 'kind')), strict=True)
    texts = [said[key].text_of(*part) for key, part in zip(keys, parts, strict=True)]
    kept = {place: keys[place] for place, text in enumerate(texts) if text is not None}
    silent = {key: place for place, key in enumerate(keys) if key not in set(kept.values())}
    places = [*kept, *silent.values()]
    rows = spans.take(places).to_pydict()
    rows[TEXT] = [texts[place] for place in places]
    rows[SOURCE] = [said[keys[place]].source for place in places]
    return schema.empty_table().from_pydict(rows, schema=schema)
