"""Conditions on files, as SQL."""

import time

import pytest

from diffusionret_mm.search import Libraries
from diffusionret_mm.search.conditions import all_of, changed_from, changed_to, within

LIBRARIES = Libraries(
    {'films': '/media/films', "it's": '/media/other', 'deep': '/media/films/deep'}
)


def test_folders():
    assert within('/media/films/2020', LIBRARIES) == (
        "library = 'films' AND starts_with(path, '2020/')"
    )
    assert (
        within('/media', LIBRARIES) == "library = 'films' OR library = 'it''s' OR library = 'deep'"
    )
    assert within('/media/films/deep', LIBRARIES) == (
        "library = 'films' AND starts_with(path, 'deep/') OR library = 'deep'"
    )
    with pytest.raises(ValueError, match='its folders are /media/films, /media/films/deep'):
        within('/med', LIBRARIES)


@pytest.fixture
def two_hours_east(monkeypatch):
    """A time zone without summer time."""
    monkeypatch.setenv('TZ', 'XXX-2')
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures('two_hours_east')
def test_dates_are_of_the_time_zone_of_the_machine():
    assert changed_from('2024-05-01') == "mtime >= timestamp '2024-04-30 22:00:00.000000'"
    assert changed_to('2024-05-01') == "mtime < timestamp '2024-05-01 22:00:00.000000'"
    assert changed_to('2024-05-01T10:30') == "mtime < timestamp '2024-05-01 08:30:00.000000'"
    assert changed_from('2024-05-01T10:30+00:00') == (
        "mtime >= timestamp '2024-05-01 10:30:00.000000'"
    )


def test_conditions_are_joined():
    assert all_of([None, None]) is None
    assert all_of([None, 'a']) == 'a'
    assert all_of(['a OR b', None, 'c']) == '(a OR b) AND (c)'
