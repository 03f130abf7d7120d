"""Readers of text files that may have byte order marks, Windows line ends and blank lines."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from diffusionret_mm.datasets.errors import AnnotationError


def check_exists(path: Path) -> None:
    """Raise FileNotFoundError if there is no such annotation file."""
    if not path.is_file():
        raise FileNotFoundError(
            f'The annotation file {path} does not exist; put it there or correct data_root or its '
            'name in the config.'
        )


def read_text(path: Path) -> str:
    r"""Read a UTF-8 file; lines end with `\n`, whatever they end with in the file.

    Raises:
        FileNotFoundError: if there is no such file.
        AnnotationError: if it is not UTF-8; it names the place.
    """
    check_exists(path)
    content = path.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b'\0' in content[:1000]:
        raise AnnotationError(
            f'{path} is not UTF-8 but UTF-16, or no text at all; convert it by '
            f'`iconv -f utf-16 -t utf-8 {path.name}`.'
        )
    try:
        text = content.decode('utf-8-sig')
    except UnicodeDecodeError as error:
        line = content.count(b'\n', 0, error.start) + 1
        raise AnnotationError(
            f'{path} is not UTF-8 (line {line}, byte {error.start}: {error.reason}); convert it by '
            f'`iconv -f latin1 -t utf-8 {path.name}`.'
        ) from error
    return text.replace('\r\n', '\n').replace('\r', '\n')


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        FileNotFoundError: if there is no such file.
        AnnotationError: if it is not valid.
    """
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise AnnotationError(
            f'{path} is not valid JSON: {error}; was it cut off? Fetch it again.'
        ) from error


def read_list(path: Path) -> list[Any]:
    """Read a JSON file that holds a list.

    Raises:
        FileNotFoundError: if there is no such file.
        AnnotationError: if it is not valid or holds something else.
    """
    content = read_json(path)
    if not isinstance(content, list):
        raise AnnotationError(f'{path} must hold a JSON list; it holds a {type(content).__name__}.')
    return content


def read_lines(path: Path) -> list[str]:
    """Read the lines of a list, without blank ones and without spaces around them.

    Raises:
        FileNotFoundError: if there is no such file.
        AnnotationError: if it is not UTF-8.
    """
    lines = (line.strip() for line in read_text(path).split('\n'))
    return [line for line in lines if line]


def read_csv(path: Path, *columns: str) -> list[dict[str, str]]:
    """Read a csv file with a header, without blank rows and without spaces around values.

    Args:
        path: the file.
        *columns: columns that it must have.

    Raises:
        FileNotFoundError: if there is no such file.
        AnnotationError: if a column is missing or a row does not fit the header.
    """
    rows = read_fields(path)
    _, header = next(rows, (0, []))
    missing = [column for column in columns if column not in header]
    if missing:
        raise AnnotationError(
            f'{path} must be a csv file with a column "{missing[0]}"; its header is {header}.'
        )
    table = []
    for number, fields in rows:
        if len(fields) != len(header):
            raise AnnotationError(
                f'{path}, line {number}: {len(fields)} fields for the {len(header)} columns '
                f'{header}; a text with commas must stand in quotes: {fields}.'
            )
        table.append(dict(zip(header, fields, strict=True)))
    return table


def read_fields(path: Path, **dialect: Any) -> Iterator[tuple[int, list[str]]]:
    """Iterate over the rows of a table, without blank rows and without spaces around fields.

    Args:
        path: the file.
        **dialect: options of `csv.reader`.

    Returns:
        Line numbers, from 1, each with the fields of the row that ends there.

    Raises:
        FileNotFoundError: if there is no such file.
        AnnotationError: if the file is not a table.
    """
    reader = csv.reader(io.StringIO(read_text(path)), **dialect)
    try:
        for fields in reader:
            stripped = [value.strip() for value in fields]
            if any(stripped):
                yield reader.line_num, stripped
    except csv.Error as error:
        raise AnnotationError(f'{path}, line {reader.line_num}: {error}.') from error
