"""Lance tables in a folder or an object store: opened, and changed by one commit at a time."""

from __future__ import annotations

import errno
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffusionret_mm.extras import import_extra
from diffusionret_mm.search.errors import DAMAGED, GalleryError
from diffusionret_mm.storage.files import sync_file, sync_folder
from diffusionret_mm.storage.locks import locked

if TYPE_CHECKING:
    import pyarrow
    from lance import LanceDataset

# Lance reads them when it is imported, or asked: warnings of its parts are for its makers, and
# statistics of an index are wanted without all its vectors.
SETTINGS = dict(LANCE_LOG='error', LANCE_INCLUDE_VECTOR_CENTROIDS='false')
RETRIES = 20
FILE_ROWS = 1_048_576
# What Lance appends to its messages: the line of its code, once or more.
CODE_LINE = re.compile(r',? */\S+\.rs:\d+:\d+')
SYSTEM_ERROR = re.compile(r'\(os error (\d+)\)')
CONFLICT = re.compile(r'conflict|preempted', re.IGNORECASE)


class Table:
    """A Lance table with the declared key `id`.

    On a local disk commits are made one at a time, under the lock of the table, and what they wrote
    is brought to the disk before they count. An object store has no lock: there Lance finds
    conflicts and tries again. Its address, keys and region are in the environment variables that
    other programs use: AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID and so on.

    Args:
        place: folder of the table, or its address (`s3://BUCKET/PATH`).

    Raises:
        GalleryError: by all methods, if the table cannot be read.
        OSError: by those that write, if the disk is full or may not be written.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self.folder = None if '://' in place else Path(place)

    @property
    def lance(self) -> Any:
        """The module lance."""
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        module = import_extra('lance', 'search')
        # The processes that are forked here decode videos, and never use it.
        warnings.filterwarnings('ignore', 'lance is not fork-safe')
        return module

    def exists(self) -> bool:
        """Tell whether there is a table."""
        if self.folder is not None:
            return (self.folder / '_versions').is_dir()
        with readable(self.place):
            try:
                self.lance.dataset(self.place)
            except ValueError as error:
                if 'was not found' not in str(error):
                    raise
                return False
        return True

    def open(self) -> LanceDataset:
        """Open the latest version."""
        with readable(self.place):
            return self.lance.dataset(self.place)

    def create(self, schema: pyarrow.Schema) -> None:
        """Make an empty table, unless another process has just made it.

        Args:
            schema: with its key declared.
        """
        with self._lock(), readable(self.place), self._brought_to_disk():
            if self.exists():
                return
            options = dict(mode='create', enable_stable_row_ids=True)
            try:
                self.lance.write_dataset(schema.empty_table(), self.place, **options)
            except OSError as error:
                if 'already exists' not in str(error):
                    raise

    def replace(self, where: str, rows: pyarrow.Table) -> None:
        """Delete the rows that meet a condition, and add others.

        On a disk that is one commit. In an object store the new rows come first, merged by their
        key, and what is left of the old ones goes then.

        Args:
            where: the condition, in SQL; every row with the id of a new one must meet it.
            rows: rows of different ids.
        """
        with self._lock(), readable(self.place):
            if self.folder is None:
                self._merge(rows)
                ids = rows['id'].to_pylist()
                self._delete_remote(f'{where} AND NOT {ids_in(ids)}' if ids else where)
            else:
                self._again_on_conflict(lambda: self._commit(where, rows))

    def delete(self, where: str) -> int:
        """Delete the rows that meet a condition; return how many there were."""
        with readable(self.place):
            dataset = self.open()
            count = dataset.count_rows(where)
        if count:
            self.replace(where, dataset.schema.empty_table())
        return count

    def update_metadata(self, values: Mapping[str, str]) -> None:
        """Set entries of the metadata that may change; those of the schema stay."""
        with self._lock(), readable(self.place), self._brought_to_disk():
            self.open().update_metadata(dict(values))

    def compact(self, file_rows: int = FILE_ROWS) -> None:
        """Write small fragments together, and those with deleted rows again without them.

        Args:
            file_rows: rows of a fragment, about: what would be less than that is added to the last.
        """
        with readable(self.place):
            self._again_on_conflict(lambda: self._compact(file_rows))

    def change_index(self, change: Callable[[LanceDataset], object]) -> None:
        """Call a function that makes or brings up to date an index of the latest version."""
        with readable(self.place), self._brought_to_disk():
            self._again_on_conflict(lambda: change(self.open()))

    def clean_up(self, keep: timedelta) -> None:
        """Delete versions that are older than that, and the files that only they used."""
        with readable(self.place):
            self.open().cleanup_old_versions(older_than=keep)

    def _merge(self, rows: pyarrow.Table) -> None:
        """Insert rows, those of the same ids replaced.

        Lance finds by the declared key that another process has inserted the same row. With an
        index on the key it would not: none is used.
        """
        if len(rows):
            builder = self.open().merge_insert('id').use_index(False).conflict_retries(RETRIES)
            builder.when_matched_update_all().when_not_matched_insert_all().execute(rows)

    def _delete_remote(self, where: str) -> None:
        dataset = self.open()
        if dataset.count_rows(where):
            dataset.delete(where, conflict_retries=RETRIES)

    def _commit(self, where: str, rows: pyarrow.Table) -> None:
        """Write rows and deletions, bring them to the disk, and make them count."""
        dataset = self.open()
        with self._brought_to_disk():
            operation = self._written(dataset, where, rows)
        with self._brought_to_disk():
            self.lance.LanceDataset.commit(dataset, operation, read_version=dataset.version)

    def _written(self, dataset: LanceDataset, where: str, rows: pyarrow.Table) -> Any:
        """Write rows and deletions; return the operation that makes them count."""
        operations = self.lance.LanceOperation
        gone, changed = [], []
        for number in _fragments_with(dataset, where):
            fragment: Any = dataset.get_fragment(number)  # there is one of this number
            left = fragment.delete(where)
            if left is None:
                gone.append(number)
            else:
                changed.append(left)
        if not len(rows):
            return operations.Delete(changed, gone, where)
        write = import_extra('lance.fragment', 'search').write_fragments
        new = write(rows, self.place, schema=dataset.schema, mode='append')
        if not gone and not changed:
            return operations.Append(new)
        fields = [field.id() for field in dataset.lance_schema.fields()]
        return operations.Update(
            removed_fragment_ids=gone,
            updated_fragments=changed,
            new_fragments=new,
            fields_for_preserving_frag_bitmap=fields,  # no index has the new rows
            update_mode='rewrite_rows',
        )

    def _compact(self, file_rows: int) -> None:
        optimize = import_extra('lance.optimize', 'search')
        dataset = self.open()
        with self._brought_to_disk():
            options = dict(materialize_deletions_threshold=0.0, target_rows_per_fragment=file_rows)
            plan = optimize.Compaction.plan(dataset, options)
            results = [task.execute(dataset) for task in plan.tasks]
        with self._lock(), self._brought_to_disk():
            if results:
                optimize.Compaction.commit(dataset, results)

    def _again_on_conflict(self, change: Callable[[], Any]) -> Any:
        """Try again what another process's commit has come before."""
        for _ in range(RETRIES):
            try:
                return change()
            except (OSError, RuntimeError) as error:
                if not CONFLICT.search(str(error)):
                    raise
        raise GalleryError(
            f'Other processes changed {self.place} each of the {RETRIES} times that this one tried '
            'to. Run the same command to go on.'
        )

    def _lock(self) -> AbstractContextManager[None]:
        """Wait until no other process of this disk commits."""
        if self.folder is None:
            return nullcontext()
        return locked(self.folder, on_wait=lambda message: None)

    @contextmanager
    def _brought_to_disk(self) -> Iterator[None]:
        """Bring the files that appear meanwhile to the disk, if that is one of this machine."""
        if self.folder is None:
            yield
            return
        before = set(_files_below(self.folder))
        yield
        new = [file for file in _files_below(self.folder) if file not in before]
        for file in new:
            with suppress(FileNotFoundError):  # another process's, and gone again
                sync_file(file)
        for folder in {*(Path(file).parent for file in new), self.folder, self.folder.parent}:
            sync_folder(folder)


