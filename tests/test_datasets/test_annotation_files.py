import pytest

from diffusionret_mm.datasets.annotation_files import (
    read_csv,
    read_fields,
    read_json,
    read_lines,
    read_list,
)
from diffusionret_mm.datasets.errors import AnnotationError


@pytest.fixture
def put(tmp_path):
    def write(content):
        path = tmp_path / 'file'
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_lines_of_any_system(put):
    path = put('\ufeffa \r\n\r\n  b\u2028c\r\n')
    assert read_lines(path) == ['a', 'b\u2028c']


def test_a_csv_file(put):
    path = put('\ufeffid,text \r\n1,"a, ""b"" \r\nc" \r\n\r\n , \r\n 2 ,d\r\n')
    assert read_csv(path, 'id') == [
        {'id': '1', 'text': 'a, "b" \nc'},
        {'id': '2', 'text': 'd'},
    ]


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('', 'a column "id"; its header is'),
        ('name,text\n1,a\n', r'a column "id"; its header is \[.name., .text.\]'),
        ('id,text\n1,a\n2,a man, two dogs\n', 'file, line 3: 3 fields for the 2 columns .* quotes'),
        ('id,text\n1\n', 'line 2: 1 fields'),
        ('id,text\n1,' + 'x' * 200_000, 'line 2: field larger'),
    ],
)
def test_a_wrong_csv_file(put, content, message):
    with pytest.raises(AnnotationError, match=message):
        read_csv(put(content), 'id')


def test_fields_come_with_their_lines(put):
    rows = list(read_fields(put('a;b\n\nc;"d\n'), delimiter=';', quoting=3))
    assert rows == [(1, ['a', 'b']), (3, ['c', '"d'])]


def test_other_files(put, tmp_path):
    assert read_json(put('\ufeff{"a": 1}')) == {'a': 1}
    with pytest.raises(AnnotationError, match='must hold a JSON list; it holds a dict'):
        read_list(put('{}'))
    with pytest.raises(AnnotationError, match='file is not valid JSON: .* cut off'):
        read_json(put('[1, '))
    with pytest.raises(AnnotationError, match='not UTF-8 .line 1, byte 3: .*iconv'):
        read_lines(put(b'caf\xe9\n'))
    for encoding in ('utf-16', 'utf-16-le', 'utf-16-be', 'utf-32'):
        for read in (read_lines, read_json, read_csv):
            with pytest.raises(AnnotationError, match='UTF-16, .* `iconv -f utf-16 -t utf-8 file`'):
                read(put('["a café"]\r\n'.encode(encoding)))
    with pytest.raises(FileNotFoundError, match='none does not exist; put it there'):
        read_lines(tmp_path / 'none')
