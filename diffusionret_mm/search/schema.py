"""What a gallery holds: rows for spans, rows for files, and what is known of the model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from diffusionret_mm.datasets.spans import Moments
from diffusionret_mm.extras import import_extra

if TYPE_CHECKING:
    import pyarrow

# To be raised when galleries of before can no longer be read. 1 was the SQLite table.
FORMAT_VERSION = 2
SPANS, FILES, SUBTITLES = 'spans.lance', 'files.lance', 'subtitles.lance'
VIDEO = 'video'
INDEXED, UNREADABLE = 'indexed', 'unreadable'
POOLED, FRAMES, FRAME_WEIGHTS, MASK = 'pooled', 'frames', 'frame_weights', 'mask'
FRAME_SCALES = 'frame_scales'
# What is said in a span, one line under the other, and what it was read from.
TEXT, SOURCE = 'text', 'source'
# Declared as the key: of two processes that insert the same ids, one fails and tries again.
KEY = {b'lance-schema:unenforced-primary-key': b'true'}
FACTS = 'diffusionret_mm'


@dataclass(frozen=True)
class ArrayLayout:
    """What a row of an array is.

    Args:
        dtype: name of its dtype.
        shape: shape of a row.
    """

    dtype: str
    shape: tuple[int, ...]


Layout = dict[str, ArrayLayout]


def layout_of(arrays: Mapping[str, np.ndarray]) -> Layout:
    """Return the layout of arrays [n, ...], by name."""
    return {
        name: ArrayLayout(str(array.dtype), tuple(array.shape[1:]))
        for name, array in arrays.items()
    }


@dataclass(frozen=True)
class VideoFile:
    """A file as it was when it was indexed.

    Args:
        library: name of its library.
        path: path relative to the library's root, with slashes.
        bytes: size.
        mtime_ns: time of the last change, in nanoseconds since 1970.
    """

    library: str
    path: str
    bytes: int
    mtime_ns: int

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from other files: library and path."""
        return self.library, self.path


@dataclass(frozen=True)
class Span:
    """A part of a video.

    Args:
        file: the video.
        start: seconds.
        end: seconds; of a whole video its duration, 0 if that is unknown.
        kind: 'video' (all of it), 'window' or 'shot'.
        metadata: anything that JSON can hold.
    """

    file: VideoFile
    start: float
    end: float
    kind: str = VIDEO
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The key of its row."""
        return span_id(self.file.library, self.file.path, self.start, self.end)


@dataclass(frozen=True)
class Facts:
    """What is known of how a gallery was made.

    Args:
        fingerprint: what the features depend on, by parts.
        layout: layout of the arrays of a span, by name.
        config: text of the config.
        checkpoint: path of the checkpoint, as it was given.
        passport: facts of the backbone's passport.
        moments: how videos are cut into spans.
        int8: whether the table keeps frames in 8 bits, with a scale each. They are given
            as the layout says, and read as float32.
    """

    fingerprint: Mapping[str, str]
    layout: Layout
    config: str = ''
    checkpoint: str = ''
    passport: Mapping[str, Any] = field(default_factory=dict)
    moments: Moments = Moments()
    int8: bool = False

    @property
    def stored_layout(self) -> Layout:
        """Layout of the arrays of the table."""
        if not self.int8:
            return self.layout
        shape = self.layout[FRAMES].shape
        scales = ArrayLayout('float32', shape[:-1])
        return {**self.layout, FRAMES: ArrayLayout('int8', shape), FRAME_SCALES: scales}

    def to_json(self) -> str:
        """Return the text that the table's metadata holds."""
        return json.dumps(dict(asdict(self), format_version=FORMAT_VERSION))

    @classmethod
    def from_json(cls, text: str) -> Facts:
        """Read what `to_json` wrote.

        Raises:
            ValueError: if it is of another format version; it says of which.
        """
        found = json.loads(text)
        version = found.pop('format_version')
        if version != FORMAT_VERSION:
            raise ValueError(f'the format version {version}, this program reads {FORMAT_VERSION}')
        layout = {
            name: ArrayLayout(each['dtype'], tuple(each['shape']))
            for name, each in found.pop('layout').items()
        }
        moments = Moments.of_gallery(found.pop('moments', {}))
        return cls(layout=layout, moments=moments, **found)


