"""The folders of clip-retrieval: img_emb, text_emb and metadata, a shard each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from diffusionret_mm.extras import import_extra
from diffusionret_mm.features.importing.arrays import check_length
from diffusionret_mm.features.importing.items import (
    ImportFeaturesError,
    Item,
    Names,
    make_item,
)
from diffusionret_mm.features.importing.tables import read_npy

METADATA = 'metadata'
ID_COLUMN, CAPTION_COLUMN = 'image_path', 'caption'


def is_embedding_folder(folder: Path) -> bool:
    """Tell whether a folder is the `img_emb` or `text_emb` of clip-retrieval."""
    return folder.name in ('img_emb', 'text_emb') and (folder.parent / METADATA).is_dir()


def embedding_shards(folder: Path, names: Names) -> Iterator[Item]:
    """Yield the rows of `img_emb/img_emb_0.npy` and so on.

    Ids are the column `image_path` of `metadata/metadata_0.parquet`, or the one that `--names` has
    for ids, and captions the column `caption`.

    Args:
        folder: `img_emb` or `text_emb`.
        names: what the fields are called.

    Raises:
        ImportFeaturesError: if a shard has no metadata, or other ones.
    """
    parquet = import_extra('pyarrow.parquet', 'features')
    for path in sorted(folder.glob('*.npy'), key=_number_of):
        table = folder.parent / METADATA / f'{METADATA}_{_digits(path)}.parquet'
        if not table.is_file():
            raise ImportFeaturesError(f'{path} has no metadata; {table} is not there.')
        columns = parquet.read_table(table).to_pydict()
        column = ID_COLUMN if names.of('ids') == 'ids' else names.of('ids')
        if column not in columns:
            raise ImportFeaturesError(
                f'{table} has no column {column!r}; its columns are {", ".join(columns)} '
                '(--names ids=NAME).'
            )
        ids, array = columns[column], read_npy(path)
        check_length(ids, len(array), f'ids in {table.name}', str(path))
        captions = columns.get(CAPTION_COLUMN, [None] * len(ids))
        for row, (key, caption) in enumerate(zip(ids, captions, strict=True)):
            where = f'{path}, row {row} (id {key!r})'
            yield make_item(str(key), array[row], where, caption=caption)


def _digits(path: Path) -> str:
    return path.stem.rpartition('_')[2]


def _number_of(path: Path) -> tuple[int, str]:
    digits = _digits(path)
    return (int(digits) if digits.isdigit() else -1, path.name)