def _files_below(root: Path) -> Iterator[str]:
    for folder, _, names in os.walk(root):
        yield from (os.path.join(folder, name) for name in names)


def _fragments_with(dataset: LanceDataset, where: str) -> list[int]:
    """Return the numbers of the fragments that hold rows that meet a condition."""
    options: dict[str, Any] = dict(columns=[], filter=where, with_row_address=True)
    addresses = dataset.to_table(**options)['_rowaddr'].to_numpy()
    return sorted({int(address) >> 32 for address in addresses})


def ids_in(ids: Sequence[str]) -> str:
    """Return the condition that an id is one of some."""
    return f'id IN ({", ".join(map(quoted, ids))})'


def rows_of(keys: Sequence[tuple[str, str]]) -> str:
    """Return the condition that a span is of one of some files."""
    paths: dict[str, list[str]] = {}
    for library, path in keys:
        paths.setdefault(library, []).append(quoted(path))
    parts = (
        f'library = {quoted(library)} AND path IN ({", ".join(names)})'
        for library, names in paths.items()
    )
    return f'({" OR ".join(parts)})'


def quoted(text: str) -> str:
    """Return a text as SQL wants it."""
    return "'" + text.replace("'", "''") + "'"


def reason_of(error: BaseException) -> str:
    """Return what Lance says of an error, without the lines of its code."""
    return CODE_LINE.sub('', str(error)).strip().rstrip('.')


@contextmanager
def readable(place: str) -> Iterator[None]:
    """Say in a sentence why a table cannot be used.

    Raises:
        GalleryError: if it is damaged, or its object store refuses.
        OSError: if the system refuses.
    """
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, GalleryError) or getattr(error, 'errno', None) is not None:
            raise
        system = SYSTEM_ERROR.search(str(error))
        if system and int(system[1]) != errno.ENOENT:
            number = int(system[1])
            raise OSError(number, os.strerror(number), place) from error
        hint = '' if '://' in place else f' {DAMAGED}'
        raise GalleryError(f'{place} cannot be used: {reason_of(error)}.{hint}') from error