def span_id(library: str, path: str, start: float, end: float) -> str:
    """Return the key of a span, 32 hexadecimal digits; times count to the millisecond."""
    return _hash(library, path, f'{start:.3f}', f'{end:.3f}')


def file_id(library: str, path: str) -> str:
    """Return the key of a file, 32 hexadecimal digits."""
    return _hash(library, path)


def _hash(*parts: str) -> str:
    return hashlib.blake2b('\0'.join(parts).encode(), digest_size=16).hexdigest()


def spans_schema(facts: Facts) -> pyarrow.Schema:
    """Return the schema of the table of spans, with the facts in its metadata."""
    pa = import_extra('pyarrow', 'search')
    arrays = [
        (name, pa.list_(pa.from_numpy_dtype(layout.dtype), int(np.prod(layout.shape))))
        for name, layout in facts.stored_layout.items()
    ]
    fields = [
        pa.field('id', pa.string(), nullable=False, metadata=KEY),
        ('library', pa.string()),
        ('path', pa.string()),
        ('start', pa.float64()),
        ('end', pa.float64()),
        ('kind', pa.string()),
        ('bytes', pa.int64()),
        ('mtime', pa.timestamp('us')),
        *arrays,
        ('metadata', pa.json_(pa.utf8())),
    ]
    return pa.schema(fields, metadata={FACTS: facts.to_json()})


def subtitles_schema(facts: Facts) -> pyarrow.Schema:
    """Return the schema of the table of subtitles: all of a span but arrays, and what is said."""
    pa = import_extra('pyarrow', 'search')
    spans = [field for field in spans_schema(facts) if field.name not in facts.stored_layout]
    return pa.schema([*spans, (TEXT, pa.string()), (SOURCE, pa.string())])


def files_schema() -> pyarrow.Schema:
    """Return the schema of the table of files."""
    pa = import_extra('pyarrow', 'search')
    return pa.schema(
        [
            pa.field('id', pa.string(), nullable=False, metadata=KEY),
            ('library', pa.string()),
            ('path', pa.string()),
            ('bytes', pa.int64()),
            ('mtime_ns', pa.int64()),
            ('state', pa.string()),
            ('reason', pa.string()),
        ]
    )


def spans_table(
    spans: Sequence[Span], arrays: Mapping[str, np.ndarray], schema: pyarrow.Schema
) -> pyarrow.Table:
    """Make rows of the table of spans.

    Args:
        spans: n spans.
        arrays: their features by name, [n, ...], as the table keeps them.
        schema: what `spans_schema` returned.
    """
    pa = import_extra('pyarrow', 'search')
    files = [span.file for span in spans]
    metadata = pa.array([json.dumps(dict(span.metadata)) for span in spans], pa.utf8())
    columns = dict(
        id=[span.id for span in spans],
        library=[file.library for file in files],
        path=[file.path for file in files],
        start=[span.start for span in spans],
        end=[span.end for span in spans],
        kind=[span.kind for span in spans],
        bytes=[file.bytes for file in files],
        mtime=pa.array([file.mtime_ns // 1000 for file in files], pa.timestamp('us')),
        metadata=pa.ExtensionArray.from_storage(schema.field('metadata').type, metadata),
    )
    for name, array in arrays.items():
        flat = pa.array(np.ascontiguousarray(array).reshape(-1))
        size = schema.field(name).type.list_size
        columns[name] = pa.FixedSizeListArray.from_arrays(flat, size)
    return pa.table([columns[name] for name in schema.names], schema=schema)


def files_table(files: Mapping[VideoFile, str]) -> pyarrow.Table:
    """Make rows of the table of files.

    Args:
        files: of each file why it cannot be read; empty if it was indexed.
    """
    pa = import_extra('pyarrow', 'search')
    rows = [
        dict(
            asdict(file),
            id=file_id(*file.key),
            state=UNREADABLE if reason else INDEXED,
            reason=reason,
        )
        for file, reason in files.items()
    ]
    return pa.Table.from_pylist(rows, schema=files_schema())


def array_of(column: pyarrow.ChunkedArray, layout: ArrayLayout) -> np.ndarray:
    """Return a column of features as an array [n, ...]; it may share the column's memory."""
    flat = column.combine_chunks().flatten()
    is_bool = layout.dtype == 'bool'  # a bit each
    return flat.to_numpy(zero_copy_only=not is_bool).reshape(len(column), *layout.shape)
