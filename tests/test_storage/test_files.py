"""Files that are whole or absent."""

import time

import pytest
from processes import start_script

from diffusionret_mm.storage.files import (
    open_atomically,
    remove_leftovers,
    write_json,
    written_beside,
)


def write(path, content):
    with open_atomically(path) as file:
        file.write(content)


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / 'new' / 'file'
    with open_atomically(path) as file:
        file.write(b'one')
        assert not path.exists()
    assert path.read_bytes() == b'one'
    assert [entry.name for entry in path.parent.iterdir()] == ['file']


def test_an_error_leaves_what_was_there(tmp_path):
    path = tmp_path / 'file'
    write(path, b'one')
    with pytest.raises(TypeError):
        write(path, 'no bytes')
    assert path.read_bytes() == b'one'
    assert [entry.name for entry in tmp_path.iterdir()] == ['file']


def test_what_a_library_writes_appears_when_it_is_complete(tmp_path):
    path = tmp_path / 'new' / 'file'
    with written_beside(path) as temporary:
        temporary.write_bytes(b'one')
        assert not path.exists()
    with pytest.raises(TypeError), written_beside(path) as temporary:
        temporary.write_bytes('no bytes')
    assert path.read_bytes() == b'one'
    assert [entry.name for entry in path.parent.iterdir()] == ['file']


def test_json(tmp_path):
    path = tmp_path / 'file.json'
    write_json(path, dict(b=1, a=[path]), indent=1, default=lambda value: value.name)
    assert path.read_text() == '{\n "b": 1,\n "a": [\n  "file.json"\n ]\n}\n'
    with pytest.raises(TypeError):
        write_json(path, {'a': path})
    assert path.stat().st_size > 0
    assert [entry.name for entry in tmp_path.iterdir()] == ['file.json']


def test_leftovers_are_looked_for_below_if_that_is_wanted(tmp_path):
    (tmp_path / 'below').mkdir()
    leftover = tmp_path / 'below' / '.file.1.tmp'
    leftover.touch()
    remove_leftovers(tmp_path)
    assert leftover.exists()
    remove_leftovers(tmp_path, recursive=True)
    assert not leftover.exists()


WRITER = """
import sys, time
from diffusionret_mm.storage.files import open_atomically
with open_atomically(sys.argv[1]) as file:
    file.write(b'tw')
    file.flush()
    time.sleep(60)
"""


def test_a_killed_writer_leaves_what_was_there(tmp_path, tmp_path_factory):
    path = tmp_path / 'file'
    write(path, b'one')
    script = tmp_path_factory.mktemp('script') / 'writer.py'
    script.write_text(WRITER)
    process = start_script(script, path)
    while not any(entry.stat().st_size == 2 for entry in tmp_path.glob('.file.*.tmp')):
        assert process.is_alive()
        time.sleep(0.05)
    process.kill()
    process.join()
    assert path.read_bytes() == b'one'
    assert len(list(tmp_path.iterdir())) == 2
    remove_leftovers(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ['file']
