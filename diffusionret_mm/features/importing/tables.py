"""Features in rows and shards: .npy, parquet, and the tars of webdataset."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Sized
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np

from diffusionret_mm.datasets.annotation_files import read_lines
from diffusionret_mm.extras import import_extra
from diffusionret_mm.features.importing.arrays import check_length, decode
from diffusionret_mm.features.importing.items import (
    FIELDS,
    ImportFeaturesError,
    Item,
    Names,
    make_item,
)

IDS = '.ids.txt'
COMPANIONS = dict(mask='.mask.npy', pooled='.pooled.npy')
BATCH = 256  # rows of a parquet file that are read at a time


def npy_rows(path: Path) -> Iterator[Item]:
    """Yield the rows of an array `NAME.npy`, whose ids are the lines of `NAME.ids.txt` beside it.

    There may be `NAME.mask.npy` and `NAME.pooled.npy`, too.

    Raises:
        ImportFeaturesError: if there are no ids, or a file has another number of rows.
    """
    ids = path.with_suffix(IDS)
    if not ids.is_file():
        raise ImportFeaturesError(
            f'{path} says nothing of the ids of its rows; write them into {ids.name} beside it, '
            'one per line.'
        )
    keys, array, companions = read_lines(ids), read_npy(path), _companions(path)
    counted: dict[str, Sized] = {ids.name: keys, **companions}
    for name, values in counted.items():
        check_length(values, len(array), f'rows in {name}', str(path))
    for row, key in enumerate(keys):
        rest = {field: values[row] for field, values in companions.items()}
        yield make_item(key, array[row], f'{path}, row {row} (id {key!r})', **rest)


def npy_folder(folder: Path) -> Iterator[Item]:
    """Yield the files `ID.npy` of a folder, each a video or text.

    There may be `ID.mask.npy` and `ID.pooled.npy`, too.
    """
    for path in sorted(folder.rglob('*.npy')):
        if not is_companion(path):
            key = path.relative_to(folder).with_suffix('').as_posix()
            yield make_item(key, read_npy(path), str(path), **_companions(path))


def is_companion(path: Path) -> bool:
    """Tell whether an .npy file belongs to the features in another one."""
    return path.name.endswith(tuple(COMPANIONS.values()))


def _companions(path: Path) -> dict[str, np.ndarray]:
    files = {field: path.with_suffix(suffix) for field, suffix in COMPANIONS.items()}
    return {field: read_npy(file) for field, file in files.items() if file.is_file()}


def read_npy(path: Path, file: Any = None) -> np.ndarray:
    """Read an array, mapped if it is a file of its own.

    Args:
        path: the file, for messages too.
        file: where its bytes are, if it is part of another file.

    Raises:
        ImportFeaturesError: if it is none, or an array of objects, which could run code.
    """
    try:
        mode: Literal['r'] | None = 'r' if file is None else None
        source = path if file is None else file
        array: np.ndarray = np.load(source, allow_pickle=False, mmap_mode=mode)
        return array
    except (ValueError, EOFError) as error:
        raise ImportFeaturesError(f'{path} is no .npy file of numbers ({error}).') from error


def parquet_rows(path: Path, names: Names) -> Iterator[Item]:
    """Yield the rows of a parquet file, whose columns are the fields.

    Raises:
        ImportFeaturesError: if it cannot be read, or a column is missing or of another kind.
    """
    parquet = import_extra('pyarrow.parquet', 'features')
    try:
        table = parquet.ParquetFile(path)
    except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors
        raise ImportFeaturesError(f'{path} is no parquet file ({error}).') from error
    with table:
        fields = _columns(table.schema_arrow, names, path)
        for batch in table.iter_batches(BATCH, columns=list(fields.values())):
            yield from _rows_of_batch(batch, fields, path)


def _columns(schema: Any, names: Names, path: Path) -> dict[str, str]:
    """Column of each field that a parquet file has."""
    fields = {field: names.of(field) for field in FIELDS if names.of(field) in schema.names}
    for field in ('features', 'ids'):
        if field not in fields:
            raise ImportFeaturesError(
                f'{path} has no column {names.of(field)!r}; its columns are '
                f'{", ".join(schema.names[:12])} (--names {field}=NAME).'
            )
    for field in fields.keys() & {'features', 'mask', 'pooled'}:
        kind = schema.field(fields[field]).type
        if kind.num_fields != 1:
            raise ImportFeaturesError(
                f'{path}: the column {fields[field]!r} holds {kind}; lists of numbers are expected.'
            )
    return fields


def _rows_of_batch(batch: Any, fields: dict[str, str], path: Path) -> Iterator[Item]:
    columns = {field: batch.column(name) for field, name in fields.items()}
    for row in range(batch.num_rows):
        values = {field: column[row] for field, column in columns.items()}
        key = str(values.pop('ids').as_py())
        where = f'{path}, id {key!r}'
        caption = values.pop('captions').as_py() if 'captions' in values else None
        arrays = {field: _to_array(value, where) for field, value in values.items()}
        yield make_item(key, where=where, caption=caption, **arrays)


def _to_array(scalar: Any, where: str) -> np.ndarray:
    """Numbers of a list in a parquet file, or of a list of lists."""
    values = scalar.values
    if values is None or values.null_count:
        raise ImportFeaturesError(f'{where}: features or some of their numbers are missing (null).')
    if values.type.num_fields == 0:
        array: np.ndarray = values.to_numpy(zero_copy_only=False)
        return array
    rows = [_to_array(value, where) for value in values]
    if len({row.shape for row in rows}) != 1:
        raise ImportFeaturesError(f'{where}: its rows differ in width, or there is none.')
    return np.stack(rows)


def tar_samples(path: Path, names: Names) -> Iterator[Item]:
    """Yield the samples of a tar of webdataset, as video2dataset and clip-retrieval write them.

    Members `KEY.npy` (features), `KEY.mask.npy`, `KEY.pooled.npy`, `KEY.txt` (caption) and
    `KEY.json` (`caption`, and `ids` if `--names` has that); those of a key follow each other. The
    id is the key. A sample without `KEY.npy` is passed over.

    Raises:
        ImportFeaturesError: if it cannot be read.
    """
    try:
        with tarfile.open(path) as archive:
            for key, members in groupby(filter(tarfile.TarInfo.isfile, archive), _key_of):
                files = ((_kind_of(each), archive.extractfile(each)) for each in members)
                sample = {kind: file.read() for kind, file in files if file is not None}
                if 'npy' in sample:
                    yield _sample(path, key, sample, names)
    except tarfile.TarError as error:
        reason = str(error).partition('\n')[0]
        raise ImportFeaturesError(f'{path} is no tar, or was cut off ({reason}).') from error


def _key_of(member: tarfile.TarInfo) -> str:
    name = PurePosixPath(member.name)
    return (name.parent / name.name.partition('.')[0]).as_posix()


def _kind_of(member: tarfile.TarInfo) -> str:
    return PurePosixPath(member.name).name.partition('.')[2].lower()


def _sample(path: Path, key: str, sample: dict[str, bytes], names: Names) -> Item:
    where = f'{path}, {key}'
    arrays = {
        field: read_npy(Path(f'{where}.{kind}'), io.BytesIO(sample[kind]))
        for field, kind in (('features', 'npy'), ('mask', 'mask.npy'), ('pooled', 'pooled.npy'))
        if kind in sample
    }
    facts = _facts(sample, where)
    named = names.of('ids')
    if named == 'ids':
        facts[named] = key
    if named not in facts:
        raise ImportFeaturesError(f'{where}.json has no {named!r}; it should hold the id.')
    caption = facts.get('caption')
    if 'txt' in sample:
        caption = decode(sample['txt'], f'{where}.txt').strip()
    return make_item(str(facts[named]), where=where, caption=caption, **arrays)


def _facts(sample: dict[str, bytes], where: str) -> dict[str, Any]:
    if 'json' not in sample:
        return {}
    try:
        facts = json.loads(sample['json'])
    except ValueError as error:
        raise ImportFeaturesError(f'{where}.json is not valid JSON ({error}).') from error
    return facts if isinstance(facts, dict) else {}
