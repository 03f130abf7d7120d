"""Files that are whole or absent."""

import os
import signal
import subprocess
import sys
import time

import pytest

from diffusionret_mm.storage.files import open_atomically, remove_leftovers


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


WRITER = """
import sys, time
from diffusionret_mm.storage.files import open_atomically
with open_atomically(sys.argv[1]) as file:
    file.write(b'tw')
    file.flush()
    time.sleep(60)
"""


def test_a_killed_writer_leaves_what_was_there(tmp_path):
    path = tmp_path / 'file'
    write(path, b'one')
    with subprocess.Popen([sys.executable, '-c', WRITER, str(path)]) as process:
        while not any(entry.stat().st_size == 2 for entry in tmp_path.glob('.file.*.tmp')):
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    assert path.read_bytes() == b'one'
    assert len(list(tmp_path.iterdir())) == 2
    remove_leftovers(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ['file']
