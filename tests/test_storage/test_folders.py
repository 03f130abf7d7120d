"""Folders that are whole or absent."""

import pytest

from diffusionret_mm.storage.files import remove_leftovers
from diffusionret_mm.storage.folders import build_folder


def fill(folder, content):
    folder.mkdir()
    (folder / 'file').write_text(content)


def test_a_folder_appears_when_it_is_complete(tmp_path):
    target = tmp_path / 'new' / 'folder'
    with build_folder(target) as scratch:
        fill(scratch, 'one')
        assert not target.exists()
        assert scratch.parent == target.parent
    assert (target / 'file').read_text() == 'one'
    assert [entry.name for entry in target.parent.iterdir()] == ['folder']


def test_an_error_leaves_what_was_there(tmp_path):
    target = tmp_path / 'folder'
    fill(target, 'one')
    with pytest.raises(TypeError), build_folder(target, replace=True) as scratch:
        fill(scratch, b'no text')
    assert (target / 'file').read_text() == 'one'
    assert [entry.name for entry in tmp_path.iterdir()] == ['folder']


def test_a_folder_is_replaced_only_if_that_is_wanted(tmp_path):
    target = tmp_path / 'folder'
    fill(target, 'one')
    with pytest.raises(OSError, match='not empty'), build_folder(target) as scratch:
        fill(scratch, 'two')
    assert (target / 'file').read_text() == 'one'
    with build_folder(target, replace=True) as scratch:
        fill(scratch, 'two')
    assert (target / 'file').read_text() == 'two'


def test_leftovers_of_the_same_folder_are_removed(tmp_path):
    fill(tmp_path / '.folder[1].123.tmp', 'killed')
    fill(tmp_path / '.other.123.tmp', 'at work')
    remove_leftovers(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    with build_folder(tmp_path / 'folder[1]') as scratch:
        fill(scratch, 'one')
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ['.other.123.tmp', 'folder[1]']
