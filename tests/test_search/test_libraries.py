"""Where videos are, and what they are called in a gallery."""

import pytest

from diffusionret_mm.search import GalleryError, Libraries


def test_a_file_is_in_the_innermost_library():
    libraries = Libraries(dict(all='/data', films='/data/films'))
    assert libraries.locate('/data/a/b.mp4') == ('all', 'a/b.mp4')
    assert libraries.locate('/data/films/b.mp4') == ('films', 'b.mp4')
    assert libraries.locate('/data/films2/b.mp4') == ('all', 'films2/b.mp4')
    assert libraries.locate('/other/b.mp4') is None
    assert Libraries(dict(disk='/')).locate('/a/b.mp4') == ('disk', 'a/b.mp4')


def test_paths_go_back_and_forth():
    libraries = Libraries(dict(films='/data/films'))
    assert libraries.path_of(*libraries.locate('/data/films/a b/c.mp4')) == '/data/films/a b/c.mp4'
    with pytest.raises(GalleryError, match='--root none=FOLDER'):
        libraries.path_of('none', 'a.mp4')


def test_new_libraries_are_called_like_their_folders():
    libraries = Libraries(dict(films='/old/films'))
    joined = libraries.joined_by(['/new/films', '/new/films/inside'], ['/x/a.mp4', '/old/films/b'])
    assert joined.roots == {'films': '/old/films', 'films-2': '/new/films', 'x': '/x'}
    assert libraries.roots == {'films': '/old/films'}
    assert Libraries({}).joined_by(['/'], []).roots == {'videos': '/'}


def test_the_order_of_sources_does_not_matter():
    folders = ['/b/films', '/a/films', '/a']
    names = [Libraries({}).joined_by(order, []).roots for order in (folders, folders[::-1])]
    assert names[0] == names[1] == {'a': '/a', 'films': '/b/films'}
